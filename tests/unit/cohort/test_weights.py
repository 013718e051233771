"""Weights of combined cycles are in proportion to their years and add up to the population."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.cohort.weights import combined_weight, level_over, shares
from mgrisk.errors import MgRiskError
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import CYCLES, JOINT_WEIGHTS, OPTIONAL, OVERLAPPING, Cycle, cycle
from mgrisk.nhanes.harmonise import harmonise, table_path
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import WeightLevel

INTERVIEW = WeightLevel.INTERVIEW
NAMES = [each.years for each in CYCLES]


@pytest.mark.parametrize(
    ("cycles", "expected"),
    [
        (["2017-2018"], [("WTINT2YR", 1.0)]),
        (["2013-2014", "2015-2016", "2017-2018"], [("WTINT2YR", 1 / 3)] * 3),
        (["1999-2000"], [("WTINT2YR", 1.0)]),
        (["2001-2002", "2003-2004"], [("WTINT2YR", 0.5)] * 2),
        (["1999-2000", "2001-2002"], [("WTINT4YR", 1.0)] * 2),
        (["1999-2000", "2001-2002", "2003-2004"], [("WTINT4YR", 2 / 3)] * 2 + [("WTINT2YR", 1 / 3)]),
        (["2003-2004", "2001-2002", "1999-2000"], [("WTINT2YR", 1 / 3)] + [("WTINT4YR", 2 / 3)] * 2),
        (["2017-2020"], [("WTINTPRP", 1.0)]),
        (["2015-2016", "2017-2020"], [("WTINT2YR", 2 / 5.2), ("WTINTPRP", 3.2 / 5.2)]),
        (["2017-2020", "2021-2023"], [("WTINTPRP", 3.2 / 5.2), ("WTINT2YR", 2 / 5.2)]),
    ],
    ids=str,
)
def test_a_cycle_counts_by_its_years(cycles: list[str], expected: list[tuple[str, float]]) -> None:
    """NCHS analytic guidelines: 2/T, 4/T for the four-year weight of 1999-2002, 3.2/T for 2017 to March 2020."""
    found = shares(INTERVIEW, cycles)
    assert [each.cycle for each in found] == cycles
    assert [each.weight for each in found] == [name for name, _ in expected]
    assert [each.share for each in found] == pytest.approx([share for _, share in expected])


def combinations() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(NAMES), min_size=1, unique=True).filter(
        lambda cycles: not any(pair <= set(cycles) for pair in OVERLAPPING)
    )


def by_cycle(cycles: list[str]) -> Iterator[tuple[str, float]]:
    """Yield a weight of one person, and what share of the people each cycle's weight stands for."""
    for each in shares(INTERVIEW, cycles):
        # A four-year weight gives each of its two cycles half of the population.
        yield each.cycle, 0.5 if each.weight == "WTINT4YR" else 1.0


@given(combinations())
def test_weights_that_each_stand_for_the_population_add_up_to_one_population(cycles: list[str]) -> None:
    people = pd.DataFrame({"cycle": [years for years, _ in by_cycle(cycles)]})
    for name in {each.weight for each in shares(INTERVIEW, cycles)}:
        people[name] = [1000.0 * part for _, part in by_cycle(cycles)]
    assert combined_weight(people, INTERVIEW, cycles).sum() == pytest.approx(1000.0)


def test_people_of_other_cycles_and_outside_the_subsample_weigh_nothing() -> None:
    raw = pd.DataFrame(
        {"cycle": ["2015-2016", "2015-2016", "2017-2018", "2013-2014"], "WTSAF2YR": [10.0, None, 30.0, 40.0]},
        index=[5, 3, 8, 1],
    )
    weight = combined_weight(raw, WeightLevel.FASTING, ["2015-2016", "2017-2018"])
    assert weight.to_dict() == {5: 5.0, 3: 0.0, 8: 15.0, 1: 0.0}


def test_two_year_cycles_weigh_to_the_bit_what_dividing_by_their_number_gives() -> None:
    given_weights = np.random.default_rng(1).uniform(1000, 90000, 500)
    cycles = ["2007-2008", "2009-2010", "2011-2012", "2013-2014", "2015-2016"]
    raw = pd.DataFrame({"cycle": np.resize(cycles, 500), "WTSAF2YR": given_weights})
    np.testing.assert_array_equal(combined_weight(raw, WeightLevel.FASTING, cycles), given_weights / 5)


