"""The evaluation of a run: all models on the same people of one set, as flat records and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.curves import Curve, calibration_curve, decision_curve, grouped_calibration, roc_curve
from mgrisk.evaluate.intervals import MetricReplicates, replicate_metrics
from mgrisk.evaluate.metrics import metric_names
from mgrisk.evaluate.rules import act
from mgrisk.evaluate.subgroups import subgroups
from mgrisk.evaluate.thresholds import PUBLISHED_CUT, RISKS, Thresholds, threshold_table
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]
CROSS_VALIDATED: Final = "cross-validated"
EVERYBODY: Final = "everybody"
DIFFERED: Final = frozenset(metric_names(thresholds=())) - {"prevalence"}
"""Metrics of which models differ on all thresholds; in net benefit they differ at each of `RISKS`."""


@dataclass(frozen=True)
class Assessment:
    """How the models did on one set.

    Attributes
    ----------
    records
        Flat records of interface.md: {model, outcome, set, group, level, metric, estimate, low, high, se, n, events,
        problem, presentation}; those of all people first, then those of the groups of subgroups.toml.
    differences
        The same with `reference`: model less reference, on the same people and replicates. Each model against every
        other one and every published score; in net benefit also against the published cuts and against calling in
        `EVERYBODY`.
    thresholds
        Records of `thresholds.threshold_table`: the same with `rule` and `threshold`.
    curves
        By model: `calibration`, `calibration_groups`, `roc` and `decision`, each a table of columns, or
        {problem} where it could not be made.
    """

    records: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    curves: dict[str, dict[str, Any]]


def assess(
    y: Floats,
    risks: Mapping[str, Floats],
    points: Mapping[str, Floats],
    design: SurveyDesign,
    frame: pd.DataFrame,
    *,
    chosen: str,
    thresholds: Thresholds,
    outcome: str,
    set_name: str,
) -> Assessment:
    """Evaluate models and published scores on the domain of a design.

    Parameters
    ----------
    y
        Outcome, shape (n,); any value outside the domain.
    risks
        Calibrated probabilities by model, shape (n,) each.
    points
        Published point scores by name: they rank, but are no probabilities.
    design
        The full design of the set, with the analysis as its domain.
    frame
        Features of everybody in the set, row for row with the design: who belongs to which group.
    chosen
        The model whose bundle leaves the run; with the published scores it is evaluated in each group.
    thresholds
        From `thresholds.choose_thresholds` on the development people.
    outcome, set_name
        Written into each record.
    """
    of_set = {"outcome": outcome, "set": set_name}
    context = {**of_set, "group": "all", "level": "all"}
    found = replicate_metrics(y, {**risks, **points}, design, ranking_only=frozenset(points))
    acted = _net_benefits(y, risks, points, design, thresholds)
    differences = [
        record
        for replicates in (found, acted)
        for reference in dict.fromkeys(model for model, _ in replicates.full)
        for record in replicates.differences(reference)
        if record["model"] in risks and (replicates is acted or record["metric"] in DIFFERED)
    ]
    table = threshold_table(y, risks, points, design, thresholds=thresholds)
    return Assessment(
        records=[
            *({**context, **record} for record in found.records()),
            *subgroups(y, {chosen: risks[chosen]}, points, design, frame, outcome=outcome, set_name=set_name),
        ],
        differences=[{**context, **record} for record in differences],
        thresholds=[{**context, **record} for record in table],
        curves=_curves(y, risks, points, design, thresholds),
    )


def _net_benefits(
    y: Floats, risks: Mapping[str, Floats], points: Mapping[str, Floats], design: SurveyDesign, thresholds: Thresholds
) -> MetricReplicates:
    """Return net benefits at the fixed risks of models, of published scores at their cuts, and of everybody."""
    at = np.array(RISKS)
    rules = {name: risk[:, None] >= at for name, risk in risks.items()}
    cuts = {name: thresholds[name][PUBLISHED_CUT] for name in points if PUBLISHED_CUT in thresholds[name]}
    rules |= {name: np.repeat(points[name][:, None] >= cut, at.size, axis=1) for name, cut in cuts.items()}
    rules[EVERYBODY] = np.ones((len(design), at.size), dtype=np.bool_)
    columns: dict[tuple[str, str], Floats] = {}
    scale = np.empty(0)
    for name, flagged in rules.items():
        acted = act(y, flagged, design)
        scale = acted.scale
        benefit = acted.net_benefit(at)
        columns |= {(name, f"net_benefit@{risk:g}"): benefit[:, place] for place, risk in enumerate(RISKS)}
    return MetricReplicates.of(y, columns, design, scale=scale)


def _curves(
    y: Floats, risks: Mapping[str, Floats], points: Mapping[str, Floats], design: SurveyDesign, thresholds: Thresholds
) -> dict[str, dict[str, Any]]:
    curves: dict[str, dict[str, Any]] = {}
    for name, risk in risks.items():
        curves[name] = {
            "calibration": _curve(calibration_curve, y, risk, design),
            "calibration_groups": _curve(grouped_calibration, y, risk, design),
            "roc": _curve(roc_curve, y, risk, design),
            "decision": _curve(decision_curve, y, risk, design),
        }
    for name, score in points.items():
        curves[name] = {"roc": _curve(roc_curve, y, score, design)}
        cut = thresholds[name].get(PUBLISHED_CUT)
        if cut is not None:
            curves[name]["decision"] = _curve(decision_curve, y, score, design, cut=cut)
    return curves


def _curve(
    make: Callable[..., Curve], y: Floats, risk: Floats, design: SurveyDesign, **options: float
) -> dict[str, Any]:
    """Return a curve's columns, or why there is none: few cases can leave a fit without an answer."""
    try:
        return make(y, risk, design, **options).to_dict()
    except MgRiskError as problem:
        return {"problem": problem.what()}
