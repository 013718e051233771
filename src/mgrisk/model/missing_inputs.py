"""Absent inputs: the expected linear predictor given the observed inputs, and its remaining variance.

An additive model is linear in its design columns z. With the population's mean μ and covariance Σ of the columns, the
absent ones (M) are integrated out given the observed ones (O):

    E[z_M | z_O] = μ_M + Σ_MO (Σ_OO + λ I)⁻¹ (z_O − μ_O)
    E[η | z_O]   = b0 + b_O z_O + b_M E[z_M | z_O]                    linear in z_O again
    s²           = b_Mᵀ (Σ_MM − Σ_MO (Σ_OO + λ I)⁻¹ Σ_OM) b_M         variance of η that stays unknown

with every column in units of its standard deviation. With K the inverse of Σ + λ I, only its block K_MM has to be
solved: E[z_M | z_O] = μ_M − K_MM⁻¹ K_MO (z_O − μ_O). Half of the people of a survey lack some input, so μ and Σ are
estimated with survey weights by the EM algorithm for incomplete normal data (Little and Rubin 2019, Statistical
Analysis with Missing Data, section 11.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv
from scipy.special import expit

from mgrisk.types import Booleans, Floats, Integers

RIDGE: Final = 0.01
"""λ, in units of a column's variance."""
STEPS: Final = 50
CLOSE: Final = 1e-4
"""EM ends when no mean and no covariance changes by more, in units of standard deviations."""
CONSTANT: Final = 1e-9
"""A column with a smaller standard deviation, in units of its mean, is constant."""
NODES: Final = 21
FLAT: Final = 1e-3
"""Below this standard deviation of the log-odds no line is fitted: its slope would be 1 to six digits."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of design columns in a population.

    Attributes
    ----------
    mean, covariance
        Shapes (p,) and (p, p).
    """

    mean: Floats
    covariance: Floats

    @cached_property
    def scale(self) -> Floats:
        """Standard deviation of each column, shape (p,); 1 where a column does not vary."""
        found: Floats = np.sqrt(self.covariance.diagonal())
        return np.where(found == 0, 1.0, found)

    @cached_property
    def precision(self) -> Floats:
        """Inverse of the ridged correlation matrix, shape (p, p)."""
        correlation = self.covariance / np.outer(self.scale, self.scale)
        return np.asarray(np.linalg.inv(correlation + RIDGE * np.eye(len(self.mean))), dtype=np.float64)

    def forms(self, weights: Floats, absent: Booleans) -> tuple[Floats, Floats]:
        """Return linear forms of all columns as expected forms of the observed ones.

        Parameters
        ----------
        weights
            Each form is the sum over the columns of weight × (column − mean), shape (p, m).
        absent
            Which columns are absent, shape (p,).

        Returns
        -------
        tuple
            The weights of the expected forms, 0 for absent columns, shape (p, m); and the unknown variance of each
            form, shape (m,).
        """
        if not absent.any():
            return weights, np.zeros(weights.shape[1])
        out, there = np.flatnonzero(absent), np.flatnonzero(~absent)
        scaled = weights * self.scale[:, None]
        moved = self._solved(out, scaled[out])
        found = np.zeros_like(weights)
        found[there] = (scaled[there] - self.precision[there][:, out] @ moved) / self.scale[there, None]
        variance = (scaled[out] * (moved - RIDGE * scaled[out])).sum(axis=0)
        return found, np.maximum(variance, 0.0)

    def _solved(self, out: Integers, right: Floats) -> Floats:
        """Solve with the block K_MM of the absent columns."""
        # LAPACK's routine itself: it is called for each pattern, and scipy's checks would cost more than the solution.
        _, found, failed = dposv(self.precision[out][:, out], right)
        if failed:
            raise ArithmeticError("the covariance of the design columns is not positive definite")
        solved: Floats = found
        return solved

    def gains(self, weights: Floats, absent: Booleans, groups: Sequence[Integers]) -> Floats:
        """Return by how much knowing each group of columns would reduce the unknown variance of a form.

        Parameters
        ----------
        weights, absent
            As for `forms`, for one form, shape (p,) each.
        groups
            Columns of each group.

        Returns
        -------
        NDArray
            Shape (n_groups,); 0 for a group that is observed.
        """
        found = np.zeros(len(groups))
        lacking = np.flatnonzero(absent)
        place = np.cumsum(absent) - 1
        # Covariance of the absent columns given the observed ones, plus λ.
        left = np.linalg.inv(self.precision[np.ix_(lacking, lacking)])
        scaled = (weights * self.scale)[lacking]
        moved = left @ scaled
        for number, group in enumerate(groups):
            here = place[group[absent[group]]]
            if len(here):
                reduction = moved[here] @ np.linalg.solve(left[np.ix_(here, here)], moved[here])
                found[number] = reduction - RIDGE * scaled[here] @ scaled[here]
        return np.maximum(found, 0.0)

    def expected_forms(self, Z: Floats, gone: Booleans, weights: Floats) -> tuple[Floats, Floats]:
        """Return the expected linear forms given the observed columns of each row, with some columns removed.

        Parameters
        ----------
        Z
            Design columns, NaN where missing, shape (n, p).
        gone
            Columns removed from all rows, shape (p,).
        weights
            As for `forms`, shape (p, m).

        Returns
        -------
        tuple
            The forms, shape (n, m), and the unknown variance of the first, shape (n,).
        """
        found, unknown = np.zeros((len(Z), weights.shape[1])), np.zeros(len(Z))
        away = np.nan_to_num(Z - self.mean)
        for rows, absent in _patterns(np.where(gone, np.nan, Z)):
            own, variance = self.forms(weights, absent)
            found[rows] = away[rows] @ own
            unknown[rows] = variance[0]
        return found, unknown

    def expected(self, Z: Floats) -> Floats:
        """Return design columns with missing values replaced by their expectation given the rest, shape (n, p)."""
        found = Z.copy()
        for rows, absent in _patterns(Z):
            if absent.any():
                found[np.ix_(rows, absent)] = self._expected(Z[rows][:, ~absent], absent)
        return found

    def _expected(self, observed: Floats, absent: Booleans) -> Floats:
        known = (observed - self.mean[~absent]) / self.scale[~absent]
        out = np.flatnonzero(absent)
        moved = self._solved(out, self.precision[np.ix_(absent, ~absent)] @ known.T)
        found: Floats = self.mean[absent] - moved.T * self.scale[absent]
        return found


