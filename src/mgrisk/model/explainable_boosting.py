"""Explainable boosting machines: shape functions on bins, fitted by the library interpret.

The linear predictor is the intercept plus one entry of each table; a table belongs to one column or to a pair.

The library's early stopping on a random part of the rows is off, since that part shares PSUs with the rest. The number
of rounds is a setting tuned on the design-based folds, and all rows are boosted. Source: Lou 2013, Accurate
intelligible models with pairwise interactions.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Self

import numpy as np
from pydantic import Field, model_validator

from mgrisk.config.checked import Checked, Finite, Increasing, same_length
from mgrisk.errors import MgRiskError
from mgrisk.model.learners import Column, Kind, Params, Pick, bad_model, mean_one, read_model
from mgrisk.types import Floats, Integers, Singles

FILE: Final = "shapes.json"


@dataclass(frozen=True, eq=False)
class Shape:
    """A table over the bins of one or two columns.

    Attributes
    ----------
    columns
        One or two encoded columns.
    cuts
        Increasing cut points of each column; a value equal to a cut belongs to the upper bin.
    scores
        Part of the margin by bin, one axis for each column: bin 0 is for missing values, bin 1 below the first cut.
    """

    columns: tuple[int, ...]
    cuts: tuple[Floats, ...]
    scores: Floats

    def bins(self, X: Singles) -> tuple[Integers, ...]:
        """Return the bin of each row of an encoded matrix (n, n_columns), shape (n,), for each column."""
        return tuple(
            np.where(np.isnan(x), 0, np.searchsorted(cuts, x, side="right") + 1)
            for x, cuts in zip((X[:, column].astype(np.float64) for column in self.columns), self.cuts, strict=True)
        )


@dataclass(frozen=True)
class FittedShapes:
    """A fitted sum of shape functions."""

    intercept: float
    shapes: tuple[Shape, ...]

    def margin(self, X: Singles) -> Floats:
        """Return the margin, shape (n,): log-odds before calibration, or the unit of a continuous target."""
        total = np.full(len(X), self.intercept)
        for shape in self.shapes:
            total += shape.scores[shape.bins(X)]
        return total

    def to_files(self) -> dict[str, bytes]:
        """Return shapes.json."""
        shapes = [
            {
                "columns": list(shape.columns),
                "cuts": [cuts.tolist() for cuts in shape.cuts],
                "scores": shape.scores.tolist(),
            }
            for shape in self.shapes
        ]
        return {FILE: json.dumps({"intercept": self.intercept, "shapes": shapes}).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, n_columns: int) -> FittedShapes:
        """Read shapes.json back.

        Raises
        ------
        MgRiskError
            `bundle.bad_model`.
        """
        found = read_model(_File.of, files, FILE)
        if any(column >= n_columns for shape in found.shapes for column in shape.columns):
            raise bad_model(FILE, "has tables of other columns than the bundle's features")
        return cls(found.intercept, tuple(shape.shape() for shape in found.shapes))


class _Shape(Checked):
    columns: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, max_length=2)
    cuts: list[Increasing] = Field(min_length=1, max_length=2)
    scores: list[Finite | list[Finite]]

    @model_validator(mode="after")
    def _of_the_same_bins(self) -> Self:
        same_length(columns=self.columns, cuts=self.cuts)
        bins = [len(cuts) + 2 for cuts in self.cuts]
        sizes = [len(each) if isinstance(each, list) else None for each in self.scores]
        if len(sizes) != bins[0] or set(sizes) != {bins[1] if len(bins) == 2 else None}:
            raise ValueError("scores has not an entry for each bin")
        return self

    def shape(self) -> Shape:
        return Shape(tuple(self.columns), tuple(np.array(cuts) for cuts in self.cuts), np.array(self.scores))


class _File(Checked):
    intercept: Finite
    shapes: list[_Shape]


@dataclass(frozen=True)
class ExplainableBoostingLearner:
    """An explainable boosting machine over a grid of rounds and interactions.

    Parameters
    ----------
    columns
        The encoded columns.
    rounds, interactions
        The grid: rounds of boosting over all columns, and the number of pairs of columns with a table.
    learning_rate, bins
        Learning rate; maximum number of bins of a column.
    seed
        Seed of the library.
    kind
        Kind of target.
    """

    columns: tuple[Column, ...]
    rounds: Sequence[int]
    interactions: Sequence[int]
    learning_rate: float
    bins: int
    seed: int
    kind: Kind = "binary"
    name: str = field(default="explainable_boosting", init=False)

    def at(self, pick: Pick) -> ExplainableBoostingLearner:
        """Return the algorithm with one value for each row of the grid."""
        return replace(
            self,
            rounds=(int(pick("rounds", self.rounds)),),
            interactions=(int(pick("interactions", self.interactions)),),
        )

    def design(self, X: Singles) -> Singles:
        """Return the encoded matrix itself: missing values have a bin of their own."""
        return X

    def candidates(self) -> Sequence[Params]:
        """Return every combination of the grid."""
        grid = itertools.product(self.rounds, self.interactions)
        return [{"rounds": rounds, "interactions": interactions} for rounds, interactions in grid]

    def fit(self, X: Singles, y: Floats, weight: Floats, params: Params) -> FittedShapes:
        """Fit one candidate.

        Raises
        ------
        MgRiskError
            `train.no_interpret` where the library is not installed.
        """
        machine = _machine(self.kind)(
            feature_names=[column.name for column in self.columns],
            feature_types=["continuous"] * len(self.columns),
            interactions=int(params["interactions"]),
            max_rounds=int(params["rounds"]),
            learning_rate=self.learning_rate,
            max_bins=self.bins,
            validation_size=0,
            outer_bags=1,
            early_stopping_rounds=0,
            n_jobs=1,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            # The warning concerns the library's plots, which are not used.
            warnings.filterwarnings("ignore", message="Missing values detected", category=UserWarning)
            machine.fit(X.astype(np.float64), y, sample_weight=mean_one(weight))
        return FittedShapes(float(np.ravel(machine.intercept_)[0]), tuple(_shapes(machine)))

    def fit_path(self, X: Singles, y: Floats, weight: Floats) -> Iterator[tuple[Params, FittedShapes]]:
        """Fit every candidate."""
        for params in self.candidates():
            yield params, self.fit(X, y, weight, params)


def _machine(kind: Kind) -> Any:
    try:
        from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor
    except ImportError:
        raise MgRiskError(
            "train.no_interpret",
            "the explainable boosting machine needs the library interpret",
            where="model.explainable_boosting",
            hint="pip install 'mgrisk[ebm]', or leave the section out",
        ) from None
    return ExplainableBoostingClassifier if kind == "binary" else ExplainableBoostingRegressor


def _shapes(machine: Any) -> Iterator[Shape]:
    for columns, scores in zip(machine.term_features_, machine.term_scores_, strict=True):
        # The library bins a column more coarsely for a pair than alone, where it has both binnings.
        cuts = [machine.bins_[column][min(len(columns), len(machine.bins_[column])) - 1] for column in columns]
        # The last bin along each axis is for unknown categories, which numbers do not have.
        known = np.array(scores[tuple(slice(0, -1) for _ in columns)], dtype=np.float64)
        yield Shape(tuple(columns), tuple(np.array(each, dtype=np.float64) for each in cuts), known)
