"""Weighted performance measures of a risk model, each a pure function ``f(y, risk, weight)``.

All shapes are (n,): `y` is the outcome, 0 or 1; `risk` the predicted probability; `weight` at least 0, of which only
ratios matter. Doubling a row equals doubling its weight. An undefined measure, such as the AUROC without cases, is NaN;
invalid input raises `MgRiskError` (see `rank`).

Sorting by risk does not depend on the weights (`Ranked`), so that all replicates share one sort, and all metrics of a
replicate share sums of the sorted weights (`Weighted`). The integrated calibration index, E50 and E90 are distances
from a flexible calibration curve (`FlexibleCurve`): the outcome on a restricted cubic spline of the log-odds of the
risk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from mgrisk.errors import bad_input
from mgrisk.evaluate.calibration_curve import FlexibleCurve, fit_curve
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.linear_models import maximise_likelihood
from mgrisk.types import Floats, Integers

# Risks of exactly 0 or 1 have no log odds; clipping limits these to about -28 and 28.
SMALLEST_RISK = 1e-12


@dataclass(frozen=True, eq=False)
class Ranked:
    """Outcome and risk in increasing order of risk.

    Parameters
    ----------
    order
        Row numbers of the original arrays in increasing order of risk, shape (n,).
    y
        Outcome, 0.0 or 1.0, in that order.
    risk
        Risk (or any score, for measures of rank) in that order.
    """

    order: NDArray[np.intp]
    y: Floats
    risk: Floats

    @cached_property
    def tie_starts(self) -> NDArray[np.intp]:
        """First position of each distinct risk."""
        return np.flatnonzero(np.concatenate(([True], self.risk[1:] != self.risk[:-1])))

    @cached_property
    def tied(self) -> Integers:
        """How many people have each distinct risk."""
        return np.diff(np.append(self.tie_starts, self.risk.size))

    @cached_property
    def logit_risk(self) -> Floats:
        """Log odds of the risk, which is clipped to 1e-12 from 0 and 1, shape (n,)."""
        held = np.clip(self.risk, SMALLEST_RISK, 1.0 - SMALLEST_RISK)
        return np.asarray(logit(held), dtype=np.float64)

    @cached_property
    def distinct_logit(self) -> Floats:
        """Log odds of each distinct risk."""
        return self.logit_risk[self.tie_starts]


def rank(y: ArrayLike, risk: ArrayLike, *, name: str = "risk", probability: bool = True) -> Ranked:
    """Check and sort outcome and risk.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,).
    risk
        Predicted probability, shape (n,); any finite score where `probability` is False.
    name
        Name of the risk in errors, for example that of the model.
    probability
        Whether `risk` must lie within 0 and 1.

    Returns
    -------
    Ranked

    Raises
    ------
    MgRiskError
        ``metric.bad_length``, ``metric.empty``, ``metric.bad_outcome``, ``metric.missing_risk``,
        ``metric.bad_risk``.

    Examples
    --------
    >>> rank([0, 1, 0], [0.3, 0.2, 0.1]).y.tolist()
    [0.0, 1.0, 0.0]
    """
    outcome = np.asarray(y, dtype=np.float64)
    scores = np.asarray(risk, dtype=np.float64)
    if outcome.ndim != 1 or outcome.shape != scores.shape:
        raise bad_input(
            "metric.bad_length",
            "outcome and risk have different lengths",
            where=name,
            hint="give one outcome and one risk for each person",
            expected=str(outcome.shape),
            got=str(scores.shape),
        )
    if outcome.size == 0:
        raise bad_input(
            "metric.empty", "there are no people to evaluate", where=name, hint="check the domain and its weights"
        )
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise bad_input(
            "metric.bad_outcome",
            "an outcome is missing or not 0 or 1",
            where=f"{name}, {int((~np.isin(outcome, (0.0, 1.0))).sum())} rows",
            hint="exclude people without the outcome from the domain first",
        )
    if not np.isfinite(scores).all():
        raise bad_input(
            "metric.missing_risk",
            "a risk is missing",
            where=f"{name}, {int((~np.isfinite(scores)).sum())} rows",
            hint="compare models in people whom all of them can score: narrow the domain first",
        )
    if probability and not ((scores >= 0.0) & (scores <= 1.0)).all():
        raise bad_input(
            "metric.bad_risk",
            "a risk is not within 0 and 1",
            where=name,
            hint="list scores that are not probabilities in ranking_only",
            got=f"{scores.min():g} to {scores.max():g}",
        )
    order = np.argsort(scores, kind="stable")
    return Ranked(order=order, y=outcome[order], risk=scores[order])


def rank_domain(
    y: ArrayLike, risk: ArrayLike, design: SurveyDesign, *, name: str = "risk", probability: bool = True
) -> tuple[Ranked, Floats, Integers]:
    """Rank the people in the domain of a design who have a positive weight.

    Parameters
    ----------
    y, risk
        One value for each row of the full design, shape (n,); ignored outside the domain.
    design
        The full design with its domain.
    name, probability
        As for `rank`.

    Returns
    -------
    tuple of Ranked, ndarray and ndarray
        The people, their weights and the numbers of their clusters, in increasing order of risk.

    Raises
    ------
    MgRiskError
        As for `rank`.
    """
    outcome = np.asarray(y, dtype=np.float64)
    scores = np.asarray(risk, dtype=np.float64)
    if not outcome.shape == scores.shape == (len(design),):
        raise bad_input(
            "metric.bad_length",
            "outcome and risk do not have the length of the design",
            where=name,
            hint="give one value for each row of the full design, outside the domain too",
            expected=f"({len(design)},)",
            got=f"outcome {outcome.shape}, risk {scores.shape}",
        )
    counted = np.flatnonzero(design.analysis_weight)
    people = rank(outcome[counted], scores[counted], name=name, probability=probability)
    rows = counted[people.order]
    return people, design.analysis_weight[rows], design.cluster[rows]


@dataclass(frozen=True, eq=False)
class Weighted:
    """Ranked people with one set of weights; intermediate results are cached.

    Parameters
    ----------
    people
        The ranked people.
    weight
        Weights in the order of `people`, shape (n,), at least 0; only their ratios matter.
    near
        The same people with similar weights, whose fits are starting values.
    """

    people: Ranked
    weight: Floats
    near: Weighted | None = None

    @cached_property
    def case_weight(self) -> Floats:
        """Weight of cases, 0 for non-cases, shape (n,)."""
        return self.weight * self.people.y

    @cached_property
    def other_weight(self) -> Floats:
        """Weight of non-cases, 0 for cases, shape (n,)."""
        return self.weight * (1.0 - self.people.y)

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    @cached_property
    def cases(self) -> float:
        """Sum of the weights of cases."""
        return float(self.case_weight.sum())

    @cached_property
    def others(self) -> float:
        """Sum of the weights of non-cases."""
        return float(self.other_weight.sum())

    @cached_property
    def one_class(self) -> bool:
        """Whether there are no cases or no non-cases."""
        return self.cases == 0.0 or self.others == 0.0

    @cached_property
    def ties(self) -> tuple[Floats, Floats]:
        """Weights of cases and of non-cases at each distinct risk, in increasing order."""
        starts = self.people.tie_starts
        return np.add.reduceat(self.case_weight, starts), np.add.reduceat(self.other_weight, starts)

    def at_or_above(self, threshold: float) -> tuple[float, float]:
        """Return the weights of cases and of non-cases with a risk of at least `threshold`."""
        first = int(np.searchsorted(self.people.risk, threshold, side="left"))
        return float(self.case_weight[first:].sum()), float(self.other_weight[first:].sum())

    def below(self, threshold: float) -> tuple[float, float]:
        """Return the weights of cases and of non-cases with a risk below `threshold`."""
        first = int(np.searchsorted(self.people.risk, threshold, side="left"))
        return float(self.case_weight[:first].sum()), float(self.other_weight[:first].sum())

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """Share of cases and weight at each distinct risk; a fit to these equals the fit to the people.

        A published score has a few dozen distinct values, so its fits are much faster.
        """
        cases, others = self.ties
        weight = cases + others
        return np.divide(cases, weight, out=np.zeros_like(cases), where=weight > 0), weight

    @cached_property
    def intercept(self) -> float:
        """Intercept of a logistic regression with the log odds of the risk as offset."""
        share, weight = self.shares
        start = None if self.near is None else np.array([self.near.intercept])
        ones = np.ones((weight.size, 1))
        return float(maximise_likelihood(ones, share, weight, offset=self.people.distinct_logit, start=start)[0])

    @cached_property
    def line(self) -> Floats:
        """Intercept and slope of a logistic regression on the log odds of the risk, shape (2,)."""
        share, weight = self.shares
        rows = np.column_stack((np.ones(weight.size), self.people.distinct_logit))
        start = None if self.near is None else self.near.line
        return maximise_likelihood(rows, share, weight, start=start)

    @cached_property
    def curve(self) -> FlexibleCurve:
        """The flexible calibration curve."""
        share, weight = self.shares
        near = None if self.near is None else self.near.curve
        return fit_curve(share, self.people.distinct_logit, weight, near=near)

    @cached_property
    def gap(self) -> Floats:
        """Distance of each risk from the flexible calibration curve, shape (n,)."""
        distinct = self.people.risk[self.people.tie_starts]
        distance = np.abs(distinct - self.curve.observed(self.people.distinct_logit))
        return np.repeat(distance, self.people.tied)


RANK_METRICS = ("auroc", "auprc")
NAN = float("nan")


def metric_names(*, thresholds: tuple[float, ...] = (0.05, 0.10)) -> tuple[str, ...]:
    """Return the names of all measures, those at a threshold once for each threshold.

    Parameters
    ----------
    thresholds
        Risks from which a person counts as positive, strictly between 0 and 1.

    Examples
    --------
    >>> metric_names(thresholds=(0.05,))[-2:]
    ('flagged@0.05', 'number_to_test@0.05')
    """
    return (*_WHOLE, *(f"{name}@{threshold:g}" for threshold in thresholds for name in _AT_THRESHOLD))


def measure(name: str, sample: Weighted) -> float:
    """Compute the measure of that name, for example ``auroc`` or ``net_benefit@0.05``.

    Raises
    ------
    MgRiskError
        ``metric.unknown``; ``logistic.not_converged`` where a calibration fit has no maximum.

    Examples
    --------
    >>> measure("auroc", Weighted(rank([0, 1], [0.1, 0.2]), np.ones(2)))
    1.0
    """
    return find_measure(name)(sample)


def find_measure(name: str) -> Callable[[Weighted], float]:
    """Return the function of the measure of that name; raises ``metric.unknown``."""
    base, at, text = name.partition("@")
    if not at and base in _WHOLE:
        return _WHOLE[base]
    try:
        threshold = float(text)
    except ValueError:
        threshold = NAN
    if base not in _AT_THRESHOLD or not 0.0 < threshold < 1.0:
        raise bad_input(
            "metric.unknown",
            "there is no such metric",
            where=name,
            hint=f"choose from {', '.join((*_WHOLE, *(known + '@t' for known in _AT_THRESHOLD)))}, 0 < t < 1",
        )
    at_threshold = _AT_THRESHOLD[base]
    return lambda sample: at_threshold(sample, threshold)


def measure_people(name: str, y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Compute a measure by name, as the functions below do; raises the errors of `measure` and `rank`."""
    return measure(name, _sample(y, risk, weight))


