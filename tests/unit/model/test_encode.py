"""Encoding learns nothing: columns follow from the registry, and a row from itself alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features.compute import typed
from mgrisk.features.registry import FEATURES, features
from mgrisk.model.encode import Encoder

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
