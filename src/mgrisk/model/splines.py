"""Additive models on restricted cubic splines: a curve for each number, a step for each level, nothing else.

A restricted cubic spline is a cubic between its knots and a straight line beyond the outer ones (`basis`); it is the
usual curve for a continuous predictor in this field. `SplineLearner` fits such models by ridge-penalised logistic or
linear regression.

A fitted curve is a straight line and a weighted sum of the cubes of what lies above each knot; so is any linear form of
its design columns. Fitting uses the design columns; predicted values come from `Curves`, sums of truncated cubes whose
weights are worked out once, in compiled loops.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from mgrisk.compiled import compiled
from mgrisk.model.learners import Column, Kind, Params, bad_model, mean_one, spline_columns
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Floats, Integers, Singles

# Harrell 2015, Regression Modeling Strategies, table 2.3.
HARRELL_QUANTILES: Final[dict[int, tuple[float, ...]]] = {
    3: (0.10, 0.50, 0.90),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.50, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.50, 0.6583, 0.8167, 0.975),
}


def basis(x: Floats, knots: Floats) -> Floats:
    """Return the restricted cubic spline basis.

    Parameters
    ----------
    x
        Values, shape (n,).
    knots
        Increasing knots, shape (k,), k >= 3; with fewer the basis is `x` alone.

    Returns
    -------
    NDArray
        Shape (n, k - 1): `x`, then k - 2 terms scaled by the squared distance of the outer knots (Harrell 2015,
        section 2.4.5; Devlin and Weeks 1986), so that all terms have the unit of `x`.
    """
    k = len(knots)
    if k < 3:
        return x[:, None]
    above = np.maximum(x[:, None] - knots, 0.0)
    # Not ** 3: what numpy's pow returns in the last digit depends on the processor.
    cubes = above * above * above
    last, before = knots[-1], knots[-2]
    inner = knots[:-2]
    curve = (
        cubes[:, :-2]
        - cubes[:, [k - 2]] * (last - inner) / (last - before)
        + cubes[:, [k - 1]] * (before - inner) / (last - before)
    )
    return np.column_stack([x, curve / (last - knots[0]) ** 2])


BLOCK_ROWS: Final = 512
"""Rows that go through all columns together, so that what is added up stays in the first caches."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Linear forms of the design columns of some terms: m curves for each encoded column.

    Attributes
    ----------
    fill
        Value in place of a missing one, shape (n_columns,).
    start, knot
        The knots of column ``c`` are ``knot[start[c]:start[c + 1]]``.
    cube
        Weight of the cube above each knot in each form, shape (n_knots, m).
    slope, constant
        The rest of each curve, shape (n_columns, m).
    """

    fill: Floats
    start: Integers
    knot: Floats
    cube: Floats
    slope: Floats
    constant: Floats

    @classmethod
    def of(cls, terms: Sequence[Term], weights: Floats, centre: Floats) -> Curves:
        """Work out the weights of the cubes.

        Parameters
        ----------
        terms
            One for each encoded column.
        weights, centre
            Each form is the sum over the design columns of weight × (column − centre); shapes (p, m) and (p,).
        """
        ends = np.cumsum([term.width for term in terms])
        cubes, slopes, constants = [], [], []
        # As in `basis`, fewer than three knots are a straight line.
        knots = [np.array(term.knots if len(term.knots) >= 3 else (), dtype=np.float64) for term in terms]
        for term, of_term, end in zip(terms, knots, ends.tolist(), strict=True):
            own = weights[end - term.width : end]
            slopes.append(own[0])
            constants.append(-centre[end - term.width : end] @ own)
            if of_term.size:
                cubes.append(_cubes(of_term).T @ own[1:])
        m = weights.shape[1]
        return cls(
            fill=np.array([term.fill for term in terms]),
            start=np.cumsum([0, *map(len, knots)], dtype=np.int64),
            knot=np.concatenate([*knots, np.empty(0)]),
            cube=np.ascontiguousarray(np.vstack([*cubes, np.empty((0, m))])),
            slope=np.array(slopes),
            constant=np.array(constants),
        )

    def parts(self, X: Singles) -> Floats:
        """Return the first form of each column, shape (n, n_columns), those of a column in one piece."""
        columns = np.ascontiguousarray(X.T)
        out = np.empty(columns.shape)
        _parts(columns, self.fill, self.start, self.knot, self.cube, self.slope, self.constant, out)
        return out.T

    def sums(self, X: Singles) -> Floats:
        """Return each form added up over the columns, shape (m, n)."""
        columns = np.ascontiguousarray(X.T)
        out = np.empty((self.slope.shape[1], len(X)))
        _sums(columns, self.fill, self.start, self.knot, self.cube, self.slope, self.constant.sum(axis=0), out)
        return out


def _cubes(knots: Floats) -> Floats:
    """Return the weight of each knot's cube in each curved column of `basis`, shape (k - 2, k)."""
    k, inner, before, last = len(knots), knots[:-2], knots[-2], knots[-1]
    weights = np.zeros((k - 2, k))
    np.fill_diagonal(weights, 1.0)
    weights[:, k - 2] = -(last - inner) / (last - before)
    weights[:, k - 1] = (before - inner) / (last - before)
    weights /= (last - knots[0]) ** 2
    return weights


