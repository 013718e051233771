"""The common interface of algorithms: targets, the encoded matrix, and the protocols of models and their fits.

An algorithm is fitted with survey weights; a fitted model computes one linear predictor (`margin`) from an encoded
matrix. Classes are never re-weighted or re-sampled, since probabilities are wanted (docs/decisions/0002).

A target is the outcome or a continuous measurement that defines it. The outcome says on which side of a threshold a
person was, the measurement how far from it. HbA1c was measured in all examined people and glucose in those who fasted,
so each target has its own people and survey weights.

The encoder turns typed features into a row of columns, each of which belongs to one feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.features.compute import Columns, to_columns
from mgrisk.features.registry import Feature
from mgrisk.model.bundle_files import BAD_MODEL, Read, bad_file, read_file
from mgrisk.model.calibration import Calibrator
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Booleans, Floats, Integers, Singles

Kind = Literal["binary", "continuous"]
OUTCOME: Final = "outcome"


@dataclass(frozen=True, eq=False)
class Target:
    """A target of the development people, in the rows of the frame of features.

    Attributes
    ----------
    name
        ``outcome``, or the marker of a continuous target.
    kind
        ``binary`` for the outcome, 0 or 1; ``continuous`` for the natural logarithm of a marker minus a constant.
    value
        Shape (n,); any value outside the domain of the design.
    design
        Design of the subsample in which the target was measured, with the people to fit to as its domain.
    """

    name: str
    kind: Kind
    value: Floats
    design: SurveyDesign

    @property
    def rows(self) -> Integers:
        """Positions of the people to fit to."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def measure(self) -> str:
        """Name of the target's proper score: ``log_loss`` or ``squared_error``."""
        return "log_loss" if self.kind == "binary" else "squared_error"

    def loss(self, margin: Floats, rows: Integers) -> float:
        """Return the weighted proper score of predictions over some rows.

        Parameters
        ----------
        margin
            Log-odds of an outcome (score in nats) or prediction of a continuous target, shape (n,).
        rows
            Positions to score.
        """
        y, predicted, weight = self.value[rows], margin[rows], self.design.analysis_weight[rows]
        if self.kind == "binary":
            return weighted_log_loss(y, predicted, weight)
        return float(np.average((y - predicted) ** 2, weights=weight))


def weighted_log_loss(y: Floats, margin: Floats, weight: Floats) -> float:
    """Return the weighted mean of −log likelihood of log-odds, in nats; accurate for log-odds of any size."""
    return float(np.average(log_loss(y, margin), weights=weight))


def log_loss(y: Floats, margin: Floats) -> Floats:
    """Return −log likelihood of each of some log-odds, in nats, shape (n,); accurate for log-odds of any size."""
    found: Floats = np.logaddexp(0.0, margin) - y * margin
    return found


@dataclass(frozen=True)
class Column:
    """A column of the encoded matrix.

    Attributes
    ----------
    name
        Feature name, with the level where the feature is a category.
    owner
        Index of its feature; one-hot columns of a feature share one owner.
    level
        The level that the column is 1 for, or None for a number.
    """

    name: str
    owner: int
    level: str | None


@dataclass(frozen=True)
class Encoder:
    """Encoding of features by the registry alone: nothing is estimated from data, so nothing can leak.

    A number is one column. A category of two levels is one column, 1 for the second level; a category of more levels
    has one column for each. A missing value is NaN in all columns of the feature.

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
    def owners(self) -> Integers:
        """Owner of each column, shape (n_columns,)."""
        return np.array([column.owner for column in self.columns], dtype=np.int64)

    def matrix(self, frame: pd.DataFrame) -> Singles:
        """Encode typed features, shape (n, n_columns), NaN where missing."""
        return self.encode(to_columns(frame, self.features), n=len(frame))

    def encode(self, columns: Columns, *, n: int) -> Singles:
        """Encode plain arrays, shape (n, n_columns), NaN where missing, contiguous by column."""
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


Params = Mapping[str, int | float]
Pick = Callable[[str, Sequence[float]], float]


class Fitted(Protocol):
    """A fitted model, as a bundle holds it."""

    def margin(self, X: Singles) -> Floats:
        """Return the linear predictor, shape (n,), of an encoded matrix (n, n_columns).

        These are log-odds before calibration, or the expected value of a continuous target.
        """

    def to_files(self) -> dict[str, bytes]:
        """Return the files of the model by name, for `from_files`; none of them is a pickle."""


class Predictor(Protocol):
    """A fit of an algorithm, which predicts from rows of the algorithm's `design`."""

    def margin(self, X: Any) -> Floats:
        """Return the linear predictor, shape (n,): log-odds, or the expected value of a continuous target."""


class Learner(Protocol):
    """An algorithm with a grid of settings."""

    @property
    def name(self) -> str:
        """Name of the algorithm, as in records."""

    @property
    def kind(self) -> Kind:
        """Kind of target that it is fitted to."""

    def candidates(self) -> Sequence[Params]:
        """Return the settings to try, in a fixed order."""

    def design(self, X: Singles) -> NDArray[np.floating]:
        """Return the design matrix, one row for each row of an encoded matrix (n, n_columns)."""

    def fit_path(self, X: Any, y: Floats, weight: Floats) -> Iterator[tuple[Params, Predictor]]:
        """Fit every candidate to the same rows; candidates that differ in size alone share a fit.

        Parameters
        ----------
        X, y, weight
            Rows of the design matrix, outcome 0 or 1 or a continuous target (n,), and positive survey weights (n,).
        """

    def fit(self, X: Any, y: Floats, weight: Floats, params: Params) -> Predictor:
        """Fit one candidate."""


def bad_model(file: str, what: str) -> MgRiskError:
    """Return the error of a model file that cannot be used."""
    return bad_file(file, what, code=BAD_MODEL)


def read_model(check: Callable[[Any], Read], files: Mapping[str, bytes], name: str) -> Read:
    """Read a model file of JSON, as `bundle_files.read_file`; raises `bundle.bad_model`."""
    return read_file(check, files, name, code=BAD_MODEL)


def mean_one(weight: Floats) -> Floats:
    """Scale weights to mean 1, so that a penalty does not depend on the size of the population."""
    scaled: Floats = weight / weight.mean()
    return scaled


def spline_columns(columns: Sequence[Column]) -> Booleans:
    """Return which columns are numbers, which get a spline, shape (n_columns,)."""
    return np.array([column.level is None for column in columns])


@dataclass(frozen=True)
class Candidate:
    """One setting of one part and its out-of-fold loss.

    Attributes
    ----------
    part, params
        Name of the part, and the setting.
    measure
        The proper score: ``log_loss``, in nats, or ``squared_error``.
    loss
        Weighted mean of the score of out-of-fold predictions over all people in whom the target was measured.
    fold_loss
        The same within each fold.
    """

    part: str
    params: Params
    measure: str
    loss: float
    fold_loss: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to tuning.json."""
        return {
            "part": self.part,
            "params": dict(self.params),
            "measure": self.measure,
            "loss": self.loss,
            "fold_loss": list(self.fold_loss),
        }


@dataclass(frozen=True, eq=False)
class Chosen:
    """A trained model with the settings that were chosen.

    Attributes
    ----------
    model
        Name of the model: that of an algorithm's section or of a stacked ensemble.
    parts
        Its parts as in tuning.json: {part, scale, params}.
    intercept
        Intercept of an ensemble; None where the model is one part on the outcome.
    calibration
        The map from its margin to log-odds.
    """

    model: str
    parts: Sequence[Mapping[str, Any]]
    intercept: float | None
    calibration: Calibrator
