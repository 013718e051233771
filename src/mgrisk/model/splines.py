"""Additive models on restricted cubic splines: a curve for each number, a step for each level, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.curves import Curves
from mgrisk.model.encode import Column
from mgrisk.model.learners import bad_model, spline_columns
from mgrisk.model.spline import HARRELL_QUANTILES, basis
from mgrisk.survey.quantiles import weighted_quantile

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

    def expand(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
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
    coefficients: NDArray[np.float64]
    centre: NDArray[np.float64]

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each encoded column's part of the margin, shape (n, n_columns); with the intercept they add up."""
        return self._curves.parts(X)

    @cached_property
    def _curves(self) -> Curves:
        return Curves.of(self.terms, self.coefficients[:, None], self.centre)

    def margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
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
    matrix: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def build(
        cls, X: NDArray[np.float32], weight: NDArray[np.float64], *, columns: Sequence[Column], knots: int
    ) -> SplineDesign:
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

    def fitted(self, intercept: float, coefficients: NDArray[np.float64]) -> FittedSplines:
        """Return the model of coefficients that were estimated on the standardised columns."""
        return FittedSplines(self.terms, intercept, coefficients / self.scale, self.centre)


def fit_terms(
    columns: Sequence[Column], X: NDArray[np.float32], weight: NDArray[np.float64], *, knots: int
) -> tuple[Term, ...]:
    """Place the knots and fills of each encoded column: curves for numbers, straight lines for 0/1 columns."""
    curved = spline_columns(columns)
    return tuple(
        _term(X[:, index].astype(np.float64), weight, knots=knots if curved[index] else 0)
        for index in range(X.shape[1])
    )


def expand(terms: Sequence[Term], X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the design columns of all encoded columns side by side, shape (n, sum of widths)."""
    return np.column_stack([term.expand(X[:, index].astype(np.float64)) for index, term in enumerate(terms)])


def _term(x: NDArray[np.float64], weight: NDArray[np.float64], *, knots: int) -> Term:
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
