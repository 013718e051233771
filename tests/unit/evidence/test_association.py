from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.association import (
    MODIFIERS,
    associate,
    dose_response,
    fifths,
    holm,
    intake_distribution,
    interactions,
)
from mgrisk.evidence.people import Panel
from mgrisk.evidence.regression import CALIBRATED, FOOD, NONE, SUPPLEMENT, Evidence, fit_uncorrected, linear_coding
from mgrisk.features.registry import FEATURES


@pytest.fixture(scope="module")
def eaters(draw_eaters: Callable[..., Any]) -> Any:
    return draw_eaters(np.random.default_rng(12), n=1500)


@pytest.fixture(scope="module")
def table(eaters: Any) -> pd.DataFrame:
    return Evidence(tuple(associate(eaters.panel, adjustments=[eaters.adjustment]))).frame()


def test_every_outcome_has_naive_beside_corrected_and_food_beside_supplements(table: pd.DataFrame) -> None:
    per_100 = table[table["contrast"] == "per 100 mg/d"]
    found = set(per_100[["outcome", "exposure", "correction"]].itertuples(index=False, name=None))
    assert found == {
        (outcome, exposure, correction)
        for outcome in ("undiagnosed", "homa_ir")
        for exposure in (FOOD, SUPPLEMENT)
        for correction in (NONE, CALIBRATED)
    }
    assert (table["problem"] == "").all()


def test_a_ratio_is_the_exponential_of_its_coefficient(eaters: Any, table: pd.DataFrame) -> None:
    fit = next(
        fit
        for fit in fit_uncorrected(eaters.panel, eaters.adjustment, [linear_coding()])
        if fit.outcome == "undiagnosed"
    )
    row = table[(table["outcome"] == "undiagnosed") & (table["exposure"] == FOOD) & (table["correction"] == NONE)]
    first = row.iloc[0]
    assert first["scale"] == "odds ratio"
    assert first["estimate"] == pytest.approx(math.exp(fit.coefficients[0]))
    assert math.log(first["high"] / first["estimate"]) == pytest.approx(math.log(first["estimate"] / first["low"]))
    assert (first["n"], first["events"]) == (1500, eaters.panel.outcomes["undiagnosed"].sum())


def test_fifths_hold_a_fifth_of_the_population_each(eaters: Any) -> None:
    intake = np.nanmean(eaters.panel.amounts["magnesium"], axis=1)
    weight = eaters.panel.design.analysis_weight
    by_fifth, trend = fifths(intake, weight)
    shares = np.average(by_fifth.columns(intake[:, None]), axis=0, weights=weight)
    assert shares == pytest.approx(0.2, abs=0.002)
    assert len(np.unique(trend.columns(intake[:, None]))) == 5


def test_a_trend_is_there_where_the_fifths_rise(table: pd.DataFrame) -> None:
    trend = table[table["contrast"].str.startswith("trend") & (table["outcome"] == "homa_ir")]
    assert set(trend["correction"]) == {NONE, CALIBRATED}
    assert (trend["p"] < 0.01).all()


def test_where_nobody_takes_supplements_there_is_no_estimate_of_them(eaters: Any) -> None:
    none = eaters.panel.where(eaters.panel.supplement == 0.0)
    found = Evidence(tuple(associate(none, adjustments=[eaters.adjustment]))).frame()
    assert (found["problem"] == "").all()
    assert set(found["exposure"]) == {FOOD}


def test_what_cannot_be_estimated_is_there_with_its_reason(eaters: Any) -> None:
    outcomes = {"homa_ir": eaters.panel.outcomes["homa_ir"], "undiagnosed": np.zeros(1500)}
    found = list(associate(replace(eaters.panel, outcomes=outcomes), adjustments=[eaters.adjustment]))
    assert {each.problem for each in found} == {"logistic.not_converged"}
    assert all(each.estimate is None for each in found)
    # Each once, as the report looks for it, also of the outcome that came before the one that failed.
    told = [(each.outcome, each.exposure, each.correction) for each in found]
    assert sorted(told) == sorted(product(outcomes, (FOOD, SUPPLEMENT), (NONE, CALIBRATED)))


@pytest.fixture(scope="module")
def straight(draw_eaters: Callable[..., Any]) -> Any:
    return draw_eaters(np.random.default_rng(21), n=4000)


def curve(eaters: Any) -> pd.DataFrame:
    return Evidence(tuple(dose_response(eaters.panel, ["homa_ir"], adjustment=eaters.adjustment))).frame()


def test_a_straight_truth_gives_a_straight_curve(straight: Any) -> None:
    table = curve(straight)
    points = table[table["contrast"].str.contains("against")]
    amount = points["contrast"].str.split(" ").str[0].astype(float)
    reference = float(points["contrast"].iloc[0].split(" ")[2])
    expected = np.exp(-0.3 * (amount - reference) / 100.0)
    assert ((points["low"] <= expected) & (expected <= points["high"])).mean() > 0.9
    assert table.loc[table["contrast"] == "non-linearity", "p"].item() > 0.05


def test_a_bent_truth_is_found(draw_eaters: Callable[..., Any]) -> None:
    table = curve(draw_eaters(np.random.default_rng(22), n=4000, curve=0.15))
    assert table.loc[table["contrast"] == "non-linearity", "p"].item() < 0.01


