"""Summaries speak of the population: weighted, with the design's intervals, over the domain alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.explain.attributions import Explanation
from mgrisk.explain.summary import summarise
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign

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
    return Explanation(values, -2.0, toy_people.features, data)


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
    rising = Explanation(values, 0.0, explanation.features, explanation.data)
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
    unknown = Explanation(explanation.values, explanation.base_value, explanation.features, data)
    direction = {record["feature"]: record["direction"] for record in summarise(unknown, toy_people.design)}
    assert direction["bmi_kg_m2"] is None
