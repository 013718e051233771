"""The released kind of model: additive on restricted cubic splines, and right for whatever inputs a person has.

    log-odds = intercept + Σ_j coefficient_j (z_j − mean_j)

with z the spline and level columns of the encoder and their means in the development population. Inputs that are absent
are integrated out (`missing_inputs`): for each pattern of absent inputs the model is again linear in the columns that
are observed, followed by a straight line. So an observed input has the Shapley value of an additive model, an absent
one has exactly 0, and what waist would have told is credited to body mass index where that is what told it.
What depends on the pattern alone is worked out once for each pattern that is met.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from mgrisk.compiled import compiled
from mgrisk.model.learners import bad_model
from mgrisk.model.missing_inputs import Lines, Moments
from mgrisk.model.splines import Term, basis
from mgrisk.types import Booleans, Floats, Integers, Singles

FILE: Final = "additive.json"
MOST_KEPT: Final = 1 << 27
"""Bytes of what is kept for the patterns that were met; where more is needed it begins anew."""
FEW_ROWS: Final = 256
"""Rows that are worked out without compiled code, whose first use costs seconds; the digits are the same."""
CHUNK: Final = 64
"""Rows whose design columns are held at once."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """Sampling error of the log-odds: variance = base + factor × Σ_j (offset_j + Σ_i loading_ij (z_i − mean_i))².

    Attributes
    ----------
    loadings, offset
        Shapes (p, k) and (k,).
    base, factor
        What the forms do not hold, on average, and by what they are to be multiplied.
    replicates
        Refits that it was made of.
    """

    loadings: Floats
    offset: Floats
    base: float
    factor: float
    replicates: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers."""
        return {
            "loadings": self.loadings.tolist(),
            "offset": self.offset.tolist(),
            "base": self.base,
            "factor": self.factor,
            "replicates": self.replicates,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any], *, p: int) -> Sampling:
        """Read it back; ValueError where a number is not finite or a variance is below 0."""
        offset = np.array(row["offset"], dtype=np.float64)
        loadings = np.array(row["loadings"], dtype=np.float64).reshape(p, len(offset))
        found = cls(loadings, offset, float(row["base"]), float(row["factor"]), int(row["replicates"]))
        scalars = np.array([found.base, found.factor])
        if not (np.isfinite(loadings).all() and np.isfinite(offset).all() and np.isfinite(scalars).all()):
            raise ValueError("a number of the sampling error is not finite")
        if (scalars < 0).any() or found.replicates <= 0:
            raise ValueError("a variance is below 0, or there are no replicates")
        return found


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model says of some people.

    Attributes
    ----------
    log_odds
        Log-odds of the reported risk, shape (n,).
    base
        The log-odds where every observed input is average, shape (n,): contributions add up from here.
    contributions
        Of each input, shape (n_inputs, n); 0 where it is absent.
    expected, unknown
        Mean and standard deviation of the log-odds over what the absent inputs may be, shape (n,) each. With nothing
        absent the mean is `log_odds`; otherwise it differs, since a mean risk is not the risk at the mean.
    variance
        Sampling variance of `log_odds`, shape (n,); 0 where no refits were made.
    """

    log_odds: Floats
    base: Floats
    contributions: Floats
    expected: Floats
    unknown: Floats
    variance: Floats


@dataclass(eq=False)
class _Kept:
    """What was worked out for patterns of absent inputs, by the number of the pattern.

    Attributes
    ----------
    number
        By the pattern's bits.
    weights
        Of the design columns in each form, shape (size, p, m).
    lines
        Slope and intercept of the line, and the variance that is unknown, shape (size, 3).
    next
        Input whose knowledge would take most of that variance, by number, where it was asked for.
    """

    number: dict[bytes, int]
    weights: Floats
    lines: Floats
    next: dict[int, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, p: int, m: int) -> _Kept:
        return cls({}, np.zeros((16, p, m)), np.zeros((16, 3)))

    def grow(self) -> None:
        """Make room; whoever is reading the arrays keeps those that it has."""
        self.weights = np.concatenate([self.weights, np.zeros_like(self.weights)])
        self.lines = np.concatenate([self.lines, np.zeros_like(self.lines)])


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
        Mean log-odds of the population.
    coefficients
        Of each design column, shape (p,).
    moments
        Mean and covariance of the design columns in the population.
    lines
        From expected log-odds to log-odds of the expected risk.
    sampling
        Sampling error of the log-odds; None where no refits were made.
    """

    terms: tuple[Term, ...]
    owners: Integers
    intercept: float
    coefficients: Floats
    moments: Moments
    lines: Lines
    sampling: Sampling | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _kept: list[_Kept] = field(default_factory=list, init=False, repr=False)

    @cached_property
    def of_input(self) -> Integers:
        """Input that each design column belongs to, shape (p,)."""
        return np.repeat(self.owners, [term.width for term in self.terms])

    @cached_property
    def _weights(self) -> Floats:
        """The model, then the forms of its sampling error, shape (p, 1 + k)."""
        loadings = np.empty((len(self.coefficients), 0)) if self.sampling is None else self.sampling.loadings
        return np.column_stack([self.coefficients, loadings])

    @cached_property
    def _offset(self) -> Floats:
        return np.empty(0) if self.sampling is None else self.sampling.offset

    @cached_property
    def first(self) -> Integers:
        """First encoded column of each input, shape (n_inputs,)."""
        return np.unique(self.owners, return_index=True)[1]

    @cached_property
    def _curves(self) -> tuple[Integers, Integers, Floats, Floats]:
        """First design column of each encoded column; first knot of each; the knots; weights of `_basis`."""
        knots = [np.array(term.knots if len(term.knots) >= 3 else ()) for term in self.terms]
        shares = [_shares(each) for each in knots]
        return (
            np.cumsum([0, *(term.width for term in self.terms)], dtype=np.int64),
            np.cumsum([0, *map(len, knots)], dtype=np.int64),
            np.concatenate([*knots, np.empty(0)]),
            np.vstack([*shares, np.empty((0, 2))]),
        )

    def answer(self, X: Singles) -> Answer:
        """Say what the model makes of an encoded matrix (n, n_columns), NaN where an input is absent."""
        columns = np.ascontiguousarray(X.T)
        pattern, weights, lines = self._patterns(columns)
        n = len(X)
        contributions, squares = np.zeros((len(self.first), n)), np.zeros(n)
        if n <= FEW_ROWS:
            self._few(X, weights[pattern], contributions, squares)
        else:
            order = np.argsort(pattern, kind="stable")
            _many(
                columns, order, pattern, *self._curves, self.moments.mean, self.of_input, weights, self._offset,
                contributions, squares,
            )  # fmt: skip
        expected = np.full(n, self.intercept)
        for each in contributions:
            expected += each
        slope, intercept, unknown = lines[pattern].T
        contributions *= slope
        base = slope * self.intercept + intercept
        log_odds = base.copy()
        for each in contributions:
            log_odds += each
        found = self.sampling
        variance = np.zeros(n) if found is None else found.base + found.factor * slope**2 * squares
        return Answer(log_odds, base, contributions, expected, np.sqrt(unknown), variance)

    def margin(self, X: Singles) -> Floats:
        """Return the log-odds of the reported risk, shape (n,)."""
        return self.answer(X).log_odds

    def of_expected_risk(self, expected: Floats, X: Singles) -> Floats:
        """Return the log-odds of the expected risk from expected log-odds, shape (n,), by what each row lacks."""
        pattern, _, lines = self._patterns(np.ascontiguousarray(X.T))
        slope, intercept, _ = lines[pattern].T
        found: Floats = slope * expected + intercept
        return found

    def values(self, X: Singles) -> Floats:
        """Return the contributions to the log-odds, shape (n, n_inputs), those of an input in one piece."""
        return self.answer(X).contributions.T

    def _few(self, X: Singles, weights: Floats, contributions: Floats, squares: Floats) -> None:
        """Do what `_many` does, in the same order of operations, without compiling anything."""
        forms = np.zeros((len(self._offset), len(X)))
        place = 0
        for column, term in enumerate(self.terms):
            value = X[:, column].astype(np.float64)
            knots = np.array(term.knots if len(term.knots) >= 3 else ())
            for z in basis(np.where(np.isnan(value), 0.0, value), knots).T:
                away = z - self.moments.mean[place]
                contributions[self.owners[column]] += away * weights[:, place, 0]
                forms += away * weights[:, place, 1:].T
                place += 1
        for form, offset in zip(forms, self._offset, strict=True):
            moved = offset + form
            squares += moved * moved

    def _patterns(self, columns: Singles) -> tuple[Integers, Floats, Floats]:
        """Return the number of each row's pattern, shape (n,), with the weights and lines by number."""
        bits = np.packbits(np.isnan(columns[self.first]), axis=0)
        keys = np.ascontiguousarray(bits.T).view(np.dtype((np.void, len(bits)))).ravel()
        met, place = np.unique(keys, return_inverse=True)
        with self._lock:
            room = MOST_KEPT // self._weights.nbytes
            if not self._kept or len(self._kept[0].number) + len(met) > max(room, len(met)):
                self._kept[:] = [_Kept.empty(*self._weights.shape)]
            kept = self._kept[0]
            numbers = np.array([self._number(kept, key.tobytes()) for key in met], dtype=np.int64)
            return numbers[place], kept.weights, kept.lines

    def _number(self, kept: _Kept, bits: bytes) -> int:
        """Return the number of a pattern; one that was never met is worked out."""
        if bits not in kept.number:
            number = len(kept.number)
            if number == len(kept.lines):
                kept.grow()
            absent = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=len(self.first)).astype(np.bool_)
            weights, variance = self.moments.forms(self._weights, absent[self.of_input])
            slope, intercept = self.lines.at(variance[:1])
            kept.weights[number] = weights
            kept.lines[number] = slope[0], intercept[0], variance[0]
            kept.number[bits] = number
        return kept.number[bits]

    def next_inputs(self, X: Singles) -> Integers:
        """Return which absent input would leave least unknown were it known, -1 where none is absent, shape (n,)."""
        pattern, _, _ = self._patterns(np.ascontiguousarray(X.T))
        met, row, place = np.unique(pattern, return_index=True, return_inverse=True)
        with self._lock:
            known = self._kept[0].next
            for number, first in zip(met.tolist(), row.tolist(), strict=True):
                if number not in known:
                    absent = np.isnan(X[first, self.first])
                    known[number] = int(np.argmax(self.gains(absent))) if absent.any() else -1
            return np.array([known[number] for number in met.tolist()], dtype=np.int64)[place]

    def gains(self, absent: Booleans) -> Floats:
        """Return by how much the variance that stays unknown would shrink were one absent input known.

        Parameters
        ----------
        absent
            Which inputs are absent, shape (n_inputs,).

        Returns
        -------
        NDArray
            Squared log-odds, shape (n_inputs,); 0 for inputs that are there.
        """
        groups: Sequence[Integers] = [np.flatnonzero(self.of_input == number) for number in range(len(self.first))]
        return self.moments.gains(self.coefficients, absent[self.of_input], groups)

    def after(self, *, stretch: float, added: float) -> Additive:
        """Return it with a variance added to that of log-odds which are to be stretched afterwards."""
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
        """Read additive.json back; shapes and finiteness are checked.

        Raises
        ------
        MgRiskError
            `bundle.bad_model`.
        """
        try:
            content = json.loads(files[FILE])
            terms = tuple(Term(0.0, tuple(map(float, knots))) for knots in content["knots"])
            p = sum(term.width for term in terms)
            coefficients = np.array(content["coefficients"], dtype=np.float64)
            mean = np.array(content["mean"], dtype=np.float64)
            covariance = np.zeros((p, p))
            covariance[np.tril_indices(p)] = content["covariance"]
            covariance += np.tril(covariance, -1).T
            lines = Lines(*(np.array(content["lines"][name], dtype=np.float64) for name in ("s", "slope", "intercept")))
            sampling = None if content["sampling"] is None else Sampling.from_dict(content["sampling"], p=p)
            found = cls(
                terms, owners, float(content["intercept"]), coefficients, Moments(mean, covariance), lines, sampling
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise bad_model(FILE, f"cannot be read: {problem!r}") from None
        if len(terms) != len(owners) or coefficients.shape != (p,) or mean.shape != (p,):
            raise bad_model(FILE, "has coefficients for other columns than the bundle's features")
        if not lines.s.shape == lines.slope.shape == lines.intercept.shape or lines.s.ndim != 1 or not len(lines.s):
            raise bad_model(FILE, "has lines of different lengths")
        numbers: list[Any] = [
            coefficients,
            mean,
            covariance.ravel(),
            [found.intercept],
            lines.s,
            lines.slope,
            lines.intercept,
        ]
        if not np.isfinite(np.concatenate(numbers)).all():
            raise bad_model(FILE, "has a number that is not finite")
        if any((np.diff(term.knots) <= 0).any() for term in terms) or (np.diff(lines.s) <= 0).any():
            raise bad_model(FILE, "has knots or lines that do not increase")
        scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        scale[scale == 0] = 1.0
        if np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] < -1e-6:
            raise bad_model(FILE, "has a covariance that no columns can have")
        return found


