"""Restricted cubic splines against the textbook.

Compiled curves are the spline basis times its coefficients, for any knots, and a row's value is its own.

The spline logistic model: survey weights are people, missing is filled from training rows, files give it back.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LinearRegression

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import features
from mgrisk.model.learners import Encoder
from mgrisk.model.splines import (
    FILE,
    HARRELL_QUANTILES,
    Curves,
    FittedSplines,
    SplineDesign,
    SplineLearner,
    Term,
    basis,
    expand,
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


TERMS = (
    Term(20.0, (18.0, 22.0, 25.0, 29.0, 40.0)),
    Term(0.4, ()),
    Term(1.0, (1.0, 2.0)),
    Term(3.0, (-1.0, 0.0, 4.0)),
)
WIDTH = sum(term.width for term in TERMS)


def people(n: int) -> np.ndarray:
    random = np.random.default_rng(n)
    X = random.normal([25, 0, 1, 1], [15, 1, 2, 5], size=(n, 4)).astype(np.float32)
    X[random.random(X.shape) < 0.2] = np.nan
    return X


@pytest.mark.parametrize("n", [0, 1, 513, 2000])
def test_sums_are_those_of_the_design_columns(n: int) -> None:
    random = np.random.default_rng(1)
    weights, centre = random.normal(size=(WIDTH, 3)), random.normal(size=WIDTH)
    curves, X = Curves.of(TERMS, weights, centre), people(n)
    expected = (expand(TERMS, X) - centre) @ weights
    np.testing.assert_allclose(curves.sums(X).T, expected, rtol=0, atol=1e-10)


def test_parts_are_those_of_each_column_and_add_up() -> None:
    random = np.random.default_rng(2)
    weights, centre = random.normal(size=(WIDTH, 1)), random.normal(size=WIDTH)
    curves, X = Curves.of(TERMS, weights, centre), people(1000)
    design = (expand(TERMS, X) - centre) * weights[:, 0]
    ends = np.cumsum([term.width for term in TERMS])
    expected = np.column_stack([part.sum(axis=1) for part in np.split(design, ends[:-1], axis=1)])
    np.testing.assert_allclose(curves.parts(X), expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(curves.parts(X).sum(axis=1), curves.sums(X)[0], rtol=0, atol=1e-10)


@given(st.integers(1, 1100), st.integers(1, 40))
def test_a_rows_value_does_not_depend_on_the_rows_before_it(first: int, size: int) -> None:
    curves = Curves.of(TERMS, np.random.default_rng(3).normal(size=(WIDTH, 2)), np.zeros(WIDTH))
    X = people(1200)
    part = slice(first, first + size)
    np.testing.assert_array_equal(curves.sums(X)[:, part], curves.sums(X[part]))
    np.testing.assert_array_equal(curves.parts(X)[part], curves.parts(X[part]))


COLUMNS = Encoder(features(["age_years", "sex", "bmi_kg_m2"])).columns
LEARNER = SplineLearner(columns=COLUMNS, knots=4, c=(0.01, 0.1, 1.0))
C = {"c": 0.1}


def people_spline_regression(
    seed: int = 0, n: int = 240, *, missing: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = np.column_stack([random.uniform(20, 80, n), random.integers(0, 2, n), random.normal(28, 5, n)])
    y = (random.random(n) < 1 / (1 + np.exp(1.5 - 0.05 * (X[:, 0] - 50) - 0.1 * (X[:, 2] - 28)))).astype(float)
    X[random.random(X.shape) < missing] = np.nan
    return X.astype(np.float32), y, random.integers(1, 6, n).astype(float)


@settings(max_examples=15)
@given(scale=st.floats(1e-4, 1e6))
def test_margins_do_not_depend_on_the_scale_of_weights(scale: float) -> None:
    X, y, weight = people_spline_regression()
    plain = LEARNER.fit(X, y, weight, C).margin(X)
    np.testing.assert_allclose(LEARNER.fit(X, y, weight * scale, C).margin(X), plain, atol=1e-6)


def test_a_weight_of_k_counts_as_k_people() -> None:
    X, y, weight = people_spline_regression()
    times = weight.astype(int)
    # The penalty is per person: with more rows, each of weight 1, C is smaller by the mean weight.
    repeated = LEARNER.fit(
        np.repeat(X, times, axis=0), np.repeat(y, times), np.ones(times.sum()), {"c": C["c"] / weight.mean()}
    )
    weighted = LEARNER.fit(X, y, weight, C)
    assert repeated.terms == weighted.terms
    np.testing.assert_allclose(repeated.margin(X), weighted.margin(X), atol=1e-6)


def test_the_mean_risk_of_whom_it_was_fitted_on_is_their_weighted_prevalence() -> None:
    X, y, weight = people_spline_regression()
    risk = expit(LEARNER.fit(X, y, weight, C).margin(X))
    assert np.average(risk, weights=weight) == pytest.approx(np.average(y, weights=weight), abs=1e-5)


def test_the_fit_is_the_minimum_of_the_penalised_weighted_log_likelihood() -> None:
    X, y, weight = people_spline_regression()
    fitted = LEARNER.fit(X, y, weight, C)
    design = np.column_stack([term.expand(X[:, i].astype(float)) for i, term in enumerate(fitted.terms)])
    centre = np.average(design, axis=0, weights=weight)
    Z = (design - centre) / np.sqrt(np.average((design - centre) ** 2, axis=0, weights=weight))
    w = weight / weight.mean()

    def loss(b: np.ndarray) -> float:
        margin = b[0] + Z @ b[1:]
        return float(C["c"] * w @ (np.logaddexp(0, margin) - y * margin) + b[1:] @ b[1:] / 2)

    best = minimize(loss, np.zeros(1 + Z.shape[1]), method="BFGS", options={"gtol": 1e-9, "maxiter": 1000})
    np.testing.assert_allclose(fitted.margin(X), best.x[0] + Z @ best.x[1:], atol=1e-4)


def test_a_continuous_target_is_fitted_by_weighted_ridge_regression() -> None:
    X, _, weight = people_spline_regression()
    known = np.nan_to_num(X, nan=40.0).astype(np.float64)
    y = 0.02 * known[:, 0] + 0.1 * known[:, 2] + np.random.default_rng(4).normal(0, 0.1, len(X))
    linear = SplineLearner(columns=COLUMNS, knots=4, c=(0.1, 1e6), kind="continuous")
    loose, tight = (linear.fit(X, y, weight, {"c": c}) for c in (1e6, 0.01))
    design = SplineDesign.build(X, weight, columns=COLUMNS, knots=4).matrix
    line = LinearRegression().fit(design, y, sample_weight=weight).predict(design)
    np.testing.assert_allclose(loose.margin(X), line, atol=1e-5)
    assert np.average(tight.margin(X), weights=weight) == pytest.approx(np.average(y, weights=weight))
    assert np.std(tight.margin(X)) < np.std(loose.margin(X))
    assert (linear.name, LEARNER.name) == ("spline_linear", "spline_logistic")


def test_missing_values_are_filled_from_the_rows_that_were_fitted() -> None:
    X, y, weight = people_spline_regression(missing=0.2)
    fitted = LEARNER.fit(X, y, weight, C)
    for column, term in enumerate(fitted.terms):
        known = np.isfinite(X[:, column])
        values, share = X[known, column].astype(float), weight[known]
        binary = COLUMNS[column].level is not None
        expected = np.average(values, weights=share) if binary else weighted_quantile(values, share, (0.5,))[0]
        assert term.fill == pytest.approx(expected, rel=1e-12)
    assert fitted.terms != LEARNER.fit(X[:120], y[:120], weight[:120], C).terms


def test_a_missing_value_counts_as_the_value_that_is_filled_in() -> None:
    X, _, _ = people_spline_regression()
    filled = np.where(np.isnan(X), np.array([term.fill for term in FITTED.terms]), X)
    np.testing.assert_allclose(FITTED.margin(X), FITTED.margin(filled), atol=1e-5)


def test_a_row_that_is_scored_changes_no_margin_but_its_own() -> None:
    X, y, weight = people_spline_regression()
    fitted = LEARNER.fit(X[:120], y[:120], weight[:120], C)
    before = fitted.margin(X[120:])
    changed = X[120:].copy()
    changed[7] = [79, 1, 55]
    after = fitted.margin(changed)
    assert after[7] != before[7]
    np.testing.assert_array_equal(np.delete(after, 7), np.delete(before, 7))


@given(cut=st.integers(0, 240), seed=st.integers(0, 5))
def test_moving_a_chunk_boundary_does_not_change_margins(cut: int, seed: int) -> None:
    X, _, _ = people_spline_regression(seed)
    fitted = FITTED
    parts = np.concatenate([fitted.margin(X[:cut]), fitted.margin(X[cut:])])
    np.testing.assert_array_equal(parts, fitted.margin(X))


def test_contributions_of_columns_and_intercept_add_up_to_the_margin() -> None:
    X, _, _ = people_spline_regression()
    np.testing.assert_allclose(FITTED.intercept + FITTED.contributions(X).sum(axis=1), FITTED.margin(X), atol=1e-12)


def test_a_number_is_a_straight_line_beyond_its_outer_knots() -> None:
    knots = FITTED.terms[0].knots
    ages = np.concatenate([np.linspace(0, knots[0], 5), np.linspace(knots[-1], 110, 5)])
    X = np.column_stack([ages, np.zeros(10), np.full(10, 28.0)]).astype(np.float32)
    part = FITTED.contributions(X)[:, 0]
    for piece in (part[:5], part[5:]):
        np.testing.assert_allclose(np.diff(piece, n=2), 0, atol=1e-5)


def test_all_penalties_of_a_path_are_what_each_fit_alone_gives() -> None:
    X, y, weight = people_spline_regression()
    path = dict(zip(LEARNER.c, [fitted for _, fitted in LEARNER.fit_path(X, y, weight)], strict=True))
    for params in LEARNER.candidates():
        np.testing.assert_array_equal(path[params["c"]].margin(X), LEARNER.fit(X, y, weight, params).margin(X))


def test_a_column_that_nobody_has_and_one_that_is_constant_change_nothing() -> None:
    X, y, weight = people_spline_regression(missing=0)
    X[:, 2], X[:, 1] = np.nan, 1.0
    fitted = LEARNER.fit(X, y, weight, C)
    margin = fitted.margin(X)
    assert np.isfinite(margin).all()
    X[:, 2] = 40.0
    np.testing.assert_allclose(fitted.margin(X), margin, atol=1e-12)


def test_a_variable_with_few_values_gets_a_line_and_not_coinciding_knots() -> None:
    X, y, weight = people_spline_regression(missing=0)
    X[:, 2] = np.where(X[:, 2] > 28, 2, 1)
    fitted = LEARNER.fit(X, y, weight, C)
    assert fitted.terms[2].knots == ()
    assert np.isfinite(fitted.margin(X)).all()


def test_files_give_the_same_margins_back_bit_for_bit() -> None:
    X, _, _ = people_spline_regression(9)
    back = FittedSplines.from_files(FITTED.to_files(), n_columns=3)
    np.testing.assert_array_equal(back.margin(X), FITTED.margin(X))


def damaged(**changes: object) -> bytes:
    return json.dumps({**json.loads(FITTED.to_files()[FILE]), **changes}).encode()


FITTED = LEARNER.fit(*people_spline_regression(), C)
TERMS_SPLINE_REGRESSION = json.loads(FITTED.to_files()[FILE])["terms"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {FILE: b""},
        {FILE: b"\xff\xfe"},
        {FILE: FITTED.to_files()[FILE][:-40]},
        {FILE: b"[1, 2]"},
        {FILE: damaged(coefficients=[1.0])},
        {FILE: damaged(coefficients="many")},
        {FILE: damaged(centre=[[0.0]])},
        {FILE: damaged(intercept=None)},
        {FILE: damaged(intercept=float("nan"))},
        {FILE: damaged(terms=TERMS_SPLINE_REGRESSION[:2])},
        {FILE: damaged(terms=[{**TERMS_SPLINE_REGRESSION[0], "fill": float("inf")}, *TERMS_SPLINE_REGRESSION[1:]])},
        {
            FILE: damaged(
                terms=[
                    {**TERMS_SPLINE_REGRESSION[0], "knots": [*TERMS_SPLINE_REGRESSION[0]["knots"][:-1], float("nan")]},
                    *TERMS_SPLINE_REGRESSION[1:],
                ]
            )
        },
        {
            FILE: damaged(
                terms=[
                    {**TERMS_SPLINE_REGRESSION[0], "knots": TERMS_SPLINE_REGRESSION[0]["knots"][::-1]},
                    *TERMS_SPLINE_REGRESSION[1:],
                ]
            )
        },
        {FILE: damaged(terms=["x", "y", "z"])},
    ],
    ids=range(15),
)
def test_damaged_coefficients_are_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(MgRiskError) as caught:
        FittedSplines.from_files(files, n_columns=3)
    assert caught.value.code == "bundle.bad_model"
    assert caught.value.status == ExitStatus.BUNDLE


def test_coefficients_of_other_columns_are_refused() -> None:
    with pytest.raises(MgRiskError, match="other columns"):
        FittedSplines.from_files(FITTED.to_files(), n_columns=4)