def fit_moments(Z: Floats, weight: Floats, *, start: Moments | None = None) -> Moments:
    """Estimate mean and covariance from incomplete rows.

    Parameters
    ----------
    Z
        Design columns, NaN where missing, shape (n, p); a column missing in all rows counts as constant 0.
    weight
        Positive survey weights, shape (n,).
    start
        Estimates from similar people as starting values: the same result in fewer steps.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> both = rng.multivariate_normal([0.0, 1.0], [[1.0, 0.8], [0.8, 1.0]], size=20_000)
    >>> both[both[:, 0] > 0, 1] = np.nan  # the second is known of people who are low in the first
    >>> fit_moments(both, np.ones(len(both))).mean.round(1).tolist()
    [0.0, 1.0]
    """
    share = weight / weight.sum()
    known = ~np.isnan(Z)
    held = np.maximum(share @ known, np.finfo(np.float64).tiny)
    centre = (share @ np.where(known, Z, 0.0)) / held
    away = Z - centre
    scale = np.sqrt(share @ np.where(known, away, 0.0) ** 2 / held)
    # The mean of a constant differs from it by its rounding, and what does not vary tells nothing of the rest.
    constant = scale <= CONSTANT * np.abs(centre)
    away[:, constant] *= 0.0
    scale[constant] = 1.0
    standard = away / scale
    patterns = list(_patterns(standard))
    mean = np.zeros(Z.shape[1])
    covariance = _moments(np.nan_to_num(standard), share, mean)
    if start is not None:
        mean, covariance = (start.mean - centre) / scale, start.covariance / np.outer(scale, scale)
        mean[constant], covariance[constant], covariance[:, constant] = 0.0, 0.0, 0.0
    for _ in range(STEPS):
        filled, added = standard.copy(), np.zeros_like(covariance)
        for rows, absent in patterns:
            if not absent.any():
                continue
            there = ~absent
            # Of the covariance itself, not of its inverse: in EM the blocks of most patterns are small.
            ridged = covariance[np.ix_(there, there)] + RIDGE * np.eye(int(there.sum()))
            slope = np.linalg.solve(ridged, covariance[np.ix_(there, absent)])
            filled[np.ix_(rows, absent)] = mean[absent] + (standard[rows][:, there] - mean[there]) @ slope
            left = covariance[np.ix_(absent, absent)] - covariance[np.ix_(absent, there)] @ slope
            added[np.ix_(absent, absent)] += share[rows].sum() * left
        moved_mean = share @ filled
        moved = _moments(filled, share, moved_mean) + added
        change = max(np.abs(moved_mean - mean).max(), np.abs(moved - covariance).max())
        mean, covariance = moved_mean, moved
        if change < CLOSE:
            break
    # Symmetric to the last digit, since a bundle stores one triangle.
    covariance = (covariance + covariance.T) / 2.0
    return Moments(centre + mean * scale, covariance * np.outer(scale, scale))


