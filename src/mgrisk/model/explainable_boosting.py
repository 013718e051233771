"""Explainable boosting machines: shape functions on bins, fitted by the library interpret.

The linear predictor is the intercept and one entry of each table; a table belongs to one column, or to a pair of them.

The machine is fitted without its early stopping on a random part of the rows: neighbours of one PSU must not decide
when to stop. The number of rounds is a setting, tried on the design-based folds like any other, and all rows are
boosted. Source: Lou 2013, Accurate intelligible models with pairwise interactions.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from mgrisk.errors import MgRiskError
from mgrisk.model.learners import Column, Kind, Params, Pick, bad_model, mean_one
from mgrisk.types import Floats, Integers, Singles

FILE: Final = "shapes.json"
LARGEST_TABLE: Final = 1 << 20  # entries; what is larger is not one of ours


@dataclass(frozen=True, eq=False)
class Shape:
    """A table over the bins of one or two columns.

    Attributes
    ----------
    columns
        One or two encoded columns.
    cuts
        Increasing cut points of each; a value at a cut lies above it.
    scores
        Part of the margin by bin, one axis for each column: bin 0 is missing, bin 1 below the first cut.
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
    """A fitted additive model of shapes."""

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
        """Read shapes.json back; shapes and finiteness are checked.

        Raises
        ------
        MgRiskError
            `bundle.bad_model`.
        """
        try:
            content = json.loads(files[FILE])
            intercept = float(content["intercept"])
            shapes = tuple(_shape(row) for row in content["shapes"])
        except (KeyError, TypeError, ValueError) as problem:
            raise bad_model(FILE, f"cannot be read: {problem!r}") from None
        for shape in shapes:
            expected = tuple(len(cuts) + 2 for cuts in shape.cuts)
            if len(shape.columns) not in (1, 2) or shape.scores.shape != expected or shape.scores.size > LARGEST_TABLE:
                raise bad_model(FILE, "has a table that does not fit its cut points")
            if min(shape.columns) < 0 or max(shape.columns) >= n_columns:
                raise bad_model(FILE, "has tables of other columns than the bundle's features")
            if any((np.diff(cuts) <= 0).any() for cuts in shape.cuts):
                raise bad_model(FILE, "has cut points that do not increase")
        numbers = [np.array([intercept]), *(part.ravel() for each in shapes for part in (each.scores, *each.cuts))]
        if not np.isfinite(np.concatenate(numbers)).all():
            raise bad_model(FILE, "has a number that is not finite")
        return cls(intercept, shapes)


def _shape(row: Mapping[str, object]) -> Shape:
    columns, cuts = row["columns"], row["cuts"]
    if not isinstance(columns, list) or not isinstance(cuts, list) or len(columns) != len(cuts):
        raise ValueError("columns and cuts do not belong together")
    return Shape(
        tuple(int(column) for column in columns),
        tuple(np.array(each, dtype=np.float64).reshape(-1) for each in cuts),
        np.array(row["scores"], dtype=np.float64),
    )


@dataclass(frozen=True)
class ExplainableBoostingLearner:
    """An explainable boosting machine over a grid of rounds and interactions.

    Parameters
    ----------
    columns
        The encoded columns.
    rounds, interactions
        The grid: rounds of boosting over all columns, and pairs of columns with a table of their own.
    learning_rate, bins
        Step of a round; most bins of a column.
    seed
        Of the library.
    kind
        What it learns.
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
        """Return the learner with one value of each row of the grid."""
        return replace(
            self,
            rounds=(int(pick("rounds", self.rounds)),),
            interactions=(int(pick("interactions", self.interactions)),),
        )

    def design(self, X: Singles) -> Singles:
        """Return the encoded matrix itself: a missing value is a value of its own."""
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
            # It says that its own pictures leave out what is missing; none of them is drawn.
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
        # Its last bin along each axis is for values of unknown categories, which numbers do not have.
        known = np.array(scores[tuple(slice(0, -1) for _ in columns)], dtype=np.float64)
        yield Shape(tuple(columns), tuple(np.array(each, dtype=np.float64) for each in cuts), known)
