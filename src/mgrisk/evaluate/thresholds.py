"""Classification at a risk threshold: screen-positives, sensitivity, predictive values and net benefit.

Thresholds are fixed risks, the risk that reaches a fixed sensitivity, or the published cut of a score. Those that
depend on data are chosen in development people alone, and applied to the held-out cycles.

All measures of a classification follow from four weighted sums. These are computed once for each PSU; all replicates of
a whole decision curve are then one matrix product (`classify`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mgrisk.errors import bad_input
from mgrisk.evaluate.intervals import MetricReplicates
from mgrisk.evaluate.metrics import rank_domain
from mgrisk.evaluate.predictions import Predictions
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.variance import jackknife
from mgrisk.types import Floats


@dataclass(frozen=True, eq=False)
class Classified:
    """Weights of people by outcome and classification: with the full weights first, then with each replicate's.

    Parameters
    ----------
    true, false
        Weights of screen-positive cases and non-cases, shape (R + 1, rules).
    cases, others
        Weights of all cases and non-cases, shape (R + 1, 1).
    scale
        Weight of each replicate in the variance, shape (R,).
    """

    true: Floats
    false: Floats
    cases: Floats
    others: Floats
    scale: Floats

    def measure(self, name: str) -> Floats:
        """Return a measure of each rule, shape (R + 1, rules); NaN where its denominator is 0.

        Parameters
        ----------
        name
            A key of `MEASURES`.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            found = MEASURES[name](self)
        return np.where(np.isfinite(found), found, np.nan)

    def net_benefit(self, threshold: ArrayLike) -> Floats:
        """Return net benefit: true positives minus false positives × odds, per person, shape (R + 1, rules).

        Parameters
        ----------
        threshold
            Risk threshold of each rule, shape (rules,), or one for all.
        """
        at = np.asarray(threshold, dtype=np.float64)
        found: Floats = (self.true - self.false * at / (1.0 - at)) / (self.cases + self.others)
        return found


MEASURES: Final[Mapping[str, Callable[[Classified], Floats]]] = {
    "sensitivity": lambda a: a.true / a.cases,
    "specificity": lambda a: (a.others - a.false) / a.others,
    "ppv": lambda a: a.true / (a.true + a.false),
    "npv": lambda a: (a.others - a.false) / (a.others - a.false + a.cases - a.true),
    "flagged": lambda a: (a.true + a.false) / (a.cases + a.others),
    "number_to_test": lambda a: (a.true + a.false) / a.true,
}


def classify(y: ArrayLike, flagged: ArrayLike, design: SurveyDesign) -> Classified:
    """Sum the weights of people in a domain by outcome and by the classification of each rule.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,); ignored outside the domain.
    flagged
        Whether each person is screen-positive by each rule, bool, shape (n, rules).
    design
        The full design; its domain is the people evaluated.

    Returns
    -------
    Classified
        The sums, with jackknife replicates (JKn).

    Raises
    ------
    MgRiskError
        ``design.single_psu``.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> classify([0, 1, 0, 1], [[True], [True], [False], [False]], design).measure("ppv")[0].tolist()
    [0.5]
    """
    inside = np.flatnonzero(design.analysis_weight)
    case = np.asarray(y, dtype=np.float64)[inside]
    positive = np.asarray(flagged, dtype=np.bool_)[inside]
    weight, cluster = design.analysis_weight[inside], design.cluster[inside]

    def totals(value: Floats) -> Floats:
        return np.asarray(np.bincount(cluster, weight * value, minlength=design.n_clusters), dtype=np.float64)

    columns = [totals(part) for part in (case, 1.0 - case)]
    columns += [totals(case * column) for column in positive.T]
    columns += [totals((1.0 - case) * column) for column in positive.T]
    replicates = jackknife(design)
    factors = np.vstack((np.ones(design.n_clusters), replicates.factors))
    sums = factors @ np.column_stack(columns)
    # Rounding leaves sums of about 1e-12 where there are no people.
    sums[sums < 1e-12 * sums[0, :2].sum()] = 0.0
    rules = positive.shape[1]
    return Classified(sums[:, 2 : 2 + rules], sums[:, 2 + rules :], sums[:, :1], sums[:, 1:2], replicates.scale)


