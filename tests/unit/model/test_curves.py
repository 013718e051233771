"""Compiled curves are the spline basis times its coefficients, for any knots, and a row's value is its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.model.curves import Curves
from mgrisk.model.splines import Term, expand

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
