"""Restricted cubic splines against the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.model.spline import HARRELL_QUANTILES, basis

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
