from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.evidence.association import associate
from mgrisk.evidence.people import MEASURED, Panel
from mgrisk.evidence.regression import CALIBRATED, NONE, Evidence, fit_uncorrected, linear_coding
from mgrisk.evidence.robustness import (
    GROUPS,
    cycles_left_out,
    e_value,
    e_values,
    exclusions,
    flow,
    intake_after_diagnosis,
    inverse_probability,
    negative_controls,
    of_the_limit,
    risk_ratio,
    weighted_for_completeness,
)


def test_the_published_example() -> None:
    # VanderWeele and Ding (2017): RR 3.9 (1.8 to 8.7), breast-feeding and respiratory death.
    assert e_value(3.9) == pytest.approx(7.26, abs=0.005)
    assert of_the_limit(1.8, 8.7) == pytest.approx(3.0, abs=0.005)


@given(st.floats(0.05, 20.0))
def test_a_ratio_and_its_inverse_need_the_same_confounder(ratio: float) -> None:
    assert e_value(ratio) == pytest.approx(e_value(1.0 / ratio))
    assert e_value(ratio) >= max(ratio, 1.0 / ratio)


def test_an_interval_that_holds_1_needs_none() -> None:
    assert of_the_limit(0.9, 1.1) == 1.0
    assert of_the_limit(0.5, 0.8) == pytest.approx(e_value(0.8))


def test_an_odds_ratio_of_a_common_outcome_is_brought_nearer_to_1() -> None:
    assert risk_ratio(0.49, share=0.4) == pytest.approx(0.7)
    assert risk_ratio(0.49, share=0.05) == 0.49


def test_people_who_eat_otherwise_since_they_were_told_are_found(draw_eaters: Callable[..., Any]) -> None:
    eaters = draw_eaters(np.random.default_rng(51), n=4000)
    years = np.where(np.arange(4000) % 5 == 0, np.arange(4000) % 15, np.nan)
    more = np.where(np.isnan(years), 0.0, 40.0)[:, None]
    amounts = {**eaters.panel.amounts, "magnesium": eaters.panel.amounts["magnesium"] + more}
    frame = eaters.panel.frame.assign(years_since_diagnosis=years)
    panel = replace(eaters.panel, amounts=amounts, frame=frame)
    table = Evidence(tuple(intake_after_diagnosis(panel, adjustment=eaters.adjustment))).frame().set_index("contrast")
    assert list(table.index) == list(GROUPS.values())
    diagnosed = table[table.index.str.startswith("diabetes diagnosed")]
    assert ((diagnosed["low"] < 40.0) & (diagnosed["high"] > 40.0)).all()
    assert (diagnosed["low"] > 0).all()
    assert diagnosed["n"].sum() == np.isfinite(years).sum()
    assert table["scale"].unique().tolist() == ["difference"]
    # Whoever eats less has more undiagnosed diabetes here.
    assert table.loc[GROUPS["undiagnosed"], "estimate"] < 0


@pytest.fixture(scope="module")
def eaters(draw_eaters: Callable[..., Any]) -> Any:
    found = draw_eaters(np.random.default_rng(41), n=3000)
    random = np.random.default_rng(42)
    frame = found.panel.frame.assign(
        cycle=np.where(found.panel.design.stratum < 8, "2015-2016", "2017-2018"),
        energy_report=random.choice(["plausible", "under"], 3000),
        weight_change_1y_kg=np.where(random.random(3000) < 0.1, np.nan, random.normal(0, 4, 3000)),
        family_history_diabetes=random.choice(["no", "yes"], 3000),
        height_cm=random.normal(170, 9, 3000) + 0.03 * found.usual[:, 0],
    )
    return replace(found, panel=replace(found.panel, frame=frame, cycles=("2015-2016", "2017-2018")))


def test_exclusions_are_fewer_people_on_the_same_rungs(eaters: Any) -> None:
    table = Evidence(tuple(exclusions(eaters.panel, ["homa_ir"], adjustments=[eaters.adjustment]))).frame()
    assert set(table["model"]) == {
        "toy, plausible energy intake", "toy, no magnesium from supplements", "toy, no weight lost in the past year",
    }  # fmt: skip
    assert set(table["correction"]) == {NONE, CALIBRATED}
    assert (table["problem"] == "").all()
    kept = (eaters.panel.frame["weight_change_1y_kg"] > -3.0).sum()
    assert (table.loc[table["model"].str.contains("weight"), "n"] == kept).all()
    plausible = (eaters.panel.frame["energy_report"] == "plausible").sum()
    assert (table.loc[table["model"].str.contains("plausible"), "n"] == plausible).all()


def test_each_cycle_is_left_out_once(eaters: Any) -> None:
    table = Evidence(tuple(cycles_left_out(eaters.panel, ["homa_ir"], adjustment=eaters.adjustment))).frame()
    assert table["model"].tolist() == ["toy, without 2015-2016", "toy, without 2017-2018"]
    assert table["n"].sum() == 3000


def test_a_negative_control_tells_confounding_from_none(eaters: Any) -> None:
    table = Evidence(tuple(negative_controls(eaters.panel, adjustment=eaters.adjustment))).frame().set_index("outcome")
    # Height rises with intake in these people; relatives do not.
    assert table.loc["height", "p"] < 0.01
    assert table.loc["height", "scale"] == "difference"
    assert table.loc["relatives", "p"] > 0.05
    assert table.loc["relatives", "events"] > 0


