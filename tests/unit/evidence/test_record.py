from __future__ import annotations

import math

import pytest
from scipy.stats import t as student

from mgrisk.evidence.record import on_scale


def test_a_difference_stays_on_its_scale() -> None:
    found = on_scale(-0.2, 0.1, 30, "difference")
    assert found["estimate"] == -0.2
    assert found["high"] == pytest.approx(-0.2 + 0.1 * student.ppf(0.975, 30))


def test_p_below_5_percent_is_an_interval_without_the_null() -> None:
    for coefficient in (0.2, 0.21):
        found = on_scale(coefficient, 0.1, 30, "ratio")
        assert found["p"] is not None
        assert found["low"] is not None
        assert (found["p"] < 0.05) == (found["low"] > 1.0)


def test_what_is_undefined_has_no_number() -> None:
    assert on_scale(0.2, math.nan, 30, "ratio")["low"] is None
    assert on_scale(0.2, 0.1, 0, "ratio")["p"] is None
