"""From typed features to the matrix that learners see: one row of columns, each owned by one feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.features.compute import Columns, to_columns
from mgrisk.features.registry import Feature


@dataclass(frozen=True)
class Column:
    """A column of the encoded matrix.

    Attributes
    ----------
    name
        Feature name, with the level where the feature is a category.
    owner
        Index of the feature it belongs to; one-hot columns of a feature share one owner.
    level
        The level that the column is 1 for, or None for a number.
    """

    name: str
    owner: int
    level: str | None


@dataclass(frozen=True)
class Encoder:
    """Encoding fixed by the registry alone: nothing is learned, so that nothing can leak.

    A number is one column. A category of two levels is one column, 1 for the second level; one of more levels is a
    column for each. Missing is NaN in all columns of the feature.

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> [column.name for column in Encoder(features(["age_years", "sex"])).columns]
    ['age_years', 'sex=male']
    """

    features: tuple[Feature, ...]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Columns in order."""
        return tuple(
            Column(feature.name if level is None else f"{feature.name}={level}", owner, level)
            for owner, feature in enumerate(self.features)
            for level in _encoded_levels(feature)
        )

    @property
    def owners(self) -> NDArray[np.int64]:
        """Owner of each column, shape (n_columns,)."""
        return np.array([column.owner for column in self.columns], dtype=np.int64)

    def matrix(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Encode typed features, shape (n, n_columns), NaN where missing."""
        return self.encode(to_columns(frame, self.features), n=len(frame))

    def encode(self, columns: Columns, *, n: int) -> NDArray[np.float32]:
        """Encode plain arrays, shape (n, n_columns), NaN where missing; a column lies in one piece in memory."""
        X = np.empty((n, len(self.columns)), dtype=np.float32, order="F")
        for place, column in enumerate(self.columns):
            feature = self.features[column.owner]
            values = columns[feature.name]
            if column.level is None:
                X[:, place] = values
            else:
                is_level = values == feature.levels.index(column.level)
                X[:, place] = np.where(np.isnan(values), np.nan, is_level)
        return X


def _encoded_levels(feature: Feature) -> Sequence[str | None]:
    if feature.kind == "number":
        return [None]
    return feature.levels[1:] if len(feature.levels) == 2 else feature.levels
