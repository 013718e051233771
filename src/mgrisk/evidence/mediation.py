"""How much of an association runs through body size, insulin action and secretion.

The parts are those of a sequence of linear regressions: the association without mediators, then with body size, then
with insulin action too, then with secretion too. What a step takes away is the part through its mediators that no
earlier one carried. That is an indirect effect only under assumptions that one visit cannot show (`ASSUMPTIONS`).
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
    "Nothing unmeasured moves magnesium and glucose, magnesium and a mediator, or a mediator and glucose together.",
    "No mediator of a later step comes before one of an earlier step, and nothing that magnesium moves confounds a "
    "mediator with glucose.",
    "Magnesium comes first, then body size, then insulin action, then secretion, then glucose; all were measured at "
    "one visit, so that this order is taken from physiology and not seen.",
    "Straight lines on the logarithms, the same for everybody: no mediator changes what magnesium does.",
    "The mediators are measured without error. HOMA-IR and HOMA-B are made of fasting insulin and glucose, and "
    "HOMA-B falls late: beta cells that compensate secrete more, so that more secretion goes with worse action.",
)
"""What must hold for the parts to be indirect effects: VanderWeele and Vansteelandt (2014), Epidemiol. Methods 2:95."""


@dataclass(frozen=True)
class Step:
    """Mediators that are adjusted for in addition: the path in words, terms of the ladder, and markers by name."""

    path: str
    terms: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()


STEPS: Final = (
    Step("body size (BMI, waist)", terms=("bmi", "waist")),
    Step("insulin action (HOMA-IR)", markers=("homa_ir",)),
    Step("secretion (HOMA-B)", markers=("homa_b",)),
)


def mediation(
    panel: Panel, outcome: str, *, rung: AdjustmentSet = MAIN, steps: Sequence[Step] = STEPS
) -> Iterator[Record]:
    """Yield the whole association of an outcome, its parts by path, and what is left.

    Parameters
    ----------
    panel
        People with the outcome, a number on its modelled scale; its frame has the markers.
    outcome
        Name. It must not be what a mediator is made of: HOMA-IR is fasting glucose times insulin.
    rung
        What to adjust for without mediators.
    steps
        Mediators in the order in which they are added.

    Yields
    ------
    Record
        Per 100 mg a day on the scale of the outcome: ``whole``, ``through <path>``, ``not through any of them``;
        shares of the whole by path and of all paths together, scale ``share``, above 1 where what is not through any
        has the opposite sign; for steps of one marker ``sensitivity of the part``, the
        correlation of unmeasured causes of marker and outcome at which the part would be nothing.

    Notes
    -----
    VanderWeele and Vansteelandt (2014), Epidemiol. Methods 2:95, mediators in sequence; with linear regressions without
    interactions the counterfactual effects are differences of coefficients. Each replicate fits every model of intake
    and every regression anew. Sensitivity: Imai, Keele and Yamamoto (2010), Stat. Sci. 25:51.
    """
    try:
        some, rungs = _with_mediators(panel, rung, steps)
        yield from _records(some, outcome, rungs, steps)
    except MgRiskError as problem:
        yield failed(MEDIATION, panel, rung.name, outcome, "whole", CALIBRATED, problem)


def _with_mediators(panel: Panel, rung: AdjustmentSet, steps: Sequence[Step]) -> tuple[Panel, list[AdjustmentSet]]:
    """Return the people whose mediators are known, with their columns, and a rung for each step."""
    columns = dict(panel.columns)
    known = np.ones(len(panel.design), dtype=np.bool_)
    for name in (name for step in steps for name in step.markers):
        values = panel.frame[name].to_numpy(dtype=np.float64)
        columns[name] = np.log(np.where(values > 0, values, np.nan))[:, None]
        known &= np.isfinite(columns[name][:, 0])
    rungs = [rung]
    for step in steps:
        terms = (*rungs[-1].all_terms, *step.terms, *step.markers)
        rungs.append(rung.model_copy(update={"all_terms": terms}))
    return replace(panel, columns=columns).where(known), rungs


def _records(panel: Panel, outcome: str, rungs: Sequence[AdjustmentSet], steps: Sequence[Step]) -> Iterator[Record]:
    inside, coding = panel.inside, linear_coding()
    scales = panel_scales(panel, rungs[0].all_nutrients)
    adjusted = [Adjusted.of(panel, rung) for rung in rungs]
    models = [each.intake_model(scales) for each in adjusted]
    y = panel.outcomes[outcome][inside][:, None]

    def slopes(weight: Floats) -> Floats:
        """Return the association on each step, and the differences between them."""
        w = weight[inside]
        found = np.array(
            [
                least_squares(each.matrix(coding, model.fit(w).usual), y, w)[0, 0]
                for each, model in zip(adjusted, models, strict=True)
            ]
        )
        parts = found[:-1] - found[1:]
        return np.concatenate([found[:1], parts, found[-1:], parts / found[0], [parts.sum() / found[0]]])

    # The largest of the regressions leaves the fewest degrees of freedom to a difference between two.
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
