"""Calibration: maps from the linear predictor of a model to a risk.

The calibrator of a model (`Calibrator`) is a logistic recalibration, fitted to out-of-fold linear predictors with the
survey design. Only a linear map keeps Shapley values of the linear predictor exact for the reported risk
(docs/decisions/0001). Beta calibration, isotonic regression and Venn-Abers prediction are fitted for comparison, to
detect a model that needs another map (`evaluate.calibrators`).

Inductive Venn-Abers prediction with survey weights is two isotonic fits, one for each outcome the person could have. A
person to be predicted joins the calibration sample, once as a case and once as a non-case; p1 and p0 are the isotonic
risks at the person's own linear predictor. Both fits for all people come from one pass: an isotonic fit is the slope of
the lower convex hull of cumulative cases over cumulative weight, and one more person changes it only by a common
tangent of the hull to the left and the hull to the right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.special import expit

from mgrisk.config.checked import Checked, Finite, Numbers
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.linear_models import fit_logistic, maximise_likelihood
from mgrisk.types import Floats, Integers

if TYPE_CHECKING:
    from sklearn.isotonic import IsotonicRegression

MEANING: Final = (
    "90 % interval of the share of cases among people with the same linear predictor: sampling error of the "
    "calibration under the survey design, without that of the model's coefficients"
)
"""Meaning of the interval of a bundle without `uncertainty.Uncertainty`."""

Pair = Annotated[Numbers, Field(min_length=2, max_length=2)]


@dataclass(frozen=True)
class Calibrator:
    """The map from the linear predictor (margin) to the reported risk: risk = expit(intercept + slope × margin).

    Attributes
    ----------
    intercept, slope
        Coefficients in log-odds.
    covariance
        Their design-based covariance, shape (2, 2).
    df
        Degrees of freedom of the design. A person's interval is widened until it covers with their t quantile
        (`coverage`); with the degrees of freedom of the regression the factor would differ and the interval not.
    """

    intercept: float
    slope: float
    covariance: Floats
    df: int

    def log_odds(self, margin: Floats) -> Floats:
        """Return calibrated log-odds, shape (n,)."""
        return self.intercept + self.slope * margin

    def risk(self, margin: Floats) -> Floats:
        """Return calibrated probabilities, shape (n,)."""
        risk: Floats = expit(self.log_odds(margin))
        return risk

    def se(self, margin: Floats) -> Floats:
        """Return the standard error of the calibrated log-odds, shape (n,).

        It is the design-based sampling error of the calibration, without that of the model's coefficients.
        """
        (v_intercept, cov), (_, v_slope) = self.covariance
        se: Floats = np.sqrt(np.maximum(v_intercept + 2 * cov * margin + v_slope * margin**2, 0.0))
        return se

    def taken_in(self) -> Calibrator:
        """Return the identity map of calibrated log-odds with the same error, for a model that includes the map."""
        shift = np.array([[1.0, -self.intercept / self.slope], [0.0, 1.0 / self.slope]])
        return Calibrator(0.0, 1.0, shift @ self.covariance @ shift.T, self.df)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of calibrator.json."""
        return {
            "kind": "logistic",
            "intercept": self.intercept,
            "slope": self.slope,
            "covariance": self.covariance.tolist(),
            "df": self.df,
        }

    @classmethod
    def from_dict(cls, row: object) -> Calibrator:
        """Read it back; ValueError where a value is invalid."""
        found = _File.of(row)
        return cls(found.intercept, found.slope, np.array(found.covariance, dtype=np.float64), found.df)


class _File(Checked):
    kind: Literal["logistic"] = "logistic"
    intercept: Finite
    slope: Finite
    covariance: list[Pair] = Field(min_length=2, max_length=2)
    df: int = Field(ge=1, le=10**9)

    @model_validator(mode="after")
    def _variances(self) -> Self:
        if self.covariance[0][0] < 0 or self.covariance[1][1] < 0:
            raise ValueError("covariance: a variance is below 0")
        return self


def fit_calibrator(margin: Floats, y: Floats, design: SurveyDesign) -> Calibrator:
    """Fit the recalibration.

    Parameters
    ----------
    margin
        Out-of-fold margins, shape (n,); any value outside the domain.
    y
        Outcome, shape (n,); any value outside the domain.
    design
        Full design of the development set, with the analysis population as its domain.
    """
    fit = fit_logistic(np.column_stack([np.ones(len(margin)), margin]), y, design)
    return Calibrator(
        intercept=float(fit.coefficients[0]),
        slope=float(fit.coefficients[1]),
        covariance=fit.covariance,
        df=design.df,
    )


