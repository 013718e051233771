from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mgrisk.survey.cubic_spline import HARRELL_QUANTILES, basis


def test_the_columns_are_those_of_rcspline_eval(golden: dict[str, Any]) -> None:
    ours = basis(np.array([-3.0, -1.5, 0.0, 1.0, 3.0]), np.array([-2.0, -1.0, 0.5, 2.0]))
    np.testing.assert_allclose(ours, golden["spline_basis"], rtol=1e-12, atol=1e-14)


def test_fewer_than_three_knots_are_a_straight_line() -> None:
    assert basis(np.arange(4.0), np.array([1.0, 2.0])).tolist() == [[0.0], [1.0], [2.0], [3.0]]


@pytest.mark.parametrize("knots", HARRELL_QUANTILES)
def test_harrells_quantiles_are_as_many_as_they_say_and_symmetric(knots: int) -> None:
    places = np.array(HARRELL_QUANTILES[knots])
    assert places.size == knots
    np.testing.assert_allclose(places + places[::-1], 1.0, atol=1e-4)
