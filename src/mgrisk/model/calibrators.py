"""Other maps from a margin to a risk, to hold beside the logistic one that is shipped: beta, isotonic, Venn-Abers.

Only the logistic map keeps Shapley values of the margin exact for the reported risk (docs/decisions/0001). The others
are fitted so that a margin which needs another map is noticed (`evaluate.calibrators`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from mgrisk.model.venn_abers import fit_venn_abers
from mgrisk.survey.logistic import maximise_likelihood

Floats = NDArray[np.float64]
LOGISTIC: Final = "logistic"


class RiskMap(Protocol):
    """A fitted map from margins to risks."""

    def risk(self, margin: Floats) -> Floats:
        """Return calibrated probabilities, shape (n,)."""


@dataclass(frozen=True)
class Beta:
    """Risk = expit(c + a ln p - b ln(1 - p)), where p = expit(intercept + slope × margin).

    Attributes
    ----------
    intercept, slope
        The logistic map, which brings any margin to log-odds.
    a, b, c
        The beta map of its probabilities; 1, 1 and 0 leave them as they are.
    """

    intercept: float
    slope: float
    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    def risk(self, margin: Floats) -> Floats:
        """Return calibrated probabilities, shape (n,)."""
        logs = _log_odds_parts(self.intercept + self.slope * margin) @ np.array([self.a, self.b])
        risk: Floats = expit(self.c + logs)
        return risk


@dataclass(frozen=True, eq=False)
class Isotonic:
    """The increasing step function nearest to the outcomes, linear between its steps.

    Attributes
    ----------
    regression
        The fitted isotonic regression.
    least
        No risk is below it or above its complement: half a person among the calibration people. A step without a case
        would say "never", and one such person with the disease would cost an infinite log loss.
    """

    regression: IsotonicRegression
    least: float

    def risk(self, margin: Floats) -> Floats:
        """Return calibrated probabilities, shape (n,)."""
        risk: Floats = np.clip(self.regression.predict(margin), self.least, 1.0 - self.least)
        return risk


def fit_logistic_map(margin: Floats, y: Floats, weight: Floats) -> Beta:
    """Fit the map that is shipped; its covariance is `calibrate.fit_calibrator`'s.

    Parameters
    ----------
    margin, y
        Out-of-fold margins and outcome, shape (n,); any value where the weight is 0.
    weight
        Analysis weights, shape (n,), 0 for people who do not count.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` or ``logistic.rank``.
    """
    inside = weight > 0
    X = np.column_stack([np.ones(inside.sum()), margin[inside]])
    intercept, slope = maximise_likelihood(X, y[inside], weight[inside])
    return Beta(float(intercept), float(slope))


def fit_beta(margin: Floats, y: Floats, weight: Floats) -> Beta:
    """Fit beta calibration; parameters and errors as for `fit_logistic_map`.

    Notes
    -----
    Kull, Silva Filho and Flach (2017), Electron. J. Stat. 11:5052: a logistic regression on ln p and -ln(1 - p); where
    one of the two coefficients is negative it is set to 0 and the other fitted again, so that the map increases.
    """
    first = fit_logistic_map(margin, y, weight)
    inside = weight > 0
    logs = _log_odds_parts(first.intercept + first.slope * margin[inside])
    X = np.column_stack([np.ones(len(logs)), logs])
    found = maximise_likelihood(X, y[inside], weight[inside])
    if (found[1:] < 0).any():
        kept = 1 + int(np.argmax(found[1:]))
        alone = maximise_likelihood(X[:, [0, kept]], y[inside], weight[inside])
        found = np.zeros(3)
        found[[0, kept]] = alone
    c, a, b = (float(value) for value in found)
    return Beta(first.intercept, first.slope, a=a, b=b, c=c)


def fit_isotonic(margin: Floats, y: Floats, weight: Floats) -> Isotonic:
    """Fit isotonic regression with weights; parameters as for `fit_logistic_map`."""
    inside = weight > 0
    regression = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    regression.fit(margin[inside], y[inside], sample_weight=weight[inside])
    return Isotonic(regression, least=0.5 / float(inside.sum()))


def cross_fitted(
    fit: Callable[[Floats, Floats, Floats], RiskMap],
    margin: Floats,
    y: Floats,
    weight: Floats,
    fold: NDArray[np.int64],
) -> Floats:
    """Return the risks of a map that each fold's people had no part in, shape (n,)."""
    risk = np.full(len(margin), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        risk[unseen] = fit(margin, y, np.where(unseen, 0.0, weight)).risk(margin[unseen])
    return risk


def _log_odds_parts(log_odds: Floats) -> Floats:
    """Return ln p and -ln(1 - p), shape (n, 2); their sum is the log-odds."""
    return np.column_stack([-np.logaddexp(0.0, -log_odds), np.logaddexp(0.0, log_odds)])


FITS: Final[Mapping[str, Callable[[Floats, Floats, Floats], RiskMap]]] = MappingProxyType(
    {LOGISTIC: fit_logistic_map, "beta": fit_beta, "isotonic": fit_isotonic, "venn_abers": fit_venn_abers}
)
"""The maps by name, the shipped one first."""
