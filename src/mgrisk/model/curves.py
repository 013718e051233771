"""Sums of spline curves with missing values filled: spline models of format 1, and the interval of tree models.

A fitted curve is a line plus a weighted sum of truncated cubes (x − knot)³₊, and so is any linear combination of the
design columns of `splines.basis`. `Curves` computes the weights of these cubes once and sums them in compiled loops.
`FittedSplines` is the spline model of bundles of format 1, which replaces a missing value by the median or mean of the
training rows. Models trained now are `additive.Additive`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from pydantic import model_validator

from mgrisk.compiled import compiled
from mgrisk.config.checked import Checked, Finite, Knots, Numbers
from mgrisk.model.learners import bad_model, read_model
from mgrisk.model.splines import Term
from mgrisk.types import Floats, Integers, Singles

BLOCK_ROWS: Final = 512
"""Rows processed together, so that their sums stay in the first caches."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Linear forms of the design columns of some terms: m curves for each encoded column.

    Attributes
    ----------
    fill
        Value that replaces a missing one, shape (n_columns,).
    start, knot
        The knots of column ``c`` are ``knot[start[c]:start[c + 1]]``.
    cube
        Weight of the cube above each knot in each form, shape (n_knots, m).
    slope, constant
        Linear and constant term of each curve, shape (n_columns, m).
    """

    fill: Floats
    start: Integers
    knot: Floats
    cube: Floats
    slope: Floats
    constant: Floats

    @classmethod
    def of(cls, terms: Sequence[Term], weights: Floats, centre: Floats) -> Curves:
        """Compute the weights of the cubes.

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
        """Return the first form of each column, shape (n, n_columns), contiguous by column."""
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


FILE: Final = "coefficients.json"


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
        One for each design column; a column's part of the margin is coefficient × (column − centre).
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
        """Read coefficients.json back.

        Raises
        ------
        MgRiskError
            `bundle.bad_model`.
        """
        found = read_model(_File.of, files, FILE)
        if len(found.terms) != n_columns:
            raise bad_model(FILE, "has coefficients for other columns than the bundle's features")
        terms = tuple(Term(row.fill, tuple(row.knots)) for row in found.terms)
        return cls(terms, found.intercept, np.array(found.coefficients), np.array(found.centre))


class _Term(Checked):
    fill: Finite
    knots: Knots


class _File(Checked):
    terms: list[_Term]
    intercept: Finite
    coefficients: Numbers
    centre: Numbers

    @model_validator(mode="after")
    def _of_the_same_columns(self) -> Self:
        width = sum(Term(term.fill, tuple(term.knots)).width for term in self.terms)
        if not len(self.coefficients) == len(self.centre) == width:
            raise ValueError(f"coefficients or centre does not have a number for each of {width} design columns")
        return self
