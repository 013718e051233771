"""The learners: each turns an encoded matrix into one margin, with survey weights and nothing else.

Classes are never re-weighted nor re-sampled: the probability is the product (docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError, bad_bundle
from mgrisk.model.encode import Column
from mgrisk.model.targets import Kind

Params = Mapping[str, float]
Pick = Callable[[str, Sequence[float]], float]


class Fitted(Protocol):
    """A fitted learner: what tuning, the bundle and the explanations need of it."""

    def margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the margin, shape (n,), of an encoded matrix (n, n_columns).

        Log-odds before calibration, or the expected value of a continuous target.
        """

    def to_files(self) -> dict[str, bytes]:
        """Return the files that `Learner.from_files` needs, by name; none of them is a pickle."""


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

    def fit_path(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> Iterator[tuple[Params, Fitted]]:
        """Fit every candidate on the same rows, sharing work where one fit holds several candidates.

        Parameters
        ----------
        X, y, weight
            Encoded matrix (n, n_columns), outcome 0 or 1 or a continuous target (n,), positive survey weights (n,).
        """

    def fit(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64], params: Params
    ) -> Fitted:
        """Fit one candidate."""


def bad_model(file: str, what: str) -> MgRiskError:
    """Return the error of a model file that cannot be used."""
    hint = "the bundle is damaged or edited; take a fresh copy"
    return bad_bundle("bundle.bad_model", f"{file} {what}", where=file, hint=hint)


def mean_one(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale weights to mean 1, so that a penalty means the same whatever population they add up to."""
    scaled: NDArray[np.float64] = weight / weight.mean()
    return scaled


def spline_columns(columns: Sequence[Column]) -> NDArray[np.bool_]:
    """Tell which columns are numbers and take a curve, shape (n_columns,)."""
    return np.array([column.level is None for column in columns])
