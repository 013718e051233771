"""The evaluation of a run: all models on the same people of one set, as flat records and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.curves import Curve, calibration_curve, decision_curve, grouped_calibration, roc_curve
from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.survey.design import SurveyDesign

CROSS_VALIDATED: Final = "cross-validated"


@dataclass(frozen=True)
class Assessment:
    """How the models did on one set.

    Attributes
    ----------
    records
        Flat records of interface.md: {model, outcome, set, group, level, metric, estimate, low, high, se, n, events}.
    differences
        The same with `reference`: model less reference, on the same people and replicates.
    curves
        By model: `calibration`, `calibration_groups`, `roc` and `decision`, each a table of columns, or
        {problem} where it could not be made.
    """

    records: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    curves: dict[str, dict[str, Any]]


def assess(
    y: NDArray[np.float64],
    risks: Mapping[str, NDArray[np.float64]],
    points: Mapping[str, NDArray[np.float64]],
    design: SurveyDesign,
    *,
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
    outcome, set_name
        Written into each record.
    """
    context = {"outcome": outcome, "set": set_name, "group": "all", "level": "all"}
    found = replicate_metrics(y, {**risks, **points}, design, ranking_only=frozenset(points))
    records = [{**context, **record} for record in found.records()]
    differences = [{**context, **record} for name in points for record in found.differences(name)]
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
    return Assessment(records, differences, curves)


def _curve(
    make: Callable[..., Curve], y: NDArray[np.float64], risk: NDArray[np.float64], design: SurveyDesign
) -> dict[str, Any]:
    """Return a curve's columns, or why there is none: few cases can leave a fit without an answer."""
    try:
        return make(y, risk, design).to_dict()
    except MgRiskError as problem:
        return {"problem": problem.what()}