def cross_fitted_risk(margin: Floats, y: Floats, design: SurveyDesign, fold: Integers) -> Floats:
    """Return risks from a model and calibrator that did not see the person: each fold is calibrated on the others."""
    risk = np.full(len(margin), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        risk[unseen] = fit_calibrator(margin, y, design.where(~unseen)).risk(margin[unseen])
    return risk


@dataclass(frozen=True, eq=False)
class VennAbers:
    """The calibration sample as cumulative sums in increasing order of the linear predictor (margin).

    Attributes
    ----------
    margin
        Distinct margins, increasing, shape (k,).
    weight, cases
        Cumulative weight, and weight of cases, up to and including each margin, from 0, shape (k + 1,).
    newcomer
        Weight of the person to be predicted: the mean weight of the calibration sample.
    """

    margin: Floats
    weight: Floats
    cases: Floats
    newcomer: float

    def bounds(self, margin: Floats) -> tuple[Floats, Floats]:
        """Return p0 and p1, shape (n,) each: the calibrated risk if the person were a non-case, or a case."""
        left = np.searchsorted(self.margin, margin, side="left")
        right = np.searchsorted(self.margin, margin, side="right")
        before = _hull(self.weight, self.cases)
        after = len(self.weight) - 1 - _hull(-self.weight[::-1], self.cases[::-1])[::-1]
        return (
            self._bridge(left, right, before, after, case=0.0),
            self._bridge(left, right, before, after, case=self.newcomer),
        )

    def risk(self, margin: Floats) -> Floats:
        """Return the probability p1 / (1 - p0 + p1), which minimises the worst-case log loss, shape (n,)."""
        low, high = self.bounds(margin)
        merged: Floats = high / (1.0 - low + high)
        return merged

    def _bridge(self, left: Integers, right: Integers, before: Integers, after: Integers, *, case: float) -> Floats:
        """Return the slope of the common tangent of both hulls, by Newton's method with bracketing."""
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

    def _touch(self, start: Integers, hull: Integers, slope: Floats) -> Integers:
        """Return the point where a line of the given slope touches the hull that begins at each start."""
        here = start
        while True:
            there = hull[here]
            lower = self.cases[there] - slope * self.weight[there] < self.cases[here] - slope * self.weight[here]
            if not lower.any():
                return here
            here = np.where(lower, there, here)


def _hull(x: Floats, y: Floats) -> Integers:
    """Return, for each point, the one before it on the lower hull of the points up to it; the first one's is itself."""
    before = np.zeros(len(x), dtype=np.int64)
    for k in range(1, len(x)):
        j = k - 1
        while j and (y[j] - y[before[j]]) * (x[k] - x[j]) >= (y[k] - y[j]) * (x[j] - x[before[j]]):
            j = before[j]
        before[k] = j
    return before


def fit_venn_abers(margin: Floats, y: Floats, weight: Floats) -> VennAbers:
    """Fit Venn-Abers prediction to the calibration sample.

    Parameters
    ----------
    margin, y
        Out-of-fold margins and outcome, shape (n,); any value where the weight is 0.
    weight
        Analysis weights, shape (n,), 0 for people outside the analysis.

    Notes
    -----
    Vovk and Petej (2014), Venn-Abers predictors, UAI. With equal weights the numbers are those of the package
    venn-abers 1.5.4, which takes no weights (docs/decisions/0010-calibrators-beside-the-logistic-one.md).

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
        The logistic map from margins to log-odds.
    a, b, c
        The beta map of its probabilities; 1, 1 and 0 are the identity.
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
        Lower limit of the risk, and 1 minus the upper limit: half a person of the calibration sample. A step without a
        case would otherwise have risk 0, and a single case there an infinite log loss.
    """

    regression: IsotonicRegression
    least: float

    def risk(self, margin: Floats) -> Floats:
        """Return calibrated probabilities, shape (n,)."""
        risk: Floats = np.clip(self.regression.predict(margin), self.least, 1.0 - self.least)
        return risk


def fit_logistic_map(margin: Floats, y: Floats, weight: Floats) -> Beta:
    """Fit the logistic map that bundles use; `fit_calibrator` also gives its covariance.

    Parameters
    ----------
    margin, y
        Out-of-fold margins and outcome, shape (n,); any value where the weight is 0.
    weight
        Analysis weights, shape (n,), 0 for people outside the analysis.

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
    Kull, Silva Filho and Flach (2017), Electron. J. Stat. 11:5052: a logistic regression on ln p and -ln(1 - p). If one
    of the two coefficients is negative it is set to 0 and the other refitted, so that the map increases.
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
    from sklearn.isotonic import IsotonicRegression  # only fitting needs it, and it loads scipy.stats

    inside = weight > 0
    regression = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    regression.fit(margin[inside], y[inside], sample_weight=weight[inside])
    return Isotonic(regression, least=0.5 / float(inside.sum()))


def cross_fitted(
    fit: Callable[[Floats, Floats, Floats], RiskMap],
    margin: Floats,
    y: Floats,
    weight: Floats,
    fold: Integers,
) -> Floats:
    """Return cross-fitted risks, shape (n,): the map for each fold is fitted to the others."""
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
"""The maps by name, that of bundles first."""
