"""Classification at a risk threshold: who is screen-positive, how many are found and missed, and net benefit.

Thresholds are fixed risks, the risk that reaches a fixed sensitivity, or the published cut of a score. Those that
depend on data are chosen on development people alone; the held-out cycle only shows what they give.

A rule says yes or no to each person, so that every measure of it follows from four weighted sums. They are made once
for each PSU; a replicate is then one product of matrices, for a whole decision curve at once (`act`).
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
class Acted:
    """Weights of people by outcome and by what the rules say, with the full weights first, then each replicate's.

    Parameters
    ----------
    true, false
        Cases and others whom a rule flags, shape (R + 1, rules).
    cases, others
        All of them, shape (R + 1, 1).
    scale
        Weight of each replicate in the variance, shape (R,).
    """

    true: Floats
    false: Floats
    cases: Floats
    others: Floats
    scale: Floats

    def measure(self, name: str) -> Floats:
        """Return a measure of each rule, shape (R + 1, rules); NaN where its denominator is nobody.

        Parameters
        ----------
        name
            A key of `MEASURES`.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            found = MEASURES[name](self)
        return np.where(np.isfinite(found), found, np.nan)

    def net_benefit(self, threshold: ArrayLike) -> Floats:
        """Return true positives per person less false ones at the odds of a threshold, shape (R + 1, rules).

        Parameters
        ----------
        threshold
            Risk from which one would act, of each rule, shape (rules,), or one for all.
        """
        at = np.asarray(threshold, dtype=np.float64)
        found: Floats = (self.true - self.false * at / (1.0 - at)) / (self.cases + self.others)
        return found


MEASURES: Final[Mapping[str, Callable[[Acted], Floats]]] = {
    "sensitivity": lambda a: a.true / a.cases,
    "specificity": lambda a: (a.others - a.false) / a.others,
    "ppv": lambda a: a.true / (a.true + a.false),
    "npv": lambda a: (a.others - a.false) / (a.others - a.false + a.cases - a.true),
    "flagged": lambda a: (a.true + a.false) / (a.cases + a.others),
    "number_to_test": lambda a: (a.true + a.false) / a.true,
}


def act(y: ArrayLike, flagged: ArrayLike, design: SurveyDesign) -> Acted:
    """Add up what rules do to the people of a domain.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,); ignored outside the domain.
    flagged
        Whether each rule flags each person, bool, shape (n, rules).
    design
        The full design; its domain is who is evaluated.

    Returns
    -------
    Acted
        With jackknife replicates (JKn).

    Raises
    ------
    MgRiskError
        ``design.single_psu``.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> act([0, 1, 0, 1], [[True], [True], [False], [False]], design).measure("ppv")[0].tolist()
    [0.5]
    """
    inside = np.flatnonzero(design.analysis_weight)
    case = np.asarray(y, dtype=np.float64)[inside]
    said = np.asarray(flagged, dtype=np.bool_)[inside]
    weight, cluster = design.analysis_weight[inside], design.cluster[inside]

    def totals(value: Floats) -> Floats:
        return np.asarray(np.bincount(cluster, weight * value, minlength=design.n_clusters), dtype=np.float64)

    columns = [totals(part) for part in (case, 1.0 - case)]
    columns += [totals(case * column) for column in said.T]
    columns += [totals((1.0 - case) * column) for column in said.T]
    replicates = jackknife(design)
    factors = np.vstack((np.ones(design.n_clusters), replicates.factors))
    sums = factors @ np.column_stack(columns)
    # Differences of sums leave 1e-12 where nobody is: such a rule flags nobody, and not almost nobody.
    sums[sums < 1e-12 * sums[0, :2].sum()] = 0.0
    rules = said.shape[1]
    return Acted(sums[:, 2 : 2 + rules], sums[:, 2 + rules :], sums[:, :1], sums[:, 1:2], replicates.scale)


def threshold_for_sensitivity(y: ArrayLike, score: ArrayLike, design: SurveyDesign, *, sensitivity: float) -> float:
    """Return the highest threshold from which on at least that share of the cases is flagged.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,); ignored outside the domain.
    score
        Risk or points, shape (n,); people at the threshold or above are flagged.
    design
        The full design; its domain is whom the threshold is chosen on: development people, never held-out ones.
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
    # The highest score at or above which the share lies is the lowest of the negated scores that reaches it.
    return -float(weighted_quantile(-people.risk[case], weight[case], [sensitivity])[0])


RISKS: Final = (0.02, 0.05, 0.1, 0.2)
SENSITIVITIES: Final = (0.8, 0.9)
PUBLISHED_CUT: Final = "published cut"
Thresholds = Mapping[str, Mapping[str, float]]


def choose_thresholds(predictions: Predictions, *, cuts: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the thresholds of every model and published score, by the rule that gave them.

    Parameters
    ----------
    predictions
        Of the development people.
    cuts
        Points from which on a published score says "high risk".

    Returns
    -------
    dict
        By model and rule: ``risk 0.05``, ``sensitivity 0.8`` (reached on these people) or ``published cut``.
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
    """Say what each threshold comes to on a set of people.

    Parameters
    ----------
    predictions
        Of any people.
    thresholds
        From `choose_thresholds`.

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
        acted = act(y, score[:, None] >= at, design)
        values = {metric: acted.measure(metric) for metric in MEASURES}
        if name in predictions.risks:
            values["net_benefit"] = acted.net_benefit(at)
        for place, (rule, threshold) in enumerate(rules.items()):
            columns = {(name, metric): each[:, place] for metric, each in values.items()}
            found = MetricReplicates.of(y, columns, design, scale=acted.scale)
            records += [{**record, "rule": rule, "threshold": threshold} for record in found.records()]
    return records
