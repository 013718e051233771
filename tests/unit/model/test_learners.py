"""Targets have their own people, weights and proper score.

Encoding has no fitted state: columns follow from the registry, and a row does not depend on others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import log_loss

from mgrisk.features.compute import typed
from mgrisk.features.registry import FEATURES, features
from mgrisk.model.learners import OUTCOME, Encoder, Target, weighted_log_loss
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


NAN = float("nan")
CHOSEN = features(["sex", "bmi_kg_m2", "smoking"])
ENCODER = Encoder(CHOSEN)


def frame(*rows: tuple[object, object, object]) -> pd.DataFrame:
    return typed(pd.DataFrame(rows, columns=[feature.name for feature in CHOSEN]), CHOSEN)


def test_a_number_is_a_column_two_levels_are_one_and_more_levels_are_one_each() -> None:
    assert [(column.name, column.owner, column.level) for column in ENCODER.columns] == [
        ("sex=male", 0, "male"),
        ("bmi_kg_m2", 1, None),
        ("smoking=never", 2, "never"),
        ("smoking=former", 2, "former"),
        ("smoking=current", 2, "current"),
    ]
    assert ENCODER.owners.tolist() == [0, 1, 2, 2, 2]


def test_values_and_levels_stand_in_their_columns_and_missing_is_missing_in_all_of_a_feature() -> None:
    matrix = ENCODER.matrix(frame(("male", 31.5, "former"), ("female", NAN, "never"), (None, 20.0, None)))
    np.testing.assert_array_equal(matrix, [[1, 31.5, 0, 1, 0], [0, NAN, 1, 0, 0], [NAN, 20, NAN, NAN, NAN]])
    assert matrix.dtype == np.float32
    assert matrix.flags.f_contiguous


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["male", "female", None]),
            st.none() | st.floats(10, 150),
            st.sampled_from(["never", "former", "current", None]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_row_is_encoded_from_itself_alone(rows: list[tuple[object, object, object]]) -> None:
    together = ENCODER.matrix(frame(*rows))
    alone = np.concatenate([ENCODER.matrix(frame(row)) for row in rows])
    np.testing.assert_array_equal(together, alone)


def test_columns_do_not_depend_on_which_levels_are_there() -> None:
    assert ENCODER.matrix(frame(("male", 30.0, "never"))).shape == (1, 5)
    assert ENCODER.matrix(frame().iloc[:0]).shape == (0, 5)


def test_every_feature_of_the_registry_owns_at_least_one_column_of_its_own_name() -> None:
    encoder = Encoder(tuple(FEATURES.values()))
    names = [column.name for column in encoder.columns]
    assert len(set(names)) == len(names)
    assert set(encoder.owners.tolist()) == set(range(len(FEATURES)))
