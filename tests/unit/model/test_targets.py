"""Targets: each has its own people and weights, and a proper score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import log_loss

from mgrisk.model.targets import OUTCOME, Target, weighted_log_loss
from mgrisk.survey.design import SurveyDesign, WeightLevel

people = st.lists(st.tuples(st.booleans(), st.floats(-8, 8), st.integers(1, 9)), min_size=2, max_size=20)


@given(people)
def test_log_loss_is_that_of_scikit_learn_with_sample_weights(rows: list[tuple[bool, float, int]]) -> None:
    y, margin, weight = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    expected = log_loss(y, expit(margin), sample_weight=weight, labels=[0, 1])
    assert weighted_log_loss(y, margin, weight) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(people, st.floats(1e-6, 1e6))
def test_log_loss_counts_a_weight_of_k_as_k_people_and_not_its_scale(
    rows: list[tuple[bool, float, int]], scale: float
) -> None:
    y, margin, weight = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    times = weight.astype(int)
    expected = weighted_log_loss(np.repeat(y, times), np.repeat(margin, times), np.ones(times.sum()))
    assert weighted_log_loss(y, margin, weight * scale) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_log_loss_is_exact_where_a_probability_would_be_rounded_to_one() -> None:
    assert weighted_log_loss(np.array([0.0, 1.0]), np.array([800.0, 800.0]), np.array([1.0, 3.0])) == 200.0


def target(kind: str) -> Target:
    design = SurveyDesign(
        [1.0, 2.0, 0.0, 4.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.FASTING, domain=[True, True, True, False]
    )
    value = np.array([0.0, 1.0, np.nan, np.nan])
    return Target(OUTCOME, "binary", value, design) if kind == "binary" else Target("x", "continuous", value, design)


def test_people_without_weight_or_outside_the_domain_are_not_learned_from() -> None:
    np.testing.assert_array_equal(target("binary").rows, [0, 1])


def test_the_score_is_weighted_log_loss_of_an_outcome_and_weighted_squared_error_of_a_measurement() -> None:
    margin = np.array([0.5, 2.0, np.nan, np.nan])
    rows = target("binary").rows
    assert target("binary").loss(margin, rows) == pytest.approx(
        log_loss([0, 1], expit(margin[:2]), sample_weight=[1, 2])
    )
    assert target("continuous").loss(margin, rows) == pytest.approx((0.5**2 + 2 * 1.0**2) / 3)
    assert (target("binary").measure, target("continuous").measure) == ("log_loss", "squared_error")
