"""Additive models on restricted cubic splines: a curve for each number and a coefficient for each level.

`SplineSpace` holds the knots of the splines (`survey.cubic_spline`), and mean and covariance of the design columns.
With these a missing value is replaced by its expectation given the person's other values. `SplineLearner` fits
ridge-penalised logistic or linear regression to these columns. All spline models of a run share one space, so a sum of
them is one additive model, `additive.Additive`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.learners import Column, Kind, Params, mean_one, spline_columns
from mgrisk.model.missing_inputs import Moments, fit_moments
from mgrisk.survey.cubic_spline import HARRELL_QUANTILES, basis
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Floats, Singles


@dataclass(frozen=True)
class Term:
    """The spline of one encoded column, and the value that replaces a missing one where these are filled.

    There is no indicator of missing values: reasons for missing values in NHANES are not those in a user's file, and an
    indicator estimated from a few people would shift the risks of a whole file.

    Attributes
    ----------
    fill
        Value that replaces a missing one: the weighted median (numbers) or mean (0/1 columns) of training rows.
    knots
        Knots of the curve; empty for a straight line.
    """

    fill: float
    knots: tuple[float, ...]

    @property
    def width(self) -> int:
        """Number of design columns."""
        return max(len(self.knots) - 1, 1)

    def expand(self, x: Floats) -> Floats:
        """Return the design columns of one encoded column, shape (n, width)."""
        return basis(np.where(np.isnan(x), self.fill, x), np.array(self.knots))


def fit_terms(columns: Sequence[Column], X: Singles, weight: Floats, *, knots: int) -> tuple[Term, ...]:
    """Place the knots and fills of each encoded column: curves for numbers, straight lines for 0/1 columns."""
    curved = spline_columns(columns)
    return tuple(
        _term(X[:, index].astype(np.float64), weight, knots=knots if curved[index] else 0)
        for index in range(X.shape[1])
    )


def expand(terms: Sequence[Term], X: Singles) -> Floats:
    """Return the design columns of all encoded columns side by side, shape (n, sum of widths)."""
    return np.column_stack([term.expand(X[:, index].astype(np.float64)) for index, term in enumerate(terms)])


def _term(x: Floats, weight: Floats, *, knots: int) -> Term:
    known = np.isfinite(x)
    if not known.any():
        return Term(fill=0.0, knots=())
    values, known_weight = x[known], weight[known]
    if not knots:
        return Term(float(np.average(values, weights=known_weight)), ())
    places = np.unique(weighted_quantile(values, known_weight, HARRELL_QUANTILES[knots]))
    return Term(
        fill=float(weighted_quantile(values, known_weight, (0.5,))[0]),
        # Quantiles of a variable with few values coincide; fewer than three knots are a straight line.
        knots=tuple(places.tolist()) if len(places) >= 3 else (),
    )


@dataclass(frozen=True, eq=False)
class SplineSpace:
    """The design columns of additive models: knots, and mean and covariance of the columns in the population.

    It does not depend on an outcome.

    Attributes
    ----------
    terms
        One for each encoded column.
    moments
        Mean and covariance of the design columns.
    """

    terms: tuple[Term, ...]
    moments: Moments
    _last: list[tuple[Singles, Floats]] = field(default_factory=list, init=False, repr=False)

    @classmethod
    def fit(cls, columns: Sequence[Column], X: Singles, weight: Floats, *, knots: int) -> SplineSpace:
        """Place the knots, and estimate mean and covariance from incomplete rows.

        Parameters
        ----------
        columns
            The encoded columns.
        X, weight
            Encoded matrix (n, n_columns), NaN where missing, and positive survey weights (n,).
        knots
            Number of knots of each number's spline, at Harrell's quantiles.
        """
        terms = fit_terms(columns, X, weight, knots=knots)
        return cls(terms, fit_moments(design_columns(terms, X), weight))

    def among(self, X: Singles, weight: Floats) -> SplineSpace:
        """Return the space with the same knots, and moments of other people; X (n, n_columns), weight (n,)."""
        return SplineSpace(self.terms, fit_moments(design_columns(self.terms, X), weight, start=self.moments))

    def expected(self, X: Singles) -> Floats:
        """Return standardised design columns, with missing values replaced by their expectation given the rest.

        Parameters
        ----------
        X
            Encoded matrix (n, n_columns), NaN where missing. Training asks for the same matrix hundreds of times, so
            the last result is cached, read-only.

        Returns
        -------
        NDArray
            Shape (n, p), (column − mean) / standard deviation.
        """
        if not self._last or self._last[0][0] is not X:
            found = self.moments.expected(design_columns(self.terms, X))
            found -= self.moments.mean
            found /= self.moments.scale
            found.flags.writeable = False
            self._last[:] = [(X, found)]
        return self._last[0][1]


def design_columns(terms: Sequence[Term], X: Singles) -> Floats:
    """Return the design columns of all encoded columns side by side, NaN where missing, shape (n, p)."""
    return np.column_stack(
        [basis(X[:, index].astype(np.float64), np.array(term.knots)) for index, term in enumerate(terms)]
    )


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A linear model of standardised design columns.

    Attributes
    ----------
    space
        The columns.
    intercept
        Linear predictor at the mean of every column.
    coefficients
        Coefficient of each standardised column, shape (p,).
    """

    space: SplineSpace
    intercept: float
    coefficients: Floats

    @property
    def weights(self) -> Floats:
        """Coefficients of the unstandardised design columns, shape (p,)."""
        found: Floats = self.coefficients / self.space.moments.scale
        return found

    def margin(self, X: NDArray[np.floating]) -> Floats:
        """Return the margin, shape (n,), of standardised design columns (n, p) as `SplineSpace.expected` returns."""
        margin: Floats = self.intercept + X @ self.coefficients
        return margin