def _moments(filled: Floats, share: Floats, mean: Floats) -> Floats:
    away = filled - mean
    found: Floats = away.T @ (away * share[:, None])
    return found


def as_words(absent: Booleans) -> NDArray[np.uint64]:
    """Return the absent inputs of each row, shape (n, k), as bits of words, shape (n, n_words), which sort quickly."""
    bits = np.packbits(absent, axis=1)
    words = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : bits.shape[1]] = bits
    return words.view(np.uint64)


def _patterns(Z: Floats) -> Iterator[tuple[Integers, Booleans]]:
    """Yield the rows that lack the same columns, and the absent columns."""
    absent = np.isnan(Z)
    rows: dict[bytes, list[int]] = {}
    for row, bits in enumerate(np.packbits(absent, axis=1)):
        rows.setdefault(bits.tobytes(), []).append(row)
    for members in rows.values():
        yield np.array(members), absent[members[0]]


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines from the expected linear predictor to the log-odds of the expected risk, by its unknown SD.

    With unknown standard deviation s, a person's risk is E[logistic(η + s ε)] with ε standard normal. Within a pattern
    of absent inputs s is fixed, and this is a smooth increasing function of η. It is replaced by the line with the
    least log loss over the population, so that contributions add up to the log-odds of the reported risk.

    Attributes
    ----------
    s
        Grid of unknown standard deviations from 0, shape (g,).
    slope, intercept
        Slope and intercept of the line at each, shape (g,).
    """

    s: Floats
    slope: Floats
    intercept: Floats

    def at(self, s: Floats) -> tuple[Floats, Floats]:
        """Return slope and intercept at unknown standard deviations, by interpolation on the grid."""
        return np.interp(s, self.s, self.slope), np.interp(s, self.s, self.intercept)

    @classmethod
    def none(cls) -> Lines:
        """Return identity lines, for an additive part of a stacked ensemble."""
        return cls(np.zeros(1), np.ones(1), np.zeros(1))

    @classmethod
    def fit(cls, quantiles: Floats, *, size: int = 65) -> Lines:
        """Fit the lines for a population.

        Parameters
        ----------
        quantiles
            Evenly spaced quantiles of the population's linear predictor with nothing absent, in log-odds. With s
            unknown, its variance is smaller by s².
        size
            Number of grid points.
        """
        centre, spread = quantiles.mean(), quantiles.std()
        if spread < FLAT:
            return cls.none()
        s = np.linspace(0.0, spread, size)
        slope, intercept = np.ones(size), np.zeros(size)
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights /= weights.sum()
        for place in range(1, size):
            eta = centre + np.sqrt(max(1.0 - (s[place] / spread) ** 2, 1e-4)) * (quantiles - centre)
            risk = expit(eta[:, None] + s[place] * nodes) @ weights
            slope[place], intercept[place] = _line(eta, risk, slope[place - 1], intercept[place - 1])
        return cls(s, slope, intercept)


def _line(eta: Floats, risk: Floats, slope: float, intercept: float) -> tuple[float, float]:
    """Return slope and intercept of the logistic line with the least log loss for risks, by Newton's method."""
    basis = np.column_stack([eta, np.ones(len(eta))])
    line = np.array([slope, intercept])
    for _ in range(50):
        fitted = expit(basis @ line)
        step = np.linalg.solve(basis.T @ (basis * (fitted * (1.0 - fitted))[:, None]), basis.T @ (risk - fitted))
        line += step
        if np.abs(step).max() < 1e-12:
            break
    return float(line[0]), float(line[1])
