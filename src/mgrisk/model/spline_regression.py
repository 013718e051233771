"""Penalised regression on restricted cubic splines, logistic or linear: the glass box among the learners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from mgrisk.model.encode import Column
from mgrisk.model.learners import Params, mean_one
from mgrisk.model.splines import FittedSplines, SplineDesign
from mgrisk.model.targets import Kind


@dataclass(frozen=True)
class SplineLearner:
    """Ridge-penalised spline regression over a grid of inverse penalties.

    Parameters
    ----------
    columns
        The encoded columns.
    knots
        Knots of each number's curve, at Harrell's quantiles of the weighted training values.
    c
        Inverse penalties on weights of mean 1: scikit-learn's C, or one over its alpha for a continuous target.
    kind
        What it learns: an outcome (logistic) or a continuous target (linear).
    """

    columns: tuple[Column, ...]
    knots: int
    c: Sequence[float]
    kind: Kind = "binary"

    @property
    def name(self) -> str:
        """Name of the family, by kind."""
        return "spline_logistic" if self.kind == "binary" else "spline_linear"

    def candidates(self) -> Sequence[Params]:
        """Return one candidate for each penalty."""
        return [{"c": c} for c in self.c]

    def fit(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64], params: Params
    ) -> FittedSplines:
        """Fit one penalty; what replaces missing values comes from these rows alone."""
        design = SplineDesign.build(X, weight, columns=self.columns, knots=self.knots)
        return self._solve(design, y, weight, c=params["c"])

    def fit_path(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> Iterator[tuple[Params, FittedSplines]]:
        """Fit all penalties on one design matrix."""
        design = SplineDesign.build(X, weight, columns=self.columns, knots=self.knots)
        for params in self.candidates():
            yield params, self._solve(design, y, weight, c=params["c"])

    def _solve(
        self, design: SplineDesign, y: NDArray[np.float64], weight: NDArray[np.float64], *, c: float
    ) -> FittedSplines:
        if self.kind == "binary":
            logistic = LogisticRegression(C=c, max_iter=2000, tol=1e-6)
            logistic.fit(design.matrix, y, sample_weight=mean_one(weight))
            return design.fitted(float(logistic.intercept_[0]), logistic.coef_[0])
        linear = Ridge(alpha=1.0 / c)
        linear.fit(design.matrix, y, sample_weight=mean_one(weight))
        return design.fitted(float(linear.intercept_), linear.coef_)
