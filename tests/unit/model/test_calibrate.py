"""Calibration: one logistic map of the margin, fitted with the design; nobody's own fold is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.model.calibrate import Calibrator, cross_fitted_risk, fit_calibrator

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

margins = st.lists(st.floats(-30, 30), min_size=1, max_size=20).map(lambda values: np.array(sorted(values)))
calibrators = st.builds(
    lambda intercept, slope, a, b, c, df: Calibrator(
        intercept, slope, np.array([[a, b], [0, c]]).T @ np.array([[a, b], [0, c]]), df
    ),
    st.floats(-3, 3),
    st.floats(0.1, 3),
    st.floats(0, 1),
    st.floats(-1, 1),
    st.floats(0, 1),
    st.integers(2, 60),
)


@given(calibrators, margins)
def test_the_standard_error_is_that_of_the_line_at_the_margin(calibrator: Calibrator, margin: np.ndarray) -> None:
    rows = np.column_stack([np.ones(len(margin)), margin])
    variance = np.einsum("ij,jk,ik->i", rows, calibrator.covariance, rows)
    np.testing.assert_allclose(calibrator.se(margin), np.sqrt(np.maximum(variance, 0)), atol=1e-6)


@given(calibrators, margins)
def test_risk_is_monotone_in_the_margin(calibrator: Calibrator, margin: np.ndarray) -> None:
    assert (np.diff(calibrator.risk(margin)) >= 0).all()


def noisy_margin(toy_people: ToyPeople) -> np.ndarray:
    """Return an overconfident margin that knows something of the outcome."""
    return 1.7 * toy_people.y + np.random.default_rng(3).normal(size=len(toy_people.y))


def test_the_mean_risk_is_the_weighted_prevalence_of_whom_it_was_fitted_on(toy_people: ToyPeople) -> None:
    margin = noisy_margin(toy_people)
    risk = fit_calibrator(margin, toy_people.y, toy_people.design).risk(margin)
    weight = toy_people.design.analysis_weight
    # Both score equations of the logistic likelihood: nobody was re-weighted on the way.
    assert np.average(risk, weights=weight) == pytest.approx(np.average(toy_people.y, weights=weight), abs=1e-9)
    assert np.average(margin * (risk - toy_people.y), weights=weight) == pytest.approx(0, abs=1e-9)


def test_a_calibrated_margin_calibrated_again_is_left_alone(toy_people: ToyPeople) -> None:
    margin = noisy_margin(toy_people)
    log_odds = fit_calibrator(margin, toy_people.y, toy_people.design).log_odds(margin)
    again = fit_calibrator(log_odds, toy_people.y, toy_people.design)
    assert (again.intercept, again.slope) == pytest.approx((0, 1), abs=1e-7)


def test_people_outside_the_domain_change_no_coefficient(toy_people: ToyPeople) -> None:
    margin, outside = noisy_margin(toy_people), toy_people.design.analysis_weight == 0
    assert outside.sum() > 50
    plain = fit_calibrator(margin, toy_people.y, toy_people.design)
    other = fit_calibrator(
        np.where(outside, 99.0, margin), np.where(outside, 1 - toy_people.y, toy_people.y), toy_people.design
    )
    assert plain.to_dict() == other.to_dict()


def test_the_risk_of_a_fold_does_not_depend_on_the_labels_of_that_fold(toy_people: ToyPeople) -> None:
    margin, fold = noisy_margin(toy_people), toy_people.fold
    before = cross_fitted_risk(margin, toy_people.y, toy_people.design, fold)
    for k in np.unique(fold):
        poisoned = np.where(fold == k, 1 - toy_people.y, toy_people.y)
        after = cross_fitted_risk(margin, poisoned, toy_people.design, fold)
        np.testing.assert_array_equal(after[fold == k], before[fold == k])
        assert (after[fold != k] != before[fold != k]).all()


def test_every_fold_is_calibrated_on_the_others_as_a_domain_of_the_whole_design(toy_people: ToyPeople) -> None:
    margin, fold = noisy_margin(toy_people), toy_people.fold
    risk = cross_fitted_risk(margin, toy_people.y, toy_people.design, fold)
    others = fit_calibrator(margin, toy_people.y, toy_people.design.where(fold != 1))
    np.testing.assert_array_equal(risk[fold == 1], others.risk(margin[fold == 1]))
    assert np.isfinite(risk).all()
