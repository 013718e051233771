"""Two explanations of the same people, compared by numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mgrisk.explain.agreement import across, compare

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
