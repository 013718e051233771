"""Agreement between two explanations of the same people, with values computed by hand.

Stability over refits: shares computed by hand, and the limits of no change and complete change.
"""

from __future__ import annotations

import numpy as np
import pytest

from mgrisk.explain.stability import across, compare, first_reason_stability, stability

MINE = np.array([[3.0, 1.0, 0.5, 0.1], [-3.0, 2.0, 0.5, 0.1], [0.1, 0.2, 0.3, 0.4]])
WEIGHT = np.array([1.0, 1.0, 2.0])


def test_an_explanation_agrees_with_itself_and_with_its_double() -> None:
    for other in (MINE, 2 * MINE):
        found = compare(MINE, other, WEIGHT)
        assert (found["same_first"], found["in_common"]) == (1, 1)
        assert [found["log_odds"], found["importance"], *found["features"]] == pytest.approx([1] * 6)


def test_a_reason_of_the_other_sign_is_not_the_same_reason() -> None:
    found = compare(MINE, -MINE, WEIGHT)
    assert (found["same_first"], found["in_common"]) == (0, 1)
    assert found["log_odds"] == pytest.approx(-1)


def test_shares_are_weighted() -> None:
    other = MINE.copy()
    other[2] = [0.4, 0.3, 0.2, 0.1]  # the heavy person's reasons turned round: two of three in common
    found = compare(MINE, other, WEIGHT)
    assert found["same_first"] == pytest.approx(0.5)
    assert found["in_common"] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_feature_that_one_model_does_not_use_has_no_correlation() -> None:
    other = MINE.copy()
    other[:, 1] = 0.0
    assert compare(MINE, other, WEIGHT)["features"][1] is None


def test_across_models_counts_who_keeps_the_first_reason_in_all_and_where_ranks_wander() -> None:
    turned = MINE.copy()
    turned[0] = [1.0, 3.0, 0.5, 0.1]
    swapped = MINE[:, [1, 0, 2, 3]]
    found = across(MINE, [turned, swapped], WEIGHT)
    assert found["models"] == 3
    assert found["always_first"] == pytest.approx(0.5)
    assert found["ranks"][0] == {"low": 1.0, "high": 2.0}
    assert found["ranks"][3] == {"low": 4.0, "high": 4.0}
    assert across(MINE, [2 * MINE], WEIGHT)["always_first"] == 1


REPORTED = np.array([[0.5, -0.1, 0.0], [0.1, -0.2, 0.0], [0.0, 0.3, -0.6]])
OTHER = np.array([[0.4, -0.2, 0.0], [0.3, -0.2, 0.1], [0.0, 0.3, 0.7]])
WEIGHT_STABILITY = np.array([1.0, 2.0, 5.0])


def test_firmness_counts_the_same_feature_with_the_same_sign() -> None:
    # The second person's first reason is another one, the third's has turned round.
    np.testing.assert_array_equal(first_reason_stability(REPORTED, [OTHER]), [1.0, 0.0, 0.0])
    np.testing.assert_allclose(first_reason_stability(REPORTED, [OTHER, REPORTED, REPORTED]), [1.0, 2 / 3, 2 / 3])


def test_a_refit_that_is_the_model_changes_nothing() -> None:
    found = stability(REPORTED, [REPORTED, REPORTED], WEIGHT_STABILITY)
    assert found["refits"] == 2
    assert found["same_first"] == found["in_common"] == found["always_first"] == 1.0
    assert found["log_odds"] == pytest.approx(1.0)
    assert [rank["low"] for rank in found["ranks"]] == [rank["high"] for rank in found["ranks"]] == [3.0, 2.0, 1.0]


def test_shares_are_weighted_and_averaged_over_refits() -> None:
    found = stability(REPORTED, [OTHER, REPORTED], WEIGHT_STABILITY)
    assert found["same_first"] == pytest.approx((1 / 8 + 1) / 2)
    # By feature alone, as the ranks are: the third person's first reason is of the same feature in both.
    assert found["always_first"] == pytest.approx(6 / 8)
    assert found["log_odds"] < 1.0


def test_the_same_first_reason_on_average_is_the_mean_firmness() -> None:
    random = np.random.default_rng(3)
    values, refits = random.normal(size=(50, 6)), [random.normal(size=(50, 6)) for _ in range(7)]
    weight = random.uniform(1, 3, 50)
    mean = float(np.average(first_reason_stability(values, refits), weights=weight))
    assert stability(values, refits, weight)["same_first"] == pytest.approx(mean)


def test_a_refit_that_learned_nothing_has_no_correlation_and_stops_no_run() -> None:
    nothing = np.zeros_like(REPORTED)
    assert stability(REPORTED, [REPORTED, nothing], WEIGHT_STABILITY)["log_odds"] is None
    assert stability(nothing, [nothing], WEIGHT_STABILITY)["log_odds"] is None
