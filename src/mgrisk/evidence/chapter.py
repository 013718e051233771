"""All analyses of the evidence chapter as one stream of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mgrisk.evidence import adjustment_set
from mgrisk.evidence.association import associate, dose_response, food_sources, intake_distribution, interactions
from mgrisk.evidence.mediation import mediation
from mgrisk.evidence.people import Panel, People, build_panel, panels
from mgrisk.evidence.records import Record
from mgrisk.evidence.robustness import (
    cycles_left_out,
    e_values,
    exclusions,
    flow,
    intake_after_diagnosis,
    inverse_probability,
    negative_controls,
)

FOCUS: Final = ("undiagnosed", "homa_ir")
"""Outcomes with dose-response, interaction and leave-one-cycle-out analyses."""
MEDIATED: Final = "glucose_2h"
"""Outcome of the mediation analysis: the glucose marker from which no mediator is computed."""


def chapter(people: People, *, outcomes: Sequence[str] = (), youngest: int = 20) -> Iterator[Record]:
    """Yield every record of the chapter.

    Parameters
    ----------
    people
        Result of `read_people`.
    outcomes
        Names of outcomes of outcomes.toml; all if empty.
    youngest
        Minimum age in years.

    Raises
    ------
    MgRiskError
        ``evidence.unknown_outcome``. An estimate that fails is a record with the code of the error.
    """
    for name in panels(outcomes):
        panel = build_panel(people, name, outcomes=outcomes, youngest=youngest)
        yield from flow(panel)
        found = list(associate(panel, adjustments=panel.models))
        yield from found
        yield from e_values(found)
        if name == "fasting":
            yield from intake_distribution(panel)
            yield from food_sources(panel)
            yield from _fasting(panel)
        if MEDIATED in panel.outcomes:
            yield from mediation(panel, MEDIATED)
    if any(each.name == "undiagnosed" for each in adjustment_set.outcomes(outcomes)):
        yield from intake_after_diagnosis(build_panel(people, "fasting", youngest=youngest, with_diagnosed=True))


def _fasting(panel: Panel) -> Iterator[Record]:
    focus = [name for name in FOCUS if name in panel.outcomes]
    yes_no = [name for name in panel.outcomes if panel.binary(name)]
    if focus:
        yield from dose_response(panel, focus)
        yield from interactions(panel, focus)
        yield from cycles_left_out(panel, focus)
    yield from inverse_probability(panel, [*panel.outcomes], adjustments=(adjustment_set.MAIN, adjustment_set.BODY))
    if yes_no:
        yield from exclusions(panel, yes_no, adjustments=panel.models)
    for model in panel.models:
        if model in (adjustment_set.MAIN, adjustment_set.DIET_QUALITY):
            yield from negative_controls(panel, adjustment=model)
