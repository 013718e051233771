"""Section on how risks depend on each number, and which pairs of features interact.

A dependence plot is drawn for the held-out people beside those of development, with a band from refits of the model and
the distribution of the feature in both sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.features.registry import Feature
from mgrisk.report.blocks import Block, Section, column, figure, grid, row, section, table, text
from mgrisk.report.explained import ExplainedPeople, binned, explained_people, representative
from mgrisk.report.formats import interval, labelled, model_label, number, percent
from mgrisk.report.people_table import MOST_PEOPLE
from mgrisk.report.sections import ReportSection
from mgrisk.report.sections.drivers import importance_records
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import PairImportance
from mgrisk.types import Booleans, Floats

OPEN: Final = 4
HOW_TO_READ: Final = (
    "A dependence plot shows the SHAP value (contribution, log-odds) of a feature against its value. The solid "
    "line is the weighted mean in ventiles of the people; each dot is one person of a weighted sample. The lower "
    "panel has the weighted distribution of the feature; the highest 0.5 % are counted in the last bar. A "
    "contribution is part of a prediction, not an effect."
)
BESIDE: Final = (
    "The dashed line, and the line in the lower panel, are of the development people. Where the solid and the dashed "
    "line differ, the feature interacts with others whose distribution has changed."
)
BAND: Final = (
    "The band is the 95 % interval of the solid line over refits of the model under bootstrap weights of the PSUs, "
    "widened for penalisation as the interval of a person is. Where it includes 0, the data are compatible with no "
    "contribution."
)
DOTS: Final = 300


def dependence(
    people: ExplainedPeople,
    developed_on: ExplainedPeople | None,
    summed: Sequence[Feature],
    along: Feature,
    *,
    name: str = "",
    what: str = "",
    whom: str = HELD_OUT,
) -> Block:
    """Return the figure of a contribution along a number.

    Parameters
    ----------
    people, developed_on
        The people who are drawn, and those of development, whose line and density stand behind theirs; None where they
        are not known one by one.
    summed, along
        Features whose contributions are added up, and the number along which.
    name, what
        Of the figure; those of the number where left out.
    whom
        Who the people are, in the legend.
    """
    name, what = f"dependence-{name or along.name}", what or along.label
    x, contribution = _along(people, summed, along)
    line = binned(x, contribution, people.weight)
    reach = _reach(people, summed, x, line)
    before_x, before, before_weight = np.empty(0), np.empty(0), np.empty(0)
    if developed_on:
        (before_x, before), before_weight = _along(developed_on, summed, along), developed_on.weight
    dots = representative(people, min(DOTS, 4 * len(x)))
    edges = _edges(x, people.weight)
    dots = dots[x[dots] <= (edges[-1] if len(edges) else -np.inf)]
    shown = _ranges(line)
    rows = [
        _row(point, shown[place], reach[place], _between(line, place, before_x), before, before_weight)
        for place, point in enumerate(line)
    ]
    unknown = ~np.isfinite(x)
    lacking = ""
    if unknown.any():
        share = float(people.weight[unknown].sum() / people.weight.sum())
        mean = float(np.average(contribution[unknown], weights=people.weight[unknown]))
        cells = [
            "missing",
            percent(share),
            number(mean, signed=True),
            *("–", "–"),
            *_before(~np.isfinite(before_x), before, before_weight),
        ]
        rows.append(row(cells, {"share": share, "mean": mean}))
        lacking = f" The value is missing for {percent(share)} of the people; their mean contribution is {number(mean, signed=True)}."
    columns = [
        column(labelled(along.label, along.unit), numeric=False), column("Share of people"),
        column("Mean contribution, log-odds"), column("95 % band over refits"), column("5th to 95th percentile"),
        *(column(label) for label in ("Share, development", "Mean contribution, development") if developed_on),
    ]  # fmt: skip
    low, high = (line[0], line[-1]) if line else ({"mean": float("nan")}, {"mean": float("nan")})
    earlier = binned(before_x, before, before_weight)
    return figure(
        name,
        "dependence",
        what if what == along.label else f"{what}, by {along.label}",
        caption=_caption(line, reach) + lacking,
        alt=(
            f"The mean contribution is {number(low['mean'], signed=True)} in the lowest and "
            f"{number(high['mean'], signed=True)} in the highest ventile of {along.label}.{lacking}"
        ),
        data={
            "x_label": labelled(along.label, along.unit),
            "y_label": "SHAP value, log-odds",
            "whom": whom,
            "x": [float(f"{each:.4g}") for each in x[dots]],
            "y": contribution[dots].round(4).tolist(),
            # Places of the dots in the table of people, by whose values the page can colour them.
            "people": dots.tolist() if len(x) <= MOST_PEOPLE else [],
            "line": {"x": [p["x"] for p in line], "y": [p["mean"] for p in line]},
            "band": {
                "low": [p["mean"] - each for p, each in zip(line, reach, strict=True)],
                "high": [p["mean"] + each for p, each in zip(line, reach, strict=True)],
            },
            "before": {"x": [p["x"] for p in earlier], "y": [p["mean"] for p in earlier]},
            "density": {
                "edges": edges.tolist(),
                "share": _density(x, people.weight, edges),
                "before": _density(before_x, before_weight, edges) if developed_on else [],
            },
        },
        behind=table(f"{name}-table", f"{what}: mean contribution by {along.label}", columns, rows),
    )


def _along(people: ExplainedPeople, summed: Sequence[Feature], along: Feature) -> tuple[Floats, Floats]:
    return people.data[along.name].to_numpy(dtype=np.float64), people.column([feature.name for feature in summed])


def _reach(people: ExplainedPeople, summed: Sequence[Feature], x: Floats, line: Sequence[dict[str, float]]) -> Floats:
    """Return half the width of the band of each bin's mean contribution over refits, NaN where no refits were kept."""
    if people.errors is None or not line:
        return np.full(len(line), np.nan)
    forms = people.errors.moved([feature.name for feature in summed])
    means = []
    for point in line:
        here = (x >= point["low"]) & (x <= point["high"])
        means.append(np.average(forms[here], axis=0, weights=people.weight[here]))
    return people.errors.reach(np.array(means))