@dataclass(frozen=True)
class SplineLearner:
    """Ridge-penalised spline regression over a grid of inverse penalties.

    Parameters
    ----------
    space
        The design columns.
    c
        Inverse penalties for weights of mean 1: scikit-learn's C, or 1 / alpha for a continuous target.
    kind
        Kind of target: an outcome (logistic) or a continuous target (linear).
    """

    space: SplineSpace
    c: Sequence[float]
    kind: Kind = "binary"

    @property
    def name(self) -> str:
        """Name of the algorithm, by kind."""
        return "spline_logistic" if self.kind == "binary" else "spline_linear"

    def candidates(self) -> Sequence[Params]:
        """Return one candidate for each penalty."""
        return [{"c": c} for c in self.c]

    def design(self, X: Singles) -> Floats:
        """Return the standardised design columns of an encoded matrix, shape (n, p)."""
        return self.space.expected(X)

    def fit_path(self, X: NDArray[np.floating], y: Floats, weight: Floats) -> Iterator[tuple[Params, LinearFit]]:
        """Fit all penalties."""
        for params in self.candidates():
            yield params, self.fit(X, y, weight, params)

    def fit(self, X: NDArray[np.floating], y: Floats, weight: Floats, params: Params) -> LinearFit:
        """Fit one penalty on design columns (n, p)."""
        from sklearn.linear_model import LogisticRegression, Ridge  # only fitting needs it, and it loads scipy.stats

        if self.kind == "binary":
            logistic = LogisticRegression(C=params["c"], solver="newton-cholesky", max_iter=200, tol=1e-6)
            logistic.fit(X, y, sample_weight=mean_one(weight))
            return LinearFit(self.space, float(logistic.intercept_[0]), logistic.coef_[0])
        linear = Ridge(alpha=1.0 / params["c"], solver="cholesky")
        linear.fit(X, y, sample_weight=mean_one(weight))
        return LinearFit(self.space, float(linear.intercept_), linear.coef_)
