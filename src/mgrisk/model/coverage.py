"""Coverage of a person's interval, estimated by drawing outcomes from known risks, and its widening to 90 %.

Refits under bootstrap weights (`uncertainty`) do not show the bias of penalisation: a penalised model with few cases
shrinks all risks towards each other, and so does every refit. This shows only where the risks are known. So outcomes
are drawn from risks (`draw_known`), the model is fitted and calibrated on each draw with fixed settings, and its
predictions are compared with the risks that the outcomes were drawn from. This gives

- how much the log-odds are compressed. The interval is widened by this in proportion to the distance of a person's
  log-odds from those of the cases, where calibration fixes them (`Known.stretch`);
- the factor of the standard error with which the interval covers the known risks at its nominal level in each fifth of
  risk (`Known.widening`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import expit

from mgrisk.errors import MgRiskError
from mgrisk.model.calibration import fit_logistic_map
from mgrisk.model.candidates import Part
from mgrisk.model.fits import Fits
from mgrisk.model.learners import Params
from mgrisk.model.training_data import TrainingData
from mgrisk.model.uncertainty import out_of_fold
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.linear_models import maximise_likelihood
from mgrisk.types import Booleans, Floats, Integers, Singles

if TYPE_CHECKING:
    from mgrisk.model.train import TrainedModel

LEVEL: Final = 0.90
FIFTHS: Final = (0.2, 0.4, 0.6, 0.8)
LESS: Final = 100.0
"""By what the penalty is divided in the spline regression from whose risks outcomes are drawn."""
NEIGHBOURS: Final = 20
"""Number of people of nearest risk among whom the donor of a person's residuals is drawn."""


