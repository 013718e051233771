"""One table of one cycle: own names, missing codes missing, texts, and where it came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import LOOKUPS, cycle
from mgrisk.nhanes.decode import lacks, read_decoded, read_list, table_path
from mgrisk.nhanes.store import Store

Put = Callable[..., Path]
NAN = float("nan")


def test_a_variable_comes_under_its_own_name_with_missing_codes_missing(put: Put, store: Store) -> None:
    path = put("2009-2010", "SLQ", SEQN=[2, 1, 3], SLD010H=[7, 99, 77])
    each = cycle("2009-2010")
    frame, read = read_decoded(store, table_path(store, each, "SLQ"), cycle=each, held=[variable("SLD012")])
    assert frame["SEQN"].tolist() == [2, 1, 3]
    assert frame["SEQN"].dtype == np.int64
    np.testing.assert_array_equal(frame["SLD012"], [7.0, NAN, NAN])
    assert (read.cycle, read.table, read.rows, read.size) == ("2009-2010", "SLQ_F", 3, path.stat().st_size)
    assert read.synthetic


def test_a_table_may_lie_in_the_folder_that_a_mirror_keeps_it_in(put: Put, store: Store) -> None:
    each = cycle("2021-2023")
    assert table_path(store, each, "DSQTOT") == each.path("DSQTOT")
    put("2021-2023", "DSQTOT", folder=1988, SEQN=[1])
    assert table_path(store, each, "DSQTOT") == each.other_path("DSQTOT")


def test_a_list_is_read_as_it_stands_and_says_whether_it_serves_all_cycles(put: Put, store: Store) -> None:
    put("2017-2018", "DSPI", DSDPID=[7, 9], DSDSUPP=["MAGNESIUM OXIDE", ""])
    found, read = read_list(store, LOOKUPS["DSPI"], columns=["DSDSUPP", "DSDPID"])
    assert found.columns.tolist() == ["DSDSUPP", "DSDPID"]
    assert found["DSDSUPP"].tolist() == ["MAGNESIUM OXIDE", ""]
    assert (read.cycle, read.table) == ("all cycles", "DSPI")
    _, of_cycle = read_list(store, LOOKUPS["DSPI"], columns=["DSDPID"], cycle="2017-2018")
    assert of_cycle.cycle == "2017-2018"


def test_a_table_that_was_cut_is_refused_unless_its_people_are_made_up(put: Put, store: Store) -> None:
    each = cycle("2017-2018")
    put("2017-2018", "DEMO", label="DEMO_J", SEQN=[1, 2], RIDAGEYR=[30, 40])
    with pytest.raises(MgRiskError) as refused:
        read_decoded(store, each.path("DEMO"), cycle=each, held=[variable("RIDAGEYR")])
    assert refused.value.code == "published.cut_table"


def test_only_an_optional_table_can_be_lacking_and_only_where_the_source_is_a_folder(put: Put, store: Store) -> None:
    each = cycle("2017-2018")
    put("2017-2018", "DEMO", SEQN=[1])
    assert lacks(store, each, "FSQ")
    assert not lacks(store, each, "BMX")
    assert not lacks(store, cycle("2001-2002"), "FSQ")
    assert not lacks(Store(source="https://localhost/", offline=True), each, "FSQ")
    put("2017-2018", "FSQ", SEQN=[1], FSDAD=[1])
    assert not lacks(store, each, "FSQ")
