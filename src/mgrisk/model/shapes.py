"""Shape functions on bins: a table for each column or pair of columns, as an explainable boosting machine learns them.

The margin is the intercept and one entry of each table. A pair's table is looked up by two columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.learners import bad_model

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
    cuts: tuple[NDArray[np.float64], ...]
    scores: NDArray[np.float64]

    def bins(self, X: NDArray[np.float32]) -> tuple[NDArray[np.int64], ...]:
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

    def margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
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
