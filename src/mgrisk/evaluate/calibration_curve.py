"""Flexible calibration curve: the outcome on a restricted cubic spline of the log-odds of the risk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mgrisk.survey.cubic_spline import HARRELL_QUANTILES, basis
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.linear_models import maximise_likelihood
from mgrisk.types import Floats

KNOT_PROBABILITIES = HARRELL_QUANTILES[4]


def spline_basis(x: Floats, knots: Floats) -> Floats:
    """Return the basis of a restricted cubic spline with a constant: linear beyond the outer knots.

    Parameters
    ----------
    x
        Shape (n,), any unit.
    knots
        Shape (k,), increasing; with 1 or 2 the basis is a line, with none a constant.

    Returns
    -------
    ndarray, shape (n, k) for k >= 3, (n, 2) for 1 or 2 knots, (n, 1) for none

    Notes
    -----
    Harrell (2015), Regression Modeling Strategies, section 2.4.5; the columns of ``Hmisc::rcspline.eval``.

    Examples
    --------
    >>> spline_basis(np.array([0.0, 1.0, 4.0]), np.array([0.0, 1.0, 2.0])).tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.25], [1.0, 4.0, 4.5]]
    """
    ones = np.ones((x.size, 1))
    return np.column_stack([ones, basis(x, knots)]) if knots.size else ones


@dataclass(frozen=True, eq=False)
class FlexibleCurve:
    """Observed risk as a smooth function of the predicted one.

    Parameters
    ----------
    knots
        Knots on the log odds of the predicted risk, shape (k,).
    coefficients
        Coefficients of `spline_basis`.
    """

    knots: Floats
    coefficients: Floats

    def log_odds(self, logit_risk: Floats) -> Floats:
        """Return the log odds of the observed risk at predicted log odds, shape (n,)."""
        fitted: Floats = spline_basis(logit_risk, self.knots) @ self.coefficients
        return fitted

    def observed(self, logit_risk: Floats) -> Floats:
        """Return the observed risk at predicted log odds, shape (n,), 0 to 1."""
        return np.asarray(expit(self.log_odds(logit_risk)), dtype=np.float64)


def fit_curve(y: Floats, logit_risk: Floats, weight: Floats, *, near: FlexibleCurve | None = None) -> FlexibleCurve:
    """Fit the flexible calibration curve.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,).
    logit_risk
        Log odds of the predicted risk, finite, shape (n,).
    weight
        Shape (n,), at least 0.
    near
        Curve of a similar sample, to start the iterations from.

    Returns
    -------
    FlexibleCurve
        Four knots at the weighted quantiles 0.05, 0.35, 0.65 and 0.95; a straight line where these are not
        distinct or there are fewer than five distinct risks, a constant where there is one.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` or ``logistic.rank``.

    Notes
    -----
    Van Calster et al. (2016), J. Clin. Epidemiol. 74:167; knots of Harrell (2015), table 2.3.

    Examples
    --------
    >>> x = np.linspace(-2.0, 2.0, 40)
    >>> curve = fit_curve((np.arange(40) % 4 == 0).astype(float), x, np.ones(40))
    >>> curve.knots.size, curve.observed(np.array([0.0])).round(2).tolist()
    (4, [0.25])
    """
    knots = weighted_quantile(logit_risk, weight, KNOT_PROBABILITIES)
    distinct = np.unique(logit_risk[weight > 0]).size
    if distinct == 1:
        knots = knots[:0]
    elif distinct < 5 or np.unique(knots).size < knots.size:
        knots = knots[:1]
    basis = spline_basis(logit_risk, knots)
    start = near.coefficients if near is not None and near.coefficients.size == basis.shape[1] else None
    return FlexibleCurve(knots, maximise_likelihood(basis, y, weight, start=start))
