"""How a contribution goes along a feature, where the people are, and whether both were so when the model was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.features.registry import Feature
from mgrisk.report.blocks import Block, column, figure, row, table
from mgrisk.report.explained import ExplainedPeople, binned, representative
from mgrisk.report.formats import labelled, number, percent

DOTS: Final = 500
Floats = NDArray[np.float64]


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


def _before(here: NDArray[np.bool_], contribution: Floats, weight: Floats) -> list[str]:
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
