"""Summaries combine the rows of each person in the cycles that have the tables, and lose no person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import features
from mgrisk.features.summary import gather, list_path, paths, record_variables
from mgrisk.nhanes.cycles import LOOKUPS, cycle
from mgrisk.nhanes.store import Store

Put = Callable[..., Path]
NAN = float("nan")
OLD, NEW = cycle("2003-2004"), cycle("2017-2018")
WATER = features(["magnesium_from_water_mg"])


@pytest.fixture
def mirror(put: Put) -> None:
    """Three people: two recalled days, one, none; and a cycle that has no foods."""
    put("2017-2018", "DEMO", SEQN=[3, 1, 2], RIDAGEYR=[30, 40, 50])
    put("2017-2018", "DR1TOT", SEQN=[1, 2, 3], DR1DRSTZ=[1, 5, 1])
    put("2017-2018", "DR2TOT", SEQN=[1, 2, 3], DR2DRSTZ=[1, 5, 5])
    put("2017-2018", "DR1IFF", SEQN=[1, 1, 3], DR1IFDCD=[94000100, 11100000, 94000100], DR1IMAGN=[3, 20, 5])
    put("2017-2018", "DR2IFF", SEQN=[1], DR2IFDCD=[94000100], DR2IMAGN=[6])
    put("2017-2018", "DRXFCD", DRXFDCD=[94000100, 11100000], DRXFCLD=["Water, tap", "Milk, NFS"])
    put("2003-2004", "DEMO", SEQN=[11], RIDAGEYR=[20])
    put("2003-2004", "DR1TOT", SEQN=[11], DR1DRSTZ=[1])
    put("2003-2004", "DR2TOT", SEQN=[11], DR2DRSTZ=[1])


@pytest.mark.usefixtures("mirror")
def test_a_summary_joins_by_person_and_is_missing_in_a_cycle_without_its_tables(store: Store) -> None:
    found = gather(store, cycles=[NEW, OLD], chosen=WATER, names=["RIDAGEYR"])
    assert found.frame["SEQN"].tolist() == [3, 1, 2, 11]
    assert found.frame["RIDAGEYR"].tolist() == [30, 40, 50, 20]
    np.testing.assert_array_equal(found.frame["magnesium_from_water_mg"], [5.0, 4.5, NAN, NAN])


@pytest.mark.usefixtures("mirror")
def test_records_of_people_whom_demo_does_not_have_are_refused(put: Put, store: Store) -> None:
    foods = put("2017-2018", "DR2IFF", SEQN=[1, 4, 4], DR2IFDCD=[94000100] * 3, DR2IMAGN=[6, 1, 1])
    with pytest.raises(MgRiskError, match="1 people of this table are not in DEMO_J") as caught:
        gather(store, cycles=[NEW], chosen=WATER)
    assert (caught.value.code, caught.value.where) == ("harmonise.stranger", str(foods))


@pytest.mark.usefixtures("mirror")
def test_every_table_read_is_in_the_provenance_once_and_among_the_paths(store: Store) -> None:
    found = gather(store, cycles=[NEW, OLD], chosen=WATER)
    read = [table.table for table in found.tables]
    assert len(set(read)) == len(read)
    assert {"DR1IFF_J", "DR2IFF_J", "DRXFCD_J"} <= set(read)
    named = {Path(path).stem for path in paths([NEW, OLD], WATER, store=store)}
    assert set(read) <= named


def test_without_a_summary_nothing_but_variables_of_one_row_is_read(put: Put, store: Store) -> None:
    put("2017-2018", "DEMO", SEQN=[1], RIDAGEYR=[30], RIAGENDR=[2])
    found = gather(store, cycles=[NEW], chosen=features(["age_years", "sex"]))
    assert found.frame.columns.tolist() == ["SEQN", "cycle", "RIDAGEYR", "RIAGENDR"]
    assert [table.table for table in found.tables] == ["DEMO_J"]


def test_what_a_feature_is_made_of_is_read_with_it(put: Put, store: Store) -> None:
    put("2017-2018", "DEMO", SEQN=[1])
    put("2017-2018", "DR1TOT", SEQN=[1], DR1DRSTZ=[1], DR1TMAGN=[300], DR1TKCAL=[2000])
    put("2017-2018", "DR2TOT", SEQN=[1], DR2DRSTZ=[5], DR2TMAGN=[NAN], DR2TKCAL=[NAN])
    found = gather(store, cycles=[NEW], chosen=features(["magnesium_density_mg_1000kcal"]))
    assert {"DR1TMAGN", "DR1TKCAL", "DR1DRSTZ"} <= set(found.frame)


def test_records_are_those_of_tables_with_several_rows_that_the_cycle_has() -> None:
    assert {each.name for each in record_variables("DR1IFF", NEW)} >= {"DR1IFDCD", "DR1IMAGN"}
    assert record_variables("DR1IFF", OLD) == ()
    assert record_variables("DEMO", NEW) == ()


def test_a_list_belongs_to_its_cycle_or_serves_all() -> None:
    assert list_path(None, NEW, "DRXFCD") == NEW.path("DRXFCD")
    assert list_path(None, NEW, "DSPI") == list_path(None, OLD, "DSPI") == LOOKUPS["DSPI"]
