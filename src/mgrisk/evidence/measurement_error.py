"""Usual intake of several nutrients at once, for regression calibration of associations.

A day with much energy is a day with much magnesium. A regression on both must be corrected for both, and for the errors
that they share; correcting magnesium alone gives part of the effect of one to the other. One nutrient alone is the
model of `features.usual_intake`; here the variances between people and from day to day are matrices, and come from
moments in place of a likelihood: a fit is a few products of matrices, so that each replicate can have its own.
`CrossProducts` makes them fast for weights that differ in few rows from one replicate to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline

from mgrisk.features.mixed_model import BoxCox, gauss_hermite
from mgrisk.features.usual_intake import fit_usual_intake
from mgrisk.features.usual_intake_model import UsualScale
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats


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


GRID = 33
"""Points at which the way back to amounts is computed; the spline between them is off by less than 1e-5."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Predicted usual intake and what it rests on.

    Attributes
    ----------
    usual
        Expected usual intake given recalls and covariates, shape (n, q), in the unit of the amounts a day.
    between, within
        Covariances on the transformed scales, of people with the same covariates and from day to day, shape (q, q).
    """

    usual: Floats
    between: Floats
    within: Floats

    @property
    def attenuation(self) -> Floats:
        """What is left of an association with one day, each nutrient on its transformed scale, shape (q,)."""
        between, within = np.diag(self.between), np.diag(self.within)
        return np.asarray(between / (between + within))


class JointIntake:
    """Recalls and covariates of some people, coded once, to be fitted with any weights.

    Parameters
    ----------
    amounts
        By nutrient, shape (n, 2), a day; everybody has the first, NaN where there is no second.
    weekend
        Whether a day was Friday to Sunday, shape (n, 2), 0 or 1; looked at where there is a day.
    covariates
        Design matrix with its column of ones, shape (n, p): all that the regression on usual intake is adjusted for.
    scales
        From `choose_scale`, for each nutrient.
    weight
        The full weights, shape (n,), from which those of replicates differ in few rows.
    """

    def __init__(
        self,
        amounts: Mapping[str, Floats],
        weekend: Floats,
        covariates: Floats,
        *,
        scales: Mapping[str, BoxCox],
        weight: Floats,
    ) -> None:
        self.scales = [scales[name] for name in amounts]
        days = np.stack([scales[name].forward(each) for name, each in amounts.items()], axis=2)
        self.twice = np.isfinite(days[:, 1, 0])
        self.covariates = covariates
        self.weekend, self.days = weekend, days
        first = np.column_stack([covariates, weekend[:, 0], np.zeros(len(days)), days[:, 0]])
        second = np.column_stack([covariates, weekend[:, 1], np.ones(len(days)), days[:, 1]])
        twice = self.twice
        every, everyone = np.vstack([first, second[twice]]), np.concatenate([weight, weight[twice]])
        self._every = CrossProducts(every, everyone)
        self._mean = CrossProducts(np.where(twice[:, None], (first + second) / 2.0, first), weight)
        # Between two days of a person covariates are the same and drop out.
        own = covariates.shape[1]
        self._apart = CrossProducts((first - second)[twice, own:], weight[twice])

    def fit(self, weight: Floats) -> Calibrated:
        """Fit the model with some weights and predict everybody.

        Parameters
        ----------
        weight
            Shape (n,), at least 0.

        Returns
        -------
        Calibrated

        Notes
        -----
        Rosner, Spiegelman and Willett (1990), Am. J. Epidemiol. 132:734, with the error from repeated recalls; Kipnis
        et al. (2009), Biometrics 65:1003, for the way back from the transformed scales: the expectation of usual
        intake, not the transform of an expectation. Mean regression by weighted least squares over all days; covariance
        within from differences of two days, between from persons' means less the share of the days' error in them.
        """
        q, own = len(self.scales), self.covariates.shape[1]
        coefficients = _solve(self._every.at(np.concatenate([weight, weight[self.twice]])), q)
        weekend, sequence = coefficients[own], coefficients[own + 1]
        repeated = weight[self.twice]
        within = _residual_square(self._apart.at(repeated), coefficients[own:]) / repeated.sum() / 2.0
        error = float(np.average(np.where(self.twice, 0.5, 1.0), weights=weight))
        total = _residual_square(self._mean.at(weight), coefficients) / weight.sum()
        between = _positive(total - error * within)
        centre = self.covariates @ coefficients[:own]
        first = self.days[:, 0] - centre - self.weekend[:, [0]] * weekend
        second = self.days[:, 1] - centre - self.weekend[:, [1]] * weekend - sequence
        usual = np.empty_like(centre)
        for days, here in ((1, ~self.twice), (2, self.twice)):
            mean = first[here] if days == 1 else (first[here] + second[here]) / 2.0
            shrink = np.linalg.solve(between + within / days, between)
            place = centre[here] + mean @ shrink
            unknown = np.diag(between - between @ shrink)
            for at, scale in enumerate(self.scales):
                back = UsualScale(scale, float(within[at, at]), float(weekend[at]))
                usual[here, at] = _expected(back, place[:, at], float(unknown[at]))
        return Calibrated(usual, between, within)


def choose_scale(amount: Floats, weekend: Floats, design: SurveyDesign) -> BoxCox:
    """Return the Box-Cox scale of a nutrient by maximum likelihood, from a model without covariates.

    Parameters
    ----------
    amount, weekend
        Shape (n, 2), a row for each row of the design.
    design
        Its domain has a first recall.

    Notes
    -----
    The exponent stays the same in all replicates: it decides the shape of the errors and hardly their size.
    """
    return fit_usual_intake(amount, design=design, weekend=weekend).transform


def _solve(products: Floats, responses: int) -> Floats:
    """Return regression coefficients of the last columns on the others, from their cross-products.

    A replicate without anybody of some group gets the shortest of the equivalent solutions.
    """
    matrix, right = products[:-responses, :-responses], products[:-responses, -responses:]
    size = np.sqrt(np.diag(matrix))
    size = np.where(size > 0.0, size, 1.0)
    solution = np.linalg.lstsq(matrix / np.outer(size, size), right / size[:, None], rcond=1e-11)[0]
    return np.asarray(solution / size[:, None])


def _residual_square(products: Floats, coefficients: Floats) -> Floats:
    """Return the cross-products of residuals of the last columns, given those of all columns."""
    back = np.vstack([-coefficients, np.eye(coefficients.shape[1])])
    found: Floats = back.T @ products @ back
    return found


def _positive(covariance: Floats) -> Floats:
    """Return the nearest covariance: a difference of two may have a direction below zero by chance."""
    values, vectors = np.linalg.eigh(covariance)
    nearest: Floats = (vectors * np.maximum(values, 1e-8 * values[-1])) @ vectors.T
    return nearest


def _expected(scale: UsualScale, place: Floats, variance: float) -> Floats:
    """Return expected usual intake for people whose mean on the transformed scale is normal about their place."""
    if not place.size:
        return place
    nodes, weights = gauss_hermite()
    grid = np.linspace(float(place.min()), float(place.max()), GRID)
    at_grid = (scale.usual(grid[:, None] + np.sqrt(max(variance, 0.0)) * nodes) * weights).sum(axis=1)
    return np.asarray(CubicSpline(grid, at_grid)(place))
