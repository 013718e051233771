"""Every cycle of NHANES since 1999: paths of its tables, tables it lacks, and cycles not pooled with it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import CYCLES, JOINT_WEIGHTS, OPTIONAL, OVERLAPPING, Cycle, cycle, refuse_overlap
from mgrisk.survey.design import WeightLevel

every_cycle = pytest.mark.parametrize("each", CYCLES, ids=lambda each: each.years)


def test_the_cycles_are_all_of_continuous_nhanes_in_order_of_time() -> None:
    assert [each.years for each in CYCLES] == [
        "1999-2000", "2001-2002", "2003-2004", "2005-2006", "2007-2008", "2009-2010", "2011-2012", "2013-2014",
        "2015-2016", "2017-2018", "2017-2020", "2021-2023",
    ]  # fmt: skip
    assert len({(each.first, each.prefix, each.suffix) for each in CYCLES}) == len(CYCLES)


@pytest.mark.parametrize(
    ("years", "table", "path"),
    [
        ("2007-2008", "DEMO", "Public/2007/DataFiles/DEMO_E.xpt"),
        ("2017-2018", "DR1TOT", "Public/2017/DataFiles/DR1TOT_J.xpt"),
        ("2017-2020", "DEMO", "Public/2017/DataFiles/P_DEMO.xpt"),
        ("2021-2023", "BPXO", "Public/2021/DataFiles/BPXO_L.xpt"),
        ("1999-2000", "DEMO", "Public/1999/DataFiles/DEMO.xpt"),
        ("1999-2000", "GHB", "Public/1999/DataFiles/LAB10.xpt"),
        ("1999-2000", "DR1TOT", "Public/1999/DataFiles/DRXTOT.xpt"),
        ("2001-2002", "GLU", "Public/2001/DataFiles/L10AM_B.xpt"),
        ("2003-2004", "DSQTOT", "Public/2003/DataFiles/DSQ1_C.xpt"),
        ("2011-2012", "INS", "Public/2011/DataFiles/GLU_G.xpt"),
        ("2013-2014", "INS", "Public/2013/DataFiles/INS_H.xpt"),
    ],
)
def test_a_table_lies_where_the_cdc_site_has_it_whatever_it_was_called(years: str, table: str, path: str) -> None:
    assert cycle(years).path(table) == path


def test_a_table_that_a_cycle_does_not_have_is_refused_with_the_reason() -> None:
    with pytest.raises(MgRiskError, match="stopped the oral glucose tolerance test") as refused:
        cycle("2017-2018").path("OGTT")
    assert refused.value.code == "cycles.absent_table"
    assert refused.value.status is ExitStatus.SOURCE
    assert cycle("2015-2016").table("OGTT") == "OGTT_I"


def test_unknown_cycle_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MgRiskError, match="2018-2019") as refused:
        cycle("2018-2019")
    assert refused.value.code == "cycles.unknown_cycle"
    assert refused.value.status is ExitStatus.SOURCE
    assert all(known.years in refused.value.hint for known in CYCLES)


def test_the_pre_pandemic_file_is_never_stacked_with_2017_2018_and_the_error_says_why() -> None:
    with pytest.raises(MgRiskError, match="sequence numbers") as refused:
        refuse_overlap([cycle("2017-2020"), cycle("2015-2016"), cycle("2017-2018")])
    assert refused.value.code == "cycles.overlap"
    assert refused.value.status is ExitStatus.USAGE


def test_a_cycle_stands_once() -> None:
    with pytest.raises(MgRiskError) as refused:
        refuse_overlap([cycle("2015-2016"), cycle("2015-2016")])
    assert refused.value.code == "cycles.twice"


def test_all_other_pairs_can_be_stacked() -> None:
    for pair in itertools.combinations(CYCLES, 2):
        if frozenset(each.years for each in pair) not in OVERLAPPING:
            refuse_overlap(pair)


def test_years_in_all_are_those_since_1999_without_the_pandemic() -> None:
    apart = sum(each.length for each in CYCLES if each.years != "2017-2018")
    assert apart == pytest.approx(9 * 2 + 3.2 + 2)


@every_cycle
def test_a_cycle_has_a_weight_of_every_level_but_the_second_recall_before_2003(each: Cycle) -> None:
    measured = {level for level in each.weights if VARIABLES[each.weights[level]].name_in(each) is not None}
    expected = set(WeightLevel)
    if not 2005 <= each.first <= 2015:
        expected -= {WeightLevel.OGTT}
    if each.first < 2003:
        expected -= {WeightLevel.RECALL2}
    if each.years == "2021-2023":
        expected -= {WeightLevel.FASTING}
    assert measured == expected


def test_weights_of_1999_2002_together_are_in_the_codebook_for_both_cycles() -> None:
    (joint,) = JOINT_WEIGHTS
    assert joint.cycles == {"1999-2000", "2001-2002"}
    for name in joint.weights.values():
        assert {years for years, there in VARIABLES[name].names.items() if there} == joint.cycles


@pytest.fixture
def mirror() -> Path:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Path(os.environ["MGRISK_NHANES"])


@pytest.mark.nhanes
@every_cycle
def test_the_mirror_has_every_table_in_use_and_none_that_is_said_to_be_absent(mirror: Path, each: Cycle) -> None:
    there = {path.stem for path in (mirror / "Public" / str(each.first) / "DataFiles").glob("*.xpt")}
    for table in sorted({item.table for item in VARIABLES.values()} | each.absent.keys()):
        if table in OPTIONAL:
            continue
        if table in each.absent:
            assert f"{each.prefix}{table}{each.suffix}" not in there
        else:
            places = [each.path(table), *([other] if (other := each.other_path(table)) else [])]
            assert [place for place in places if (mirror / place).is_file()], table


@pytest.mark.nhanes
@every_cycle
def test_a_table_holds_a_variable_under_the_name_of_the_cycle_and_no_other_cycle_is_forgotten(
    mirror: Path, each: Cycle
) -> None:
    """Columns of the files against `first`, `last`, `absent` and `was` of variables.toml, both ways."""
    for item in VARIABLES.values():
        if item.table in each.absent or item.table in OPTIONAL:
            continue
        place = each.path(item.table)
        if not (mirror / place).is_file():
            place = str(each.other_path(item.table))
        columns = {column.name for column in xpt.header(mirror / place).variables}
        name = item.name_in(each)
        assert ((name or item.name) in columns) == (name is not None), (item.name, place)
