"""A random forest, grown by xgboost: many deep trees side by side, each on a sample of people and columns.

One round of parallel trees at learning rate 1 without penalty: each leaf is a Newton step from the prevalence, which
is an affine function of the leaf's weighted share of cases (Breiman 2001, Machine Learning 45:5, averages these
shares). The logistic recalibration of every margin turns it into a risk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.boosted_trees import FittedTrees, grow
from mgrisk.model.encode import Column
from mgrisk.model.learners import Params, Pick
from mgrisk.model.targets import Kind


@dataclass(frozen=True)
class RandomForestLearner:
    """A forest over a grid of depth and leaf size.

    Parameters
    ----------
    columns
        The encoded columns.
    depth, min_child_weight
        The grid; the second is in the unit of the loss's second derivative, weights of mean 1.
    trees
        Number of trees.
    subsample, columns_per_split
        Shares of rows offered to each tree and of columns offered to each split.
    seed, threads
        Seed of the sampling; threads used by xgboost.
    kind
        What it learns.
    """

    columns: tuple[Column, ...]
    depth: Sequence[int]
    min_child_weight: Sequence[float]
    trees: int
    subsample: float
    columns_per_split: float
    seed: int
    threads: int
    kind: Kind = "binary"
    name: str = field(default="random_forest", init=False)

    def at(self, pick: Pick) -> RandomForestLearner:
        """Return the learner with one value of each row of the grid."""
        return replace(
            self,
            depth=(int(pick("depth", self.depth)),),
            min_child_weight=(pick("min_child_weight", self.min_child_weight),),
        )

    def candidates(self) -> Sequence[Params]:
        """Return every combination of the grid."""
        grid = itertools.product(self.depth, self.min_child_weight)
        return [{"depth": depth, "min_child_weight": least} for depth, least in grid]

    def fit(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64], params: Params
    ) -> FittedTrees:
        """Fit one candidate."""
        settings = {
            "max_depth": int(params["depth"]),
            "learning_rate": 1.0,
            "min_child_weight": params["min_child_weight"],
            "reg_lambda": 0.0,
            "num_parallel_tree": self.trees,
            "subsample": self.subsample,
            "colsample_bynode": self.columns_per_split,
            "seed": self.seed,
            "nthread": self.threads,
        }
        return FittedTrees(grow(X, y, weight, columns=self.columns, kind=self.kind, rounds=1, settings=settings), 1)

    def fit_path(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> Iterator[tuple[Params, FittedTrees]]:
        """Fit every candidate."""
        for params in self.candidates():
            yield params, self.fit(X, y, weight, params)
