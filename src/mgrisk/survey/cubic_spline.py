"""Restricted cubic splines: cubic between the knots and linear beyond the outer knots."""

from __future__ import annotations

from typing import Final

import numpy as np

from mgrisk.types import Floats

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
        Increasing knots, shape (k,), k >= 3; with fewer the basis is only `x`.

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
    # Not ** 3: the last digit of numpy's pow depends on the processor.
    cubes = above * above * above
    last, before = knots[-1], knots[-2]
    inner = knots[:-2]
    curve = (
        cubes[:, :-2]
        - cubes[:, [k - 2]] * (last - inner) / (last - before)
        + cubes[:, [k - 1]] * (before - inner) / (last - before)
    )
    return np.column_stack([x, curve / (last - knots[0]) ** 2])
