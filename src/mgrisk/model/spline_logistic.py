"""Penalised logistic regression on restricted cubic splines: the glass box among the learners."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from mgrisk.model.encode import Column
from mgrisk.model.learners import Params, bad_model, mean_one, spline_columns
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
class FittedSplineLogistic:
    """A fitted additive model: the margin is a sum of one function of each encoded column.

    Attributes
    ----------
    terms
        One for each encoded column.
    intercept
        Log-odds at the reference of all design columns.
    coefficients, centre
        One of each for each design column; a column's part of the margin is coefficient × (column − centre).
    """

    terms: tuple[Term, ...]
    intercept: float
    coefficients: NDArray[np.float64]
    centre: NDArray[np.float64]

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each encoded column's part of the margin, shape (n, n_columns); with the intercept they add up."""
        parts = np.empty(X.shape, dtype=np.float64)
        start = 0
        for index, term in enumerate(self.terms):
            chosen = slice(start, start + term.width)
            design = term.expand(X[:, index].astype(np.float64)) - self.centre[chosen]
            # einsum, not @: a BLAS kernel may round a row differently by where it stands in its block.
            parts[:, index] = np.einsum("ij,j->i", design, self.coefficients[chosen])
            start += term.width
        return parts

    def margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log-odds before calibration, shape (n,)."""
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
    def from_files(cls, files: Mapping[str, bytes], *, n_columns: int) -> FittedSplineLogistic:
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
class SplineLogisticLearner:
    """Ridge-penalised spline logistic regression over a grid of inverse penalties.

    Parameters
    ----------
    columns
        The encoded columns.
    knots
        Knots of each number's curve, at Harrell's quantiles of the weighted training values.
    c
        Inverse penalties, scikit-learn's C on weights of mean 1.
    """

    columns: tuple[Column, ...]
    knots: int
    c: Sequence[float]
    name: str = field(default="spline_logistic", init=False)

    def candidates(self) -> Sequence[Params]:
        """Return one candidate for each penalty."""
        return [{"c": c} for c in self.c]

    def fit(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64], params: Params
    ) -> FittedSplineLogistic:
        """Fit one penalty; what replaces missing values comes from these rows alone."""
        terms, design, centre, scale = self._prepare(X, weight)
        return _solve(terms, design, centre, scale, y, weight, c=params["c"])

    def fit_path(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> Iterator[tuple[Params, FittedSplineLogistic]]:
        """Fit all penalties on one design matrix."""
        terms, design, centre, scale = self._prepare(X, weight)
        for params in self.candidates():
            yield params, _solve(terms, design, centre, scale, y, weight, c=params["c"])

    def _prepare(
        self, X: NDArray[np.float32], weight: NDArray[np.float64]
    ) -> tuple[tuple[Term, ...], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        curved = spline_columns(self.columns)
        terms = tuple(
            _term(X[:, index].astype(np.float64), weight, knots=self.knots if curved[index] else 0)
            for index in range(X.shape[1])
        )
        design = np.column_stack([term.expand(X[:, index].astype(np.float64)) for index, term in enumerate(terms)])
        centre = np.average(design, axis=0, weights=weight)
        scale = np.sqrt(np.average((design - centre) ** 2, axis=0, weights=weight))
        scale[scale == 0] = 1.0
        return terms, (design - centre) / scale, centre, scale


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


def _solve(
    terms: tuple[Term, ...],
    design: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    *,
    c: float,
) -> FittedSplineLogistic:
    model = LogisticRegression(C=c, max_iter=2000, tol=1e-6)
    model.fit(design, y, sample_weight=mean_one(weight))
    return FittedSplineLogistic(terms, float(model.intercept_[0]), model.coef_[0] / scale, centre)
