"""The compiled loop of `model.additive`: contributions, sampling error and unknown variance of each row."""

from __future__ import annotations

from typing import Final

import numpy as np

from mgrisk.compiled import compiled, inner
from mgrisk.types import Booleans, Floats, Integers, Singles

CHUNK: Final = 64
"""Rows processed together, so that the processor works on several at once."""

# What a loop does not change is read before it: arrays may overlap for all that the compiler knows, and it would read
# it again for each number.


@inner
def _design(
    X: Singles,
    rows: Integers,
    first_column: Integers,
    first_knot: Integers,
    knot: Floats,
    curve: Floats,
    z: Floats,
) -> None:
    """Write the standardised design columns of some rows, 0 where a value is absent; shape (p, CHUNK)."""
    value, last_cube, before_cube = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    known = np.empty(CHUNK)
    size = len(rows)
    for c in range(X.shape[1]):
        place, begin, end = first_column[c], first_knot[c], first_knot[c + 1]
        factor, shift = curve[place, 0], curve[place, 3]
        for r in range(size):
            x = np.float64(X[rows[r], c])
            known[r] = 0.0 if np.isnan(x) else 1.0
            value[r] = 0.0 if np.isnan(x) else x
        for r in range(size):
            z[place, r] = (value[r] * factor - shift) * known[r]
        if end == begin:
            continue
        last, before = knot[end - 1], knot[end - 2]
        for r in range(size):
            above = max(value[r] - before, 0.0)
            before_cube[r] = above * above * above
            above = max(value[r] - last, 0.0)
            last_cube[r] = above * above * above
        for k in range(begin, end - 2):
            place += 1
            factor, of_before, of_last, shift = curve[place, 0], curve[place, 1], curve[place, 2], curve[place, 3]
            start = knot[k]
            for r in range(size):
                above = max(value[r] - start, 0.0)
                cube = above * above * above * factor - before_cube[r] * of_before + last_cube[r] * of_last
                z[place, r] = (cube - shift) * known[r]


@inner
def _solve(precision: Floats, weights: Floats, out: Integers, lower: Floats, right: Floats) -> None:
    """Write K_MM⁻¹ weights_M into `right`: K the inverse correlation, M the absent columns `out`."""
    q, m = len(out), weights.shape[1]
    for i in range(q):
        for j in range(i + 1):
            lower[i, j] = precision[out[i], out[j]]
        for c in range(m):
            right[i, c] = weights[out[i], c]
    for k in range(q):
        inverse = 1.0 / np.sqrt(lower[k, k])
        lower[k, k] = inverse
        for i in range(k + 1, q):
            lower[i, k] *= inverse
        for i in range(k + 1, q):
            factor = lower[i, k]
            for j in range(k + 1, i + 1):
                lower[i, j] -= factor * lower[j, k]
    for k in range(q):
        factor = lower[k, k]
        for c in range(m):
            right[k, c] *= factor
        for i in range(k + 1, q):
            factor = lower[i, k]
            for c in range(m):
                right[i, c] -= factor * right[k, c]
    for k in range(q - 1, -1, -1):
        factor = lower[k, k]
        for c in range(m):
            right[k, c] *= factor
        for i in range(k):
            factor = lower[k, i]
            for c in range(m):
                right[i, c] -= factor * right[k, c]


@inner
def _add_weighted(z: Floats, weights: Floats, size: int, total: Floats) -> None:
    """Add weights × columns of some rows to `total`, four columns at a time, in the order of the columns."""
    p = len(weights)
    for i in range(0, p - p % 4, 4):
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        for r in range(size):
            total[r] = total[r] + z[i, r] * a + z[i + 1, r] * b + z[i + 2, r] * c + z[i + 3, r] * d
    for i in range(p - p % 4, p):
        weight = weights[i]
        for r in range(size):
            total[r] += z[i, r] * weight


