"""Inductive Venn-Abers prediction with survey weights: two isotonic fits, one for each answer the person could give.

A person to be predicted joins the calibration people, once as a case and once as none; the isotonic risk at the
person's own margin is p1 and p0. Both fits for everybody come from one pass: an isotonic fit is the slope of the lower
hull of cumulated cases over cumulated weight, and a newcomer changes it only by a bridge between the hull to the left
and the hull to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VennAbers:
    """Calibration people, as cumulated sums in increasing order of margin.

    Attributes
    ----------
    margin
        Distinct margins, increasing, shape (k,).
    weight, cases
        Weight and weight of cases up to and with each margin, from 0, shape (k + 1,).
    newcomer
        Weight with which a person joins: the mean weight of the calibration people.
    """

    margin: Floats
    weight: Floats
    cases: Floats
    newcomer: float

    def bounds(self, margin: Floats) -> tuple[Floats, Floats]:
        """Return p0 and p1, shape (n,) each: the calibrated risk had the person been no case, or a case."""
        left = np.searchsorted(self.margin, margin, side="left")
        right = np.searchsorted(self.margin, margin, side="right")
        before = _hull(self.weight, self.cases)
        after = len(self.weight) - 1 - _hull(-self.weight[::-1], self.cases[::-1])[::-1]
        return (
            self._bridge(left, right, before, after, case=0.0),
            self._bridge(left, right, before, after, case=self.newcomer),
        )

    def risk(self, margin: Floats) -> Floats:
        """Return the one probability p1 / (1 - p0 + p1), which loses least log loss in the worst case, shape (n,)."""
        low, high = self.bounds(margin)
        merged: Floats = high / (1.0 - low + high)
        return merged

    def _bridge(self, left: Places, right: Places, before: Places, after: Places, *, case: float) -> Floats:
        """Return the slope of the common tangent of both hulls, by Newton's method in a bracket."""
        slope = np.full(len(left), self.cases[-1] / self.weight[-1])
        low, high = np.zeros(len(left)), np.ones(len(left))
        while True:
            i = self._touch(left, before, slope)
            j = self._touch(right, after, slope)
            rise = self.cases[j] + case - self.cases[i]
            run = self.weight[j] + self.newcomer - self.weight[i]
            gap = rise - slope * run
            low, high = np.where(gap > 0, slope, low), np.where(gap < 0, slope, high)
            proposal = rise / run
            proposal = np.where((proposal < low) | (proposal > high), (low + high) / 2, proposal)
            if np.abs(proposal - slope).max(initial=0.0) < 1e-12:
                return proposal
            slope = proposal

    def _touch(self, start: Places, hull: Places, slope: Floats) -> Places:
        """Return where a line of the slope touches the hull that begins at each start."""
        here = start
        while True:
            there = hull[here]
            lower = self.cases[there] - slope * self.weight[there] < self.cases[here] - slope * self.weight[here]
            if not lower.any():
                return here
            here = np.where(lower, there, here)


def _hull(x: Floats, y: Floats) -> Places:
    """Return, for each point, the one before it on the lower hull of the points up to it; the first one's is itself."""
    before = np.zeros(len(x), dtype=np.int64)
    for k in range(1, len(x)):
        j = k - 1
        while j and (y[j] - y[before[j]]) * (x[k] - x[j]) >= (y[k] - y[j]) * (x[j] - x[before[j]]):
            j = before[j]
        before[k] = j
    return before


def fit_venn_abers(margin: Floats, y: Floats, weight: Floats) -> VennAbers:
    """Take in the calibration people.

    Parameters
    ----------
    margin, y
        Out-of-fold margins and outcome, shape (n,); any value where the weight is 0.
    weight
        Analysis weights, shape (n,), 0 for people who do not count.

    Notes
    -----
    Vovk and Petej (2014), Venn-Abers predictors, UAI; the same numbers as the package venn-abers 1.5.4 where all
    weights are equal. That package takes no weights (docs/decisions/0010-calibrators-beside-the-logistic-one.md).

    Examples
    --------
    >>> fitted = fit_venn_abers(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0]), np.ones(4))
    >>> [float(bound[0]) for bound in fitted.bounds(np.array([5.0]))]
    [0.5, 1.0]
    """
    inside = weight > 0
    counted = weight[inside]
    distinct, place = np.unique(margin[inside], return_inverse=True)
    sums = (np.bincount(place, part, minlength=len(distinct)) for part in (counted, counted * y[inside]))
    cumulated = [np.concatenate(([0.0], np.cumsum(part))) for part in sums]
    return VennAbers(distinct, cumulated[0], cumulated[1], newcomer=float(counted.mean()))