@compiled
def _parts(
    columns: Singles,
    fill: Floats,
    start: Integers,
    knot: Floats,
    cube: Floats,
    slope: Floats,
    constant: Floats,
    out: Floats,
) -> None:
    n = out.shape[1]
    value = np.empty(BLOCK_ROWS)
    for first in range(0, n, BLOCK_ROWS):
        size = min(BLOCK_ROWS, n - first)
        for c in range(len(fill)):
            x, part = columns[c, first : first + size], out[c, first : first + size]
            for r in range(size):
                value[r] = fill[c] if np.isnan(x[r]) else np.float64(x[r])
                part[r] = constant[c, 0] + slope[c, 0] * value[r]
            for k in range(start[c], start[c + 1]):
                for r in range(size):
                    above = max(value[r] - knot[k], 0.0)
                    part[r] += cube[k, 0] * (above * above * above)


@compiled
def _sums(
    columns: Singles,
    fill: Floats,
    start: Integers,
    knot: Floats,
    cube: Floats,
    slope: Floats,
    constant: Floats,
    out: Floats,
) -> None:
    m, n = out.shape
    value, power = np.empty(BLOCK_ROWS), np.empty(BLOCK_ROWS)
    for first in range(0, n, BLOCK_ROWS):
        size = min(BLOCK_ROWS, n - first)
        for j in range(m):
            out[j, first : first + size] = constant[j]
        for c in range(len(fill)):
            x = columns[c, first : first + size]
            for r in range(size):
                value[r] = fill[c] if np.isnan(x[r]) else np.float64(x[r])
            for j in range(m):
                total = out[j, first : first + size]
                for r in range(size):
                    total[r] += slope[c, j] * value[r]
            for k in range(start[c], start[c + 1]):
                for r in range(size):
                    above = max(value[r] - knot[k], 0.0)
                    power[r] = above * above * above
                for j in range(m):
                    total = out[j, first : first + size]
                    for r in range(size):
                        total[r] += cube[k, j] * power[r]


FILE = "coefficients.json"


