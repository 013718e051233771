"""How often a person's interval covers, tried on outcomes whose risks are known, and what it is widened by.

Refits under bootstrap weights (`uncertainty`) do not see what penalisation costs: a model that predicts well from few
cases draws all risks together, and every refit does so as much. That shows only where the risks are known. So outcomes
are drawn from risks (`draw_known`), the model is fitted and calibrated on each draw with its settings held, and what it
says is compared with the risks that the outcomes were drawn from:

- by how much it compresses log-odds. The interval grows by that in proportion to how far a person's log-odds lie from
  those of the cases, which is where the calibration holds the model (`Known.stretch`);
- by what multiple of the standard error the known risks are covered as often as the interval says, in each fifth of
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
"""How much less a spline regression is penalised where it gives the risks that outcomes are drawn from."""
NEIGHBOURS: Final = 20
"""People of the nearest risk among whom the one is drawn whose residuals a person gets."""


@dataclass(frozen=True)
class Widening:
    """By what a person's interval was widened, and what it covered before and after, in the draws.

    Attributes
    ----------
    draws
        Outcomes drawn for each person.
    stretch
        Standard deviation of the relative compression of log-odds.
    factor
        What the standard error is multiplied by, at least 1.
    before, covered
        Weighted shares of known risks within the interval, by fifth of risk from low to high: of the bootstrap alone,
        and as it is reported.
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
    """What the model says of outcomes that were drawn from known risks.

    Attributes
    ----------
    log_odds
        Of the risks, shape (n,).
    errors
        Calibrated log-odds of the model fitted to each draw less those, shape (n, draws).
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
        """Find the least factor, not below 1, with which known risks are covered in each fifth as often as is said.

        Parameters
        ----------
        se
            Standard error of the log-odds as it would be reported but for the factor, shape (n,).
        critical
            Critical value of the interval.
        before
            Standard error of the bootstrap alone, shape (n,).

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
        # Where many have the same risk a fifth may be empty.
        found = (np.flatnonzero(self.fifth == number) for number in range(len(FIFTHS) + 1))
        return [of for of in found if len(of)]

    def _weights(self, of: Integers) -> Floats:
        return np.repeat(self.weight[of], self.errors.shape[1])

    def _covered(self, hit: Booleans) -> tuple[float, ...]:
        return tuple(float(np.average(hit[of].ravel(), weights=self._weights(of))) for of in self._fifths)


def from_cases(log_odds: Floats, weight: Floats) -> Floats:
    """Return how far log-odds lie from their mean among the cases that they lead one to expect, shape (n,)."""
    found: Floats = log_odds - np.average(log_odds, weights=weight * expit(log_odds))
    return found


def draw_known(model: TrainedModel, X: Singles, data: TrainingData, *, draws: int, seed: int) -> Known:
    """Draw outcomes from known risks, and fit and calibrate the model on each draw with its settings and scales held.

    Parameters
    ----------
    model
        The parts with their settings.
    X, data
        Encoded matrix of all development people, shape (n, n_columns), and the people.
    draws, seed
        How many outcomes are drawn for each person, and the seed.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where a draw cannot be calibrated, ``coverage.no_donors``.

    Notes
    -----
    The known risks are those of the same model with its splines nearly unpenalised, so that they have what the penalty
    takes away. Its margin is the log-odds plus noise; calibrated with the slope b found out of fold it would vary too
    little, by the factor b in variance, and uncalibrated too much. With the root of b it varies as the log-odds do
    (Louis 1984, J. Am. Stat. Assoc. 79:393). A slope above 1 is that of trees, which keep their settings and may be too
    flat, and is taken as it is. The intercept keeps the prevalence.

    A part that learns from a continuous marker must see markers that go with the drawn outcome, for the outcome is a
    threshold of them. The outcome is drawn first, since its risk must be known; then each person gets the residuals of
    all markers together from somebody of nearly the same risk who has that outcome, added to the expected markers of
    the less penalised fit. The other way round, markers drawn and a threshold applied, the risk would be known only
    as far as the distribution of residuals is, in its tail.

    Outcomes are drawn independently: what people of a PSU have in common is in the bootstrap, not in the draws.
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
    """Return margins out of fold, shape (n,), and the fits to everybody."""
    return out_of_fold(lambda factor: model.refit(X, factor=factor), X, data, np.ones(len(X))), model.refit(X)


def _less_penalised(params: Params) -> Params:
    return {name: value * LESS if name == "c" else value for name, value in params.items()}


def _donors(
    case: Floats, log_odds: Floats, rows: Integers, parts: Sequence[Part], data: TrainingData, rng: np.random.Generator
) -> Integers:
    """Return for each person somebody with the outcome drawn, about the risk, and all markers measured, shape (n,)."""
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
                expected="people with and without the outcome in whom every target of the sum was measured",
                where="model.uncertainty.draws",
                hint="set draws = 0: the interval is then that of the bootstrap alone",
            )
        pool = pool[np.argsort(log_odds[pool], kind="stable")]
        who = rows[case[rows] == outcome]
        near = min(NEIGHBOURS, len(pool))
        first = np.searchsorted(log_odds[pool], log_odds[who]) - near // 2
        donor[who] = pool[np.clip(first, 0, len(pool) - near) + rng.integers(0, near, len(who))]
    return donor
