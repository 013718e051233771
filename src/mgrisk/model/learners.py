"""What every algorithm shares: the targets it is fitted to, the encoded matrix it sees, and what is asked of it.

A fitted model turns an encoded matrix into one linear predictor (`margin`), with survey weights and nothing else.
Classes are never re-weighted nor re-sampled: the probability is the product (docs/decisions/0002).

A target is the outcome itself, or a continuous measurement behind it. A label says on which side of a threshold a
person was; the measurement says how far. HbA1c was measured in all who were examined, glucose in those who fasted, so
that each target has its own people and its own survey weights.

The encoder makes of typed features one row of columns, each owned by one feature.
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
    """One target of development people, row for row with the frame of features.

    Attributes
    ----------
    name
        ``outcome``, or the marker of a continuous target.
    kind
        ``binary`` for the outcome, 0 or 1; ``continuous`` for the natural logarithm of a marker, less a constant.
    value
        Shape (n,); any value outside the domain of the design.
    design
        Design of the subsample that the target was measured in, with whom it may be learned from as its domain.
    """

    name: str
    kind: Kind
    value: Floats
    design: SurveyDesign

    @property
    def rows(self) -> Integers:
        """Positions of the people that it may be learned from."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def measure(self) -> str:
        """Name of its proper score: ``log_loss`` or ``squared_error``."""
        return "log_loss" if self.kind == "binary" else "squared_error"

    def loss(self, margin: Floats, rows: Integers) -> float:
        """Return the weighted proper score of margins over some of its rows.

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
    """Return the weighted mean of −log likelihood of a log-odds margin, in nats; exact for any margin."""
    return float(np.average(log_loss(y, margin), weights=weight))


def log_loss(y: Floats, margin: Floats) -> Floats:
    """Return −log likelihood of each log-odds margin, in nats, shape (n,); exact for any margin."""
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
    def owners(self) -> Integers:
        """Owner of each column, shape (n_columns,)."""
        return np.array([column.owner for column in self.columns], dtype=np.int64)

    def matrix(self, frame: pd.DataFrame) -> Singles:
        """Encode typed features, shape (n, n_columns), NaN where missing."""
        return self.encode(to_columns(frame, self.features), n=len(frame))

    def encode(self, columns: Columns, *, n: int) -> Singles:
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


Params = Mapping[str, int | float]
Pick = Callable[[str, Sequence[float]], float]


class Fitted(Protocol):
    """A fitted learner, as a bundle holds it."""

    def margin(self, X: Singles) -> Floats:
        """Return the margin, shape (n,), of an encoded matrix (n, n_columns).

        Log-odds before calibration, or the expected value of a continuous target.
        """

    def to_files(self) -> dict[str, bytes]:
        """Return the files that `Learner.from_files` needs, by name; none of them is a pickle."""


class Predictor(Protocol):
    """What a learner fits: it predicts from rows of the learner's `design`."""

    def margin(self, X: Any) -> Floats:
        """Return the margin, shape (n,): log-odds, or the expected value of a continuous target."""


class Learner(Protocol):
    """A family of models with a grid of settings."""

    @property
    def name(self) -> str:
        """Name of the family, as in records."""

    @property
    def kind(self) -> Kind:
        """What it learns: an outcome or a continuous target."""

    def candidates(self) -> Sequence[Params]:
        """Return the settings to try, in a fixed order."""

    def design(self, X: Singles) -> NDArray[np.floating]:
        """Return what it learns from, a row for each of an encoded matrix (n, n_columns); nothing is learned here."""

    def fit_path(self, X: Any, y: Floats, weight: Floats) -> Iterator[tuple[Params, Predictor]]:
        """Fit every candidate on the same rows, sharing work where one fit holds several candidates.

        Parameters
        ----------
        X, y, weight
            Rows of the design, outcome 0 or 1 or a continuous target (n,), positive survey weights (n,).
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
    """Scale weights to mean 1, so that a penalty means the same whatever population they add up to."""
    scaled: Floats = weight / weight.mean()
    return scaled


def spline_columns(columns: Sequence[Column]) -> Booleans:
    """Tell which columns are numbers and take a curve, shape (n_columns,)."""
    return np.array([column.level is None for column in columns])


@dataclass(frozen=True)
class Candidate:
    """One setting of one part and how it did on people it had not seen.

    Attributes
    ----------
    part, params
        What was tried.
    measure
        The proper score: ``log_loss``, in nats, or ``squared_error``.
    loss
        Weighted mean of it over all out-of-fold people whom the target was measured in.
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
        Name of the model: a learner's section, or a sum.
    parts
        Its parts as in tuning.json: {part, scale, params}.
    intercept
        Of a sum; None where the model is one learner on the outcome.
    calibration
        The map from its margin to log-odds.
    """

    model: str
    parts: Sequence[Mapping[str, Any]]
    intercept: float | None
    calibration: Calibrator
