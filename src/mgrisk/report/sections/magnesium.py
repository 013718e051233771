"""What magnesium is here, in three parts that are never mixed: prediction, association, published evidence."""

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
    "The depletion score measures no magnesium. Its parts stand for treated hypertension, kidney disease, age and "
    "drinking, which go along with diabetes for reasons of their own; what the model makes of them is no effect of "
    "magnesium."
)
ELSEWHERE: Final = (
    "No association of magnesium was estimated in this run. pipelines/magnesium.toml estimates it in NHANES 2007-2018; "
    "models/README.md, beside the released models, has the four outcomes side by side and the negative controls."
)
TOGETHER: Final = "All magnesium features together"
TOTAL: Final = "magnesium_total_mg"


def magnesium(run: RunFolder) -> Section:
    """Describe the magnesium of this run under three headings."""
    parts = [part.build(run) for part in (PREDICTION, added_value.SECTION, ASSOCIATION, PUBLISHED)]
    intro = text(
        "Three questions with three kinds of answer: what this model does with magnesium (prediction), how magnesium "
        "and "
        "diabetes go together in these people (association), and what changing magnesium did in studies made to find "
        "out (published evidence). An answer to one is no answer to another."
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
        f"{model_label(run.winner)} reads {len(family)} magnesium feature{'s' if len(family) > 1 else ''}: "
        f"{', '.join(feature.label for feature in family)}. Summed within a person, they move the log-odds of the "
        "reported "
        f"risk by {interval(together)} on average (weighted mean of the absolute value, 95 % interval); all "
        f"{len(people.features)} features together move it by {interval(everything)}.",
        "Intake is the mean of one or two 24-hour recalls, not usual intake: single days vary far more than habits do.",
    )
    blocks: list[Block] = [intro, callout(NO_EFFECT, _travel(people), tone="warning")]
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
        blocks += [text("How the plots are read is said under Dependence and interactions."), grid(drawn)]
        blocks.append(_correlations(people, along))
    return PREDICTION.of([*blocks, *responses(run)])


def _travel(people: ExplainedPeople) -> str:
    if "energy_kcal" not in people.data or TOTAL not in people.data:
        return ""
    found = rank_correlation(_numbers(people, TOTAL), _numbers(people, "energy_kcal"), people.weight)
    return (
        f"Magnesium and energy intake have a rank correlation of {number(found, digits=2)} here, so that the model may "
        "give to "
        "the one what belongs to the other."
    )


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
        f"What is correlated with {main.label}: weighted rank correlations, {count(len(people.risk))} held-out people",
        [column("With", numeric=False), column("Of the values"), column("Of the contributions")],
        rows,
        notes=[
            "A strong correlation of values makes the single feature's curve unsafe to read alone. Contributions of "
            "opposite "
            "direction partly cancel."
        ],
        folded=True,
    )


def _numbers(people: ExplainedPeople, name: str) -> Floats:
    return people.data[name].to_numpy(dtype=np.float64)


SECTION = ReportSection("magnesium", "What magnesium is here", magnesium)
PREDICTION = ReportSection("magnesium-prediction", "Prediction: what this model does with magnesium", _prediction)
