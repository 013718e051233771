"""The maps beside the shipped one: each finds what it is made for, with weights, and nobody's own fold is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from mgrisk.model.calibrate import cross_fitted_risk, fit_calibrator
from mgrisk.model.calibrators import FITS, cross_fitted, fit_beta, fit_isotonic, fit_logistic_map

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


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
def test_the_risk_of_a_fold_does_not_depend_on_the_labels_of_that_fold(name: str) -> None:
    margin, y, weight = weighted_people(600)
    fold = np.arange(600) % 3
    before = cross_fitted(FITS[name], margin, y, weight, fold)
    after = cross_fitted(FITS[name], margin, np.where(fold == 1, 1 - y, y), weight, fold)
    np.testing.assert_array_equal(after[fold == 1], before[fold == 1])
    assert (after[fold != 1] != before[fold != 1]).any()
