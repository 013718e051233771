"""The measures of a risk model, each a pure function ``f(y, risk, weight)``.

Shapes are (n,) throughout: `y` the outcome, 0 or 1; `risk` the predicted probability; `weight` at least 0, of
which only ratios matter. Doubling a row is the same as doubling its weight. A measure that the people do not
define, such as the AUROC without cases, is NaN; wrong input raises `MgRiskError` (see `ranked.rank`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mgrisk.errors import bad_input
from mgrisk.evaluate.ranked import Weighted, rank
from mgrisk.survey.quantiles import weighted_quantile

RANK_METRICS = ("auroc", "auprc")
NAN = float("nan")


def metric_names(*, thresholds: tuple[float, ...] = (0.05, 0.10)) -> tuple[str, ...]:
    """Names of all measures, those at a threshold once for each threshold.

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
    base, at, text = name.partition("@")
    if not at and base in _WHOLE:
        return _WHOLE[base](sample)
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
    return _AT_THRESHOLD[base](sample, threshold)


def auroc(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Probability that a case has a higher risk than a non-case; ties count half. Any score will do.

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
    """Average precision: precision at each distinct risk, weighted by the gain in recall. Any score will do.

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
    """Share of cases; the same whatever the risk."""
    return _prevalence(_sample(y, risk, weight, probability=False))


def _prevalence(sample: Weighted) -> float:
    return _share(sample.cases, sample.total)


def brier(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Mean squared distance of the risk from the outcome.

    Examples
    --------
    >>> round(brier([0, 1], [0.2, 0.8], [1, 1]), 4)
    0.04
    """
    return _brier(_sample(y, risk, weight))


def _brier(sample: Weighted) -> float:
    return float(sample.weight @ (sample.people.risk - sample.people.y) ** 2) / sample.total


def brier_scaled(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """1 minus the Brier score over that of the prevalence: 1 is perfect, 0 no better than the prevalence."""
    return _brier_scaled(_sample(y, risk, weight))


def _brier_scaled(sample: Weighted) -> float:
    prevalence = sample.cases / sample.total
    return NAN if sample.one_class else 1.0 - _brier(sample) / (prevalence * (1.0 - prevalence))


def log_loss(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Mean negative log likelihood, in nats; risks are held within 2.2e-16 and its complement."""
    return _log_loss(_sample(y, risk, weight))


def _log_loss(sample: Weighted) -> float:
    smallest = float(np.finfo(np.float64).eps)
    risk = np.clip(sample.people.risk, smallest, 1.0 - smallest)
    likelihood = np.where(sample.people.y == 1.0, risk, 1.0 - risk)
    return float(-(sample.weight @ np.log(likelihood))) / sample.total


def calibration_intercept(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Calibration in the large: by how many log odds the risks are too low (or, negative, too high)."""
    return _intercept(_sample(y, risk, weight))


def _intercept(sample: Weighted) -> float:
    return NAN if sample.one_class else sample.intercept


def calibration_slope(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Slope of the outcome on the log odds of the risk: below 1 where risks are too extreme."""
    return _slope(_sample(y, risk, weight))


def _slope(sample: Weighted) -> float:
    risks = sample.people.risk[sample.weight > 0]
    return NAN if sample.one_class or risks[0] == risks[-1] else float(sample.line[1])


def observed_expected(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Observed cases over the sum of the risks."""
    return _observed_expected(_sample(y, risk, weight))


def _observed_expected(sample: Weighted) -> float:
    expected = float(sample.weight @ sample.people.risk)
    return sample.cases / expected if expected > 0 else NAN


def ici(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Mean distance of the risks from the flexible calibration curve (Austin and Steyerberg 2019)."""
    return _ici(_sample(y, risk, weight))


def _ici(sample: Weighted) -> float:
    return NAN if sample.one_class else float(sample.weight @ sample.gap) / sample.total


def e50(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """Median distance of the risks from the flexible calibration curve."""
    return _e50(_sample(y, risk, weight))


def _e50(sample: Weighted) -> float:
    return NAN if sample.one_class else float(weighted_quantile(sample.gap, sample.weight, [0.5])[0])


def e90(y: ArrayLike, risk: ArrayLike, weight: ArrayLike) -> float:
    """90th percentile of the distance of the risks from the flexible calibration curve."""
    return _e90(_sample(y, risk, weight))


def _e90(sample: Weighted) -> float:
    return NAN if sample.one_class else float(weighted_quantile(sample.gap, sample.weight, [0.9])[0])


def net_benefit(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of true positives less that of false ones at the odds of the threshold (Vickers and Elkin 2006).

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
    """Share of people who are not cases with a risk below the threshold."""
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
    """Share of people who are not cases among those with a risk below the threshold."""
    return measure(f"npv@{float(threshold)!r}", _sample(y, risk, weight))


def _npv(sample: Weighted, threshold: float) -> float:
    missed, cleared = sample.below(threshold)
    return _share(cleared, missed + cleared)


def flagged(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """Share of people with a risk of at least the threshold: who would be called in."""
    return measure(f"flagged@{float(threshold)!r}", _sample(y, risk, weight))


def _flagged(sample: Weighted, threshold: float) -> float:
    return _share(sum(sample.at_or_above(threshold)), sample.total)


def number_to_test(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, threshold: float) -> float:
    """People with a risk of at least the threshold for each case among them: those tested to find one, 1 / PPV.

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
    # Sums of the same weights in another order can differ in the last digit: a share is never above 1.
    return min(part / whole, 1.0) if whole > 0 else NAN


def _sample(y: ArrayLike, risk: ArrayLike, weight: ArrayLike, *, probability: bool = True) -> Weighted:
    weights = np.asarray(weight, dtype=np.float64)
    outcome = np.asarray(y, dtype=np.float64)
    if weights.shape != outcome.shape or not np.isfinite(weights).all() or (weights < 0).any():
        raise bad_input(
            "metric.bad_weight",
            "a weight is missing, infinite or negative, or there is not one for each person",
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
