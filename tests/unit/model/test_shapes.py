"""Shape functions: one entry of each table, missing in a bin of its own, and files that give them back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.shapes import FILE, FittedShapes, Shape

AGE = Shape((0,), (np.array([40.0, 60.0]),), np.array([9.0, 0.0, 1.0, 2.0]))
BOTH = Shape((0, 1), (np.array([50.0]), np.array([0.5])), np.arange(9.0).reshape(3, 3) * 100)
FITTED = FittedShapes(-1.0, (AGE, BOTH))


@pytest.mark.parametrize(
    ("person", "margin"),
    [
        ((39.9, 0.0), -1 + 0 + 400),
        ((40.0, 0.0), -1 + 1 + 400),  # a value at a cut lies above it
        ((60.0, 1.0), -1 + 2 + 800),
        ((np.nan, 1.0), -1 + 9 + 200),
        ((50.0, np.nan), -1 + 1 + 600),
        ((np.nan, np.nan), -1 + 9 + 0),
        ((1e30, -1e30), -1 + 2 + 700),
    ],
)
def test_the_margin_is_the_intercept_and_one_entry_of_each_table(person: tuple[float, float], margin: float) -> None:
    assert FITTED.margin(np.array([person], dtype=np.float32)).tolist() == [margin]


def test_files_give_the_same_margins_back() -> None:
    X = np.random.default_rng(1).normal(50, 20, (50, 2)).astype(np.float32)
    X[::7] = np.nan
    back = FittedShapes.from_files(FITTED.to_files(), n_columns=2)
    np.testing.assert_array_equal(back.margin(X), FITTED.margin(X))


def damaged(**change: object) -> bytes:
    content = json.loads(FITTED.to_files()[FILE])
    content["shapes"][0] |= change
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", damaged(columns=[2]), damaged(columns=[-1]), damaged(columns=[0, 1]), damaged(columns=[]),
     damaged(cuts=[[60.0, 40.0]]), damaged(cuts=[[40.0]]), damaged(scores=[9.0, 0.0, 1.0, float("nan")]),
     damaged(scores=[[9.0], [0.0], [1.0], [2.0]]), damaged(scores="x")],
)  # fmt: skip
def test_damaged_shapes_are_refused(content: bytes) -> None:
    with pytest.raises(MgRiskError) as caught:
        FittedShapes.from_files({FILE: content}, n_columns=2)
    assert caught.value.code == "bundle.bad_model"