def _caption(line: Sequence[dict[str, float]], reach: Floats) -> str:
    if not line:
        return "A prediction, not an effect."
    low, high = (number(point["mean"], digits=2, signed=True) for point in (line[0], line[-1]))
    ends = f"A prediction, not an effect. Mean contribution {low} in the lowest and {high} in the highest ventile"
    if not np.isfinite(reach).all():
        return f"{ends}."
    apart = sum(abs(point["mean"]) > each for point, each in zip(line, reach, strict=True))
    return (
        f"{ends} (95 % band over refits ±{number(float(reach[0]), digits=2)} and ±{number(float(reach[-1]), digits=2)}); "
        f"the band excludes 0 in {apart} of {len(line)} bins."
    )


def _ranges(line: Sequence[dict[str, float]]) -> list[str]:
    """Return the range of each bin with as many digits as tell the bins apart."""
    for digits in range(4):
        ends = [(number(point["low"], digits=digits), number(point["high"], digits=digits)) for point in line]
        # A bin of one value has equal ends; another bin never has the same.
        apart = all(low != high or point["low"] == point["high"] for (low, high), point in zip(ends, line, strict=True))
        if apart and len(set(ends)) == len(ends):
            break
    return [low if low == high else f"{low} to {high}" for low, high in ends] if line else []


def _between(line: Sequence[dict[str, float]], place: int, x: Floats) -> Booleans:
    """Return who of development is between the highest value of the bin below and that of this one, the last without end."""
    lower = line[place - 1]["high"] if place else -np.inf
    upper = line[place]["high"] if place + 1 < len(line) else np.inf
    inside: Booleans = (x > lower) & (x <= upper)
    return inside


def _row(
    point: dict[str, float], shown: str, reach: float, here: Booleans, before: Floats, weight: Floats
) -> dict[str, Any]:
    mean = point["mean"]
    band = "–"
    if np.isfinite(reach):
        band = f"{number(mean - reach, signed=True)} to {number(mean + reach, signed=True)}"
    cells = [
        shown,
        percent(point["share"]),
        number(mean, signed=True),
        band,
        f"{number(point['p05'], signed=True)} to {number(point['p95'], signed=True)}",
    ]
    return row([*cells, *_before(here, before, weight)], {**point, "reach": reach})


def _before(here: Booleans, contribution: Floats, weight: Floats) -> list[str]:
    if not len(here):
        return []
    if not here.any():
        return [percent(0.0), "–"]
    share = float(weight[here].sum() / weight.sum())
    return [percent(share), number(float(np.average(contribution[here], weights=weight[here])), signed=True)]


