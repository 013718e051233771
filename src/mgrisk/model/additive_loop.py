"""The compiled loop of `model.additive`: contributions, sampling error and unknown variance of each row."""

from __future__ import annotations

from typing import Final

import numpy as np

from mgrisk.compiled import compiled, inner
from mgrisk.types import Booleans, Floats, Integers, Singles

CHUNK: Final = 64
"""Rows processed together, so that the processor works on several at once."""
ALIKE: Final = 8
"""From so many rows of one pattern in a chunk, it pays to work column by column, not row by row."""

# What a loop does not change is read before it: arrays may overlap for all that the compiler knows, and it would read
# it again for each number. A sum has the same order however many rows share a pattern, so the digits are the same.


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


@inner
def _eliminate(
    out: Integers,
    kept: int,
    precision: Floats,
    coefficients: Floats,
    ridge: float,
    removed: Floats,
    lower: Floats,
    scale: Floats,
    own: Floats,
    unknown: Floats,
) -> None:
    """Eliminate the absent columns `out` one after the other, where those before the first `kept` already are.

    The inverse correlation K is L D Lᵀ of these columns. Written for the n-th of them: column n of L D over all design
    columns to `removed`, row n of -L to `lower`, 1 / D to `scale`; and the weight of each observed column and the
    unknown variance once it is absent too, to row n + 1 of `own` and `unknown`.
    """
    p = len(coefficients)
    for n in range(kept, len(out)):
        i = out[n]
        column, factors = removed[n], lower[n, :n]
        for k in range(n):
            factors[k] = -removed[k, i] * scale[k]
        column[:] = precision[i]
        _add_weighted(removed, factors, p, column)
        inverse, weight, coefficient = 1.0 / column[i], own[n, i], coefficients[i]
        scale[n] = inverse
        unknown[n + 1] = unknown[n] + (weight * weight * inverse - ridge * coefficient * coefficient)
        weight *= -inverse
        before, after = own[n], own[n + 1]
        for k in range(p):
            after[k] = before[k] + column[k] * weight


@inner
def _fill(
    begin: int,
    end: int,
    out: Integers,
    lower: Floats,
    scale: Floats,
    product: Floats,
    solved: Floats,
    one: Floats,
    z: Floats,
) -> None:
    """Set the absent columns of rows of one pattern to their expectation, -K_MM⁻¹ times `product` = K z."""
    q = len(out)
    if end - begin >= ALIKE:
        size = end - begin
        for n in range(q):
            solved[n, :size] = product[out[n], begin:end]
            _add_weighted(solved, lower[n, :n], size, solved[n])
        for n in range(q - 1, -1, -1):
            into, factor = solved[n], scale[n]
            for r in range(size):
                into[r] *= factor
            _add_weighted(solved[n + 1 :], lower[n + 1 : q, n], size, into)
            for r in range(size):
                z[out[n], begin + r] = -into[r]
        return
    for r in range(begin, end):
        for n in range(q):
            value, factors = product[out[n], r], lower[n]
            for k in range(n):
                value += factors[k] * one[k]
            one[n] = value
        for n in range(q - 1, -1, -1):
            value = one[n] * scale[n]
            for k in range(n + 1, q):
                value += lower[k, n] * one[k]
            one[n] = value
            z[out[n], r] = -value


@inner
def _credit(begin: int, end: int, of_input: Integers, own: Floats, z: Floats, credited: Floats) -> None:
    """Add to each input the contributions of its columns, for rows of one pattern."""
    p = len(of_input)
    if end - begin >= ALIKE:
        for i in range(p):
            into, weight = credited[of_input[i]], own[i]
            for r in range(begin, end):
                into[r] += z[i, r] * weight
        return
    for r in range(begin, end):
        for i in range(p):
            credited[of_input[i], r] += z[i, r] * own[i]


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
    coefficients: Floats,
    precision: Floats,
    loadings: Floats,
    offset: Floats,
    contributions: Floats,
    squares: Floats,
    variance: Floats,
) -> None:
    """Compute contributions, sampling error and unknown variance of all rows, pattern by pattern.

    Parameters
    ----------
    order
        The rows sorted by pattern, so that what two patterns in succession lack begins with the same inputs.
    first_column, first_knot, knot, curve
        `Additive._curves`.
    of_input
        Input that each design column belongs to, shape (p,).
    ridge
        λ of `missing_inputs`.
    X, pattern, absent
        Encoded matrix (n, n_columns), stored row by row, since rows are visited in the order of patterns; pattern of
        each row; which inputs each pattern lacks.
    coefficients, precision
        Coefficients of the standardised columns (p,), and the inverse of their ridged correlation (p, p).
    loadings, offset
        Weights of the standardised columns in each form of the sampling error (k, p), and its offset (k,).
    contributions, squares, variance
        Written: contribution of each input to the log-odds, (n_inputs, n); sum of squares of the forms, (n,); unknown
        variance of the log-odds, (n,).
    """
    p = len(coefficients)
    z, credited = np.empty((p, CHUNK)), np.empty((len(contributions), CHUNK))
    product, solved, lacking = np.empty((p, CHUNK)), np.empty((p, CHUNK)), np.empty(len(contributions), dtype=np.bool_)
    form, squared = np.empty(CHUNK), np.empty(CHUNK)
    removed, lower, scale, one = np.empty((p, p)), np.empty((p, p)), np.empty(p), np.empty(p)
    own, unknown = np.empty((p + 1, p)), np.zeros(p + 1)
    own[0] = coefficients
    places, found = np.empty(p, dtype=np.int64), np.empty(p, dtype=np.int64)
    q, last = 0, -1
    for first in range(0, len(order), CHUNK):
        rows = order[first : first + CHUNK]
        size = len(rows)
        _design(X, rows, first_column, first_knot, knot, curve, z)
        lacking[:] = False
        for r in range(size):
            if r == 0 or pattern[rows[r]] != pattern[rows[r - 1]]:
                lacking |= absent[pattern[rows[r]]]
        for k in range(p):
            if lacking[of_input[k]]:
                product[k] = 0.0
                _add_weighted(z, precision[k], size, product[k])
        credited[:] = 0.0
        begin = 0
        while begin < size:
            end = begin + 1
            while end < size and pattern[rows[end]] == pattern[rows[begin]]:
                end += 1
            if pattern[rows[begin]] != last:
                last, kept, most, q = pattern[rows[begin]], 0, q, 0
                for i in range(p):
                    # Without a branch, whose outcome the processor could not foresee.
                    found[q] = i
                    q += absent[last, of_input[i]]
                while kept < min(most, q) and found[kept] == places[kept]:
                    kept += 1
                places[kept:q] = found[kept:q]
                _eliminate(places[:q], kept, precision, coefficients, ridge, removed, lower, scale, own, unknown)
            _credit(begin, end, of_input, own[q], z, credited)
            _fill(begin, end, places[:q], lower, scale, product, solved, one, z)
            for r in range(begin, end):
                variance[rows[r]] = max(unknown[q], 0.0)
            begin = end
        squared[:] = 0.0
        for c in range(len(loadings)):
            form[:] = offset[c]
            _add_weighted(z, loadings[c], size, form)
            for r in range(size):
                squared[r] += form[r] * form[r]
        for r in range(size):
            squares[rows[r]] = squared[r]
        for j in range(len(contributions)):
            for r in range(size):
                contributions[j, rows[r]] = credited[j, r]
