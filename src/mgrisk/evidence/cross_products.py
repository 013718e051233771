"""Weighted cross-products of many rows, for many sets of weights that differ in few rows from one another."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class CrossProducts:
    """The matrix of weighted sums of products of columns.

    A jackknife replicate changes the weights of one stratum; the sums over all other rows stay what they were.

    Parameters
    ----------
    rows
        Shape (n, p).
    reference
        Weights that others differ from in few rows, shape (n,).

    Examples
    --------
    >>> products = CrossProducts(np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([1.0, 1.0]))
    >>> products.at(np.array([1.0, 0.0])).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """

    def __init__(self, rows: Floats, reference: Floats) -> None:
        self.rows = rows
        self.reference = reference

    @cached_property
    def _of_reference(self) -> Floats:
        return (self.rows * self.reference[:, None]).T @ self.rows

    def at(self, weight: Floats) -> Floats:
        """Return the cross-products under other weights, shape (p, p)."""
        changed = np.flatnonzero(weight != self.reference)
        some = self.rows[changed]
        found: Floats = self._of_reference + (some * (weight - self.reference)[changed, None]).T @ some
        return found
