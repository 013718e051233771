"""Section on magnesium in three parts that are never mixed: prediction, association, published evidence."""

from __future__ import annotations

from typing import Final

import numpy as np

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.features.registry import Feature
from mgrisk.report.blocks import Block, Section, callout, column, grid, row, table, text
from mgrisk.report.explained import ExplainedPeople, explained_people, rank_correlation
from mgrisk.report.formats import count, interval, model_label, number
from mgrisk.report.headline import headline, outcomes_side_by_side
from mgrisk.report.sections import ReportSection, added_value
from mgrisk.report.sections.association import SECTION as ASSOCIATION
from mgrisk.report.sections.dependence import dependence
from mgrisk.report.sections.drivers import NO_EFFECT
from mgrisk.report.sections.published import SECTION as PUBLISHED
from mgrisk.report.sections.published import responses
from mgrisk.run_folder.folder import RunFolder
from mgrisk.types import Floats

FAMILY: Final = "magnesium"
DEPLETION: Final = "depletion"
NO_MAGNESIUM: Final = (
    "The depletion score does not measure magnesium. Its components reflect treated hypertension, kidney disease, "
    "age and alcohol, which are associated with diabetes for other reasons; their contributions are not an effect "
    "of magnesium."
)
ELSEWHERE: Final = (
    "No association of magnesium was estimated in this run. pipelines/magnesium.toml estimates it in NHANES 2007-2018; "
    "models/README.md, beside the released models, compares four outcomes and has the negative controls."
)
TOGETHER: Final = "All magnesium features together"
TOTAL: Final = "magnesium_total_mg"


def magnesium(run: RunFolder) -> Section:
    """Describe the magnesium of this run under three headings."""
    parts = [part.build(run) for part in (PREDICTION, added_value.SECTION, ASSOCIATION, PUBLISHED)]
    intro = text(
        "This section answers three separate questions: how this model uses magnesium (prediction), how magnesium "
        "and diabetes are associated in these people (association), and what trials and cohort studies found "
        "(published evidence). An answer to one is not an answer to another."
    )
    told = headline(run)
    first = text(*told.sentences) if told else text(ELSEWHERE)
    return SECTION.of([first, *outcomes_side_by_side(run), intro], sections=parts)


def _prediction(run: RunFolder) -> Section:
    people = explained_people(run)
    family = people.family(FAMILY)
    if not family:
        return PREDICTION.absent("the model has no magnesium feature")
    together = people.importance([feature.name for feature in family])
    everything = people.importance([feature.name for feature in people.features])
    intro = text(
        f"{model_label(run.winner)} has {len(family)} magnesium feature{'s' if len(family) > 1 else ''}: "
        f"{'; '.join(feature.label for feature in family)}. The absolute value of their summed contribution is "
        f"{interval(together)} log-odds on average (weighted, 95 % interval), that of all {len(people.features)} "
        f"features {interval(everything)}.",
        "Intake is the mean of one or two 24-hour recalls, not usual intake: it varies far more from day to day than habits differ between people.",
    )
    blocks: list[Block] = [intro, callout(NO_EFFECT, _with_energy(people), tone="warning")]
    if depletion := people.family(DEPLETION):
        named = ", ".join(feature.label for feature in depletion)
        blocks.append(callout(f"Not counted here: {named}.", NO_MAGNESIUM, tone="warning"))
    # A category, such as below the requirement, has no line to draw; it is among the drivers.
    amounts = [feature for feature in family if feature.kind == "number"]
    developed_on = explained_people(run, DEVELOPMENT)
    drawn = [dependence(people, developed_on, [feature], feature) for feature in amounts]
    if amounts:
        along = next((feature for feature in amounts if feature.name == TOTAL), amounts[0])
        if len(family) > 1:
            drawn.append(
                dependence(people, developed_on, list(family), along, name="magnesium-together", what=TOGETHER)
            )
        blocks += [text("Dependence and interactions explains how to read these plots."), grid(drawn)]
        blocks.append(_correlations(people, along))
    return PREDICTION.of([*blocks, *responses(run)])


def _with_energy(people: ExplainedPeople) -> str:
    if "energy_kcal" not in people.data or TOTAL not in people.data:
        return ""
    found = rank_correlation(_numbers(people, TOTAL), _numbers(people, "energy_kcal"), people.weight)
    return f"Magnesium and energy intake have a rank correlation of {number(found, digits=2)} here, so the model may attribute to one what is due to the other."


def _correlations(people: ExplainedPeople, main: Feature) -> Block:
    rows = []
    for feature in people.features:
        if feature.kind != "number" or feature.name == main.name:
            continue
        values = rank_correlation(_numbers(people, main.name), _numbers(people, feature.name), people.weight)
        given = rank_correlation(people.column([main.name]), people.column([feature.name]), people.weight)
        raw = {"feature": feature.name, "values": values, "contributions": given}
        rows.append(
            row([feature.label, number(values, digits=2, signed=True), number(given, digits=2, signed=True)], raw)
        )
    rows.sort(key=lambda line: -abs(line["raw"]["values"] or 0.0))
    return table(
        "magnesium-correlations",
        f"Weighted rank correlations with {main.label}, {count(len(people.risk))} held-out people",
        [column("Feature", numeric=False), column("Correlation of values"), column("Correlation of contributions")],
        rows,
        notes=[
            "Where values are strongly correlated, do not interpret the dependence plot of one feature alone. Contributions of opposite sign partly cancel."
        ],
        folded=True,
    )


def _numbers(people: ExplainedPeople, name: str) -> Floats:
    return people.data[name].to_numpy(dtype=np.float64)


SECTION = ReportSection("magnesium", "Magnesium: prediction, association and published evidence", magnesium)
PREDICTION = ReportSection("magnesium-prediction", "Prediction: what this model does with magnesium", _prediction)
