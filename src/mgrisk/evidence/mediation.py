"""Mediation analysis: the parts of an association through body size, insulin action and insulin secretion.

A sequence of linear regressions adds body size, insulin action and insulin secretion in turn. The change of the
coefficient at each step is the part through these mediators and not through earlier ones. It is an indirect effect only
under assumptions that cannot be verified from a single visit (`ASSUMPTIONS`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mgrisk.errors import MgRiskError
from mgrisk.evidence.adjustment_set import MAIN, AdjustmentSet
from mgrisk.evidence.people import Panel
from mgrisk.evidence.records import Record
from mgrisk.evidence.regression import (
    CALIBRATED,
    FOOD,
    Adjusted,
    failed,
    least_squares,
    linear_coding,
    on_scale,
    panel_scales,
    record_of,
)
from mgrisk.survey.variance import Replicated, jackknife, replicated
from mgrisk.types import Floats

MEDIATION: Final = "mediation"
ALL_PATHS: Final = "through all of them"
NO_PATH: Final = "not through any of them"
ASSUMPTIONS: Final = (
    "There is no unmeasured confounding of magnesium and glucose, of magnesium and a mediator, or of a mediator and "
    "glucose.",
    "No mediator of a later step precedes one of an earlier step, and no confounder of a mediator and glucose is "
    "affected by magnesium.",
    "Magnesium comes first, then body size, then insulin action, then secretion, then glucose; all were measured at "
    "one visit, so that this order is assumed from physiology.",
    "Relations are linear on the log scale and the same for everyone, without interactions of magnesium and mediators.",
    "The mediators are measured without error. HOMA-IR and HOMA-B are computed from fasting insulin and glucose, and "
    "HOMA-B falls late: beta cells compensate at first, so that higher secretion goes with worse insulin action.",
)
"""Assumptions under which the parts are indirect effects (VanderWeele and Vansteelandt 2014)."""


@dataclass(frozen=True)
class Step:
    """Mediators added at one step: the path in words, adjustment terms, and names of markers."""

    path: str
    terms: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()


STEPS: Final = (
    Step("body size (BMI, waist)", terms=("bmi", "waist")),
    Step("insulin action (HOMA-IR)", markers=("homa_ir",)),
    Step("secretion (HOMA-B)", markers=("homa_b",)),
)


def mediation(
    panel: Panel, outcome: str, *, adjustment: AdjustmentSet = MAIN, steps: Sequence[Step] = STEPS
) -> Iterator[Record]:
    """Yield the total association with an outcome, its parts by path, and the remaining direct association.

    Parameters
    ----------
    panel
        Panel with the outcome, a number on its modelled scale; its frame has the markers.
    outcome
        Name of the outcome. No mediator may be computed from it: HOMA-IR is fasting glucose times insulin.
    adjustment
        Adjustment without mediators.
    steps
        Mediators in the order in which they are added.

    Yields
    ------
    Record
        Per 100 mg/d on the scale of the outcome: ``whole``, ``through <path>``, ``not through any of them``. Shares of
        the total association by path and of all paths together (scale ``share``), above 1 if the direct association has
        the opposite sign. For steps of one marker ``sensitivity of the part``, the correlation of the errors of marker
        and outcome at which the part would be 0.

    Notes
    -----
    VanderWeele and Vansteelandt (2014), Epidemiol. Methods 2:95, sequential mediators; with linear regressions without
    interactions the counterfactual effects are differences of coefficients. All intake models and regressions are
    refitted in each replicate. Sensitivity analysis: Imai, Keele and Yamamoto (2010), Stat. Sci. 25:51.
    """
    try:
        some, adjustments = _with_mediators(panel, adjustment, steps)
        yield from _records(some, outcome, adjustments, steps)
    except MgRiskError as problem:
        yield failed(MEDIATION, panel, adjustment.name, outcome, "whole", CALIBRATED, problem)


def _with_mediators(
    panel: Panel, adjustment: AdjustmentSet, steps: Sequence[Step]
) -> tuple[Panel, list[AdjustmentSet]]:
    """Return the panel restricted to known mediators, with their columns, and an adjustment for each step."""
    columns = dict(panel.columns)
    known = np.ones(len(panel.design), dtype=np.bool_)
    for name in (name for step in steps for name in step.markers):
        values = panel.frame[name].to_numpy(dtype=np.float64)
        columns[name] = np.log(np.where(values > 0, values, np.nan))[:, None]
        known &= np.isfinite(columns[name][:, 0])
    adjustments = [adjustment]
    for step in steps:
        terms = (*adjustments[-1].all_terms, *step.terms, *step.markers)
        adjustments.append(adjustment.model_copy(update={"all_terms": terms}))
    return replace(panel, columns=columns).where(known), adjustments


def _records(
    panel: Panel, outcome: str, adjustments: Sequence[AdjustmentSet], steps: Sequence[Step]
) -> Iterator[Record]:
    inside, coding = panel.inside, linear_coding()
    scales = panel_scales(panel, adjustments[0].all_nutrients)
    adjusted = [Adjusted.of(panel, adjustment) for adjustment in adjustments]
    models = [each.intake_model(scales) for each in adjusted]
    y = panel.outcomes[outcome][inside][:, None]

    def slopes(weight: Floats) -> Floats:
        """Return the total association, the parts by step, the direct association, and the shares."""
        w = weight[inside]
        found = np.array(
            [
                least_squares(each.matrix(coding, model.fit(w).usual), y, w)[0, 0]
                for each, model in zip(adjusted, models, strict=True)
            ]
        )
        parts = found[:-1] - found[1:]
        return np.concatenate([found[:1], parts, found[-1:], parts / found[0], [parts.sum() / found[0]]])

    # Degrees of freedom of the largest regression, which has the fewest.
    result = replace(replicated(slopes, jackknife(panel.design)), df=adjusted[-1].df(coding))
    paths = [f"through {step.path}" for step in steps]
    contrasts = ["whole", *paths, NO_PATH]
    for at, contrast in enumerate(contrasts):
        yield _record(panel, outcome, result, at, contrast, panel.scale(outcome))
    for at, path in enumerate([*paths, ALL_PATHS], len(contrasts)):
        yield _record(panel, outcome, result, at, f"share {path}", "share")
    weight = panel.design.analysis_weight[inside]
    for step, each, model in zip(steps, adjusted[:-1], models[:-1], strict=True):
        if len(step.markers) == 1:
            mediator = panel.columns[step.markers[0]][inside]
            X = each.matrix(coding, model.fit(weight).usual)
            correlation = _of_residuals(X, np.hstack([y, mediator]), weight)
            contrast = f"sensitivity of the part through {step.path}"
            yield _of(panel, outcome, contrast, "correlation", {"estimate": correlation})


def _of_residuals(X: Floats, Y: Floats, weight: Floats) -> float:
    """Return the weighted correlation of the residuals of two outcomes."""
    rest = Y - X @ least_squares(X, Y, weight)
    square = (rest * weight[:, None]).T @ rest
    return float(square[0, 1] / np.sqrt(square[0, 0] * square[1, 1]))


def _record(panel: Panel, outcome: str, result: Replicated, at: int, contrast: str, scale: str) -> Record:
    shown = "difference" if scale == "share" else scale
    values = on_scale(float(result.estimate[at]), float(result.se[at]), result.df, shown)
    return _of(panel, outcome, contrast, scale, values)


def _of(panel: Panel, outcome: str, contrast: str, scale: str, values: Mapping[str, float | None]) -> Record:
    return record_of(
        panel, analysis=MEDIATION, exposure=FOOD, outcome=outcome, model="sequence of mediators", contrast=contrast,
        scale=scale, correction=CALIBRATED, values=values,
    )  # fmt: skip
