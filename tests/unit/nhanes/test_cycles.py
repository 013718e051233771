from __future__ import annotations

import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.cycles import CYCLES, cycle


def test_table_of_a_cycle_carries_its_suffix_and_lies_under_its_first_year() -> None:
    assert cycle("2017-2018").table("DR1TOT") == "DR1TOT_J"
    assert cycle("2007-2008").path("DEMO") == "Public/2007/DataFiles/DEMO_E.xpt"


def test_cycles_are_distinct_two_year_spans_in_order_of_time() -> None:
    assert [each.first for each in CYCLES] == sorted({each.first for each in CYCLES})
    assert len({each.suffix for each in CYCLES}) == len(CYCLES)
    assert all(each.years == f"{each.first}-{each.first + 1}" for each in CYCLES)


def test_cycles_of_the_first_road_are_all_there() -> None:
    needed = ["2007-2008", "2009-2010", "2011-2012", "2013-2014", "2015-2016", "2017-2018"]
    assert [cycle(years).years for years in needed] == needed


def test_unknown_cycle_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MgRiskError, match="2018-2019") as refused:
        cycle("2018-2019")
    assert refused.value.code == "cycles.unknown_cycle"
    assert refused.value.status is ExitStatus.SOURCE
    assert all(known.years in refused.value.hint for known in CYCLES)
