"""The compiled loop of `model.additive`: design columns, expected values of absent ones, contributions and errors."""

from __future__ import annotations

from typing import Final

import numpy as np

from mgrisk.compiled import compiled, inner
from mgrisk.types import Booleans, Floats, Integers, Singles

CHUNK: Final = 64
"""Rows whose design columns are held at once."""


@inner
def _design(
    columns: Singles,
    rows: Integers,
    first_column: Integers,
    first_knot: Integers,
    knot: Floats,
    share: Floats,
    mean: Floats,
    scale: Floats,
    away: Floats,
) -> None:
    """Write the standardised design columns of some rows; of an absent value those of 0, which nobody reads."""
    value, last_cube, before_cube = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    size = len(rows)
    for c in range(len(columns)):
        place, begin, end = first_column[c], first_knot[c], first_knot[c + 1]
        for r in range(size):
            x = columns[c, rows[r]]
            value[r] = 0.0 if np.isnan(x) else np.float64(x)
            away[r, place] = (value[r] - mean[place]) / scale[place]
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
                away[r, place] = (cube / width - mean[place]) / scale[place]


@inner
def _expect(
    precision: Floats, weights: Floats, out: Integers, q: int, lower: Floats, right: Floats, own: Floats
) -> None:
    """Write the weights of the columns that are there, once those that are absent are replaced by what is expected.

    With K the inverse correlation and M the absent columns, own = weights − K_M' K_MM⁻¹ weights_M, and 0 for M. K_MM⁻¹
    weights_M stays in `right`.
    """
    m = weights.shape[1]
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
            for j in range(k + 1, i + 1):
                lower[i, j] -= lower[i, k] * lower[j, k]
    for k in range(q):
        for c in range(m):
            right[k, c] *= lower[k, k]
        for i in range(k + 1, q):
            for c in range(m):
                right[i, c] -= lower[i, k] * right[k, c]
    for k in range(q - 1, -1, -1):
        for c in range(m):
            right[k, c] *= lower[k, k]
        for i in range(k):
            for c in range(m):
                right[i, c] -= lower[k, i] * right[k, c]
    own[:] = weights
    for i in range(q):
        column = precision[out[i]]
        for j in range(len(own)):
            for c in range(m):
                own[j, c] -= column[j] * right[i, c]
    for i in range(q):
        own[out[i]] = 0.0


@compiled
def many(
    order: Integers,
    first_column: Integers,
    first_knot: Integers,
    knot: Floats,
    share: Floats,
    mean: Floats,
    scale: Floats,
    of_input: Integers,
    ridge: float,
    columns: Singles,
    pattern: Integers,
    absent: Booleans,
    weights: Floats,
    precision: Floats,
    offset: Floats,
    contributions: Floats,
    squares: Floats,
    variance: Floats,
) -> None:
    """Go through the rows in the order of their patterns.

    Parameters
    ----------
    order
        The rows, those of a pattern one after the other.
    first_column, first_knot, knot, share
        `Additive._curves`.
    mean, scale, of_input
        Of each design column: mean, standard deviation, and the input that it belongs to, shape (p,).
    ridge
        λ of `missing_inputs`.
    columns, pattern, absent
        Encoded matrix (n_columns, n); pattern of each row; which inputs each pattern lacks.
    weights, precision, offset
        Weights of the standardised columns in each form (p, 1 + k), inverse of their ridged correlation (p, p), and
        what is added to each form but the first, (k,).
    contributions, squares, variance
        Written: of each input to the first form, (n_inputs, n); from 0, sum of squares of the others, (n,); variance
        of the first that stays unknown, (n,).
    """
    p, m = weights.shape
    away, moved = np.empty((CHUNK, p)), np.zeros((CHUNK, len(contributions)))
    total, lower, right, own = np.empty(m), np.empty((p, p)), np.empty((p, m)), np.empty((p, m))
    out, left, last = np.empty(p, dtype=np.int64), 0.0, -1
    for first in range(0, len(order), CHUNK):
        rows = order[first : first + CHUNK]
        _design(columns, rows, first_column, first_knot, knot, share, mean, scale, away)
        moved[:] = 0.0
        for r in range(len(rows)):
            row, z, part = rows[r], away[r], moved[r]
            if pattern[row] != last:
                last, q, left = pattern[row], 0, 0.0
                for i in range(p):
                    if absent[last, of_input[i]]:
                        out[q] = i
                        q += 1
                _expect(precision, weights, out, q, lower, right, own)
                for i in range(q):
                    left += weights[out[i], 0] * (right[i, 0] - ridge * weights[out[i], 0])
                left = max(left, 0.0)
            variance[row] = left
            total[:] = 0.0
            for i in range(p):
                part[of_input[i]] += z[i] * own[i, 0]
                for j in range(m):
                    total[j] += z[i] * own[i, j]
            for j in range(m - 1):
                form = offset[j] + total[j + 1]
                squares[row] += form * form
        for j in range(len(contributions)):
            for r in range(len(rows)):
                contributions[j, rows[r]] = moved[r, j]
