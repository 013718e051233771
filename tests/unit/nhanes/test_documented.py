"""Variables from CDC's codebook agree with those of `variables/` and with the tables."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import VARIABLES, variable
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.documented import documentation, documented, names, tables
from mgrisk.nhanes.harmonise import harmonise
from mgrisk.nhanes.store import Store, default_source
from mgrisk.survey.design import WeightLevel

on_the_mirror = pytest.mark.skipif(
    not os.environ.get("MGRISK_NHANES"), reason="MGRISK_NHANES does not name the mirror of the tables"
)
# What the rules do not find: a code that one cycle alone had, and the sleep that CDC cleaned.
BY_HAND = {"DMDBORN4", "DID040", "DID060", "SLD012"}
# In tables of single supplements, or numbers that name something and are no amounts.
OTHERWISE = {"DSDPID", "DSDSUPID", "SDMVPSU", "SDMVSTRA", "DR1IFDCD", "DR2IFDCD", "WTDR2D", "WTDR2DPP"}
# mgrisk's own names of one variable that had two codings; and a table that the codebook does not have.
NOT_THERE = {"ALQ130_TO_2004", "ALQ130_FROM_2005", "FSDAD"}


@pytest.mark.parametrize("name", sorted(VARIABLES.keys() - NOT_THERE))
def test_the_rules_find_what_was_written_by_hand(name: str) -> None:
    mine, theirs = VARIABLES[name], documented(name)
    assert theirs is not None
    if name not in BY_HAND:
        assert theirs.missing == mine.missing
        assert theirs.unit != "code" or theirs.codes.items() <= mine.codes.items()
    if name not in OTHERWISE:
        assert (theirs.table, theirs.level) == (mine.table, mine.level)
        assert (theirs.unit == "code", theirs.is_text) == (mine.unit == "code", mine.is_text)
        assert theirs.records == mine.records
    if mine.unit not in ("code", "text") and mine.minimum is not None and name not in OTHERWISE:
        assert theirs.minimum is not None
        assert theirs.minimum <= mine.minimum or len(mine.names) > len(theirs.names)


def test_every_table_has_a_subsample_and_every_variable_is_described() -> None:
    every = list(names())
    assert len(every) > 2400
    assert {row["table"] for name in every for row in documentation(name)} <= tables().keys()
    assert {name for name in every if documented(name) is None} == {"ALQ130", "SMD233"}


def test_a_variable_of_no_row_is_found_by_its_name() -> None:
    told = variable("SLQ050")
    assert told.label == "Ever told doctor had trouble sleeping?"
    assert (told.unit, told.level, told.records) == ("code", WeightLevel.INTERVIEW, False)
    assert told.name_in(cycle("2017-2018")) == "SLQ050"
    assert told.name_in(cycle("2021-2023")) is None
    crp = variable("LBXHSCRP")
    assert (crp.label, crp.unit, crp.level) == ("HS C-Reactive Protein", "mg/L", WeightLevel.BLOOD)
    assert variable("DR1TIRON").level == WeightLevel.RECALL1
    assert variable("DSDUNIT").records
    assert variable("SLQ330").is_text


def test_a_name_of_several_tables_is_that_of_the_table_with_one_row_for_each_person_and_most_cycles() -> None:
    of = {name: Counter(row["table"] for row in documentation(name)) for name in ("DR2DBIH", "DR1DAY")}
    assert of["DR2DBIH"].most_common(1) == [("DR2IFF", of["DR2DBIH"]["DR2TOT"])]
    assert of["DR1DAY"]["DR1TOT"] > of["DR1DAY"]["DS1TOT"]
    assert (variable("DR2DBIH").table, variable("DR1DAY").table) == ("DR2TOT", "DR1TOT")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(MgRiskError) as caught:
        variable("SLQ0500")
    assert (caught.value.code, caught.value.hint) == ("codebook.unknown_variable", "did you mean SLQ050?")


@pytest.mark.nhanes
@on_the_mirror
@pytest.mark.parametrize("years", ["2007-2008", "2017-2018", "2021-2023"])
def test_counts_of_the_tables_are_those_of_cdc(years: str) -> None:
    chosen = [
        each
        for name in ("SLQ050", "INQ020", "KIQ022", "DBQ197", "LBXHSCRP", "LBXCRP", "DMDMARTL", "SMQ040", "WHD010")
        for each in [variable(name)]
        if each.name_in(cycle(years))
    ]
    assert chosen
    found = harmonise(Store(source=default_source()), cycles=[cycle(years)], names=[each.name for each in chosen])
    for each in chosen:
        (told,) = (row for row in documentation(each.name) if row["cycle"] == years)
        answered = [
            code["count"]
            for code in told["codes"]
            if code["code"] not in (".", "") and code["code"] not in {f"{number:g}" for number in each.missing}
        ]
        assert found.frame[each.name].notna().sum() == sum(answered), each.name
        if each.unit == "code":
            counts = found.frame[each.name].value_counts()
            for code in told["codes"]:
                if code["words"] in each.codes.values():
                    assert counts.get(float(code["code"]), 0) == code["count"]


@pytest.mark.nhanes
@on_the_mirror
@pytest.mark.parametrize("years", ["2011-2012", "2017-2018"])
def test_tables_with_several_rows_for_each_person_are_those_that_have_them(years: str) -> None:
    store, seen = Store(source=default_source()), {}
    for name in names():
        for row in documentation(name):
            if row["cycle"] == years:
                seen[row["file"]] = row["table"]
    for file, table in seen.items():
        path = store.path(f"Public/{cycle(years).first}/DataFiles/{file}.xpt")
        if "SEQN" not in [each.name for each in xpt.header(path).variables]:
            assert tables()[table].rows == "none", table
            continue
        people = xpt.read(path, columns=["SEQN"])["SEQN"].to_numpy()
        assert (tables()[table].rows == "one") == (np.unique(people).size == people.size), table
