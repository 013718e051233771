"""Linear predictors by look-up equal those of xgboost bit for bit, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from mgrisk.model.trees.leaves import LeafSums


def people(rows: int, *, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 5)).astype(np.float32)
    X[:, 4] = random.integers(0, 3, rows)
    X[random.random(X.shape) < 0.2] = np.nan
    return X


def trained(*, depth: int, seed: int, trees: int = 40, **settings: object) -> xgboost.Booster:
    X = people(600, seed=seed)
    y = (np.nan_to_num(X[:, 0] + X[:, 1] * X[:, 4]) > 0.3).astype(np.float32)
    parameters = {"objective": "binary:logistic", "max_depth": depth, "eta": 0.3, "nthread": 1, **settings}
    return xgboost.train(parameters, xgboost.DMatrix(X, y), trees)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_margin_is_xgboosts_bit_for_bit(depth: int, seed: int) -> None:
    booster = trained(depth=depth, seed=seed)
    sums = LeafSums.of(booster)
    assert sums is not None
    for rows in (0, 1, 511, 1500):
        X = people(rows, seed=100 + seed)
        expected = booster.inplace_predict(X, predict_type="margin") if rows else np.empty(0)
        np.testing.assert_array_equal(sums.margin(X), expected)


def test_what_it_cannot_do_is_left_to_xgboost() -> None:
    assert LeafSums.of(trained(depth=10, seed=1, min_child_weight=0)) is None
    assert LeafSums.of(trained(depth=2, seed=1, objective="reg:squaredlogerror")) is None
    assert LeafSums.of(trained(depth=2, seed=1, gamma=1e9)) is None


def test_a_row_does_not_depend_on_where_it_stands() -> None:
    sums = LeafSums.of(trained(depth=4, seed=5))
    assert sums is not None
    X = people(1200, seed=9)
    np.testing.assert_array_equal(sums.margin(X[::-1].copy())[::-1], sums.margin(X))