def threshold_for_sensitivity(y: ArrayLike, score: ArrayLike, design: SurveyDesign, *, sensitivity: float) -> float:
    """Return the highest threshold with at least the given sensitivity.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,); ignored outside the domain.
    score
        Risk or points, shape (n,); people at or above the threshold are screen-positive.
    design
        The full design; its domain is the development people, in whom the threshold is chosen.
    sensitivity
        Strictly between 0 and 1.

    Raises
    ------
    MgRiskError
        ``metric.*`` for wrong input; ``metric.one_class`` without cases.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> threshold_for_sensitivity([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], design, sensitivity=0.5)
    0.4
    """
    people, weight, _ = rank_domain(y, score, design, probability=False)
    case = people.y == 1.0
    if not case.any():
        raise bad_input(
            "metric.one_class",
            "a sensitivity needs cases",
            where=f"{people.y.size} people",
            hint="widen the domain",
        )
    # The highest score with this share of cases at or above it is a lower quantile of the negated scores.
    return -float(weighted_quantile(-people.risk[case], weight[case], [sensitivity])[0])


RISKS: Final = (0.02, 0.05, 0.1, 0.2)
SENSITIVITIES: Final = (0.8, 0.9)
PUBLISHED_CUT: Final = "published cut"
Thresholds = Mapping[str, Mapping[str, float]]


def choose_thresholds(predictions: Predictions, *, cuts: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the thresholds of every model and published score, by rule.

    Parameters
    ----------
    predictions
        Predictions for the development people.
    cuts
        Published cuts of scores: points that are classified as high risk, and above.

    Returns
    -------
    dict
        Thresholds by model and rule: ``risk 0.05``, ``sensitivity 0.8`` (in these people) or ``published cut``.
    """
    found: dict[str, dict[str, float]] = {}
    y, design = predictions.y, predictions.design
    for name, score in predictions.scores.items():
        fixed = {f"risk {risk:g}": risk for risk in RISKS} if name in predictions.risks else {}
        reached = {
            f"sensitivity {wanted:g}": threshold_for_sensitivity(y, score, design, sensitivity=wanted)
            for wanted in SENSITIVITIES
        }
        published = {PUBLISHED_CUT: float(cuts[name])} if name in cuts else {}
        found[name] = {**published, **fixed, **reached}
    return found


def threshold_table(predictions: Predictions, *, thresholds: Thresholds) -> list[dict[str, Any]]:
    """Evaluate each threshold in a set of people.

    Parameters
    ----------
    predictions
        Predictions for any people.
    thresholds
        Result of `choose_thresholds`.

    Returns
    -------
    list of dict
        Records {model, rule, threshold, metric, estimate, low, high, se, n, events, problem, presentation} for each of
        `MEASURES`, and for `net_benefit` at the threshold where that is a risk.
    """
    records: list[dict[str, Any]] = []
    y, design = predictions.y, predictions.design
    for name, score in predictions.scores.items():
        rules = thresholds[name]
        at = np.array(list(rules.values()))
        classified = classify(y, score[:, None] >= at, design)
        values = {metric: classified.measure(metric) for metric in MEASURES}
        if name in predictions.risks:
            values["net_benefit"] = classified.net_benefit(at)
        for place, (rule, threshold) in enumerate(rules.items()):
            columns = {(name, metric): each[:, place] for metric, each in values.items()}
            found = MetricReplicates.of(y, columns, design, scale=classified.scale)
            records += [{**record, "rule": rule, "threshold": threshold} for record in found.records()]
    return records