def _edges(x: Floats, weight: Floats) -> Floats:
    known = np.isfinite(x)
    if not known.any():
        return np.empty(0)
    values, mass = x[known], weight[known]
    order = np.argsort(values)
    reached = np.cumsum(mass[order]) / mass.sum()
    top = float(values[order][np.searchsorted(reached, 0.995)])
    edges: Floats = np.linspace(float(values.min()), max(top, float(values.min()) + 1e-9), 31)
    return edges


def _density(x: Floats, weight: Floats, edges: Floats) -> list[float]:
    if not len(edges):
        return []
    known = np.isfinite(x)
    counted = np.histogram(x[known].clip(edges[0], edges[-1]), bins=edges, weights=weight[known])[0]
    shares: list[float] = (counted / weight.sum()).tolist()
    return shares


def _pairs_figure(records: Sequence[PairImportance], learner: str) -> Block:
    """Return the bars of the strongest pairs of a model with trees; those with magnesium stand out."""
    labels = [f"{record.first_label} × {record.second_label}" for record in records]
    rows = [row([label, interval(record.size)], vars(record)) for label, record in zip(labels, records, strict=True)]
    magnesium = ["magnesium" in label.lower() for label in labels]
    title = f"The {len(rows)} strongest interactions in {model_label(learner)}, held-out people"
    return figure(
        f"pairs-{learner}",
        "amounts",
        title,
        caption=(
            "Weighted mean of the absolute SHAP interaction value (interventional, log-odds), with the whole "
            "weighted development population as the reference. The 95 % intervals reflect sampling of the people "
            "explained."
        ),
        alt=f"Bar chart of interactions; the strongest are {', '.join(labels[:3])}",
        data={
            "x_label": "Mean |interaction|, log-odds (95 % interval)",
            "marked": "With magnesium",
            "others": "Other pairs",
            "bars": [
                {
                    "label": label,
                    "estimate": record.importance,
                    "low": record.low,
                    "high": record.high,
                    "marked": marked,
                }
                for label, record, marked in zip(labels, records, magnesium, strict=True)
            ],
        },
        behind=table(
            f"pairs-{learner}-table",
            title,
            [column("Pair", numeric=False), column("Mean |interaction|, log-odds (95 % interval)")],
            rows,
        ),
    )


def interactions(run: RunFolder) -> list[Block]:
    """Show the strongest pairs of each model with trees; the other models are sums of one function of each feature."""
    records = run.explanation.interactions
    blocks: list[Block] = []
    for learner in dict.fromkeys(record.learner for record in records):
        of_learner = [record for record in records if record.learner == learner]
        problems = [record.problem for record in of_learner if record.problem]
        if problems:
            blocks.append(text(f"Interactions in {model_label(learner)} were not computed, because {problems[0]}."))
            continue
        blocks.append(_pairs_figure(of_learner, learner))
    if run.winner not in {record.learner for record in records}:
        blocks.insert(
            0,
            text(
                f"{model_label(run.winner)} is a sum of one function of each feature, so no two features interact "
                "in it. Interactions in a model with trees are shown below, where the run has one."
            ),
        )
    return blocks


def dependence_blocks(
    people: ExplainedPeople, developed_on: ExplainedPeople | None, along: Sequence[Feature], *, whom: str = HELD_OUT
) -> list[Block]:
    """Return how to read dependence plots, and those of some numbers, of which the first are open.

    Parameters
    ----------
    people, developed_on, whom
        As for `dependence`.
    along
        The numbers, by importance.
    """
    if not along:
        return []
    drawn = [dependence(people, developed_on, [feature], feature, whom=whom) for feature in along]
    words = (HOW_TO_READ, BESIDE if developed_on else "", BAND if people.errors is not None else "")
    blocks = [text(*words), grid(drawn[:OPEN])]
    if drawn[OPEN:]:
        blocks.append(grid(drawn[OPEN:], folded=f"The other {len(drawn) - OPEN} numeric features, by importance"))
    return blocks


def dependence_of_all(run: RunFolder) -> Section:
    """Describe how risks depend on each number but those of magnesium, which have a section, and which pairs interact."""
    people = explained_people(run)
    developed_on = explained_people(run, DEVELOPMENT)
    named = {feature.name: feature for feature in people.features}
    ordered = [named[record.feature] for record in importance_records(run)]
    along = [feature for feature in ordered if feature.kind == "number" and feature.group != "magnesium"]
    blocks = dependence_blocks(people, developed_on, along)
    pairs = section(f"{SECTION.name}-interactions", "Interactions of two features", interactions(run))
    return SECTION.of(blocks, sections=[pairs])


SECTION = ReportSection("dependence", "Dependence and interactions", dependence_of_all)
