from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from mgrisk.evidence.regression import (
    Adjusted,
    fit_corrected,
    fit_uncorrected,
    least_squares,
    linear_coding,
    newton_step,
    on_scale,
    panel_scales,
)
from mgrisk.survey.linear_models import fit_linear, fit_logistic, maximise_likelihood


@pytest.fixture(scope="module")
def eaters(draw_eaters: Callable[..., Any]) -> Any:
    return draw_eaters(np.random.default_rng(11), n=3000)


def test_naive_is_a_survey_regression_on_the_mean_of_the_days(eaters: Any) -> None:
    panel = eaters.panel
    X = np.column_stack(
        [
            np.nanmean(panel.amounts["magnesium"], axis=1) / 100.0,
            panel.supplement / 100.0,
            panel.columns["age"],
            np.ones(3000),
            np.nanmean(panel.amounts["energy"], axis=1) / 1000.0,
        ]
    )
    fits = {fit.outcome: fit for fit in fit_uncorrected(panel, eaters.adjustment, [linear_coding()])}
    logistic = fit_logistic(X, panel.outcomes["undiagnosed"], panel.design)
    linear = fit_linear(X, panel.outcomes["homa_ir"], panel.design)
    assert fits["undiagnosed"].coefficients == pytest.approx(logistic.coefficients[:2], rel=1e-9)
    assert fits["undiagnosed"].se == pytest.approx(logistic.se[:2], rel=1e-9)
    assert fits["homa_ir"].coefficients == pytest.approx(linear.coefficients[:2], rel=1e-9)
    assert fits["undiagnosed"].df == logistic.df == panel.design.df - 4
    assert fits["undiagnosed"].events == panel.outcomes["undiagnosed"].sum()
    assert fits["homa_ir"].events is None


def test_corrected_is_the_regression_on_predicted_intake(eaters: Any) -> None:
    panel = eaters.panel
    scales = panel_scales(panel, eaters.adjustment.all_nutrients)
    adjusted = Adjusted.of(panel, eaters.adjustment)
    usual = adjusted.intake_model(scales).fit(panel.design.analysis_weight).usual
    X = np.column_stack([usual[:, 0] / 100.0, adjusted.known, usual[:, 1] / 1000.0])
    fits = {fit.outcome: fit for fit in fit_corrected(panel, eaters.adjustment, [linear_coding()], scales=scales)}
    known = fit_linear(X, panel.outcomes["homa_ir"], panel.design)
    assert fits["homa_ir"].coefficients == pytest.approx(known.coefficients[:2], rel=1e-8)
    assert fits["undiagnosed"].coefficients == pytest.approx(
        fit_logistic(X, panel.outcomes["undiagnosed"], panel.design).coefficients[:2], rel=1e-8
    )
    assert fits["homa_ir"].df == known.df
    # The error of the correction is in the interval, and no interval is without it.
    assert fits["homa_ir"].se[0] > 1.02 * known.se[0]


def test_correction_undoes_what_recalls_dilute(eaters: Any) -> None:
    uncorrected = next(
        f for f in fit_uncorrected(eaters.panel, eaters.adjustment, [linear_coding()]) if f.outcome == "homa_ir"
    )
    corrected = next(
        f for f in fit_corrected(eaters.panel, eaters.adjustment, [linear_coding()]) if f.outcome == "homa_ir"
    )
    assert abs(uncorrected.coefficients[0] + 0.3) > 3 * uncorrected.se[0]
    assert abs(corrected.coefficients[0] + 0.3) < 2.5 * corrected.se[0]


def test_one_step_from_a_neighbour_is_nearly_the_maximum(eaters: Any) -> None:
    panel = eaters.panel
    X = np.column_stack([panel.columns["age"], panel.supplement, np.ones(3000)])
    y, weight = panel.outcomes["undiagnosed"], panel.design.analysis_weight
    start = maximise_likelihood(X, y, weight)
    other = np.where(panel.design.cluster == 0, 0.0, weight)
    there = maximise_likelihood(X, y, other)
    assert np.abs(newton_step(X, y, other, start) - there).max() < 0.01 * np.abs(start - there).max()


def test_least_squares_serves_several_outcomes_at_once() -> None:
    random = np.random.default_rng(1)
    X, Y = random.normal(size=(50, 3)) * [1.0, 1e4, 1e-3], random.normal(size=(50, 2))
    weight = random.uniform(1, 2, 50)
    root = np.sqrt(weight)[:, None]
    assert least_squares(X, Y, weight) == pytest.approx(np.linalg.lstsq(X * root, Y * root)[0], rel=1e-8)


def test_only_outcomes_asked_for_are_fitted(eaters: Any) -> None:
    found = [
        fit.outcome for fit in fit_corrected(eaters.panel, eaters.adjustment, [linear_coding()], outcomes=["homa_ir"])
    ]
    assert found == ["homa_ir"]


def test_a_difference_stays_on_its_scale() -> None:
    found = on_scale(-0.2, 0.1, 30, "difference")
    assert found["estimate"] == -0.2
    assert found["high"] == pytest.approx(-0.2 + 0.1 * student.ppf(0.975, 30))


def test_p_below_5_percent_is_an_interval_without_the_null() -> None:
    for coefficient in (0.2, 0.21):
        found = on_scale(coefficient, 0.1, 30, "ratio")
        assert found["p"] is not None
        assert found["low"] is not None
        assert (found["p"] < 0.05) == (found["low"] > 1.0)


def test_what_is_undefined_has_no_number() -> None:
    assert on_scale(0.2, math.nan, 30, "ratio")["low"] is None
    assert on_scale(0.2, 0.1, 0, "ratio")["p"] is None
