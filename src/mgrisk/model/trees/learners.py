"""Tree ensembles grown by xgboost through its native interface: gradient-boosted trees and a random forest.

Trees are grown with survey weights and give the linear predictor. The forest is one round of many deep parallel trees
at learning rate 1 without penalty, each on a sample of people and columns. Each leaf is a Newton step from the
prevalence, an affine function of the leaf's weighted share of cases (Breiman 2001, Machine Learning 45:5, averages
these shares). The logistic recalibration turns it into a risk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mgrisk.model.learners import Column, Kind, Params, Pick, bad_model, mean_one
from mgrisk.model.trees import document
from mgrisk.model.trees.leaves import LeafSums
from mgrisk.types import Floats, Singles

if TYPE_CHECKING:
    import xgboost

FILE = "model.ubj"
OBJECTIVES: Mapping[Kind, str] = {"binary": "binary:logistic", "continuous": "reg:squarederror"}


@dataclass(frozen=True)
class FittedTrees:
    """A fitted ensemble: the first trees of a booster.

    Attributes
    ----------
    booster
        The xgboost ensemble.
    trees
        Number of its trees that are used.
    sums
        All of its trees as look-up tables, which compute the same margin faster; None where that is not possible.
    """

    booster: xgboost.Booster
    trees: int
    sums: LeafSums | None = None

    def margin(self, X: Singles) -> Floats:
        """Return the margin, shape (n,): log-odds before calibration, or the unit of a continuous target."""
        if self.sums is not None:
            return self.sums.margin(X).astype(np.float64)
        if not len(X):
            return np.empty(0)
        margin: Singles = self.booster.inplace_predict(X, predict_type="margin", iteration_range=(0, self.trees))
        return margin.astype(np.float64)

    def to_files(self) -> dict[str, bytes]:
        """Return model.ubj, with the used trees alone."""
        return {FILE: bytes(self.booster[: self.trees].save_raw("ubj"))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, n_columns: int, threads: int) -> FittedTrees:
        """Read model.ubj back.

        Raises
        ------
        MgRiskError
            `bundle.bad_model` where it is not what xgboost writes (`trees.document`) or was made for other columns.
        """
        import xgboost  # half a second, which models without trees do without

        booster = xgboost.Booster()
        content = files.get(FILE, b"")
        try:
            document.check(content, n_columns=n_columns, objectives=OBJECTIVES.values())
        except ValueError as problem:
            raise bad_model(FILE, f"cannot be read: {problem}") from None
        try:
            booster.load_model(bytearray(content))
            booster.set_param({"nthread": threads})
            # xgboost reads some of what it has loaded only at the first call.
            return cls(booster, booster.num_boosted_rounds(), LeafSums.of(booster))
        except (UnicodeDecodeError, xgboost.core.XGBoostError) as problem:
            first_line = str(problem).strip().splitlines()[0]
            raise bad_model(FILE, f"cannot be read: {first_line}") from None


def grow(
    X: Singles,
    y: Floats,
    weight: Floats,
    *,
    columns: Sequence[Column],
    kind: Kind,
    rounds: int,
    settings: Mapping[str, Any],
) -> xgboost.Booster:
    """Grow trees on survey-weighted rows.

    Parameters
    ----------
    X, y, weight
        Encoded matrix (n, n_columns), target (n,) and positive survey weights (n,), which are scaled to mean 1.
    columns, kind
        The encoded columns; the kind of target.
    rounds, settings
        Rounds of boosting, and further settings under xgboost's own names.
    """
    import xgboost  # half a second, which models without trees do without

    names = [column.name for column in columns]
    data = xgboost.DMatrix(X, label=y, weight=mean_one(weight), feature_names=names)
    every = {"objective": OBJECTIVES[kind], "tree_method": "hist"}
    return xgboost.train({**every, **settings}, data, num_boost_round=rounds)


@dataclass(frozen=True)
class BoostedTreesLearner:
    """Boosted trees of xgboost over a grid; all ensemble sizes of a setting share one fit.

    Parameters
    ----------
    columns
        The encoded columns.
    depth, learning_rate, min_child_weight, l2, trees
        The grid.
    subsample, columns_per_tree
        Shares of rows and columns offered to each tree.
    seed, threads
        Seed of the sampling; threads used by xgboost.
    kind
        Kind of target: an outcome (logistic loss) or a continuous target (squared error).
    monotone
        By column: 1 where the margin must not decrease with it, -1 where it must not increase.
    """

    columns: tuple[Column, ...]
    depth: Sequence[int]
    learning_rate: Sequence[float]
    min_child_weight: Sequence[float]
    l2: Sequence[float]
    trees: Sequence[int]
    subsample: float
    columns_per_tree: float
    seed: int
    threads: int
    kind: Kind = "binary"
    monotone: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the algorithm, another one with constraints."""
        return "xgboost_monotone" if self.monotone else "xgboost"

    def _settings(self) -> list[dict[str, float]]:
        names = ("depth", "learning_rate", "min_child_weight", "l2")
        grid = itertools.product(self.depth, self.learning_rate, self.min_child_weight, self.l2)
        return [dict(zip(names, values, strict=True)) for values in grid]

    def at(self, pick: Pick) -> BoostedTreesLearner:
        """Return the algorithm with one value for each row of the grid and all ensemble sizes."""
        return replace(
            self,
            depth=(int(pick("depth", self.depth)),),
            learning_rate=(pick("learning_rate", self.learning_rate),),
            min_child_weight=(pick("min_child_weight", self.min_child_weight),),
            l2=(pick("l2", self.l2),),
        )

    def design(self, X: Singles) -> Singles:
        """Return the encoded matrix itself: xgboost handles missing values."""
        return X

    def candidates(self) -> Sequence[Params]:
        """Return every combination of the grid."""
        return [setting | {"trees": trees} for setting in self._settings() for trees in self.trees]

    def fit(self, X: Singles, y: Floats, weight: Floats, params: Params) -> FittedTrees:
        """Fit one candidate."""
        trees = int(params["trees"])
        return FittedTrees(self._train(X, y, weight, params, trees=trees), trees)

    def fit_path(self, X: Singles, y: Floats, weight: Floats) -> Iterator[tuple[Params, FittedTrees]]:
        """Fit each setting once with the most trees and yield all its sizes."""
        for setting in self._settings():
            booster = self._train(X, y, weight, setting, trees=max(self.trees))
            for trees in self.trees:
                yield setting | {"trees": trees}, FittedTrees(booster, trees)

    def _train(
        self,
        X: Singles,
        y: Floats,
        weight: Floats,
        params: Params,
        *,
        trees: int,
    ) -> xgboost.Booster:
        settings = {
            "max_depth": int(params["depth"]),
            "learning_rate": params["learning_rate"],
            "min_child_weight": params["min_child_weight"],
            "reg_lambda": params["l2"],
            "subsample": self.subsample,
            "colsample_bytree": self.columns_per_tree,
            "seed": self.seed,
            "nthread": self.threads,
            "monotone_constraints": tuple(self.monotone.get(column.name, 0) for column in self.columns),
        }
        return grow(X, y, weight, columns=self.columns, kind=self.kind, rounds=trees, settings=settings)


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
        Kind of target.
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
        """Return the algorithm with one value for each row of the grid."""
        return replace(
            self,
            depth=(int(pick("depth", self.depth)),),
            min_child_weight=(pick("min_child_weight", self.min_child_weight),),
        )

    def design(self, X: Singles) -> Singles:
        """Return the encoded matrix itself: xgboost handles missing values."""
        return X

    def candidates(self) -> Sequence[Params]:
        """Return every combination of the grid."""
        grid = itertools.product(self.depth, self.min_child_weight)
        return [{"depth": depth, "min_child_weight": least} for depth, least in grid]

    def fit(self, X: Singles, y: Floats, weight: Floats, params: Params) -> FittedTrees:
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

    def fit_path(self, X: Singles, y: Floats, weight: Floats) -> Iterator[tuple[Params, FittedTrees]]:
        """Fit every candidate."""
        for params in self.candidates():
            yield params, self.fit(X, y, weight, params)
