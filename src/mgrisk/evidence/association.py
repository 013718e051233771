"""The ladder of associations: magnesium from food and from supplements with each outcome, naive and corrected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.evidence.ladder import RUNGS, Rung
from mgrisk.evidence.people import Panel
from mgrisk.evidence.record import FOOD, SUPPLEMENT, Record, failed, on_scale, record_of
from mgrisk.evidence.regression import (
    CALIBRATED,
    NONE,
    Adjusted,
    Coding,
    Fitted,
    fit_corrected,
    fit_naive,
    linear_coding,
    panel_scales,
)
from mgrisk.features.box_cox import BoxCox
from mgrisk.survey.quantiles import weighted_quantile

Floats = NDArray[np.float64]
ANALYSIS: Final = "association"
FIFTHS: Final = (0.2, 0.4, 0.6, 0.8)


def associate(panel: Panel, *, rungs: Sequence[Rung] = RUNGS) -> Iterator[Record]:
    """Yield the ladder of a panel: per 100 mg on every rung, by fifths with a trend on the main one.

    Parameters
    ----------
    panel
        People and outcomes.
    rungs
        Of the ladder.

    Yields
    ------
    Record
        What cannot be estimated is there with the code of its problem.
    """
    scales: Mapping[str, BoxCox] = {}
    for rung in rungs:
        for correction in (NONE, CALIBRATED):
            try:
                if correction == CALIBRATED:
                    scales = {**panel_scales(panel, [n for n in rung.all_nutrients if n not in scales]), **scales}
                yield from _rung(panel, rung, correction, scales)
            except MgRiskError as problem:
                for outcome in panel.outcomes:
                    yield failed(ANALYSIS, panel, rung.name, outcome, "per 100 mg/d", correction, problem)


def _rung(panel: Panel, rung: Rung, correction: str, scales: Mapping[str, BoxCox]) -> Iterator[Record]:
    codings = [linear_coding()]
    if rung.main:
        weight = panel.design.analysis_weight[panel.inside]
        adjusted = Adjusted.of(panel, rung)
        intake = adjusted.naive if correction == NONE else adjusted.intake_model(scales).fit(weight).usual
        codings += fifths(intake[:, 0], weight)
    naive = correction == NONE
    for fit in fit_naive(panel, rung, codings) if naive else fit_corrected(panel, rung, codings, scales=scales):
        yield from records(panel, fit)


def fifths(intake: Floats, weight: Floats) -> list[Coding]:
    """Return the coding by fifths of the population, and that of a trend over the medians of the fifths.

    Parameters
    ----------
    intake
        Of the people studied, mg a day, shape (n,): where the cuts lie.
    weight
        Shape (n,).

    Examples
    --------
    >>> by_fifth, trend = fifths(np.arange(100.0), np.ones(100))
    >>> by_fifth.columns(np.array([[5.0], [95.0]])).tolist(), trend.columns(np.array([[5.0]])).tolist()
    ([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], [[0.09]])
    """
    cuts = weighted_quantile(intake, weight, FIFTHS)
    middles = weighted_quantile(intake, weight, (0.1, 0.3, 0.5, 0.7, 0.9))

    def place(values: Floats) -> NDArray[np.int64]:
        return np.searchsorted(cuts, values[:, 0], side="left")

    def indicators(values: Floats) -> Floats:
        return np.equal(place(values)[:, None], np.arange(1, 5)).astype(np.float64)

    edges = [f"{low:.0f} to {high:.0f}" for low, high in pairwise(cuts)]
    above = [*edges, f"above {cuts[-1]:.0f}"]
    names = tuple(f"fifth {number}: {where} against below {cuts[0]:.0f} mg/d" for number, where in enumerate(above, 2))
    return [
        Coding("fifths", names, indicators),
        Coding("trend", ("trend over fifths, per 100 mg/d",), lambda values: middles[place(values)][:, None] / 100.0),
    ]


def records(panel: Panel, fit: Fitted) -> Iterator[Record]:
    """Yield a record for each coefficient of a fit; supplements once, with the linear coding."""
    parts = [(FOOD, contrast) for contrast in fit.coding.contrasts]
    if fit.coding.name == "linear" and fit.coefficients.size > len(parts):
        parts.append((SUPPLEMENT, "per 100 mg/d"))
    for at, (exposure, contrast) in enumerate(parts):
        values = on_scale(float(fit.coefficients[at]), float(fit.se[at]), fit.df, panel.scale(fit.outcome))
        yield record_of(panel, fit=fit, analysis=ANALYSIS, exposure=exposure, contrast=contrast, values=values)
