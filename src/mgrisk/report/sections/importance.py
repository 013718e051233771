"""Figures of Shapley values: importance with intervals, beeswarm, and dependence on a feature.

Dependence is drawn for the held-out people beside those of development, with the distribution of the feature in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mgrisk.features.registry import Feature
from mgrisk.report.blocks import Block, column, figure, row, table
from mgrisk.report.explained import ExplainedPeople, binned, rank_share, representative
from mgrisk.report.formats import count, interval, labelled, number, percent
from mgrisk.run_folder.records import Importance
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Booleans, Floats

SWARM_PEOPLE: Final = 300
CLEAR: Final = 0.5  # rank correlation from which a feature is said to go one way


def direction_words(direction: float | None) -> str:
    """Say which way a feature goes, from the rank correlation of value and contribution."""
    if direction is None:
        return "by category"
    if direction > CLEAR:
        return "higher value, higher risk"
    if direction < -CLEAR:
        return "higher value, lower risk"
    return "not one direction"


def importance_figure(records: Sequence[Importance], *, whom: str, interval_of: str) -> Block:
    """Return the bars of importance.

    Parameters
    ----------
    records
        Most important first.
    whom
        Who was explained, for example "held-out people".
    interval_of
        Sentence on what the interval is of.
    """
    rows = [
        row(
            [
                record.label,
                record.group,
                interval(record.size),
                direction_words(record.direction),
                "–" if record.direction is None else number(record.direction, digits=2, signed=True),
            ],
            vars(record),
        )
        for record in records
    ]
    columns = [
        column("Feature", numeric=False), column("Group", numeric=False), column("Mean |contribution|, log-odds (95 % interval)"),
        column("Direction", numeric=False), column("Rank correlation"),
    ]  # fmt: skip
    bars = [
        {
            "label": record.label,
            "group": record.group,
            "importance": record.importance,
            "low": record.low,
            "high": record.high,
            "direction": record.direction,
        }
        for record in records
    ]
    top = ", ".join(f"{record.label} {number(record.importance, digits=2)}" for record in records[:3])
    return figure(
        "importance",
        "importance",
        f"Mean absolute contribution of each feature, {whom}",
        caption="Mean absolute contribution to the log-odds of the reported risk, with 95 % interval. "
        f"{interval_of} Related features share what they know, so that each alone looks small.",
        alt=f"Bar chart of feature importance; the largest are {top}",
        data={"bars": bars},
        behind=table("importance-table", "Mean absolute contribution", columns, rows),
    )


def swarm_figure(records: Sequence[Importance], people: ExplainedPeople, *, whom: str) -> Block:
    """Return the swarm of contributions, features in the order of the records; `whom` says who was explained."""
    chosen = representative(people, min(SWARM_PEOPLE, 4 * len(people.risk)))
    by_name = {feature.name: place for place, feature in enumerate(people.features)}
    strips, rows = [], []
    for record in records:
        feature = people.features[by_name[record.feature]]
        values = people.contributions[:, by_name[record.feature]]
        strips.append(
            {
                "label": record.label,
                "contribution": values[chosen].round(4).tolist(),
                "shade": [None if np.isnan(v) else round(float(v), 3) for v in _shade(feature, people)[chosen]],
            }
        )
        quantiles = weighted_quantile(values, people.weight, [0.05, 0.25, 0.5, 0.75, 0.95])
        raw = {f"p{p}": float(q) for p, q in zip((5, 25, 50, 75, 95), quantiles, strict=True)}
        rows.append(row([record.label, *(number(q, digits=3, signed=True) for q in quantiles)], raw))
    columns = [column("Feature", numeric=False), *(column(f"{p}th percentile") for p in (5, 25, 50, 75, 95))]
    columns[3]["label"] = "Median"
    return figure(
        "swarm",
        "swarm",
        f"Contributions person by person, {whom}",
        caption=f"{count(len(chosen))} draws from the {whom}, in proportion to what each stands for and the same in every "
        "rendering. Colour: the person's place in the population by that feature, from lowest to highest; a category of two "
        "levels is lowest and highest; grey: a category of more levels, or missing.",
        alt=f"Swarm of the contributions of each feature for a draw of the {whom}, coloured by feature value",
        data={"strips": strips},
        behind=table("swarm-table", f"Percentiles of the contribution, log-odds, all {whom}", columns, rows),
    )


def _shade(feature: Feature, people: ExplainedPeople) -> Any:
    values = people.data[feature.name]
    if feature.kind == "number":
        return rank_share(values.to_numpy(dtype=np.float64), people.weight)
    if len(feature.levels) != 2:
        return np.full(len(values), np.nan)
    coded = values.map({feature.levels[0]: 0.0, feature.levels[1]: 1.0})
    return coded.astype("float64").to_numpy()


DOTS: Final = 500


def dependence(
    people: ExplainedPeople,
    made_on: ExplainedPeople,
    summed: Sequence[Feature],
    along: Feature,
    *,
    name: str = "",
    what: str = "",
) -> Block:
    """Return the figure of a contribution along a number.

    Parameters
    ----------
    people, made_on
        The held-out people, who are drawn, and those of development, whose line and density stand behind theirs.
    summed, along
        Features whose contributions are added up, and the number along which.
    name, what
        Of the figure; those of the number where left out.
    """
    name, what = f"dependence-{name or along.name}", what or along.label
    x, contribution = _along(people, summed, along)
    line = binned(x, contribution, people.weight)
    before_x, before = _along(made_on, summed, along)
    dots = representative(people, min(DOTS, 4 * len(x)))
    dots = dots[np.isfinite(x[dots])]
    rows = [_row(point, place, line, before_x, before, made_on.weight) for place, point in enumerate(line)]
    unknown = ~np.isfinite(x)
    lacking = ""
    if unknown.any():
        share = float(people.weight[unknown].sum() / people.weight.sum())
        mean = float(np.average(contribution[unknown], weights=people.weight[unknown]))
        cells = [
            "missing",
            percent(share),
            number(mean, signed=True),
            "–",
            *_before(~np.isfinite(before_x), before, made_on.weight),
        ]
        rows.append(row(cells, {"share": share, "mean": mean}))
        lacking = (
            f" {percent(share)} of the people have no value; their mean contribution is {number(mean, signed=True)}."
        )
    columns = [
        column(labelled(along.label, along.unit), numeric=False), column("Share of people"),
        column("Mean contribution, log-odds"), column("5th to 95th percentile"),
        column("Share, development"), column("Mean contribution, development"),
    ]  # fmt: skip
    low, high = (line[0], line[-1]) if line else ({"mean": float("nan")}, {"mean": float("nan")})
    edges = _edges(x, people.weight)
    earlier = binned(before_x, before, made_on.weight)
    return figure(
        name,
        "dependence",
        f"{what}: contribution along {along.label}, held-out people",
        caption="A prediction, not an effect. Contribution to the log-odds of the reported risk. Line: weighted mean in "
        "twentieths of the population, dashed: of the development people; dots: a weighted draw of people, the same in every "
        "rendering; below: where the people are, weighted, and as a line those of development; the top 0.5 % are counted in "
        "the last bar. Where the lines part, the feature works together with others that have changed.",
        alt=f"Mean contribution goes from {number(low['mean'], signed=True)} in the lowest to "
        f"{number(high['mean'], signed=True)} in the highest twentieth of {along.label}.{lacking}",
        data={
            "x_label": labelled(along.label, along.unit),
            "y_label": "Contribution, log-odds",
            "x": x[dots].round(1).tolist(),
            "y": contribution[dots].round(4).tolist(),
            "line": {"x": [p["x"] for p in line], "y": [p["mean"] for p in line]},
            "before": {"x": [p["x"] for p in earlier], "y": [p["mean"] for p in earlier]},
            "density": {
                "edges": edges.tolist(),
                "share": _density(x, people.weight, edges),
                "before": _density(before_x, made_on.weight, edges),
            },
        },
        behind=table(f"{name}-table", f"{what}: mean contribution along {along.label}", columns, rows),
    )


def _along(people: ExplainedPeople, summed: Sequence[Feature], along: Feature) -> tuple[Floats, Floats]:
    return people.data[along.name].to_numpy(dtype=np.float64), people.column([feature.name for feature in summed])


def _row(
    point: dict[str, float], place: int, line: Sequence[dict[str, float]], x: Floats, before: Floats, weight: Floats
) -> dict[str, Any]:
    # The development people between the highest value of the bin below and that of this one; the last has no end.
    lower = line[place - 1]["high"] if place else -np.inf
    upper = point["high"] if place + 1 < len(line) else np.inf
    cells = [
        f"{number(point['low'], digits=0)} to {number(point['high'], digits=0)}",
        percent(point["share"]),
        number(point["mean"], signed=True),
        f"{number(point['p05'], signed=True)} to {number(point['p95'], signed=True)}",
    ]
    return row([*cells, *_before((x > lower) & (x <= upper), before, weight)], point)


def _before(here: Booleans, contribution: Floats, weight: Floats) -> list[str]:
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
