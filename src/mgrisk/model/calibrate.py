"""One margin, one calibrator: logistic recalibration fitted on out-of-fold margins with the survey design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.logistic import fit_logistic

MEANING: Final = (
    "90 % interval of the share of cases among people with the same margin: sampling error of the calibration under "
    "the survey design; the learner's own error is not in it"
)
"""What the interval of a bundle means that has no `uncertainty.Uncertainty`."""


@dataclass(frozen=True)
class Calibrator:
    """The map from a margin to the reported risk: risk = expit(intercept + slope × margin).

    Attributes
    ----------
    intercept, slope
        Coefficients in log-odds.
    covariance
        Their design-based covariance, shape (2, 2).
    df
        Degrees of freedom of the design.
    """

    intercept: float
    slope: float
    covariance: NDArray[np.float64]
    df: int

    def log_odds(self, margin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated log-odds, shape (n,)."""
        return self.intercept + self.slope * margin

    def risk(self, margin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated probabilities, shape (n,)."""
        risk: NDArray[np.float64] = expit(self.log_odds(margin))
        return risk

    def se(self, margin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard error of the calibrated log-odds, shape (n,).

        It carries the sampling error of the calibration, with the survey design; it does not carry the error of
        the learner itself.
        """
        (v_intercept, cov), (_, v_slope) = self.covariance
        se: NDArray[np.float64] = np.sqrt(np.maximum(v_intercept + 2 * cov * margin + v_slope * margin**2, 0.0))
        return se

    def to_dict(self) -> dict[str, Any]:
        """Return the content of calibrator.json."""
        return {
            "kind": "logistic",
            "intercept": self.intercept,
            "slope": self.slope,
            "covariance": self.covariance.tolist(),
            "df": self.df,
        }


def fit_calibrator(margin: NDArray[np.float64], y: NDArray[np.float64], design: SurveyDesign) -> Calibrator:
    """Fit the recalibration.

    Parameters
    ----------
    margin
        Out-of-fold margins, shape (n,); any value outside the domain.
    y
        Outcome, shape (n,); any value outside the domain.
    design
        Full design of the development set with the analysis as its domain.
    """
    fit = fit_logistic(np.column_stack([np.ones(len(margin)), margin]), y, design)
    return Calibrator(
        intercept=float(fit.coefficients[0]),
        slope=float(fit.coefficients[1]),
        covariance=fit.covariance,
        df=fit.df,
    )


def cross_fitted_risk(
    margin: NDArray[np.float64], y: NDArray[np.float64], design: SurveyDesign, fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return risks of which neither learner nor calibrator saw the person: each fold is calibrated on the others."""
    risk = np.full(len(margin), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        risk[unseen] = fit_calibrator(margin, y, design.where(~unseen)).risk(margin[unseen])
    return risk