def _shares(knots: Floats) -> Floats:
    """Return how much of the cubes above the last two knots goes into each curved column of `basis`, (k, 2)."""
    shares = np.zeros((len(knots), 2))
    if len(knots):
        last, before, inner = knots[-1], knots[-2], knots[:-2]
        shares[:-2] = np.column_stack([last - inner, before - inner])
    return shares


@compiled
def _many(
    columns: Singles,
    order: Integers,
    pattern: Integers,
    first_column: Integers,
    first_knot: Integers,
    knot: Floats,
    share: Floats,
    mean: Floats,
    of_input: Integers,
    weights: Floats,
    offset: Floats,
    contributions: Floats,
    squares: Floats,
) -> None:
    """Go through the rows in the order of their patterns, so that the weights of a pattern are read once for all."""
    p, m = weights.shape[1], weights.shape[2]
    away, value = np.empty((CHUNK, p)), np.empty(CHUNK)
    last_cube, before_cube = np.empty(CHUNK), np.empty(CHUNK)
    total = np.empty(m - 1)
    for first in range(0, len(order), CHUNK):
        size = min(CHUNK, len(order) - first)
        for c in range(len(columns)):
            place, begin, end = first_column[c], first_knot[c], first_knot[c + 1]
            for r in range(size):
                x = columns[c, order[first + r]]
                value[r] = 0.0 if np.isnan(x) else np.float64(x)
                away[r, place] = value[r] - mean[place]
            if end == begin:
                continue
            last, before = knot[end - 1], knot[end - 2]
            width = (last - knot[begin]) ** 2
            for r in range(size):
                above = max(value[r] - before, 0.0)
                before_cube[r] = above * above * above
                above = max(value[r] - last, 0.0)
                last_cube[r] = above * above * above
            for k in range(begin, end - 2):
                place += 1
                for r in range(size):
                    above = max(value[r] - knot[k], 0.0)
                    cube = above * above * above
                    cube -= before_cube[r] * share[k, 0] / (last - before)
                    cube += last_cube[r] * share[k, 1] / (last - before)
                    away[r, place] = cube / width - mean[place]
        for r in range(size):
            row = order[first + r]
            own = weights[pattern[row]]
            total[:] = 0.0
            for i in range(p):
                contributions[of_input[i], row] += away[r, i] * own[i, 0]
                for j in range(m - 1):
                    total[j] += away[r, i] * own[i, j + 1]
            for j in range(m - 1):
                moved = offset[j] + total[j]
                squares[row] += moved * moved
