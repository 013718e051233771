"""Summaries are weighted, with design-based intervals, over the domain.

Ranks over resampled PSUs: distant features keep their ranks, close ones do not.

Importance within subgroups: domains of the full design, without results for few people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import rankdata

from mgrisk.explain.attributions import Explanation
from mgrisk.explain.summary import SMALLEST, by_subgroup, rank_ranges, summarise
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.variance import rao_wu

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


@pytest.fixture
def explanation(toy_people: ToyPeople) -> Explanation:
    """Contributions of which is known how they depend on their features."""
    data = toy_people.frame.iloc[toy_people.inside]
    values = np.random.default_rng(2).normal(size=(len(data), len(toy_people.features)))
    names = list(data)
    values[:, names.index("age_years")] = 3 * (data["age_years"] - 50) / 10
    values[:, names.index("magnesium_total_mg")] = -np.exp(data["magnesium_total_mg"].fillna(320) / 900)
    values[:, names.index("sex")] = 0.0
    return Explanation(values, np.full(len(values), -2.0), toy_people.features, data)


def test_importance_is_the_weighted_mean_size_of_the_contributions_with_the_interval_of_the_design(
    toy_people: ToyPeople, explanation: Explanation
) -> None:
    records = summarise(explanation, toy_people.design)
    assert (records[0]["feature"], records[-1]["feature"]) == ("age_years", "sex")
    importance = [record["importance"] for record in records]
    assert importance == sorted(importance, reverse=True)
    size = np.zeros(len(toy_people.design))
    size[toy_people.inside] = np.abs(explanation.values[:, 0])
    expected = estimates.mean(size, toy_people.design)
    age = records[0]
    assert (age["importance"], age["se"], age["low"], age["high"]) == (
        expected.estimate, expected.se, expected.low, expected.high,
    )  # fmt: skip
    assert age["importance"] == pytest.approx(np.average(np.abs(explanation.values[:, 0]), weights=toy_people.weight))


def test_direction_is_one_for_what_only_raises_minus_one_for_what_only_lowers_and_none_for_a_category(
    toy_people: ToyPeople, explanation: Explanation
) -> None:
    direction = {record["feature"]: record["direction"] for record in summarise(explanation, toy_people.design)}
    assert direction["age_years"] == pytest.approx(1)
    assert direction["magnesium_total_mg"] == pytest.approx(-1)
    assert abs(direction["bmi_kg_m2"]) < 0.2
    assert direction["sex"] is direction["race_ethnicity"] is None


def test_direction_is_that_of_the_people_who_stand_for_more(toy_people: ToyPeople, explanation: Explanation) -> None:
    design, age = toy_people.design, explanation.data["age_years"].to_numpy()
    heavy = np.arange(len(design)) % 3 == 0
    weight = np.where(design.weight > 0, np.where(heavy, 1000.0, 1.0), 0.0)
    values = np.zeros_like(explanation.values)
    values[:, 0] = np.where(heavy[toy_people.inside], age, -age)
    rising = Explanation(values, np.zeros(len(values)), explanation.features, explanation.data)
    first = summarise(rising, SurveyDesign(weight, design.stratum, design.psu, design.level, design.domain))[0]
    assert first["feature"] == "age_years"
    assert first["direction"] > 0.5


def test_a_summary_does_not_depend_on_the_scale_of_weights(toy_people: ToyPeople, explanation: Explanation) -> None:
    design = toy_people.design
    scaled = SurveyDesign(design.weight * 1000, design.stratum, design.psu, design.level, design.domain)
    for one, other in zip(summarise(explanation, design), summarise(explanation, scaled), strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert other[key] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


def test_a_feature_that_nobody_has_has_no_direction(toy_people: ToyPeople, explanation: Explanation) -> None:
    data = explanation.data.assign(bmi_kg_m2=np.nan)
    unknown = Explanation(explanation.values, explanation.base_values, explanation.features, data)
    direction = {record["feature"]: record["direction"] for record in summarise(unknown, toy_people.design)}
    assert direction["bmi_kg_m2"] is None


@pytest.fixture
def explanation_ranks(toy_people: ToyPeople) -> Explanation:
    """Six features: one far ahead, one that does nothing, four alike."""
    data = toy_people.frame.iloc[toy_people.inside]
    values = np.random.default_rng(4).normal(size=(len(data), len(toy_people.features)))
    values[:, 2] *= 5
    values[:, 4] = 0.0
    return Explanation(values, np.full(len(values), -2.0), toy_people.features, data)


def test_what_is_far_ahead_keeps_its_place_and_neighbours_change_theirs(
    toy_people: ToyPeople, explanation_ranks: Explanation
) -> None:
    found = rank_ranges(explanation_ranks, toy_people.design)
    assert [record["feature"] for record in found] == [feature.name for feature in toy_people.features]
    assert (found[2]["rank"], found[2]["rank_low"], found[2]["rank_high"], found[2]["among_first"]) == (1, 1, 1, 1)
    assert (found[4]["rank"], found[4]["rank_low"], found[4]["rank_high"], found[4]["among_first"]) == (6, 6, 6, 0)
    alike = [found[place] for place in (0, 1, 3, 5)]
    assert all(record["rank_low"] <= record["rank"] <= record["rank_high"] for record in alike)
    assert any(record["rank_low"] < record["rank_high"] for record in alike)


def test_ranges_are_those_of_the_ranks_computed_one_replicate_after_the_other(
    toy_people: ToyPeople, explanation_ranks: Explanation
) -> None:
    ranks = [
        rankdata(-np.average(np.abs(explanation_ranks.values), axis=0, weights=weight[toy_people.inside]))
        for weight in rao_wu(toy_people.design, replicates=40, seed=7).weights()
    ]
    found = rank_ranges(explanation_ranks, toy_people.design, replicates=40, seed=7, level=0.9999)
    assert [record["rank_low"] for record in found] == np.min(ranks, axis=0).tolist()
    assert [record["rank_high"] for record in found] == np.max(ranks, axis=0).tolist()
    assert [record["among_first"] for record in found] == pytest.approx(np.mean(np.array(ranks) <= 3, axis=0).tolist())


@pytest.fixture
def explanation_subgroups(toy_people: ToyPeople) -> Explanation:
    data = toy_people.frame.iloc[toy_people.inside]
    values = np.random.default_rng(6).normal(size=(len(data), len(toy_people.features)))
    return Explanation(values, np.full(len(values), -2.0), toy_people.features, data)


def test_a_subgroup_is_a_domain_of_the_full_design(toy_people: ToyPeople, explanation_subgroups: Explanation) -> None:
    records = by_subgroup(explanation_subgroups, explanation_subgroups.data, toy_people.design)
    found = next(r for r in records if (r["by"], r["level"], r["feature"]) == ("sex", "male", "bmi_kg_m2"))
    size = np.zeros(len(toy_people.design))
    size[toy_people.inside] = np.abs(explanation_subgroups.values[:, 4])
    expected = estimates.mean(size, toy_people.design.where((toy_people.frame["sex"] == "male").to_numpy()))
    assert (found["importance"], found["se"], found["n"]) == (expected.estimate, expected.se, expected.n)
    assert {record["by"] for record in records} == {"sex", "race_ethnicity", "age_years"}


def test_nothing_is_said_of_fewer_than_thirty_people(toy_people: ToyPeople, explanation_subgroups: Explanation) -> None:
    people = explanation_subgroups.data.copy()
    old = np.flatnonzero(people["age_years"] >= 60)
    people.iloc[old[SMALLEST - 1 :], people.columns.get_loc("age_years")] = np.nan
    few = [r for r in by_subgroup(explanation_subgroups, people, toy_people.design) if r["level"] == "60 and older"]
    assert {record["n"] for record in few} == {SMALLEST - 1}
    assert {(record["importance"], record["problem"]) for record in few} == {(None, "too_few")}


def test_a_variable_that_is_not_there_makes_no_subgroup(
    toy_people: ToyPeople, explanation_subgroups: Explanation
) -> None:
    records = by_subgroup(explanation_subgroups, explanation_subgroups.data[["sex"]], toy_people.design)
    assert {record["by"] for record in records} == {"sex"}