def test_the_curve_is_1_at_its_reference_and_stays_where_people_are(straight: Any) -> None:
    points = curve(straight)
    points = points[points["contrast"].str.contains("against")]
    amounts = points["contrast"].str.split(" ").str[0].astype(float).to_numpy()
    at_reference = points[points["contrast"].str.split(" ").str[0] == points["contrast"].str.split(" ").str[2]]
    assert at_reference["estimate"].item() == 1.0
    assert np.unique(np.diff(amounts)).tolist() == [20.0]
    assert amounts.min() > np.quantile(straight.usual[:, 0], 0.005)
    assert amounts.max() < np.quantile(straight.usual[:, 0], 0.995)


def test_where_people_are_is_the_distribution_of_usual_intake(straight: Any) -> None:
    table = Evidence(tuple(intake_distribution(straight.panel))).frame()
    half = table.loc[table["contrast"] == "50 % eat less", "estimate"].item()
    weight = straight.panel.design.analysis_weight
    order = np.argsort(straight.usual[:, 0])
    reached = np.cumsum(weight[order]) / weight.sum()
    assert half == pytest.approx(straight.usual[order, 0][np.searchsorted(reached, 0.5)], rel=0.02)


@pytest.fixture(scope="module")
def panel(draw_eaters: Callable[..., Any]) -> tuple[Panel, Any]:
    eaters = draw_eaters(np.random.default_rng(31), n=5000)
    random = np.random.default_rng(32)
    male = (eaters.panel.frame["sex"] == "male").to_numpy()
    # Twice the slope in men.
    more = eaters.panel.outcomes["homa_ir"] - 0.3 * male * (eaters.usual[:, 0] / 100.0 - 3.0)
    frame = eaters.panel.frame.assign(
        bmi_kg_m2=random.normal(27, 4, 5000),
        family_history_diabetes=random.choice(["no", "yes"], 5000),
        activity_met_min_week=random.gamma(1.0, 800.0, 5000),
        magnesium_depletion_score=np.where(random.random(5000) < 0.1, np.nan, random.integers(0, 4, 5000)),
    )
    columns = {**eaters.panel.columns, "sex": male.astype(float)[:, None]}
    columns["family"] = (frame["family_history_diabetes"] == "yes").to_numpy(dtype=float)[:, None]
    adjustment = eaters.adjustment.model_copy(update={"all_terms": ("age", "sex", "family")})
    amounts = {
        **eaters.panel.amounts,
        "fibre": eaters.panel.amounts["energy"] * random.lognormal(0, 0.3, (5000, 2)) / 125,
    }
    found = replace(eaters.panel, frame=frame, columns=columns, amounts=amounts, outcomes={"homa_ir": more})
    return found, adjustment


@pytest.fixture(scope="module")
def table_interactions(panel: tuple[Panel, Any]) -> pd.DataFrame:
    people, adjustment = panel
    return Evidence(tuple(interactions(people, ["homa_ir"], adjustment=adjustment))).frame()


def test_every_modifier_is_there_without_a_problem(table_interactions: pd.DataFrame) -> None:
    assert (table_interactions["problem"] == "").all()
    assert table_interactions["p_adjusted"].notna().sum() == len(MODIFIERS)
    for modifier in MODIFIERS.values():
        assert (table_interactions["contrast"] == modifier.test).any()
        groups = {modifier.yes, modifier.no} - {""}
        assert groups <= set(table_interactions["contrast"])
        assert len(groups) == (0 if modifier.nutrient else 2)


def test_a_true_difference_is_found_and_the_slopes_are_those_of_the_groups(table_interactions: pd.DataFrame) -> None:
    table = table_interactions.set_index("contrast")
    assert np.log(table.loc["Women", "estimate"]) == pytest.approx(-0.3, abs=0.1)
    assert np.log(table.loc["Men", "estimate"]) == pytest.approx(-0.6, abs=0.1)
    assert table.loc["Men / Women", "p_adjusted"] < 0.01
    ratio = table.loc["Men", "estimate"] / table.loc["Women", "estimate"]
    assert table.loc["Men / Women", "estimate"] == pytest.approx(ratio)


def test_where_there_is_none_the_corrected_p_is_large(table_interactions: pd.DataFrame) -> None:
    others = table_interactions[
        table_interactions["p_adjusted"].notna() & ~table_interactions["contrast"].str.startswith("Men")
    ]
    assert (others["p_adjusted"] > 0.05).all()


def test_people_of_unknown_group_are_left_out_of_that_comparison(table_interactions: pd.DataFrame) -> None:
    n = table_interactions[table_interactions["contrast"].str.contains("Depletion")]["n"]
    assert (n < 4700).all()
    assert (table_interactions[table_interactions["contrast"].str.startswith("Men")]["n"] == 5000).all()


def test_holm_is_that_of_r() -> None:
    # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.9), "holm"), R 4.2.2
    assert holm([0.01, 0.02, 0.03, 0.04, 0.9]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.9])


def test_every_modifier_names_what_it_reads() -> None:
    for modifier in MODIFIERS.values():
        assert bool(modifier.feature) != bool(modifier.nutrient)
        if modifier.feature:
            assert modifier.feature in FEATURES
            assert (modifier.at_least is None) == bool(modifier.equals)
