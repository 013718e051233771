"""Inputs that are absent: the expected linear predictor given those that are there, and what stays unknown.

An additive model is linear in its design columns z, so that with the population's mean μ and covariance Σ of the
columns the absent ones (M) are integrated out given the observed ones (O):

    E[z_M | z_O] = μ_M + Σ_MO (Σ_OO + λ I)⁻¹ (z_O − μ_O)
    E[η | z_O]   = b0 + b_O z_O + b_M E[z_M | z_O]                    linear in z_O again
    s²           = b_Mᵀ (Σ_MM − Σ_MO (Σ_OO + λ I)⁻¹ Σ_OM) b_M         variance of η that stays unknown

with every column in units of its standard deviation. All of it follows from the inverse K of Σ + λ I by solving with
its block K_MM alone: E[z_M | z_O] = μ_M − K_MM⁻¹ K_MO (z_O − μ_O). Half of the people of a survey lack some input, so
that μ and Σ are estimated by the EM algorithm for incomplete normal data (Little and Rubin 2019, Statistical Analysis
with Missing Data, section 11.2), with survey weights.
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
"""EM ends where no mean and no covariance moves by more, in units of standard deviations."""
CONSTANT: Final = 1e-9
"""A column with a smaller standard deviation, in units of its mean, is constant."""
NODES: Final = 21
FLAT: Final = 1e-3
"""Log-odds that spread by less are of one risk: its line is 1 to six digits, and cannot be fitted."""


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
        """Return linear forms of the columns as forms of those that are observed.

        Parameters
        ----------
        weights
            Each form is the sum over the columns of weight × (column − mean), shape (p, m).
        absent
            Which columns are absent, shape (p,).

        Returns
        -------
        tuple
            The weights of the expected forms, 0 for absent columns, shape (p, m); and the variance of the first form
            that stays unknown.
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
        # LAPACK's own routine: called for each pattern, where the checks around it would cost more than it does.
        _, found, failed = dposv(self.precision[out][:, out], right)
        if failed:
            raise ArithmeticError("the covariance of the design columns is not positive definite")
        solved: Floats = found
        return solved

    def gains(self, weights: Floats, absent: Booleans, groups: Sequence[Integers]) -> Floats:
        """Return by how much the unknown variance of a form would shrink were one group of columns known.

        Parameters
        ----------
        weights, absent
            As for `forms`, of one form, shape (p,) each.
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
        # What stays unknown of the absent columns: their covariance given the observed ones, and λ.
        left = np.linalg.inv(self.precision[np.ix_(lacking, lacking)])
        scaled = (weights * self.scale)[lacking]
        moved = left @ scaled
        for number, group in enumerate(groups):
            here = place[group[absent[group]]]
            if len(here):
                told = moved[here] @ np.linalg.solve(left[np.ix_(here, here)], moved[here])
                found[number] = told - RIDGE * scaled[here] @ scaled[here]
        return np.maximum(found, 0.0)

    def expected_forms(self, Z: Floats, gone: Booleans, weights: Floats) -> tuple[Floats, Floats]:
        """Return linear forms as expected given what is there of each row once some columns are taken away.

        Parameters
        ----------
        Z
            Design columns, NaN where missing, shape (n, p).
        gone
            Columns taken away from everybody, shape (p,).
        weights
            As for `forms`, shape (p, m).

        Returns
        -------
        tuple
            The forms, shape (n, m), and the variance of the first that stays unknown, shape (n,).
        """
        found, unknown = np.zeros((len(Z), weights.shape[1])), np.zeros(len(Z))
        away = np.nan_to_num(Z - self.mean)
        for rows, absent in _patterns(np.where(gone, np.nan, Z)):
            own, variance = self.forms(weights, absent)
            found[rows] = away[rows] @ own
            unknown[rows] = variance[0]
        return found, unknown

    def expected(self, Z: Floats) -> Floats:
        """Return design columns with what is missing replaced by its expectation given the rest, shape (n, p)."""
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
        Design columns, NaN where missing, shape (n, p); a column that nobody has counts as constant 0.
    weight
        Positive survey weights, shape (n,).
    start
        Where the estimates are near, those of similar people: fewer steps lead to the same.

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
    # Symmetric to the last digit, as a bundle that holds one triangle gives it back.
    covariance = (covariance + covariance.T) / 2.0
    return Moments(centre + mean * scale, covariance * np.outer(scale, scale))


def _moments(filled: Floats, share: Floats, mean: Floats) -> Floats:
    away = filled - mean
    found: Floats = away.T @ (away * share[:, None])
    return found


def as_words(absent: Booleans) -> NDArray[np.uint64]:
    """Return what each row lacks, shape (n, k), as the bits of whole words, shape (n, n_words), which sort quickly."""
    bits = np.packbits(absent, axis=1)
    words = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : bits.shape[1]] = bits
    return words.view(np.uint64)


def _patterns(Z: Floats) -> Iterator[tuple[Integers, Booleans]]:
    """Yield the rows that lack the same columns, and which these are."""
    absent = np.isnan(Z)
    rows: dict[bytes, list[int]] = {}
    for row, bits in enumerate(np.packbits(absent, axis=1)):
        rows.setdefault(bits.tobytes(), []).append(row)
    for members in rows.values():
        yield np.array(members), absent[members[0]]


@dataclass(frozen=True, eq=False)
class Lines:
    """The straight line from an expected linear predictor to the log-odds of the expected risk, by what is unknown.

    The risk of a person of whom s is unknown is E[logistic(η + s ε)] with ε normal. Within a pattern of absent inputs
    s is fixed, so that this is a smooth rising function of η. It is replaced by the line that costs least log loss over
    the population, so that contributions add up to the log-odds of the reported risk.

    Attributes
    ----------
    s
        Grid, shape (g,), from 0.
    slope, intercept
        Of each line, shape (g,).
    """

    s: Floats
    slope: Floats
    intercept: Floats

    def at(self, s: Floats) -> tuple[Floats, Floats]:
        """Return slope and intercept of the lines where so much is unknown, by interpolation on the grid."""
        return np.interp(s, self.s, self.slope), np.interp(s, self.s, self.intercept)

    @classmethod
    def none(cls) -> Lines:
        """Return lines that change nothing, for an additive part of a sum."""
        return cls(np.zeros(1), np.ones(1), np.zeros(1))

    @classmethod
    def fit(cls, quantiles: Floats, *, size: int = 65) -> Lines:
        """Fit the lines for a population.

        Parameters
        ----------
        quantiles
            Evenly spaced quantiles of the population's linear predictor with nothing absent, in log-odds. With s
            unknown its spread about the mean is smaller, by as much as s² takes of its variance.
        size
            Points of the grid.
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
    """Return the logistic line nearest to risks in log loss, by Newton's method."""
    basis = np.column_stack([eta, np.ones(len(eta))])
    line = np.array([slope, intercept])
    for _ in range(50):
        fitted = expit(basis @ line)
        step = np.linalg.solve(basis.T @ (basis * (fitted * (1.0 - fitted))[:, None]), basis.T @ (risk - fitted))
        line += step
        if np.abs(step).max() < 1e-12:
            break
    return float(line[0]), float(line[1])
