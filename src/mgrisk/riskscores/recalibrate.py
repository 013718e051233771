"""Published scores on the scale of the people at hand: by the intercept alone, or by intercept and slope."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.logistic import fit_logistic

Floats = NDArray[np.float64]


class Method(StrEnum):
    """``intercept`` moves all log-odds alike; ``logistic`` stretches them too."""

    INTERCEPT = "intercept"
    LOGISTIC = "logistic"


@dataclass(frozen=True)
class Recalibration:
    """The map from a score to a probability: expit(intercept + slope x margin)."""

    method: Method
    intercept: float
    slope: float

    def risk(self, margin: Floats) -> Floats:
        """Return probabilities, shape (n,), of log-odds or points."""
        risk: Floats = expit(self.intercept + self.slope * margin)
        return risk

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to scores.json."""
        return asdict(self)


def recalibrate(method: Method, margin: Floats, y: Floats, design: SurveyDesign) -> Recalibration:
    """Fit a recalibration to the domain of a design, with its weights.

    Parameters
    ----------
    method
        The intercept alone needs log-odds; with the slope, points will do.
    margin
        Log-odds of the published risk, or points, shape (n,); any number outside the domain.
    y
        Outcome, 0 or 1, shape (n,); any value outside the domain.
    design
        Full design of the development set with the analysis as its domain.

    Raises
    ------
    MgRiskError
        As `survey.logistic.fit_logistic`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> found = recalibrate(Method.INTERCEPT, np.full(8, -3.0), np.array([0.0, 1.0] * 4), design)
    >>> round(found.intercept, 6), found.slope
    (3.0, 1.0)
    """
    ones = np.ones(len(design))
    if method is Method.INTERCEPT:
        fit = fit_logistic(ones[:, None], y, design, offset=margin)
        return Recalibration(method, float(fit.coefficients[0]), 1.0)
    fit = fit_logistic(np.column_stack([ones, margin]), y, design)
    return Recalibration(method, float(fit.coefficients[0]), float(fit.coefficients[1]))


def cross_fitted(method: Method, margin: Floats, y: Floats, design: SurveyDesign, fold: NDArray[np.int64]) -> Floats:
    """Return probabilities of which the recalibration had not seen the person: each fold by the others, shape (n,)."""
    risk = np.full(len(design), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        risk[unseen] = recalibrate(method, margin, y, design.where(~unseen)).risk(margin[unseen])
    return risk
