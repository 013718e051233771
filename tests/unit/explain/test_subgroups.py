"""Importance within subgroups: domains of the full design, and nothing said of few people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.explain.attributions import Explanation
from mgrisk.explain.subgroups import SMALLEST, by_subgroup
from mgrisk.survey import estimates

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


@pytest.fixture
def explanation(toy_people: ToyPeople) -> Explanation:
    data = toy_people.frame.iloc[toy_people.inside]
    values = np.random.default_rng(6).normal(size=(len(data), len(toy_people.features)))
    return Explanation(values, -2.0, toy_people.features, data)


def test_a_subgroup_is_a_domain_of_the_full_design(toy_people: ToyPeople, explanation: Explanation) -> None:
    records = by_subgroup(explanation, explanation.data, toy_people.design)
    found = next(r for r in records if (r["by"], r["level"], r["feature"]) == ("sex", "male", "bmi_kg_m2"))
    size = np.zeros(len(toy_people.design))
    size[toy_people.inside] = np.abs(explanation.values[:, 4])
    expected = estimates.mean(size, toy_people.design.where((toy_people.frame["sex"] == "male").to_numpy()))
    assert (found["importance"], found["se"], found["n"]) == (expected.estimate, expected.se, expected.n)
    assert {record["by"] for record in records} == {"sex", "race_ethnicity", "age_years"}


def test_nothing_is_said_of_fewer_than_thirty_people(toy_people: ToyPeople, explanation: Explanation) -> None:
    people = explanation.data.copy()
    old = np.flatnonzero(people["age_years"] >= 60)
    people.iloc[old[SMALLEST - 1 :], people.columns.get_loc("age_years")] = np.nan
    few = [r for r in by_subgroup(explanation, people, toy_people.design) if r["level"] == "60 and older"]
    assert {record["n"] for record in few} == {SMALLEST - 1}
    assert {(record["importance"], record["problem"]) for record in few} == {(None, "too_few")}


def test_a_variable_that_is_not_there_makes_no_subgroup(toy_people: ToyPeople, explanation: Explanation) -> None:
    records = by_subgroup(explanation, explanation.data[["sex"]], toy_people.design)
    assert {record["by"] for record in records} == {"sex"}
