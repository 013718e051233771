"""The flexible calibration curve: Harrell's basis, and detection of non-linear miscalibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from mgrisk.evaluate.calibration_curve import fit_curve, spline_basis

KNOTS = np.array([-2.0, -1.0, 0.5, 2.0])


def test_the_basis_is_that_of_harrell(golden: dict[str, Any]) -> None:
    ours = spline_basis(np.array([-3.0, -1.5, 0.0, 1.0, 3.0]), KNOTS)
    np.testing.assert_array_equal(ours[:, 0], 1.0)
    np.testing.assert_allclose(ours[:, 1:], golden["spline_basis"], rtol=1e-12, atol=1e-14)


def test_the_spline_is_straight_beyond_its_outer_knots() -> None:
    for x in (np.linspace(-9, -2, 8), np.linspace(2, 9, 8)):
        np.testing.assert_allclose(np.diff(spline_basis(x, KNOTS), n=2, axis=0), 0.0, atol=1e-9)
    inside = np.diff(spline_basis(np.linspace(-1.9, 1.9, 20), KNOTS), n=2, axis=0)
    assert np.abs(inside[:, 2:]).max() > 1e-3


def test_the_spline_has_no_steps_and_no_kinks() -> None:
    h = 1e-6
    for knot in KNOTS:
        left, here, right = spline_basis(np.array([knot - h, knot, knot + h]), KNOTS)
        np.testing.assert_allclose((here - left) / h, (right - here) / h, atol=1e-4)


@pytest.mark.parametrize(("knots", "columns"), [(0, 1), (1, 2), (4, 4)])
def test_fewer_knots_make_a_line_or_a_constant(knots: int, columns: int) -> None:
    assert spline_basis(np.arange(6.0), KNOTS[:knots]).shape == (6, columns)


@pytest.mark.parametrize(
    ("x", "knots"),
    [
        (np.zeros(60), 0),
        (np.tile([0.0, 1.0, 2.0], 20), 1),
        (np.concatenate((np.zeros(56), np.arange(1.0, 5.0))), 1),
        (np.linspace(-2.0, 2.0, 60), 4),
    ],
)
def test_few_distinct_risks_get_a_simpler_curve(x: np.ndarray, knots: int) -> None:
    y = (np.arange(60) % 7 < 3).astype(float)
    assert fit_curve(y, x, np.ones(60)).knots.size == knots


def test_the_curve_finds_a_bent_truth() -> None:
    x = np.repeat(np.linspace(-3.0, 1.0, 400), 2)
    y = np.tile([1.0, 0.0], 400)
    truth = expit(0.3 * x - 0.25 * x**2)
    curve = fit_curve(y, x, np.where(y == 1, truth, 1 - truth))
    np.testing.assert_allclose(curve.observed(x), truth, atol=0.02)
    np.testing.assert_allclose(expit(curve.log_odds(x)), curve.observed(x))