@dataclass(frozen=True)
class Term:
    """What one encoded column becomes: a value in place of a missing one, and a curve.

    There is no mark for "was missing". Who did not answer NHANES is not who leaves a cell of a file empty, and a
    mark learned from a handful of people would move a whole column's risks.

    Attributes
    ----------
    fill
        Value put in place of a missing one: the weighted median (numbers) or mean (0/1 columns) of training rows.
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


@dataclass(frozen=True)
class FittedSplines:
    """A fitted additive model: the margin is a sum of one function of each encoded column.

    Attributes
    ----------
    terms
        One for each encoded column.
    intercept
        Margin at the reference of all design columns.
    coefficients, centre
        One of each for each design column; a column's part of the margin is coefficient × (column − centre).
    """

    terms: tuple[Term, ...]
    intercept: float
    coefficients: Floats
    centre: Floats

    def contributions(self, X: Singles) -> Floats:
        """Return each encoded column's part of the margin, shape (n, n_columns); with the intercept they add up."""
        return self._curves.parts(X)

    @cached_property
    def _curves(self) -> Curves:
        return Curves.of(self.terms, self.coefficients[:, None], self.centre)

    def margin(self, X: Singles) -> Floats:
        """Return the margin, shape (n,): log-odds before calibration, or the unit of a continuous target."""
        total = np.full(len(X), self.intercept)
        for part in self.contributions(X).T:
            total += part
        return total

    def to_files(self) -> dict[str, bytes]:
        """Return coefficients.json."""
        content = {
            "terms": [{"fill": term.fill, "knots": list(term.knots)} for term in self.terms],
            "intercept": self.intercept,
            "coefficients": self.coefficients.tolist(),
            "centre": self.centre.tolist(),
        }
        return {FILE: json.dumps(content, indent=1).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, n_columns: int) -> FittedSplines:
        """Read coefficients.json back; shapes and finiteness are checked.

        Raises
        ------
        MgRiskError
            `bundle.bad_model`.
        """
        try:
            content = json.loads(files[FILE])
            terms = tuple(Term(float(row["fill"]), tuple(map(float, row["knots"]))) for row in content["terms"])
            fitted = cls(
                terms=terms,
                intercept=float(content["intercept"]),
                coefficients=np.array(content["coefficients"], dtype=np.float64),
                centre=np.array(content["centre"], dtype=np.float64),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise bad_model(FILE, f"cannot be read: {problem!r}") from None
        width = sum(term.width for term in terms)
        numbers = np.concatenate(
            [
                fitted.coefficients.ravel(),
                fitted.centre.ravel(),
                [fitted.intercept],
                *((term.fill, *term.knots) for term in terms),
            ]
        )
        if len(terms) != n_columns or fitted.coefficients.shape != (width,) or fitted.centre.shape != (width,):
            raise bad_model(FILE, "has coefficients for other columns than the bundle's features")
        if not np.isfinite(numbers).all():
            raise bad_model(FILE, "has a number that is not finite")
        if any((np.diff(term.knots) <= 0).any() for term in terms):
            raise bad_model(FILE, "has knots that do not increase")
        return fitted


@dataclass(frozen=True)
class SplineDesign:
    """The design columns of a spline model on its training rows, standardised so that one penalty fits all.

    Attributes
    ----------
    terms
        One for each encoded column.
    matrix
        Standardised design columns, shape (n, width).
    centre, scale
        Weighted mean and standard deviation of each design column, shape (width,).
    """

    terms: tuple[Term, ...]
    matrix: Floats
    centre: Floats
    scale: Floats

    @classmethod
    def build(cls, X: Singles, weight: Floats, *, columns: Sequence[Column], knots: int) -> SplineDesign:
        """Place fills and knots by the weighted training rows, and expand them.

        Parameters
        ----------
        X, weight
            Encoded matrix (n, n_columns) and positive survey weights (n,).
        columns
            The encoded columns.
        knots
            Knots of each number's curve, at Harrell's quantiles.
        """
        terms = fit_terms(columns, X, weight, knots=knots)
        design = expand(terms, X)
        centre = np.average(design, axis=0, weights=weight)
        scale = np.sqrt(np.average((design - centre) ** 2, axis=0, weights=weight))
        scale[scale == 0] = 1.0
        return cls(terms, (design - centre) / scale, centre, scale)

    def fitted(self, intercept: float, coefficients: Floats) -> FittedSplines:
        """Return the model of coefficients that were estimated on the standardised columns."""
        return FittedSplines(self.terms, intercept, coefficients / self.scale, self.centre)


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

    def fit(self, X: Singles, y: Floats, weight: Floats, params: Params) -> FittedSplines:
        """Fit one penalty; what replaces missing values comes from these rows alone."""
        design = SplineDesign.build(X, weight, columns=self.columns, knots=self.knots)
        return self._solve(design, y, weight, c=params["c"])

    def fit_path(self, X: Singles, y: Floats, weight: Floats) -> Iterator[tuple[Params, FittedSplines]]:
        """Fit all penalties on one design matrix."""
        design = SplineDesign.build(X, weight, columns=self.columns, knots=self.knots)
        for params in self.candidates():
            yield params, self._solve(design, y, weight, c=params["c"])

    def _solve(self, design: SplineDesign, y: Floats, weight: Floats, *, c: float) -> FittedSplines:
        from sklearn.linear_model import LogisticRegression, Ridge  # only fitting needs it, and it loads scipy.stats

        if self.kind == "binary":
            logistic = LogisticRegression(C=c, max_iter=2000, tol=1e-6)
            logistic.fit(design.matrix, y, sample_weight=mean_one(weight))
            return design.fitted(float(logistic.intercept_[0]), logistic.coef_[0])
        linear = Ridge(alpha=1.0 / c)
        linear.fit(design.matrix, y, sample_weight=mean_one(weight))
        return design.fitted(float(linear.intercept_), linear.coef_)
