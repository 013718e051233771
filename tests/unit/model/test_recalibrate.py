"""A recalibrated bundle has the level, and the slope, of the new people, and says whose child it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit

from mgrisk.errors import MgRiskError
from mgrisk.model.recalibrate import recalibrate
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.logistic import fit_logistic

if TYPE_CHECKING:
    from mgrisk.model.bundle import Bundle
    from mgrisk.model.recalibrate import Method

N = 4000
TOLD = {"parent": {"name": "toy", "sha256": "0" * 64}, "holds_for": "a clinic, 2022"}


@pytest.fixture
def parent(toy_bundles: dict[str, Bundle]) -> Bundle:
    bundle = toy_bundles["spline_logistic"]
    return replace(bundle, about={**bundle.about, "interval": "an interval"})


def new_people(parent: Bundle, *, level: float, slope: float) -> tuple[np.ndarray, np.ndarray, SurveyDesign]:
    random = np.random.default_rng(8)
    margin = random.normal(-1, 1, N)
    y = (random.random(N) < expit(level + slope * parent.calibrator.log_odds(margin))).astype(float)
    design = SurveyDesign(random.uniform(1, 4, N), np.zeros(N), np.arange(N) % 80, WeightLevel.INTERVIEW)
    return margin, y, design


def test_intercept_moves_the_level_alone_and_the_mean_risk_is_that_observed(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.7, slope=1.0)
    made = recalibrate(parent, margin, y, design, method="intercept", told=TOLD)
    assert made.calibrator.slope == parent.calibrator.slope
    assert made.calibrator.intercept - parent.calibrator.intercept == pytest.approx(0.7, abs=0.15)
    weight = design.analysis_weight
    observed = np.average(y, weights=weight)
    assert np.average(made.calibrator.risk(margin), weights=weight) == pytest.approx(observed, abs=1e-9)
    assert made.about["recalibration"]["prevalence"] == pytest.approx(observed)


def test_logistic_is_the_regression_on_the_log_odds_of_the_parent(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=-0.4, slope=0.6)
    made = recalibrate(parent, margin, y, design, method="logistic", told=TOLD)
    log_odds = parent.calibrator.log_odds(margin)
    fit = fit_logistic(np.column_stack([np.ones(N), log_odds]), y, design)
    change = made.about["recalibration"]
    assert (change["intercept_of_parent"], change["slope_of_parent"]) == pytest.approx(
        tuple(fit.coefficients), abs=1e-8
    )
    np.testing.assert_allclose(
        made.calibrator.log_odds(margin), fit.coefficients[0] + fit.coefficients[1] * log_odds, atol=1e-8
    )


def test_it_names_its_parent_and_for_whom_it_holds(parent: Bundle) -> None:
    made = recalibrate(parent, *new_people(parent, level=0.0, slope=1.0), method="intercept", told=TOLD)
    assert made.about["parent"] == TOLD["parent"]
    assert made.about["holds_for"] == "a clinic, 2022"
    assert made.about["name"] == "toy-recalibrated"
    assert made.fitted is parent.fitted


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_the_error_of_the_recalibration_is_added_to_that_of_the_parent(parent: Bundle, method: Method) -> None:
    margin, y, design = new_people(parent, level=0.5, slope=0.7)
    made = recalibrate(parent, margin, y, design, method=method, told=TOLD)
    X = np.full((1, len(parent.encoder.columns)), np.nan, dtype=np.float32)
    stretch = made.about["recalibration"]["slope_of_parent"]
    added = np.average(made.calibrator.se(margin) ** 2, weights=design.analysis_weight)
    at = np.zeros(1)
    expected = np.sqrt((stretch * parent.standard_error(X, at)) ** 2 + added)
    np.testing.assert_allclose(made.standard_error(X, at), expected)
    plain = recalibrate(replace(parent, uncertainty=None), margin, y, design, method=method, told=TOLD)
    np.testing.assert_array_equal(plain.standard_error(X, at), plain.calibrator.se(at))


def test_too_few_cases_are_refused_with_the_method_that_they_do_for(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.0, slope=1.0)
    few = np.zeros(N)
    few[np.flatnonzero(y)[:30]] = 1
    with pytest.raises(MgRiskError, match="30 cases") as caught:
        recalibrate(parent, margin, few, design, method="logistic", told=TOLD)
    assert caught.value.code == "recalibrate.too_few_events"
    assert caught.value.hint == "use --method intercept"
    few[np.flatnonzero(few)[:15]] = 0
    with pytest.raises(MgRiskError, match="15 cases") as caught:
        recalibrate(parent, margin, few, design, method="intercept", told=TOLD)
    assert "as it is" in caught.value.hint


def test_an_outcome_coded_the_wrong_way_round_is_refused(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.0, slope=1.0)
    with pytest.raises(MgRiskError) as caught:
        recalibrate(parent, margin, 1 - y, design, method="logistic", told=TOLD)
    assert caught.value.code == "recalibrate.reversed"
