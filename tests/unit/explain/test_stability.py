"""Reasons over refits: shares by hand, and the limits of no change and of nothing but change."""

from __future__ import annotations

import numpy as np
import pytest

from mgrisk.explain.stability import firmness, stability

REPORTED = np.array([[0.5, -0.1, 0.0], [0.1, -0.2, 0.0], [0.0, 0.3, -0.6]])
OTHER = np.array([[0.4, -0.2, 0.0], [0.3, -0.2, 0.1], [0.0, 0.3, 0.7]])
WEIGHT = np.array([1.0, 2.0, 5.0])


def test_firmness_counts_the_same_feature_with_the_same_sign() -> None:
    # The second person's first reason is another one, the third's has turned round.
    np.testing.assert_array_equal(firmness(REPORTED, [OTHER]), [1.0, 0.0, 0.0])
    np.testing.assert_allclose(firmness(REPORTED, [OTHER, REPORTED, REPORTED]), [1.0, 2 / 3, 2 / 3])


def test_a_refit_that_is_the_model_changes_nothing() -> None:
    found = stability(REPORTED, [REPORTED, REPORTED], WEIGHT)
    assert found["refits"] == 2
    assert found["same_first"] == found["in_common"] == found["always_first"] == 1.0
    assert found["log_odds"] == pytest.approx(1.0)
    assert [rank["low"] for rank in found["ranks"]] == [rank["high"] for rank in found["ranks"]] == [3.0, 2.0, 1.0]


def test_shares_are_weighted_and_averaged_over_refits() -> None:
    found = stability(REPORTED, [OTHER, REPORTED], WEIGHT)
    assert found["same_first"] == pytest.approx((1 / 8 + 1) / 2)
    # By feature alone, as the ranks are: the third person's first reason is of the same feature in both.
    assert found["always_first"] == pytest.approx(6 / 8)
    assert found["log_odds"] < 1.0


def test_the_same_first_reason_on_average_is_the_mean_firmness() -> None:
    random = np.random.default_rng(3)
    values, refits = random.normal(size=(50, 6)), [random.normal(size=(50, 6)) for _ in range(7)]
    weight = random.uniform(1, 3, 50)
    mean = float(np.average(firmness(values, refits), weights=weight))
    assert stability(values, refits, weight)["same_first"] == pytest.approx(mean)
