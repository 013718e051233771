"""Threshold tables: what calling people in from a risk means, at fixed risks, fixed sensitivities and published cuts.

Thresholds that are chosen are chosen on development people alone; the held-out cycle only shows what they come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.evaluate.intervals import MetricReplicates
from mgrisk.evaluate.rules import MEASURES, act, threshold_for_sensitivity
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]
RISKS: Final = (0.02, 0.05, 0.1, 0.2)
SENSITIVITIES: Final = (0.8, 0.9)
PUBLISHED_CUT: Final = "published cut"
Thresholds = Mapping[str, Mapping[str, float]]


def choose_thresholds(
    y: Floats,
    risks: Mapping[str, Floats],
    points: Mapping[str, Floats],
    design: SurveyDesign,
    *,
    cuts: Mapping[str, float],
) -> dict[str, dict[str, float]]:
    """Return the thresholds of every model and published score, by the rule that gave them.

    Parameters
    ----------
    y, risks, points, design
        As for `assess.assess`, of the development people.
    cuts
        Points from which on a published score says "high risk".

    Returns
    -------
    dict
        By model and rule: ``risk 0.05``, ``sensitivity 0.8`` (reached on these people) or ``published cut``.
    """
    found: dict[str, dict[str, float]] = {}
    for name, score in {**risks, **points}.items():
        fixed = {f"risk {risk:g}": risk for risk in RISKS} if name in risks else {}
        reached = {
            f"sensitivity {wanted:g}": threshold_for_sensitivity(y, score, design, sensitivity=wanted)
            for wanted in SENSITIVITIES
        }
        published = {PUBLISHED_CUT: float(cuts[name])} if name in cuts else {}
        found[name] = {**published, **fixed, **reached}
    return found


def threshold_table(
    y: Floats,
    risks: Mapping[str, Floats],
    points: Mapping[str, Floats],
    design: SurveyDesign,
    *,
    thresholds: Thresholds,
) -> list[dict[str, Any]]:
    """Say what each threshold comes to on a set of people.

    Parameters
    ----------
    y, risks, points, design
        As for `assess.assess`.
    thresholds
        From `choose_thresholds`.

    Returns
    -------
    list of dict
        Records {model, rule, threshold, metric, estimate, low, high, se, n, events, problem, presentation} for each of
        `rules.MEASURES`, and for `net_benefit` at the threshold where that is a risk.
    """
    records: list[dict[str, Any]] = []
    for name, score in {**risks, **points}.items():
        rules = thresholds[name]
        at = np.array(list(rules.values()))
        acted = act(y, score[:, None] >= at, design)
        values = {metric: acted.measure(metric) for metric in MEASURES}
        if name in risks:
            values["net_benefit"] = acted.net_benefit(at)
        for place, (rule, threshold) in enumerate(rules.items()):
            columns = {(name, metric): each[:, place] for metric, each in values.items()}
            found = MetricReplicates.of(y, columns, design, scale=acted.scale)
            records += [{**record, "rule": rule, "threshold": threshold} for record in found.records()]
    return records