def test_what_cannot_be_fitted_is_a_record(eaters: Any) -> None:
    nobody = replace(eaters.panel, outcomes={"undiagnosed": np.zeros(3000)})
    found = list(cycles_left_out(nobody, ["undiagnosed"], adjustment=eaters.adjustment))
    assert [each.problem for each in found] == ["logistic.not_converged"] * 2


def test_e_values_are_of_odds_ratios_of_food(eaters: Any) -> None:
    sequence = list(associate(eaters.panel, adjustments=[eaters.adjustment]))
    found = list(e_values(sequence))
    assert {each.outcome for each in found} == {"undiagnosed"}
    assert len(found) == 2
    first = next(each for each in sequence if each.outcome == "undiagnosed" and each.contrast == "per 100 mg/d")
    assert first.estimate is not None
    assert found[0].estimate == pytest.approx(e_value(np.sqrt(first.estimate)))


@pytest.fixture(scope="module")
def incomplete(draw_eaters: Callable[..., Any]) -> tuple[Panel, Any]:
    """People of whom some lack an answer: more often the older they are and the cases."""
    eaters = draw_eaters(np.random.default_rng(71), n=3000)
    panel = eaters.panel
    age, case = panel.columns["age"][:, 0], panel.outcomes["undiagnosed"]
    lacks = np.random.default_rng(72).random(3000) < 1.0 / (1.0 + np.exp(1.5 - 0.5 * age - 0.7 * case))
    sleep = np.where(lacks, np.nan, np.random.default_rng(73).normal(size=3000))[:, None]
    rules = {"adults": age > -2.9, MEASURED: np.ones(3000, dtype=bool), "all known": ~lacks}
    some = replace(panel, columns={**panel.columns, "sleep": sleep}, rules=rules)
    return some.where(rules["adults"] & ~lacks), eaters.adjustment


def test_the_flow_counts_who_remains_after_each_rule_and_what_is_unknown(incomplete: tuple[Panel, Any]) -> None:
    panel, _ = incomplete
    table = Evidence(tuple(flow(panel))).frame().set_index("contrast")
    assert table.index.tolist() == ["all participants", "adults", MEASURED, "all known", "unknown: sleep"]
    adults, lacks = panel.rules["adults"], np.isnan(panel.columns["sleep"][:, 0])
    assert table["n"].tolist() == [3000, adults.sum(), adults.sum(), panel.design.n, (adults & lacks).sum()]
    weight = panel.design.weight
    kept = weight[adults & ~lacks].sum() / weight[adults].sum()
    assert table.loc["all known", "estimate"] == pytest.approx(kept)
    assert table.loc["unknown: sleep", "estimate"] == pytest.approx(1.0 - kept)


def test_weights_for_completeness_let_those_who_remain_stand_for_all(incomplete: tuple[Panel, Any]) -> None:
    panel, _ = incomplete
    adults, design = panel.rules["adults"], panel.design
    weighted = weighted_for_completeness(panel).design.analysis_weight
    assert (weighted > 0).tolist() == (design.analysis_weight > 0).tolist()
    assert weighted.sum() == pytest.approx(design.weight[adults].sum(), rel=0.02)
    for values in (panel.columns["age"][:, 0], panel.outcomes["undiagnosed"]):
        everybody = np.average(values[adults], weights=design.weight[adults])
        complete = np.average(values, weights=design.analysis_weight)
        assert abs(complete - everybody) > 0.03
        assert np.average(values, weights=weighted) == pytest.approx(everybody, abs=0.01)


def test_the_weighted_regression_is_that_of_r(incomplete: tuple[Panel, Any]) -> None:
    panel, adjustment = incomplete
    (fit,) = fit_uncorrected(weighted_for_completeness(panel), adjustment, [linear_coding()], outcomes=["homa_ir"])
    # R 4.2.2, survey 4.1.1, 2026-11-30, unknown sleep at its weighted mean, w = weight / fitted(svyglm(complete ~ age +
    # sleep + case, adults, family = quasibinomial)): svyglm(homa ~ magnesium + supplement + age + energy, complete, w)
    assert float(fit.coefficients[0]) == pytest.approx(-0.129315153110, abs=1e-7)
    assert float(fit.se[0]) == pytest.approx(0.022355769128, rel=1e-6)


def test_every_model_of_adjustment_is_there_weighted_for_complete_data(incomplete: tuple[Panel, Any]) -> None:
    panel, adjustment = incomplete
    twice = (adjustment, adjustment.model_copy(update={"name": "again"}))
    table = Evidence(tuple(inverse_probability(panel, [*panel.outcomes], adjustments=twice))).frame()
    assert table[["model", "outcome"]].to_numpy().tolist() == [
        [name, outcome] for name in ("toy", "again") for outcome in panel.outcomes
    ]
    assert (table["correction"] == CALIBRATED).all()
    assert (table["problem"] == "").all()


def test_where_completeness_cannot_be_modelled_the_record_says_so(incomplete: tuple[Panel, Any]) -> None:
    panel, adjustment = incomplete
    twice = replace(panel, columns={**panel.columns, "again": panel.columns["age"]})
    (record,) = inverse_probability(twice, ["homa_ir"], adjustments=[adjustment])
    assert record.estimate is None
    assert record.problem == "logistic.rank"
