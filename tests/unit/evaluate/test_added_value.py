"""Incremental value of magnesium: variants of the features, and differences on the same people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from mgrisk.evaluate.added_value import (
    ALONE,
    COMPARISONS,
    FULL,
    METRICS,
    NO_DIET,
    WITHOUT,
    added_value,
    is_magnesium,
    shuffled_value,
    variants,
)
from mgrisk.evaluate.intervals import paired_differences
from mgrisk.features.registry import FEATURES, features
from mgrisk.survey.design import SurveyDesign

CHOSEN = features(("age_years", "energy_kcal", "magnesium_food_mg", "bmi_kg_m2", "magnesium_total_mg"))


def test_variants_keep_the_order_and_drop_whole_families() -> None:
    names = {name: [each.name for each in chosen] for name, chosen in variants(CHOSEN).items()}
    assert names == {
        FULL: ["age_years", "energy_kcal", "magnesium_food_mg", "bmi_kg_m2", "magnesium_total_mg"],
        WITHOUT: ["age_years", "energy_kcal", "bmi_kg_m2"],
        NO_DIET: ["age_years", "bmi_kg_m2"],
        ALONE: ["age_years", "magnesium_food_mg", "bmi_kg_m2", "magnesium_total_mg"],
    }


def test_a_diet_score_made_with_magnesium_is_of_the_family() -> None:
    assert is_magnesium(FEATURES["dash_score"])
    assert not is_magnesium(FEATURES["dash_score_without_magnesium"])
    assert not is_magnesium(FEATURES["energy_kcal"])


@pytest.mark.parametrize("names", [("age_years", "sex"), ("magnesium_food_mg", "energy_kcal")])
def test_without_magnesium_or_without_anything_else_there_is_no_question(names: tuple[str, ...]) -> None:
    assert variants(features(names)) == {}


@pytest.fixture
def risks(toy: pd.DataFrame) -> dict[str, np.ndarray]:
    base = logit(toy["risk"].to_numpy())
    shift = {FULL: 0.1 * toy["x2"], WITHOUT: 0.0, NO_DIET: -0.2 * toy["x2"], ALONE: -0.1 * toy["x2"]}
    return {name: expit(base + np.asarray(by)) for name, by in shift.items()}


def test_each_question_is_a_paired_difference(
    toy: pd.DataFrame, part: SurveyDesign, risks: dict[str, np.ndarray]
) -> None:
    y = toy["y"].to_numpy(dtype=float)
    records = added_value(y, risks, part, outcome="undiagnosed", set_name="2017-2018")
    assert [r["question"] for r in records] == [each.question for each in COMPARISONS for _ in METRICS]
    for each in COMPARISONS:
        mine = [r for r in records if r["question"] == each.question]
        pair = {each.more: risks[each.more], each.less: risks[each.less]}
        expected = paired_differences(y, pair, part, reference=each.less, metrics=METRICS)
        assert [{key: r[key] for key in expected[0]} for r in mine] == expected
        assert {(r["outcome"], r["set"]) for r in mine} == {("undiagnosed", "2017-2018")}


def test_a_shuffle_that_changes_nothing_adds_exactly_nothing(
    toy: pd.DataFrame, part: SurveyDesign, risks: dict[str, np.ndarray]
) -> None:
    y = toy["y"].to_numpy(dtype=float)
    records = shuffled_value(y, risks[FULL], [risks[FULL]] * 3, part, outcome="undiagnosed", set_name="2017-2018")
    assert [r["metric"] for r in records] == list(METRICS)
    assert all(r["estimate"] == pytest.approx(0.0, abs=1e-12) for r in records)


def test_a_shuffle_is_the_mean_of_its_deals(
    toy: pd.DataFrame, part: SurveyDesign, risks: dict[str, np.ndarray]
) -> None:
    y = toy["y"].to_numpy(dtype=float)
    deals = [risks[WITHOUT], risks[NO_DIET]]
    (record, *_) = shuffled_value(y, risks[FULL], deals, part, outcome="undiagnosed", set_name="2017-2018")
    each = [
        paired_differences(y, {FULL: risks[FULL], "deal": deal}, part, reference="deal", metrics=["auroc"])[0]
        for deal in deals
    ]
    assert record["estimate"] == pytest.approx(np.mean([one["estimate"] for one in each]))
    assert 0 < record["se"] <= max(one["se"] for one in each)