@dataclass(frozen=True)
class Widening:
    """Widening of a person's interval, and its coverage in the draws before and after.

    Attributes
    ----------
    draws
        Outcomes drawn for each person.
    stretch
        Standard deviation of the relative compression of log-odds.
    factor
        Factor of the standard error, at least 1.
    before, covered
        Weighted shares of known risks within the interval, by fifth of risk from low to high: with the bootstrap's
        interval alone, and with the reported one.
    """

    draws: int
    stretch: float
    factor: float
    before: tuple[float, ...]
    covered: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to tuning.json."""
        return {
            "draws": self.draws,
            "stretch": self.stretch,
            "factor": self.factor,
            "before": list(self.before),
            "covered": list(self.covered),
        }


@dataclass(frozen=True, eq=False)
class Known:
    """Errors of the model in outcomes drawn from known risks.

    Attributes
    ----------
    log_odds
        Log-odds of the known risks, shape (n,).
    errors
        Calibrated log-odds of the model fitted to each draw minus the known ones, shape (n, draws).
    weight
        Positive survey weights, shape (n,).
    """

    log_odds: Floats
    errors: Floats
    weight: Floats

    @cached_property
    def fifth(self) -> Integers:
        """Weighted fifth of the known risk, 0 to 4, shape (n,)."""
        bounds = weighted_quantile(self.log_odds, self.weight, FIFTHS)
        return np.searchsorted(bounds, self.log_odds, side="right")

    @cached_property
    def stretch(self) -> float:
        """Root mean square over the draws of the slope of the error on the known log-odds."""
        share = self.weight / self.weight.sum()
        away = self.log_odds - share @ self.log_odds
        slopes = (share * away) @ self.errors / (share @ away**2)
        return float(np.sqrt(np.mean(slopes**2)))

    def widening(self, se: Floats, critical: float, *, before: Floats) -> Widening:
        """Find the smallest factor, at least 1, that gives nominal coverage of known risks in each fifth of risk.

        Parameters
        ----------
        se
            Standard error of the log-odds before the factor, shape (n,).
        critical
            Critical value of the interval.
        before
            Standard error from the bootstrap alone, shape (n,).

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> known = Known(np.linspace(-6.0, 0.0, 5000), rng.normal(0.0, 0.3, size=(5000, 12)), np.ones(5000))
        >>> found = known.widening(np.full(5000, 0.2), 1.645, before=np.full(5000, 0.2))
        >>> round(found.factor, 1), [round(share, 1) for share in found.covered]
        (1.5, [0.9, 0.9, 0.9, 0.9, 0.9])
        """
        ratio = np.abs(self.errors) / (critical * se)[:, None]
        needed = [weighted_quantile(ratio[of].ravel(), self._weights(of), (LEVEL,))[0] for of in self._fifths]
        factor = max(1.0, *map(float, needed))
        return Widening(
            draws=self.errors.shape[1],
            stretch=self.stretch,
            factor=factor,
            before=self._covered(np.abs(self.errors) <= (critical * before)[:, None]),
            covered=self._covered(ratio <= factor),
        )

    @property
    def _fifths(self) -> Sequence[Integers]:
        # With many equal risks a fifth may be empty.
        found = (np.flatnonzero(self.fifth == number) for number in range(len(FIFTHS) + 1))
        return [of for of in found if len(of)]

    def _weights(self, of: Integers) -> Floats:
        return np.repeat(self.weight[of], self.errors.shape[1])

    def _covered(self, hit: Booleans) -> tuple[float, ...]:
        return tuple(float(np.average(hit[of].ravel(), weights=self._weights(of))) for of in self._fifths)


def from_cases(log_odds: Floats, weight: Floats) -> Floats:
    """Return the log-odds minus their mean among expected cases, weighted by the risks, shape (n,)."""
    found: Floats = log_odds - np.average(log_odds, weights=weight * expit(log_odds))
    return found


def draw_known(model: TrainedModel, X: Singles, data: TrainingData, *, draws: int, seed: int) -> Known:
    """Draw outcomes from known risks, and fit and calibrate the model on each draw with fixed settings and scales.

    Parameters
    ----------
    model
        The parts with their settings.
    X, data
        Encoded matrix of all development people, shape (n, n_columns), and their data.
    draws, seed
        Number of outcomes drawn for each person, and the seed.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where a draw cannot be calibrated, ``coverage.no_donors``.

    Notes
    -----
    The known risks come from the same model with nearly unpenalised splines, which do not shrink. Its linear predictor
    is the log-odds plus noise. Multiplied by the out-of-fold calibration slope b its variance would be too small by the
    factor b, and without calibration too large; multiplied by the square root of b it has the variance of the log-odds
    (Louis 1984, J. Am. Stat. Assoc. 79:393). A slope above 1 occurs with trees, which keep their settings and may
    shrink, and is used as it is. The intercept preserves the prevalence.

    A part fitted to a continuous marker needs markers that agree with the drawn outcome, which is a threshold of them.
    The outcome is drawn first, since its risk must be known. Each person then gets the residuals of all markers from a
    donor of nearly the same risk with that outcome, added to the expected markers of the less penalised fit. If markers
    were drawn first and the threshold applied, the risk would depend on the tail of the distribution of residuals.

    Outcomes are drawn independently: correlation within PSUs is in the bootstrap, not in the draws.
    """
    rng = np.random.default_rng(seed)
    weight, inside = data.design.analysis_weight, data.inside
    rows = np.unique(np.concatenate([part.target.rows for part in model.parts] + [inside]))
    loose = replace(model, params=tuple(map(_less_penalised, model.params)))
    margin, fits = _margins(loose, X, data)
    slope = max(fit_logistic_map(margin, data.outcome.value, weight).slope, 0.0)
    log_odds = np.zeros(len(X))
    log_odds[rows] = max(slope, np.sqrt(slope)) * fits.margin(X, rows)
    one = np.ones((len(inside), 1))
    log_odds += maximise_likelihood(one, data.y[inside], weight[inside], offset=log_odds[inside])[0]
    expected = {part.name: part.margin(fit, X, rows) for part, fit in zip(fits.parts, fits.fits, strict=True)}

    errors = np.empty((len(inside), draws))
    for r in range(draws):
        case = np.zeros(len(X))
        case[rows] = rng.random(len(rows)) < expit(log_odds[rows])
        donor = _donors(case, log_odds, rows, model.parts, data, rng)
        parts = []
        for part in model.parts:
            value = case
            if part.target.kind == "continuous" and part.name in expected:
                centre = np.zeros(len(X))
                centre[rows] = expected[part.name]
                value = centre + (part.target.value - centre)[donor]
            parts.append(replace(part, target=replace(part.target, value=value)))
        margin, of_all = _margins(replace(model, parts=tuple(parts)), X, data)
        to_risk = fit_logistic_map(margin, case, weight)
        errors[:, r] = to_risk.intercept + to_risk.slope * of_all.margin(X, inside) - log_odds[inside]
    return Known(log_odds[inside], errors, weight[inside])


def _margins(model: TrainedModel, X: Singles, data: TrainingData) -> tuple[Floats, Fits]:
    """Return out-of-fold margins, shape (n,), and the fits to all people."""
    return out_of_fold(lambda factor: model.refit(X, factor=factor), X, data, np.ones(len(X))), model.refit(X)


def _less_penalised(params: Params) -> Params:
    return {name: value * LESS if name == "c" else value for name, value in params.items()}


def _donors(
    case: Floats, log_odds: Floats, rows: Integers, parts: Sequence[Part], data: TrainingData, rng: np.random.Generator
) -> Integers:
    """Return each person's donor, with the drawn outcome, a similar risk and all markers measured, shape (n,)."""
    donor = np.arange(len(case))
    markers = [part.target.rows for part in parts if part.target.kind == "continuous"]
    if not markers:
        return donor
    known = data.inside
    for measured in markers:
        known = np.intersect1d(known, measured)
    for outcome in (0.0, 1.0):
        pool = known[data.y[known] == outcome]
        if not len(pool):
            raise MgRiskError(
                "coverage.no_donors",
                "nobody with one of the outcomes has all continuous targets measured",
                expected="people with and without the outcome in whom every target of the ensemble was measured",
                where="model.uncertainty.draws",
                hint="set draws = 0: the interval is then that of the bootstrap alone",
            )
        pool = pool[np.argsort(log_odds[pool], kind="stable")]
        who = rows[case[rows] == outcome]
        near = min(NEIGHBOURS, len(pool))
        first = np.searchsorted(log_odds[pool], log_odds[who]) - near // 2
        donor[who] = pool[np.clip(first, 0, len(pool) - near) + rng.integers(0, near, len(who))]
    return donor