def auroc(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Probability that a case has a higher risk than a non-case; ties count half. Any score can be used.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], [1, 1, 1, 1])
    0.875
    """
    return _auroc(_sample(y, risk, weight, probability=False))


def _auroc(sample: Weighted) -> float:
    if sample.one_class:
        return NAN
    cases, others = sample.ties
    below = np.cumsum(others) - others / 2.0
    return float(cases @ below / (sample.cases * sample.others))


def auprc(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Average precision: precision at each distinct risk, weighted by the gain in recall. Any score can be used.

    Examples
    --------
    >>> round(auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [1, 1, 1, 1]), 4)
    0.8333
    """
    return _auprc(_sample(y, risk, weight, probability=False))


def _auprc(sample: Weighted) -> float:
    if sample.cases == 0.0:
        return NAN
    cases, others = (column[::-1] for column in sample.ties)
    found = np.cumsum(cases)
    flagged = found + np.cumsum(others)
    gains = cases > 0
    return float((cases[gains] @ (found[gains] / flagged[gains])) / sample.cases)


def prevalence(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Share of cases; it does not depend on the risk."""
    return _prevalence(_sample(y, risk, weight, probability=False))


def _prevalence(sample: Weighted) -> float:
    return _share(sample.cases, sample.total)


def brier(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Mean squared difference between risk and outcome.

    Examples
    --------
    >>> round(brier([0, 1], [0.2, 0.8], [1, 1]), 4)
    0.04
    """
    return _brier(_sample(y, risk, weight))


def _brier(sample: Weighted) -> float:
    return float(sample.weight @ (sample.people.risk - sample.people.y) ** 2) / sample.total


def brier_scaled(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """1 minus the Brier score divided by that of the prevalence: 1 is perfect, 0 no better than the prevalence."""
    return _brier_scaled(_sample(y, risk, weight))


def _brier_scaled(sample: Weighted) -> float:
    prevalence = sample.cases / sample.total
    return NAN if sample.one_class else 1.0 - _brier(sample) / (prevalence * (1.0 - prevalence))


def log_loss(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Mean negative log likelihood, in nats; risks are clipped to 2.2e-16 from 0 and 1."""
    return _log_loss(_sample(y, risk, weight))


def _log_loss(sample: Weighted) -> float:
    smallest = float(np.finfo(np.float64).eps)
    risk = np.clip(sample.people.risk, smallest, 1.0 - smallest)
    likelihood = np.where(sample.people.y == 1.0, risk, 1.0 - risk)
    return float(-(sample.weight @ np.log(likelihood))) / sample.total


def calibration_intercept(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Calibration in the large: log odds by which the risks are too low (negative: too high)."""
    return _intercept(_sample(y, risk, weight))


def _intercept(sample: Weighted) -> float:
    return NAN if sample.one_class else sample.intercept


def calibration_slope(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Slope of a logistic regression on the log odds of the risk: below 1 where risks are too extreme."""
    return _slope(_sample(y, risk, weight))


def _slope(sample: Weighted) -> float:
    risks = sample.people.risk[sample.weight > 0]
    return NAN if sample.one_class or risks[0] == risks[-1] else float(sample.line[1])


def observed_expected(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Observed cases divided by the sum of the risks."""
    return _observed_expected(_sample(y, risk, weight))


def _observed_expected(sample: Weighted) -> float:
    expected = float(sample.weight @ sample.people.risk)
    return sample.cases / expected if expected > 0 else NAN


def ici(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Mean absolute difference between risks and the flexible calibration curve (Austin and Steyerberg 2019)."""
    return _ici(_sample(y, risk, weight))


def _ici(sample: Weighted) -> float:
    return NAN if sample.one_class else float(sample.weight @ sample.gap) / sample.total


def e50(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Median absolute difference between risks and the flexible calibration curve."""
    return _e50(_sample(y, risk, weight))


def _e50(sample: Weighted) -> float:
    return NAN if sample.one_class else float(weighted_quantile(sample.gap, sample.weight, [0.5])[0])


def e90(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """90th percentile of the absolute difference between risks and the flexible calibration curve."""
    return _e90(_sample(y, risk, weight))


def _e90(sample: Weighted) -> float:
    return NAN if sample.one_class else float(weighted_quantile(sample.gap, sample.weight, [0.9])[0])


def net_benefit(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of true positives minus that of false positives × odds of the threshold (Vickers and Elkin 2006).

    Examples
    --------
    >>> net_benefit([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8], [1, 1, 1, 1], threshold=0.5)
    0.0
    """
    return measure(f"net_benefit@{float(threshold)!r}", _sample(y, risk, weight))


def _net_benefit(sample: Weighted, threshold: float) -> float:
    true, false = sample.at_or_above(threshold)
    return (true - false * threshold / (1.0 - threshold)) / sample.total


def sensitivity(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of cases with a risk of at least the threshold."""
    return measure(f"sensitivity@{float(threshold)!r}", _sample(y, risk, weight))


def _sensitivity(sample: Weighted, threshold: float) -> float:
    return _share(sample.at_or_above(threshold)[0], sample.cases)


def specificity(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of non-cases with a risk below the threshold."""
    return measure(f"specificity@{float(threshold)!r}", _sample(y, risk, weight))


def _specificity(sample: Weighted, threshold: float) -> float:
    return _share(sample.below(threshold)[1], sample.others)


def ppv(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of cases among people with a risk of at least the threshold."""
    return measure(f"ppv@{float(threshold)!r}", _sample(y, risk, weight))


def _ppv(sample: Weighted, threshold: float) -> float:
    true, false = sample.at_or_above(threshold)
    return _share(true, true + false)


def npv(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of non-cases among people with a risk below the threshold."""
    return measure(f"npv@{float(threshold)!r}", _sample(y, risk, weight))


def _npv(sample: Weighted, threshold: float) -> float:
    missed, cleared = sample.below(threshold)
    return _share(cleared, missed + cleared)


def flagged(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of people with a risk of at least the threshold (screen-positive)."""
    return measure(f"flagged@{float(threshold)!r}", _sample(y, risk, weight))


def _flagged(sample: Weighted, threshold: float) -> float:
    return _share(sum(sample.at_or_above(threshold)), sample.total)


def number_to_test(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Screen-positive people to test for each case found, 1 / PPV.

    Examples
    --------
    >>> number_to_test([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8], [1, 1, 1, 1], threshold=0.5)
    2.0
    """
    return measure(f"number_to_test@{float(threshold)!r}", _sample(y, risk, weight))


def _number_to_test(sample: Weighted, threshold: float) -> float:
    true, false = sample.at_or_above(threshold)
    return (true + false) / true if true > 0 else NAN


def _share(part: float, whole: float) -> float:
    # Sums of the same weights in another order can differ in the last digit, but a share is at most 1.
    return min(part / whole, 1.0) if whole > 0 else NAN


def _sample(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, probability: bool = True) -> Weighted:
    weights = np.asarray(weight, dtype=np.float64)
    outcome = np.asarray(y, dtype=np.float64)
    if weights.shape != outcome.shape or not np.isfinite(weights).all() or (weights < 0).any():
        raise bad_input(
            "metric.bad_weight",
            "weights are missing, infinite or negative, or their number is not that of the people",
            where="weights of a metric",
            hint="give one weight of at least 0 for each person",
        )
    counts = weights > 0
    people = rank(outcome[counts], np.asarray(risk, dtype=np.float64)[counts], probability=probability)
    return Weighted(people, weights[counts][people.order])


_WHOLE: dict[str, Callable[[Weighted], float]] = {
    "prevalence": _prevalence,
    "auroc": _auroc,
    "auprc": _auprc,
    "brier": _brier,
    "brier_scaled": _brier_scaled,
    "log_loss": _log_loss,
    "calibration_intercept": _intercept,
    "calibration_slope": _slope,
    "observed_expected": _observed_expected,
    "ici": _ici,
    "e50": _e50,
    "e90": _e90,
}
_AT_THRESHOLD: dict[str, Callable[[Weighted, float], float]] = {
    "net_benefit": _net_benefit,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "ppv": _ppv,
    "npv": _npv,
    "flagged": _flagged,
    "number_to_test": _number_to_test,
}
