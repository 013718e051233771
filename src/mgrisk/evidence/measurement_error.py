"""Joint usual intake of several nutrients, for regression calibration of associations.

Errors in energy and magnesium intake are correlated, so that a regression on both must be corrected for both jointly;
correcting only magnesium would bias both coefficients. `features.usual_intake` models a single nutrient; here the
between- and within-person covariance matrices are estimated by moments instead of maximum likelihood, which needs only
a few matrix products, so that the model can be refitted in each replicate. `CrossProducts` speeds these up for weights
that differ in few rows between replicates.
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
    """The weighted cross-product matrix of some columns.

    A jackknife replicate changes the weights of one stratum only; the sums over all other rows are reused.

    Parameters
    ----------
    rows
        Shape (n, p).
    reference
        Reference weights, from which other weights differ in few rows, shape (n,).

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
        """Return the cross-products with other weights, shape (p, p)."""
        changed = np.flatnonzero(weight != self.reference)
        some = self.rows[changed]
        found: Floats = self._of_reference + (some * (weight - self.reference)[changed, None]).T @ some
        return found


GRID = 33
"""Number of points at which the back-transformation is computed; spline interpolation has an error below 1e-5."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Predicted usual intake, and the estimated covariances.

    Attributes
    ----------
    usual
        Expected usual intake given recalls and covariates, shape (n, q), in the unit of the amounts per day.
    between, within
        Between-person (given covariates) and within-person covariances on the transformed scales, shape (q, q).
    """

    usual: Floats
    between: Floats
    within: Floats

    @property
    def attenuation(self) -> Floats:
        """Attenuation factor of a single day for each nutrient on its transformed scale, shape (q,)."""
        between, within = np.diag(self.between), np.diag(self.within)
        return np.asarray(between / (between + within))


class JointIntake:
    """Recalls and covariates, coded once so that the model can be fitted with different weights.

    Parameters
    ----------
    amounts
        Daily amounts by nutrient, shape (n, 2); everyone has the first day, NaN if there is no second.
    weekend
        Whether a day was Friday to Sunday, shape (n, 2), 0 or 1; ignored for absent days.
    covariates
        Design matrix with a column of ones, shape (n, p): all covariates of the regression on usual intake.
    scales
        Scale of each nutrient, from `choose_scale`.
    weight
        The full-sample weights, shape (n,), from which replicate weights differ in few rows.
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
        # Covariates are the same on both days of a person and cancel in the difference.
        own = covariates.shape[1]
        self._apart = CrossProducts((first - second)[twice, own:], weight[twice])

    def fit(self, weight: Floats) -> Calibrated:
        """Fit the model with some weights and predict usual intake for everyone.

        Parameters
        ----------
        weight
            Shape (n,), at least 0.

        Returns
        -------
        Calibrated

        Notes
        -----
        Rosner, Spiegelman and Willett (1990), Am. J. Epidemiol. 132:734, with the error estimated from repeated
        recalls; Kipnis et al. (2009), Biometrics 65:1003, for the expectation of usual intake on the original scale.
        The mean is estimated by weighted least squares over all days, the within-person covariance from differences of
        two days, and the between-person covariance from person means, minus the contribution of within-person
        variation.
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
        Shape (n, 2), one row for each row of the design.
    design
        Survey design; everyone in its domain has a first recall.

    Notes
    -----
    The exponent is not re-estimated in replicates, because it hardly affects the size of the errors.
    """
    return fit_usual_intake(amount, design=design, weekend=weekend).transform


def _solve(products: Floats, responses: int) -> Floats:
    """Return regression coefficients of the last columns on the others, from their cross-products.

    For a replicate without anyone of some group, the minimum-norm solution is returned.
    """
    matrix, right = products[:-responses, :-responses], products[:-responses, -responses:]
    size = np.sqrt(np.diag(matrix))
    size = np.where(size > 0.0, size, 1.0)
    solution = np.linalg.lstsq(matrix / np.outer(size, size), right / size[:, None], rcond=1e-11)[0]
    return np.asarray(solution / size[:, None])


def _residual_square(products: Floats, coefficients: Floats) -> Floats:
    """Return the cross-products of the residuals of the last columns, from the cross-products of all columns."""
    back = np.vstack([-coefficients, np.eye(coefficients.shape[1])])
    found: Floats = back.T @ products @ back
    return found


def _positive(covariance: Floats) -> Floats:
    """Return the nearest positive definite matrix: an estimated difference of covariances may be indefinite."""
    values, vectors = np.linalg.eigh(covariance)
    nearest: Floats = (vectors * np.maximum(values, 1e-8 * values[-1])) @ vectors.T
    return nearest


def _expected(scale: UsualScale, place: Floats, variance: float) -> Floats:
    """Return expected usual intake for means on the transformed scale distributed normally around `place`."""
    if not place.size:
        return place
    nodes, weights = gauss_hermite()
    grid = np.linspace(float(place.min()), float(place.max()), GRID)
    at_grid = (scale.usual(grid[:, None] + np.sqrt(max(variance, 0.0)) * nodes) * weights).sum(axis=1)
    return np.asarray(CubicSpline(grid, at_grid)(place))
