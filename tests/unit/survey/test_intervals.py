from __future__ import annotations

import numpy as np
import pytest

from mgrisk.survey.intervals import logit_interval, t_quantile


def test_critical_values_are_those_of_t_tables() -> None:
    assert t_quantile(0.95, 15) == pytest.approx(2.131450, abs=1e-6)
    assert t_quantile(0.90, 62) == pytest.approx(1.669804, abs=1e-6)


@pytest.mark.parametrize("df", [0, -1])
def test_no_degrees_of_freedom_give_no_interval(df: int) -> None:
    assert np.isnan(t_quantile(0.95, df))


@pytest.mark.parametrize("estimate", [0.0, 1.0, -0.1, float("nan")])
def test_nothing_outside_0_and_1_has_a_logit_interval(estimate: float) -> None:
    assert np.isnan(logit_interval(estimate, 0.1, level=0.95, df=15)).all()


def test_the_logit_interval_mirrors_itself() -> None:
    low, high = logit_interval(0.1, 0.02, level=0.95, df=15)
    mirrored_low, mirrored_high = logit_interval(0.9, 0.02, level=0.95, df=15)
    assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low))
    assert high - 0.1 > 0.1 - low
