"""Additive models on restricted cubic splines, which predict from any subset of their inputs: the released models.

    log-odds = intercept + Σ_j coefficient_j (z_j − mean_j)

with z the spline and level columns of the encoder and their means in the development population. Inputs that are absent
are integrated out (`missing_inputs`): for each pattern of absent inputs the model is again linear in the observed
columns, followed by a linear map. So an observed input has the Shapley value of an additive model, and an absent one
exactly 0. Where waist is absent and body mass index predicts it, the effect of waist is credited to body mass index.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from pydantic import Field, model_validator

from mgrisk import compiled
from mgrisk.config.checked import SMALLEST, Checked, Finite, Increasing, Knots, NotNegative, Numbers, Table, same_length
from mgrisk.model.additive_loop import many
from mgrisk.model.learners import bad_model, read_model
from mgrisk.model.missing_inputs import RIDGE, Lines, Moments, as_words
from mgrisk.model.splines import Term
from mgrisk.types import Booleans, Floats, Integers, Singles

FILE: Final = "additive.json"
MOST_ASKED: Final = 1 << 16
"""Patterns for which the next input to ask for is kept."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """Sampling error of the log-odds: variance = base + factor × Σ_j (offset_j + Σ_i loading_ij (z_i − mean_i))².

    Attributes
    ----------
    loadings, offset
        Shapes (p, k) and (k,).
    base, factor
        Mean variance that the quadratic form does not explain, and the factor of the form.
    replicates
        Number of refits it was estimated from.
    """

    loadings: Floats
    offset: Floats
    base: float
    factor: float
    replicates: int

    def to_dict(self) -> dict[str, Any]:
        """Return the section `sampling` of additive.json."""
        return {
            "loadings": self.loadings.tolist(),
            "offset": self.offset.tolist(),
            "base": self.base,
            "factor": self.factor,
            "replicates": self.replicates,
        }


@dataclass(frozen=True, eq=False)
class Answer:
    """Predictions for some people.

    Attributes
    ----------
    log_odds
        Log-odds of the reported risk, shape (n,).
    base
        The log-odds where every observed input is average, shape (n,). Base plus contributions are `log_odds`.
    contributions
        SHAP value of each input in log-odds, shape (n_inputs, n); 0 where it is absent.
    expected, unknown
        Mean and standard deviation of the log-odds over the distribution of the absent inputs, shape (n,) each. With
        nothing absent the mean is `log_odds`; otherwise it differs, since the mean risk is not the risk at the mean.
    variance
        Sampling variance of `log_odds`, shape (n,); 0 without refits.
    """

    log_odds: Floats
    base: Floats
    contributions: Floats
    expected: Floats
    unknown: Floats
    variance: Floats


@dataclass(frozen=True, eq=False)
class _Patterns:
    """The patterns of absent inputs among some people.

    Attributes
    ----------
    of_row
        Pattern of each row, shape (n,).
    order
        The rows sorted by pattern, shape (n,).
    keys
        Bits of each pattern.
    absent
        Which inputs each pattern lacks, shape (n_patterns, n_inputs).
    """

    of_row: Integers
    order: Integers
    keys: list[int | bytes]
    absent: Booleans


@dataclass(frozen=True, eq=False)
class Additive:
    """An additive model for any subset of its inputs.

    Attributes
    ----------
    terms
        The curve of each encoded column.
    owners
        Input that each encoded column belongs to, shape (n_columns,).
    intercept
        Log-odds at the mean of the design columns.
    coefficients
        Coefficient of each design column, shape (p,).
    moments
        Mean and covariance of the design columns in the population.
    lines
        From expected log-odds to log-odds of the expected risk.
    sampling
        Sampling error of the log-odds; None without refits.
    """

    terms: tuple[Term, ...]
    owners: Integers
    intercept: float
    coefficients: Floats
    moments: Moments
    lines: Lines
    sampling: Sampling | None = None
    # A copy begins with an empty cache.
    _next: dict[int | bytes, int] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def of_input(self) -> Integers:
        """Input that each design column belongs to, shape (p,)."""
        return np.repeat(self.owners, [term.width for term in self.terms])

    @cached_property
    def _coefficients(self) -> Floats:
        """Coefficients of the standardised columns, shape (p,)."""
        return self.coefficients * self.moments.scale

    @cached_property
    def _loadings(self) -> Floats:
        """Loadings of the sampling error on the standardised columns, shape (k, p)."""
        loadings = np.empty((len(self.coefficients), 0)) if self.sampling is None else self.sampling.loadings
        return np.ascontiguousarray((loadings * self.moments.scale[:, None]).T)

    @cached_property
    def _offset(self) -> Floats:
        return np.empty(0) if self.sampling is None else self.sampling.offset

    @cached_property
    def first(self) -> Integers:
        """First encoded column of each input, shape (n_inputs,)."""
        return np.unique(self.owners, return_index=True)[1]

    @cached_property
    def _columns_of_input(self) -> Sequence[Integers]:
        return [np.flatnonzero(self.of_input == number) for number in range(len(self.first))]

    @cached_property
    def _curves(self) -> tuple[Integers, Integers, Floats, Floats]:
        """First design column and first knot of each encoded column, the knots, and factors of each design column.

        The factors, shape (p, 4), give a standardised column of `cubic_spline.basis`: the first multiplies the value,
        or its cube above a knot; two multiply the cubes above the last knot but one and the last; one is subtracted.
        """
        knots = [np.array(term.knots if len(term.knots) >= 3 else ()) for term in self.terms]
        curve = np.vstack([*map(_standardising, knots), np.empty((0, 4))])
        curve[:, :3] /= self.moments.scale[:, None]
        curve[:, 3] = self.moments.mean / self.moments.scale
        return (
            np.cumsum([0, *(term.width for term in self.terms)], dtype=np.int64),
            np.cumsum([0, *map(len, knots)], dtype=np.int64),
            np.concatenate([*knots, np.empty(0)]),
            curve,
        )

    def answer(self, X: Singles) -> Answer:
        """Predict from an encoded matrix (n, n_columns), NaN where an input is absent."""
        X = np.ascontiguousarray(X)
        found, n = self._patterns(X), len(X)
        contributions, squares, variance = np.zeros((len(self.first), n)), np.zeros(n), np.zeros(n)
        if compiled.compiling_pays(X.nbytes + contributions.nbytes):
            many(
                found.order, *self._curves, self.of_input, RIDGE,
                X, found.of_row, found.absent, self._coefficients, self.moments.precision, self._loadings, self._offset,
                contributions, squares, variance,
            )  # fmt: skip
        else:
            self._few(X, found, contributions, squares, variance)
        expected = np.full(n, self.intercept)
        for each in contributions:
            expected += each
        unknown = np.sqrt(variance)
        slope, intercept = self.lines.at(unknown)
        contributions *= slope
        base = slope * self.intercept + intercept
        log_odds = base.copy()
        for each in contributions:
            log_odds += each
        error = self.sampling
        of_error = np.zeros(n) if error is None else error.base + error.factor * slope**2 * squares
        return Answer(log_odds, base, contributions, expected, unknown, of_error)

    def margin(self, X: Singles) -> Floats:
        """Return the log-odds of the reported risk, shape (n,)."""
        return self.answer(X).log_odds

    def of_expected_risk(self, expected: Floats, X: Singles) -> Floats:
        """Return the log-odds of the expected risk from expected log-odds, shape (n,), given what each row lacks."""
        slope, intercept = self.lines.at(self.answer(X).unknown)
        found: Floats = slope * expected + intercept
        return found

    def _few(self, X: Singles, found: _Patterns, contributions: Floats, squares: Floats, variance: Floats) -> None:
        """Do the work of `many` without compiling: the same operations in the same order, so the same digits."""
        z = np.zeros((len(self.of_input), len(X)))
        first_column, first_knot, knots, curve = self._curves
        for c, column in enumerate(X.T.astype(np.float64)):
            known = np.isfinite(column)
            value, own_knots = column[known], knots[first_knot[c] : first_knot[c + 1]]
            factor, _, _, shift = curve[first_column[c]]
            z[first_column[c], known] = value * factor - shift
            cubes = [above * above * above for above in np.maximum(value - own_knots[:, None], 0.0)]
            for place, cube in enumerate(cubes[:-2], start=first_column[c] + 1):
                factor, of_before, of_last, shift = curve[place]
                z[place, known] = cube * factor - cubes[-2] * of_before + cubes[-1] * of_last - shift
        for pattern, absent in enumerate(found.absent):
            rows = np.flatnonzero(found.of_row == pattern)
            out = np.flatnonzero(absent[self.of_input])
            lower, scale, own, variance[rows] = self._eliminated(out)
            solved, forms = np.zeros((len(out), len(rows))), np.tile(self._offset[:, None], len(rows))
            for i, owner in enumerate(self.of_input):
                contributions[owner, rows] += z[i, rows] * own[i]
                solved += np.multiply.outer(self.moments.precision[out, i], z[i, rows])
            for n in range(len(out)):
                for k in range(n):
                    solved[n] += lower[n, k] * solved[k]
            for n in reversed(range(len(out))):
                solved[n] *= scale[n]
                for k in range(n + 1, len(out)):
                    solved[n] += lower[k, n] * solved[k]
                z[out[n], rows] = -solved[n]
            for i, of_column in enumerate(self._loadings.T):
                forms += np.multiply.outer(of_column, z[i, rows])
            for form in forms:
                squares[rows] += form * form

    def _eliminated(self, out: Integers) -> tuple[Floats, Floats, Floats, float]:
        """Return `lower` and `scale` of the absent columns, the weight of each column (p,), and `unknown`."""
        q, own, unknown = len(out), self._coefficients, 0.0
        removed, lower, scale = np.empty((q, len(own))), np.zeros((q, q)), np.empty(q)
        for n, i in enumerate(out):
            lower[n, :n] = -removed[:n, i] * scale[:n]
            removed[n] = self.moments.precision[i]
            for k in range(n):
                removed[n] += removed[k] * lower[n, k]
            scale[n] = 1.0 / removed[n, i]
            unknown += own[i] * own[i] * scale[n] - RIDGE * self._coefficients[i] * self._coefficients[i]
            own = own + removed[n] * (own[i] * -scale[n])
        return lower, scale, own, max(unknown, 0.0)

    def _patterns(self, X: Singles) -> _Patterns:
        words = as_words(np.isnan(X)[:, self.first])
        # Single words are sorted as integers, several as bytes; the first input counts most, as `many` wants it.
        keys = (
            words.view(">u8").astype(np.uint64)
            if words.shape[1] == 1
            else words.view(np.dtype((np.void, words.shape[1] * 8)))
        ).ravel()
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        begins = np.append(True, ordered[1:] != ordered[:-1])[: len(keys)]
        of_row = np.empty(len(keys), dtype=np.int64)
        of_row[order] = np.cumsum(begins) - 1
        absent = np.isnan(X[np.ix_(order[begins], self.first)])
        return _Patterns(of_row, order, ordered[begins].tolist(), np.ascontiguousarray(absent))

    def next_inputs(self, X: Singles) -> Integers:
        """Return the absent input whose measurement would remove most variance, -1 where none is absent, shape (n,)."""
        found = self._patterns(X)
        if len(self._next) + len(found.keys) > MOST_ASKED:
            self._next.clear()
        known = []
        for key, absent in zip(found.keys, found.absent, strict=True):
            asked = self._next.get(key)
            if asked is None:
                gains = np.where(absent, self.gains(absent), -1.0)
                asked = self._next[key] = int(np.argmax(gains)) if absent.any() else -1
            known.append(asked)
        return np.array(known, dtype=np.int64)[found.of_row]

    def gains(self, absent: Booleans) -> Floats:
        """Return by how much measuring each absent input would reduce the unknown variance of the log-odds.

        Parameters
        ----------
        absent
            Which inputs are absent, shape (n_inputs,).

        Returns
        -------
        NDArray
            Squared log-odds, shape (n_inputs,); 0 for inputs that are not absent.
        """
        return self.moments.gains(self.coefficients, absent[self.of_input], self._columns_of_input)

    def unknown(self, absent: Booleans) -> float:
        """Return the variance of the log-odds over the distribution of the absent inputs; `absent` as for `gains`."""
        return float(self.moments.forms(self.coefficients[:, None], absent[self.of_input])[1][0])

    def after(self, *, stretch: float, added: float) -> Additive:
        """Return the model with a variance added to that of its log-odds after they are multiplied by `stretch`."""
        if self.sampling is None:
            return self
        return replace(self, sampling=replace(self.sampling, base=self.sampling.base + added / stretch**2))

    def to_files(self) -> dict[str, bytes]:
        """Return additive.json."""
        content = {
            "knots": [list(term.knots) for term in self.terms],
            "intercept": self.intercept,
            "coefficients": self.coefficients.tolist(),
            "mean": self.moments.mean.tolist(),
            # The lower triangle, row by row.
            "covariance": self.moments.covariance[np.tril_indices(len(self.coefficients))].tolist(),
            "lines": {
                "s": self.lines.s.tolist(),
                "slope": self.lines.slope.tolist(),
                "intercept": self.lines.intercept.tolist(),
            },
            "sampling": None if self.sampling is None else self.sampling.to_dict(),
        }
        return {FILE: json.dumps(content).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, owners: Integers) -> Additive:
        """Read additive.json back.

        Raises
        ------
        MgRiskError
            `bundle.bad_model`.
        """
        found = read_model(_File.of, files, FILE)
        if len(found.knots) != len(owners):
            raise bad_model(FILE, "has coefficients for other columns than the bundle's features")
        p = len(found.coefficients)
        covariance = np.zeros((p, p))
        covariance[np.tril_indices(p)] = found.covariance
        covariance += np.tril(covariance, -1).T
        moments, lines = Moments(np.array(found.mean), covariance), found.lines
        if p and np.linalg.eigvalsh(covariance / np.outer(moments.scale, moments.scale))[0] < -1e-6:
            raise bad_model(FILE, "has a covariance that is not positive semidefinite")
        return cls(
            tuple(Term(0.0, tuple(knots)) for knots in found.knots),
            owners,
            found.intercept,
            np.array(found.coefficients),
            moments,
            Lines(np.array(lines.s), np.array(lines.slope), np.array(lines.intercept)),
            None if found.sampling is None else found.sampling.sampling(),
        )


class _Lines(Checked):
    s: Increasing = Field(min_length=1)
    slope: Numbers
    intercept: Numbers

    @model_validator(mode="after")
    def _of_one_grid(self) -> Self:
        same_length(s=self.s, slope=self.slope, intercept=self.intercept)
        return self


class _Sampling(Checked):
    loadings: Table
    offset: Numbers
    base: NotNegative
    factor: NotNegative
    replicates: int = Field(ge=1, le=10**6)

    @model_validator(mode="after")
    def _of_the_same_forms(self) -> Self:
        for row in self.loadings:
            same_length(loadings=row, offset=self.offset)
        return self

    def sampling(self) -> Sampling:
        shape = (len(self.loadings), len(self.offset))
        loadings = np.array(self.loadings, dtype=np.float64).reshape(shape)
        return Sampling(loadings, np.array(self.offset), self.base, self.factor, self.replicates)


class _File(Checked):
    knots: list[Knots]
    intercept: Finite
    coefficients: Numbers
    mean: Numbers
    covariance: Numbers
    lines: _Lines
    sampling: _Sampling | None

    @model_validator(mode="after")
    def _of_the_same_columns(self) -> Self:
        p = sum(Term(0.0, tuple(knots)).width for knots in self.knots)
        if not len(self.coefficients) == len(self.mean) == p or len(self.covariance) != p * (p + 1) // 2:
            raise ValueError(f"coefficients, mean or covariance is not that of {p} design columns")
        if self.sampling is not None and len(self.sampling.loadings) != p:
            raise ValueError(f"sampling.loadings has not a row for each of {p} design columns")
        # The diagonal of a lower triangle stored row by row.
        variances = [self.covariance[k * (k + 3) // 2] for k in range(p)]
        if any(variance != 0 and variance < SMALLEST**2 for variance in variances):
            raise ValueError("covariance has a variance below 0 or next to 0")
        return self


def _standardising(knots: Floats) -> Floats:
    """Return `Additive._curves` of one encoded column before mean and scale are known, (1 + the curved columns, 4)."""
    curve = np.zeros((max(len(knots) - 1, 1), 4))
    curve[0, 0] = 1.0
    if len(knots):
        last, before, inner = knots[-1], knots[-2], knots[:-2]
        curve[1:, 0] = 1.0
        curve[1:, 1:3] = np.column_stack([last - inner, before - inner]) / (last - before)
        curve[1:] /= (last - knots[0]) ** 2
    return curve
