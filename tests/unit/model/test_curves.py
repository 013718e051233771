"""Compiled curves are the spline basis times its coefficients, for any knots, independent of other rows.

Spline models of format 1: missing values are replaced as in format 1, and files restore the linear predictors.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import features
from mgrisk.model.curves import FILE, Curves, FittedSplines
from mgrisk.model.learners import Encoder
from mgrisk.model.splines import Term, expand, fit_terms

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


def of_three_columns(seed: int = 0, n: int = 240) -> np.ndarray:
    random = np.random.default_rng(seed)
    X = np.column_stack([random.uniform(20, 80, n), random.integers(0, 2, n), random.normal(28, 5, n)])
    X[random.random(X.shape) < 0.1] = np.nan
    return X.astype(np.float32)


def fitted_splines() -> FittedSplines:
    random, X = np.random.default_rng(7), of_three_columns()
    terms = fit_terms(COLUMNS, X, np.ones(len(X)), knots=4)
    centre = expand(terms, X).mean(axis=0)
    return FittedSplines(terms, -1.5, random.normal(size=len(centre)) / 20, centre)


FITTED = fitted_splines()
TERMS_OF_FITTED = json.loads(FITTED.to_files()[FILE])["terms"]


def damaged(**changes: object) -> bytes:
    return json.dumps({**json.loads(FITTED.to_files()[FILE]), **changes}).encode()


def test_the_margin_is_the_intercept_and_the_weighted_design_columns() -> None:
    X = of_three_columns()
    expected = FITTED.intercept + (expand(FITTED.terms, X) - FITTED.centre) @ FITTED.coefficients
    np.testing.assert_allclose(FITTED.margin(X), expected, atol=1e-10)


def test_a_missing_value_counts_as_the_value_that_is_filled_in() -> None:
    X = of_three_columns()
    filled = np.where(np.isnan(X), np.array([term.fill for term in FITTED.terms]), X)
    np.testing.assert_allclose(FITTED.margin(X), FITTED.margin(filled), atol=1e-5)


def test_a_row_that_is_scored_changes_no_margin_but_its_own() -> None:
    X = of_three_columns()
    before = FITTED.margin(X[120:])
    changed = X[120:].copy()
    changed[7] = [79, 1, 55]
    after = FITTED.margin(changed)
    assert after[7] != before[7]
    np.testing.assert_array_equal(np.delete(after, 7), np.delete(before, 7))


@given(cut=st.integers(0, 240), seed=st.integers(0, 5))
def test_moving_a_chunk_boundary_does_not_change_margins(cut: int, seed: int) -> None:
    X = of_three_columns(seed)
    parts = np.concatenate([FITTED.margin(X[:cut]), FITTED.margin(X[cut:])])
    np.testing.assert_array_equal(parts, FITTED.margin(X))


def test_contributions_of_columns_and_intercept_add_up_to_the_margin() -> None:
    X = of_three_columns()
    np.testing.assert_allclose(FITTED.intercept + FITTED.contributions(X).sum(axis=1), FITTED.margin(X), atol=1e-12)


def test_a_number_is_a_straight_line_beyond_its_outer_knots() -> None:
    knots = FITTED.terms[0].knots
    ages = np.concatenate([np.linspace(0, knots[0], 5), np.linspace(knots[-1], 110, 5)])
    X = np.column_stack([ages, np.zeros(10), np.full(10, 28.0)]).astype(np.float32)
    part = FITTED.contributions(X)[:, 0]
    for piece in (part[:5], part[5:]):
        np.testing.assert_allclose(np.diff(piece, n=2), 0, atol=1e-5)


def test_files_give_the_same_margins_back_bit_for_bit() -> None:
    X = of_three_columns(9)
    back = FittedSplines.from_files(FITTED.to_files(), n_columns=3)
    np.testing.assert_array_equal(back.margin(X), FITTED.margin(X))


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
        {FILE: damaged(terms=TERMS_OF_FITTED[:2])},
        {FILE: damaged(terms=[{**TERMS_OF_FITTED[0], "fill": float("inf")}, *TERMS_OF_FITTED[1:]])},
        {
            FILE: damaged(
                terms=[
                    {**TERMS_OF_FITTED[0], "knots": [*TERMS_OF_FITTED[0]["knots"][:-1], float("nan")]},
                    *TERMS_OF_FITTED[1:],
                ]
            )
        },
        {
            FILE: damaged(
                terms=[
                    {**TERMS_OF_FITTED[0], "knots": TERMS_OF_FITTED[0]["knots"][::-1]},
                    *TERMS_OF_FITTED[1:],
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
