"""Restricted cubic splines against the textbook.

The design columns: knots and moments of training rows, and expected values for missing ones.

Ridge regression on them: weights count people, and fits minimise the penalised likelihood.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LinearRegression

from mgrisk.features.registry import features
from mgrisk.model.learners import Encoder, Kind
from mgrisk.model.missing_inputs import RIDGE
from mgrisk.model.splines import (
    HARRELL_QUANTILES,
    SplineLearner,
    SplineSpace,
    basis,
    design_columns,
    expand,
    fit_terms,
)
from mgrisk.survey.estimates import weighted_quantile

increasing = st.lists(st.integers(-50, 50), min_size=3, max_size=7, unique=True).map(
    lambda places: np.sort(places) / 4.0
)


def textbook(x: float, knots: np.ndarray) -> list[float]:
    """Return the terms of Harrell 2015, section 2.4.5, one by one."""
    k = len(knots)
    t = [float("nan"), *knots]

    def cube(u: float) -> float:
        return max(u, 0.0) ** 3

    terms = [x]
    for j in range(1, k - 1):
        value = (
            cube(x - t[j])
            - cube(x - t[k - 1]) * (t[k] - t[j]) / (t[k] - t[k - 1])
            + cube(x - t[k]) * (t[k - 1] - t[j]) / (t[k] - t[k - 1])
        )
        terms.append(value / (t[k] - t[1]) ** 2)
    return terms


@given(increasing, st.lists(st.floats(-30, 30), min_size=1, max_size=10))
def test_the_basis_is_the_formula_of_the_textbook(knots: np.ndarray, x: list[float]) -> None:
    expected = [textbook(value, knots) for value in x]
    np.testing.assert_allclose(basis(np.array(x), knots), expected, rtol=1e-9, atol=1e-7)


@given(increasing)
def test_the_basis_is_linear_beyond_the_outer_knots(knots: np.ndarray) -> None:
    for start in (knots[0] - 10, knots[-1]):
        values = basis(start + np.linspace(0, 10, 21), knots)
        # Cubes of tens, taken from one another: their rounding is what may be left.
        np.testing.assert_allclose(np.diff(values, n=2, axis=0), 0, atol=1e-8 * (1 + np.abs(values).max()))


def test_the_basis_bends_between_the_outer_knots() -> None:
    values = basis(np.linspace(1, 3, 21), np.array([0.0, 2.0, 4.0]))
    assert (np.abs(np.diff(values[:, 1], n=2)) > 1e-4).all()


@pytest.mark.parametrize("knots", [[], [1.0], [1.0, 2.0]], ids=len)
def test_with_fewer_than_three_knots_the_curve_is_a_line(knots: list[float]) -> None:
    np.testing.assert_array_equal(basis(np.array([1.0, 5.0]), np.array(knots)), [[1.0], [5.0]])


@pytest.mark.parametrize("k", HARRELL_QUANTILES)
def test_knots_stand_at_as_many_increasing_symmetric_quantiles(k: int) -> None:
    places = np.array(HARRELL_QUANTILES[k])
    assert len(places) == k
    assert (np.diff(places) > 0).all()
    np.testing.assert_allclose(places + places[::-1], 1.0, atol=1e-12)


COLUMNS = Encoder(features(["age_years", "sex", "bmi_kg_m2"])).columns
C = {"c": 0.1}


def people_of_three_columns(
    seed: int = 0, n: int = 240, *, missing: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = np.column_stack([random.uniform(20, 80, n), random.integers(0, 2, n), random.normal(28, 5, n)])
    y = (random.random(n) < 1 / (1 + np.exp(1.5 - 0.05 * (X[:, 0] - 50) - 0.1 * (X[:, 2] - 28)))).astype(float)
    X[random.random(X.shape) < missing] = np.nan
    return X.astype(np.float32), y, random.integers(1, 6, n).astype(float)


def learner(
    X: np.ndarray, weight: np.ndarray, *, c: tuple[float, ...] = (0.1,), kind: Kind = "binary"
) -> SplineLearner:
    return SplineLearner(SplineSpace.fit(COLUMNS, X, weight, knots=4), c, kind)


def margin(X: np.ndarray, y: np.ndarray, weight: np.ndarray, *, c: float = 0.1, kind: Kind = "binary") -> np.ndarray:
    """Fit, and return the margin of the same people."""
    of = learner(X, weight, kind=kind)
    return of.fit(of.design(X), y, weight, {"c": c}).margin(of.design(X))


def test_knots_and_fills_are_weighted_quantiles_of_the_known_values() -> None:
    X, _, weight = people_of_three_columns(missing=0.2)
    terms = fit_terms(COLUMNS, X, weight, knots=4)
    for column, term in enumerate(terms):
        known = np.isfinite(X[:, column])
        values, share = X[known, column].astype(float), weight[known]
        binary = COLUMNS[column].level is not None
        expected = np.average(values, weights=share) if binary else weighted_quantile(values, share, (0.5,))[0]
        assert term.fill == pytest.approx(expected, rel=1e-12)
        places = () if binary else weighted_quantile(values, share, HARRELL_QUANTILES[4])
        np.testing.assert_allclose(term.knots, places, rtol=1e-12)
    assert terms != fit_terms(COLUMNS, X[:120], weight[:120], knots=4)


def test_design_columns_are_those_of_each_column_and_missing_where_it_is() -> None:
    X, _, weight = people_of_three_columns()
    terms = fit_terms(COLUMNS, X, weight, knots=4)
    Z = design_columns(terms, X)
    lacks = np.repeat(np.isnan(X), [term.width for term in terms], axis=1)
    np.testing.assert_array_equal(np.isnan(Z), lacks)
    np.testing.assert_array_equal(Z[~lacks], expand(terms, X)[~lacks])


def test_the_moments_of_complete_rows_are_their_weighted_mean_and_covariance() -> None:
    X, _, weight = people_of_three_columns(missing=0)
    space = SplineSpace.fit(COLUMNS, X, weight, knots=4)
    Z = design_columns(space.terms, X)
    np.testing.assert_allclose(space.moments.mean, np.average(Z, axis=0, weights=weight), rtol=1e-9)
    np.testing.assert_allclose(space.moments.covariance, np.cov(Z.T, aweights=weight, ddof=0), rtol=1e-9, atol=1e-12)
    standard = space.expected(X)
    np.testing.assert_allclose(np.average(standard, axis=0, weights=weight), 0, atol=1e-9)
    np.testing.assert_allclose(np.average(standard**2, axis=0, weights=weight), 1, atol=1e-9)


def test_a_missing_value_is_what_the_others_of_the_same_person_lead_one_to_expect() -> None:
    X, _, weight = people_of_three_columns(n=4000)
    X[:, 2] = np.where(np.isnan(X[:, 2]), np.nan, 20 + 0.2 * np.nan_to_num(X[:, 0], nan=50.0))
    space = SplineSpace.fit(COLUMNS, X, weight, knots=4)
    of_bmi = space.terms[0].width + 1
    lacks = np.isnan(X[:, 2]) & np.isfinite(X[:, 0])
    found = space.expected(X)[lacks, of_bmi] * space.moments.scale[of_bmi] + space.moments.mean[of_bmi]
    np.testing.assert_allclose(found, 20 + 0.2 * X[lacks, 0], atol=60 * 0.2 * 10 * RIDGE)
    assert np.ptp(found) > 5


def test_a_space_of_other_people_has_its_knots_and_their_moments() -> None:
    X, _, weight = people_of_three_columns(n=2000)
    space, old = SplineSpace.fit(COLUMNS, X, weight, knots=4), X[:, 0] > 50
    other = space.among(X[old], weight[old])
    assert other.terms == space.terms
    assert other.moments.mean[0] == pytest.approx(np.average(X[old, 0], weights=weight[old]), rel=1e-4)
    assert space.moments.mean[0] < 52


def test_the_same_matrix_is_worked_out_once_and_another_anew() -> None:
    X, _, weight = people_of_three_columns()
    space = SplineSpace.fit(COLUMNS, X, weight, knots=4)
    first = space.expected(X)
    assert space.expected(X) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1.0
    # A matrix of other rows: what is expected of several rows at once differs in last digits.
    np.testing.assert_allclose(space.expected(X[:7]), first[:7], rtol=1e-12)
    np.testing.assert_array_equal(space.expected(X), first)


def test_a_row_that_is_scored_changes_no_expectation_but_its_own() -> None:
    X, _, weight = people_of_three_columns()
    space, changed = SplineSpace.fit(COLUMNS, X, weight, knots=4), X.copy()
    changed[7] = [79, 1, 55]
    before, after = space.expected(X), space.expected(changed)
    assert (after[7] != before[7]).any()
    np.testing.assert_allclose(np.delete(after, 7, axis=0), np.delete(before, 7, axis=0), rtol=0, atol=1e-12)


@settings(max_examples=15)
@given(scale=st.floats(1e-4, 1e6))
def test_margins_do_not_depend_on_the_scale_of_weights(scale: float) -> None:
    X, y, weight = people_of_three_columns()
    np.testing.assert_allclose(margin(X, y, weight * scale), margin(X, y, weight), atol=1e-6)


def test_a_weight_of_k_counts_as_k_people() -> None:
    X, y, weight = people_of_three_columns()
    times = weight.astype(int)
    # The penalty is per person: with more rows, each of weight 1, C is smaller by the mean weight.
    repeated = margin(np.repeat(X, times, axis=0), np.repeat(y, times), np.ones(times.sum()), c=C["c"] / weight.mean())
    np.testing.assert_allclose(repeated, np.repeat(margin(X, y, weight), times), atol=1e-6)


def test_the_mean_risk_of_whom_it_was_fitted_on_is_their_weighted_prevalence() -> None:
    X, y, weight = people_of_three_columns()
    risk = expit(margin(X, y, weight))
    assert np.average(risk, weights=weight) == pytest.approx(np.average(y, weights=weight), abs=1e-5)


def test_the_fit_is_the_minimum_of_the_penalised_weighted_log_likelihood() -> None:
    X, y, weight = people_of_three_columns(missing=0)
    design = expand(fit_terms(COLUMNS, X, weight, knots=4), X)
    centre = np.average(design, axis=0, weights=weight)
    Z = (design - centre) / np.sqrt(np.average((design - centre) ** 2, axis=0, weights=weight))
    w = weight / weight.mean()

    def loss(b: np.ndarray) -> float:
        score = b[0] + Z @ b[1:]
        return float(C["c"] * w @ (np.logaddexp(0, score) - y * score) + b[1:] @ b[1:] / 2)

    best = minimize(loss, np.zeros(1 + Z.shape[1]), method="BFGS", options={"gtol": 1e-9, "maxiter": 1000})
    np.testing.assert_allclose(margin(X, y, weight), best.x[0] + Z @ best.x[1:], atol=1e-4)


def test_a_continuous_target_is_fitted_by_weighted_ridge_regression() -> None:
    X, _, weight = people_of_three_columns()
    known = np.nan_to_num(X, nan=40.0).astype(np.float64)
    y = 0.02 * known[:, 0] + 0.1 * known[:, 2] + np.random.default_rng(4).normal(0, 0.1, len(X))
    loose, tight = (margin(X, y, weight, c=c, kind="continuous") for c in (1e6, 0.01))
    design = learner(X, weight).design(X)
    line = LinearRegression().fit(design, y, sample_weight=weight).predict(design)
    np.testing.assert_allclose(loose, line, atol=1e-4)
    assert np.average(tight, weights=weight) == pytest.approx(np.average(y, weights=weight))
    assert np.std(tight) < np.std(loose)
    names = (learner(X, weight, kind="continuous").name, learner(X, weight).name)
    assert names == ("spline_linear", "spline_logistic")


def test_the_weights_of_a_fit_are_of_the_design_columns_as_they_are() -> None:
    X, y, weight = people_of_three_columns(missing=0)
    of = learner(X, weight)
    fit = of.fit(of.design(X), y, weight, C)
    Z = design_columns(of.space.terms, X) - of.space.moments.mean
    np.testing.assert_allclose(fit.intercept + Z @ fit.weights, fit.margin(of.design(X)), atol=1e-9)


def test_all_penalties_of_a_path_are_what_each_fit_alone_gives() -> None:
    X, y, weight = people_of_three_columns()
    of = learner(X, weight, c=(0.01, 0.1, 1.0))
    design = of.design(X)
    path = list(of.fit_path(design, y, weight))
    assert [params for params, _ in path] == of.candidates() == [{"c": 0.01}, {"c": 0.1}, {"c": 1.0}]
    for params, fit in path:
        np.testing.assert_array_equal(fit.margin(design), of.fit(design, y, weight, params).margin(design))


def test_a_column_that_nobody_has_and_one_that_is_constant_change_nothing() -> None:
    X, y, weight = people_of_three_columns(missing=0)
    # Thirds have no exact sum: the weighted mean of a constant is not that constant to the last digit.
    weight = weight / 3
    X[:, 2], X[:, 1] = np.nan, 1.0
    of = learner(X, weight)
    fit = of.fit(of.design(X), y, weight, C)
    before = fit.margin(of.design(X))
    alone = X.copy()
    alone[:, 1] = 0.0
    np.testing.assert_allclose(margin(alone, y, weight), before, atol=1e-7)
    X[:, 2] = 40.0
    np.testing.assert_allclose(fit.margin(of.design(X)), before, atol=1e-7)
    X[:, 1] = 0.0
    np.testing.assert_allclose(fit.margin(of.design(X)), before, atol=1e-7)


def test_a_variable_with_few_values_gets_a_line_and_not_coinciding_knots() -> None:
    X, y, weight = people_of_three_columns(missing=0)
    X[:, 2] = np.where(X[:, 2] > 28, 2, 1)
    assert learner(X, weight).space.terms[2].knots == ()
    assert np.isfinite(margin(X, y, weight)).all()
