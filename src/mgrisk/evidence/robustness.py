"""Whether the association stands: fewer people, a cycle left out, outcomes that magnesium cannot move, E-values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.evidence.e_value import e_value, of_the_limit, risk_ratio
from mgrisk.evidence.ladder import CONTROLS, MAIN, RUNGS, Rung
from mgrisk.evidence.people import Panel
from mgrisk.evidence.record import FOOD, Record, failed, on_scale, record_of
from mgrisk.evidence.regression import CALIBRATED, fit_corrected, fit_naive, linear_coding

PER_100: Final = "per 100 mg/d"
SPECIFICATION: Final = "specification"
PLAUSIBLE: Final = "energy told is plausible"
NO_SUPPLEMENT: Final = "no magnesium from supplements"
NO_LOSS: Final = "no weight lost in the past year"
LOST_KG: Final = 3.0
"""Weight lost in a year that stands for dieting: whether people were on a diet is not among the variables read."""


def exclusions(panel: Panel, outcomes: Sequence[str], *, rungs: Sequence[Rung] = RUNGS) -> Iterator[Record]:
    """Yield the ladder again among fewer people, naive and corrected: with everybody's, the specification curve.

    Parameters
    ----------
    panel
        People and outcomes.
    outcomes
        Those of the panel to look at.
    rungs
        Of the ladder.

    Yields
    ------
    Record
        Analysis ``specification``; the model is the rung and the group, joined by ``, ``.
    """
    for group, kept in groups(panel).items():
        some = panel.where(kept)
        for rung in rungs:
            yield from _fits(some, rung, outcomes, SPECIFICATION, f"{rung.name}, {group}", naive=True)


def groups(panel: Panel) -> Mapping[str, NDArray[np.bool_]]:
    """Return who is kept by each exclusion, shape (n,)."""
    return {
        PLAUSIBLE: np.asarray(panel.frame["energy_report"].astype(object) == "plausible", dtype=np.bool_),
        NO_SUPPLEMENT: np.asarray(panel.supplement == 0.0, dtype=np.bool_),
        NO_LOSS: np.asarray(panel.frame["weight_change_1y_kg"] > -LOST_KG, dtype=np.bool_),
    }


def cycles_left_out(panel: Panel, outcomes: Sequence[str], *, rung: Rung = MAIN) -> Iterator[Record]:
    """Yield the corrected association without each cycle in turn."""
    years = panel.frame["cycle"].to_numpy()
    for left in panel.cycles:
        some = panel.where(np.asarray(years != left, dtype=np.bool_))
        yield from _fits(some, rung, outcomes, "cycle left out", f"{rung.name}, without {left}")


def negative_controls(panel: Panel, *, rung: Rung = MAIN) -> Iterator[Record]:
    """Yield the corrected association with outcomes that magnesium cannot move, each not adjusted for itself.

    Notes
    -----
    Lipsitch, Tchetgen Tchetgen and Cohen (2010), Epidemiology 21:383: an association here is a sign of confounding that
    the adjustment has left.
    """
    for control in CONTROLS.values():
        terms = tuple(name for name in rung.all_terms if name != control.without)
        values = panel.frame[control.of]
        number = values.astype(object).map({"no": 0.0, "yes": 1.0}) if control.scale == "odds ratio" else values
        measured = np.asarray(number, dtype=np.float64)
        some = replace(panel, outcomes={control.name: measured}).where(np.isfinite(measured))
        without = rung.model_copy(update={"all_terms": terms})
        yield from _fits(some, without, [control.name], "negative control", rung.name)


def e_values(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the E-values of the odds ratios of a ladder: `estimate` that of the estimate, `low` of the limit near 1."""
    for record in records:
        if record.estimate is None or record.low is None or record.high is None:
            continue
        if record.scale == "odds ratio" and record.contrast == PER_100 and record.exposure == FOOD:
            share = (record.events or 0) / record.n
            estimate, low, high = (risk_ratio(each, share=share) for each in (record.estimate, record.low, record.high))
            yield replace(
                record, analysis="e-value", scale="E-value", estimate=e_value(estimate), low=of_the_limit(low, high),
                high=None, se=None, p=None,
            )  # fmt: skip


def _fits(
    panel: Panel, rung: Rung, outcomes: Sequence[str], analysis: str, model: str, *, naive: bool = False
) -> Iterator[Record]:
    coding = [linear_coding()]
    try:
        fits = list(fit_corrected(panel, rung, coding, outcomes=outcomes))
        if naive:
            fits += fit_naive(panel, rung, coding, outcomes=outcomes)
    except MgRiskError as problem:
        yield from (failed(analysis, panel, model, each, PER_100, CALIBRATED, problem) for each in outcomes)
        return
    for fit in fits:
        values = on_scale(float(fit.coefficients[0]), float(fit.se[0]), fit.df, panel.scale(fit.outcome))
        yield record_of(panel, fit=fit, analysis=analysis, exposure=FOOD, contrast=PER_100, values=values, model=model)
