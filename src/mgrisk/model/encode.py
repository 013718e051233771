"""From typed features to the matrix that learners see: one row of columns, each owned by one feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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

    @property
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
        X = np.empty((len(frame), len(self.columns)), dtype=np.float32)
        for place, column in enumerate(self.columns):
            feature = self.features[column.owner]
            values = frame[feature.name]
            if column.level is None:
                X[:, place] = values.to_numpy()
            else:
                codes = pd.Categorical(values, categories=list(feature.levels)).codes
                X[:, place] = np.where(codes < 0, np.nan, codes == feature.levels.index(column.level))
        return X


def _encoded_levels(feature: Feature) -> Sequence[str | None]:
    if feature.kind == "number":
        return [None]
    return feature.levels[1:] if len(feature.levels) == 2 else feature.levels
