"""What magnesium is here, in three parts that are never mixed: prediction, association, published evidence."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.features.registry import Feature
from mgrisk.report.blocks import ABSENT, Block, Section, callout, column, figure, missing, row, section, table, text
from mgrisk.report.content_drivers import NO_EFFECT
from mgrisk.report.content_evidence import association
from mgrisk.report.content_published import published
from mgrisk.report.content_response import responses
from mgrisk.report.explained import ExplainedPeople, binned, explained_people, rank_correlation, representative
from mgrisk.report.formats import count, interval, labelled, model_label, number, percent
from mgrisk.report.run_files import RunFiles

FAMILY: Final = "magnesium"
DEPLETION: Final = "depletion"
NO_MAGNESIUM: Final = (
    "The depletion score measures no magnesium. Its parts stand for treated hypertension, kidney disease, age and "
    "drinking, which go along with diabetes for reasons of their own; what the model makes of them is no effect of "
    "magnesium."
)
DOTS: Final = 500
TOTAL: Final = "magnesium_total_mg"
Floats = NDArray[np.float64]


def magnesium(files: RunFiles) -> Section:
    """Describe the magnesium of this run under three headings."""
    parts = [
        _prediction(files),
        association(files),
        published(files),
    ]
    intro = text(
        "Three questions with three kinds of answer: what this model does with magnesium (prediction), how magnesium "
        "and "
        "diabetes go together in these people (association), and what changing magnesium did in studies made to find "
        "out (published evidence). An answer to one is no answer to another."
    )
    return section("magnesium", "What magnesium is here", [intro], sections=parts)


def _prediction(files: RunFiles) -> Section:
    name, heading = "magnesium-prediction", "Prediction: what this model does with magnesium"
    people = explained_people(files)
    family = people.family(FAMILY)
    if not family:
        return missing(name, heading, "the model has no magnesium feature", status=ABSENT)
    together = people.importance([feature.name for feature in family])
    everything = people.importance([feature.name for feature in people.features])
    intro = text(
        f"{model_label(files.winner)} reads {len(family)} magnesium feature{'s' if len(family) > 1 else ''}: "
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
    blocks += [_dependence(people, [feature], feature) for feature in amounts]
    if amounts:
        along = next((feature for feature in amounts if feature.name == TOTAL), amounts[0])
        if len(family) > 1:
            blocks.append(_dependence(people, list(family), along))
        blocks.append(_correlations(people, along))
    return section(name, heading, [*blocks, *responses(files)])


def _dependence(people: ExplainedPeople, summed: list[Feature], along: Feature) -> Block:
    combined = len(summed) > 1
    x = people.data[along.name].to_numpy(dtype=np.float64)
    contribution = people.column([feature.name for feature in summed])
    line = binned(x, contribution, people.weight)
    dots = representative(people, min(DOTS, 4 * len(x)))
    dots = dots[np.isfinite(x[dots])]
    unknown = ~np.isfinite(x)
    name = f"dependence-{'magnesium-together' if combined else along.name}"
    what = "All magnesium features together" if combined else along.label
    rows = [
        row(
            [
                f"{number(point['low'], digits=0)} to {number(point['high'], digits=0)}",
                percent(point["share"]),
                number(point["mean"], signed=True),
                f"{number(point['p05'], signed=True)} to {number(point['p95'], signed=True)}",
            ],
            point,
        )
        for point in line
    ]
    lacking = ""
    if unknown.any():
        share = float(people.weight[unknown].sum() / people.weight.sum())
        mean = float(np.average(contribution[unknown], weights=people.weight[unknown]))
        rows.append(row(["missing", percent(share), number(mean, signed=True), "–"], {"share": share, "mean": mean}))
        lacking = (
            f" {percent(share)} of the people have no value; their mean contribution is {number(mean, signed=True)}."
        )
    columns = [
        column(labelled(along.label, along.unit), numeric=False), column("Share of people"),
        column("Mean contribution, log-odds"), column("5th to 95th percentile"),
    ]  # fmt: skip
    low, high = (line[0], line[-1]) if line else ({"mean": float("nan")}, {"mean": float("nan")})
    return figure(
        name,
        "dependence",
        f"{what}: contribution along {along.label if combined else 'intake'}, held-out people",
        caption="A prediction, not an effect. Contribution to the log-odds of the reported risk against intake. Line: "
        "weighted "
        "mean in twentieths of the population; dots: a weighted draw of people, the same in every rendering; below: "
        "where the "
        "people are, weighted; the top 0.5 % are counted in the last bar. Other contributions of the same person go "
        "the other way or the same way: magnesium, energy "
        f"and the rest of a diet travel together, see the table of correlations.{lacking}",
        alt=f"Mean contribution goes from {number(low['mean'], signed=True)} in the lowest to "
        f"{number(high['mean'], signed=True)} in the highest twentieth of {along.label}",
        data={
            "x_label": labelled(along.label, along.unit),
            "y_label": "Contribution, log-odds",
            "x": x[dots].round(1).tolist(),
            "y": contribution[dots].round(4).tolist(),
            "line": {"x": [p["x"] for p in line], "y": [p["mean"] for p in line]},
            "density": _density(x, people.weight),
        },
        behind=table(f"{name}-table", f"{what}: mean contribution by intake", columns, rows),
    )


def _density(x: Floats, weight: Floats) -> dict[str, list[float]]:
    known = np.isfinite(x)
    if not known.any():
        return {"edges": [], "share": []}
    values, mass = x[known], weight[known]
    order = np.argsort(values)
    reached = np.cumsum(mass[order]) / mass.sum()
    top = float(values[order][np.searchsorted(reached, 0.995)])
    edges = np.linspace(float(values.min()), max(top, float(values.min()) + 1e-9), 31)
    counted = np.histogram(values.clip(edges[0], edges[-1]), bins=edges, weights=mass)[0]
    return {"edges": edges.tolist(), "share": (counted / weight.sum()).tolist()}


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
        f"What travels with {main.label}: weighted rank correlations, {count(len(people.risk))} held-out people",
        [column("With", numeric=False), column("Of the values"), column("Of the contributions")],
        rows,
        notes=[
            "A strong correlation of values makes the single feature's curve unsafe to read alone. Contributions of "
            "opposite "
            "direction partly cancel."
        ],
    )


def _numbers(people: ExplainedPeople, name: str) -> Floats:
    return people.data[name].to_numpy(dtype=np.float64)
