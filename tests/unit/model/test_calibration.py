"""Calibration: a logistic function of the linear predictor, fitted with the design and cross-fitted.

Other calibrators: each corrects its kind of miscalibration, with weights, and is cross-fitted.

Venn-Abers with weights: two isotonic fits for each person, as scikit-learn and the package venn-abers make them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from mgrisk.model.calibration import (
    FITS,
    Calibrator,
    cross_fitted,
    cross_fitted_risk,
    fit_beta,
    fit_calibrator,
    fit_isotonic,
    fit_logistic_map,
    fit_venn_abers,
)

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


def weighted_people(n: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    margin = random.normal(-1, 1.5, n)
    y = (random.random(n) < expit(0.5 - 1.6 * np.logaddexp(0, -margin) + 0.4 * np.logaddexp(0, margin))).astype(float)
    return margin, y, random.integers(1, 5, n).astype(float)


def test_the_logistic_map_is_the_shipped_calibrator(toy_people: ToyPeople) -> None:
    margin = 1.7 * toy_people.y + np.random.default_rng(3).normal(size=len(toy_people.y))
    shipped = fit_calibrator(margin, toy_people.y, toy_people.design)
    beside = fit_logistic_map(margin, toy_people.y, toy_people.design.analysis_weight)
    assert (beside.intercept, beside.slope) == pytest.approx((shipped.intercept, shipped.slope), abs=1e-12)
    crossed = cross_fitted(fit_logistic_map, margin, toy_people.y, toy_people.design.analysis_weight, toy_people.fold)
    expected = cross_fitted_risk(margin, toy_people.y, toy_people.design, toy_people.fold)
    np.testing.assert_allclose(crossed, expected, atol=1e-12)


def test_beta_is_the_logistic_regression_on_both_logarithms() -> None:
    margin, y, weight = weighted_people()
    fitted = fit_beta(margin, y, weight)
    p = expit(fitted.intercept + fitted.slope * margin)
    X = np.column_stack([np.log(p), -np.log1p(-p)])
    expected = LogisticRegression(C=1e9, tol=1e-10, max_iter=5000).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(fitted.risk(margin), expected.predict_proba(X)[:, 1], atol=1e-5)
    assert fitted.a > 0
    assert fitted.b > 0


def test_a_beta_map_that_would_fall_is_fitted_again_without_the_falling_part() -> None:
    random = np.random.default_rng(1)
    margin = random.normal(size=20_000)
    y = (random.random(20_000) < expit(-1 + 1.2 * np.minimum(margin, 0.3) - 0.5 * np.maximum(margin - 0.3, 0))).astype(
        float
    )
    fitted = fit_beta(margin, y, np.ones(20_000))
    assert min(fitted.a, fitted.b) == 0
    assert (np.diff(fitted.risk(np.linspace(-4, 4, 50))) >= 0).all()


def test_isotonic_is_that_of_duplicated_rows_and_never_says_never() -> None:
    margin, y, weight = weighted_people()
    copies = weight.astype(int)
    expected = IsotonicRegression(out_of_bounds="clip").fit(np.repeat(margin, copies), np.repeat(y, copies))
    asked = np.linspace(-10, 10, 101)
    least = 0.5 / len(y)
    np.testing.assert_allclose(
        fit_isotonic(margin, y, weight).risk(asked), np.clip(expected.predict(asked), least, 1 - least), atol=1e-12
    )
    assert expected.predict([-10])[0] == 0


@pytest.mark.parametrize("name", list(FITS))
def test_people_without_weight_and_the_scale_of_weights_change_nothing(name: str) -> None:
    margin, y, weight = weighted_people(600)
    weight[::4] = 0.0
    asked = np.linspace(-3, 3, 21)
    expected = FITS[name](margin[weight > 0], y[weight > 0], weight[weight > 0]).risk(asked)
    poisoned = np.where(weight > 0, margin, np.nan)
    np.testing.assert_allclose(FITS[name](poisoned, y, 1000 * weight).risk(asked), expected, atol=1e-9)


@pytest.mark.parametrize("name", list(FITS))
def test_the_risk_of_a_fold_does_not_depend_on_the_labels_of_that_fold_calibrators(name: str) -> None:
    margin, y, weight = weighted_people(600)
    fold = np.arange(600) % 3
    before = cross_fitted(FITS[name], margin, y, weight, fold)
    after = cross_fitted(FITS[name], margin, np.where(fold == 1, 1 - y, y), weight, fold)
    np.testing.assert_array_equal(after[fold == 1], before[fold == 1])
    assert (after[fold != 1] != before[fold != 1]).any()


GOLDEN = Path(__file__).parents[2] / "golden" / "venn_abers.json"


def people(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    margin = np.round(random.normal(size=n), 1)
    y = (random.random(n) < 1 / (1 + np.exp(0.5 - margin))).astype(float)
    return margin, y, random.uniform(1, 10, n)


@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(-300, 300))
def test_the_bounds_are_isotonic_risks_with_the_person_added_as_no_case_and_as_a_case(
    seed: int, n: int, hundredths: int
) -> None:
    margin, y, weight = people(seed, n)
    own = hundredths / 100  # scikit-learn takes neighbours of 1e-233 for ties
    bounds = fit_venn_abers(margin, y, weight).bounds(np.array([own]))
    for label, bound in zip((0.0, 1.0), bounds, strict=True):
        joined = IsotonicRegression().fit(
            np.append(margin, own), np.append(y, label), sample_weight=np.append(weight, weight.mean())
        )
        assert bound[0] == pytest.approx(joined.predict([own])[0], abs=1e-9)


def test_equal_weights_give_the_numbers_of_the_package_venn_abers() -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    margin, y, asked = (np.array(golden[name]) for name in ("margin", "y", "asked"))
    fitted = fit_venn_abers(margin, y, np.full(len(y), 3.0))
    low, high = fitted.bounds(asked)
    np.testing.assert_allclose(low, golden["low"], atol=1e-12)
    np.testing.assert_allclose(high, golden["high"], atol=1e-12)
    np.testing.assert_allclose(fitted.risk(asked), golden["risk"], atol=1e-12)


def test_people_without_weight_do_not_count() -> None:
    margin, y, weight = people(1, 200)
    weight[::3] = 0.0
    poisoned = np.where(weight == 0, np.nan, margin)
    kept = weight > 0
    asked = np.linspace(-3, 3, 31)
    for one, other in zip(
        fit_venn_abers(poisoned, y, weight).bounds(asked),
        fit_venn_abers(margin[kept], y[kept], weight[kept]).bounds(asked),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_the_one_probability_lies_between_the_bounds() -> None:
    margin, y, weight = people(2, 300)
    fitted = fit_venn_abers(margin, y, weight)
    low, high = fitted.bounds(margin)
    risk = fitted.risk(margin)
    assert ((low <= risk) & (risk <= high) & (low < high)).all()