@pytest.mark.parametrize(
    ("level", "cycles", "named"),
    [
        (WeightLevel.RECALL2, ["2001-2002", "2003-2004"], "2001-2002"),
        (WeightLevel.FASTING, ["2017-2018", "2021-2023"], "2021-2023"),
    ],
)
def test_a_cycle_without_a_weight_of_the_level_is_refused_by_name(
    level: WeightLevel, cycles: list[str], named: str
) -> None:
    with pytest.raises(MgRiskError) as refused:
        shares(level, cycles)
    assert refused.value.code == "weights.none"
    assert refused.value.message.startswith(named)


def test_the_same_people_are_never_weighed_twice() -> None:
    with pytest.raises(MgRiskError) as refused:
        shares(INTERVIEW, ["2017-2018", "2017-2020"])
    assert refused.value.code == "cycles.overlap"


def test_every_weight_of_a_cycle_is_in_the_codebook_and_every_weight_of_the_codebook_serves_a_cycle() -> None:
    known = [*(each.weights for each in CYCLES), *(each.weights for each in JOINT_WEIGHTS)]
    assert {name for weights in known for name in weights.values()} == {
        item.name for item in VARIABLES.values() if item.unit == "people"
    }


@pytest.mark.parametrize(
    ("sources", "cycles", "expected"),
    [
        (["DSQTMAGN"], ["2015-2016", "2017-2018"], INTERVIEW),
        (["DSQTMAGN"], ["2021-2023"], WeightLevel.RECALL1),
        (["RIDAGEYR", "DSQIMAGN"], ["2017-2020", "2021-2023"], WeightLevel.RECALL1),
        (["RIDAGEYR"], ["2021-2023"], INTERVIEW),
    ],
    ids=str,
)
def test_a_table_asked_of_fewer_people_in_one_cycle_takes_their_level(
    sources: list[str], cycles: list[str], expected: WeightLevel
) -> None:
    assert level_over(INTERVIEW, sources, cycles) is expected
    assert level_over(WeightLevel.FASTING, sources, cycles) is WeightLevel.FASTING


@pytest.mark.nhanes
@pytest.mark.parametrize("each", CYCLES, ids=lambda each: each.years)
def test_a_table_that_carries_weights_has_that_of_the_level_of_its_variables(each: Cycle) -> None:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], offline=True)
    here = [item for item in VARIABLES.values() if item.name_in(each) and item.table not in OPTIONAL]
    measured = [item for item in here if item.unit != "people"]
    weights = {item.name for item in VARIABLES.values() if item.unit == "people"}
    carried = {
        table: weights & {one.name for one in xpt.header(store.path(table_path(store, each, table))).variables}
        for table in {item.table for item in measured}
    }
    due = {item.name: each.weights[level_over(item.level, [item.name], [each.years])] for item in measured}
    assert any(carried.values())
    wrong = {i.name: due[i.name] for i in measured if carried[i.table] and due[i.name] not in carried[i.table]}
    assert wrong == {}


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Weights of the interview of each cycle of the real tables."""
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=Path(tmp_path_factory.mktemp("cache")), offline=True)
    names = ["WTINT2YR", "WTINT4YR", "WTINTPRP", "WTMEC2YR", "WTMEC4YR", "WTMECPRP"]
    return {each.years: harmonise(store, cycles=[each], names=names).frame for each in CYCLES}


def runs() -> list[list[str]]:
    """Return every run of cycles one after the other that may be combined, and each cycle alone."""
    found = [NAMES[i:j] for i, j in itertools.combinations(range(len(NAMES) + 1), 2)]
    without = [[years for years in cycles if years != drop] for cycles in found for drop in ("2017-2018", "2017-2020")]
    return [list(cycles) for cycles in dict.fromkeys(map(tuple, without)) if cycles]


@pytest.mark.nhanes
@pytest.mark.parametrize("level", [WeightLevel.INTERVIEW, WeightLevel.EXAM])
def test_combined_weights_add_up_to_the_people_of_the_united_states(
    everyone: dict[str, pd.DataFrame], level: WeightLevel
) -> None:
    """Civilian noninstitutionalised population: 272 million in 1999-2000, 327 million in 2021-2023."""
    for cycles in runs():
        raw = pd.concat([everyone[years] for years in cycles], ignore_index=True)
        total = combined_weight(raw, level, cycles).sum() / 1e6
        assert 270 < total < 330, cycles
        middle = np.average([cycle(years).first for years in cycles], weights=[cycle(years).length for years in cycles])
        # One per cent a year in 1999, half of it later: the population of the middle of the years.
        assert total == pytest.approx(
            np.interp(middle, [1999, 2001, 2009, 2017, 2021], [272, 280, 304, 321, 327]), rel=0.02
        )