@compiled
def many(
    order: Integers,
    first_column: Integers,
    first_knot: Integers,
    knot: Floats,
    curve: Floats,
    of_input: Integers,
    ridge: float,
    X: Singles,
    pattern: Integers,
    absent: Booleans,
    weights: Floats,
    precision: Floats,
    offset: Floats,
    contributions: Floats,
    squares: Floats,
    variance: Floats,
) -> None:
    """Compute contributions, sampling error and unknown variance of all rows, pattern by pattern.

    Parameters
    ----------
    order
        The rows sorted by pattern.
    first_column, first_knot, knot, curve
        `Additive._curves`.
    of_input
        Input that each design column belongs to, shape (p,).
    ridge
        λ of `missing_inputs`.
    X, pattern, absent
        Encoded matrix (n, n_columns), stored row by row, since rows are visited in the order of patterns; pattern of
        each row; which inputs each pattern lacks.
    weights, precision, offset
        Weights of the standardised columns in each form (p, 1 + k), inverse of their ridged correlation (p, p), and
        offset of each form but the first, (k,).
    contributions, squares, variance
        Written: contribution of each input to the first form, (n_inputs, n); sum of squares of the other forms, (n,);
        unknown variance of the first form, (n,).
    """
    p, m = weights.shape
    z, moved, total = np.empty((p, CHUNK)), np.empty((len(contributions), CHUNK)), np.empty((m, CHUNK))
    # For absent columns Σ_j K_ij z_j; minus K_MM⁻¹ times these is their expectation.
    expected, lacking = np.empty((p, CHUNK)), np.empty(p, dtype=np.bool_)
    lower, right, own, forms = np.empty((p, p)), np.empty((p, m)), np.empty(p), np.empty(m)
    places = np.empty(p, dtype=np.int64)
    out, left, last = places[:0], 0.0, -1
    for first in range(0, len(order), CHUNK):
        rows = order[first : first + CHUNK]
        size = len(rows)
        _design(X, rows, first_column, first_knot, knot, curve, z)
        total[:] = 0.0
        for c in range(m):
            _add_weighted(z, weights[:, c], size, total[c])
        lacking[:] = False
        for r in range(size):
            if r == 0 or pattern[rows[r]] != pattern[rows[r - 1]]:
                gone = absent[pattern[rows[r]]]
                for i in range(p):
                    lacking[i] |= gone[of_input[i]]
        for k in range(p):
            if lacking[k]:
                expected[k] = 0.0
                _add_weighted(z, precision[k], size, expected[k])
        moved[:] = 0.0
        begin = 0
        while begin < size:
            end = begin + 1
            while end < size and pattern[rows[end]] == pattern[rows[begin]]:
                end += 1
            if pattern[rows[begin]] != last:
                last, q, left = pattern[rows[begin]], 0, 0.0
                for i in range(p):
                    if absent[last, of_input[i]]:
                        places[q] = i
                        q += 1
                out = places[:q]
                _solve(precision, weights, out, lower, right)
                own[:] = weights[:, 0]
                for k in range(q):
                    row, weight = precision[out[k]], right[k, 0]
                    for i in range(p):
                        own[i] -= row[i] * weight
                    left += weights[out[k], 0] * (weight - ridge * weights[out[k], 0])
                left = max(left, 0.0)
            for i in range(p):
                into, weight = moved[of_input[i]], own[i]
                for r in range(begin, end):
                    into[r] += z[i, r] * weight
            for r in range(begin, end):
                variance[rows[r]] = left
                for c in range(m):
                    forms[c] = total[c, r]
                for k in range(len(out)):
                    value = expected[out[k], r]
                    for c in range(m):
                        forms[c] -= value * right[k, c]
                square = 0.0
                for c in range(m - 1):
                    form = offset[c] + forms[c + 1]
                    square += form * form
                squares[rows[r]] = square
            begin = end
        for j in range(len(contributions)):
            for r in range(size):
                contributions[j, rows[r]] = moved[j, r]
