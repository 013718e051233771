"""The Box-Cox scale: there and back, the floor, and the mean over days."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from mgrisk.errors import MgRiskError
from mgrisk.features.box_cox import BoxCox

POWERS = [0.0, 1e-9, 0.2, 0.33, 1.0]


@given(power=st.sampled_from(POWERS), amount=st.floats(1.0, 5000.0))
def test_there_and_back_is_where_one_was(power: float, amount: float) -> None:
    scale = BoxCox(power=power, floor=0.5)
    assert float(scale.inverse(scale.forward(amount))) == pytest.approx(amount, rel=1e-6)


def test_zero_is_taken_as_the_floor_and_nothing_comes_back_below_it() -> None:
    scale = BoxCox(power=0.3, floor=2.0)
    assert scale.forward([0.0, 1.0, 2.0]).tolist() == [float(scale.forward(2.0))] * 3
    np.testing.assert_allclose(scale.inverse([-1e6, -4.0]), 2.0)


def test_a_day_that_is_not_there_stays_so() -> None:
    scale = BoxCox(power=0.3, floor=2.0)
    assert np.isnan(scale.forward([np.nan])).all()
    assert np.isnan(scale.inverse([np.nan])).all()


# Not on the natural scale, where days below zero would be cut off at the floor.
@pytest.mark.parametrize("power", POWERS[:-1])
def test_the_mean_over_days_is_the_integral(power: float) -> None:
    scale = BoxCox(power=power, floor=0.5)
    # Day-to-day spread of about 36 % at 300 mg, as magnesium has.
    centre, spread = float(scale.forward(300.0)), 0.36 * 300.0**power
    exact = quad(lambda z: float(scale.inverse(centre + spread * z)) * norm.pdf(z), -12, 12, limit=200)[0]
    assert float(scale.expected(centre, variance=spread**2)) == pytest.approx(exact, rel=2e-6)


def test_the_mean_over_days_is_above_the_back_transformed_mean() -> None:
    scale = BoxCox(power=0.3, floor=0.5)
    centre = scale.forward([150.0, 300.0, 600.0])
    assert (scale.expected(centre, variance=3.8) > 1.02 * scale.inverse(centre)).all()


def test_without_scatter_the_mean_over_days_is_the_day() -> None:
    scale = BoxCox(power=0.3, floor=0.5)
    np.testing.assert_allclose(scale.expected(scale.forward([150.0, 300.0]), variance=0.0), [150.0, 300.0])


@pytest.mark.parametrize(
    ("power", "floor", "code"),
    [(-0.1, 1.0, "power"), (1.1, 1.0, "power"), (0.3, 0.0, "floor"), (0.3, np.nan, "floor")],
)
def test_a_scale_that_cannot_be_is_refused(power: float, floor: float, code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        BoxCox(power=power, floor=floor)
    assert refused.value.code == f"box_cox.bad_{code}"


def test_the_scale_goes_through_a_dict() -> None:
    scale = BoxCox(power=0.3, floor=2.0)
    assert BoxCox(**scale.to_dict()) == scale
