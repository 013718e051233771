"""Figures of SHAP values over all features: importance with intervals, and the summary (beeswarm) plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mgrisk.features.registry import Feature
from mgrisk.report.blocks import Block, column, figure, row, table
from mgrisk.report.explained import ExplainedPeople, rank_share, representative
from mgrisk.report.formats import count, interval, number
from mgrisk.run_folder.records import Importance
from mgrisk.survey.estimates import weighted_quantile

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


def importance_figure(records: Sequence[Importance], people: ExplainedPeople, *, whom: str, interval_of: str) -> Block:
    """Return the bars of importance.

    Parameters
    ----------
    records
        Most important first.
    people
        Who was explained; their intervals are those of the bars.
    whom
        The same in words, for example "held-out people".
    interval_of
        Sentence on what the interval is of.
    """
    sizes = [people.importance([record.feature], estimate=record.importance) for record in records]
    rows = [
        row(
            [
                record.label,
                record.group,
                interval(size),
                direction_words(record.direction),
                "–" if record.direction is None else number(record.direction, digits=2, signed=True),
            ],
            {**vars(record), **size.bounds},
        )
        for record, size in zip(records, sizes, strict=True)
    ]
    columns = [
        column("Feature", numeric=False), column("Group", numeric=False), column("Mean |SHAP value|, log-odds (95 % interval)"),
        column("Direction", numeric=False), column("Rank correlation"),
    ]  # fmt: skip
    bars = [
        {
            "label": record.label,
            "group": record.group,
            "importance": record.importance,
            "low": size.low,
            "high": size.high,
            "direction": record.direction,
        }
        for record, size in zip(records, sizes, strict=True)
    ]
    top = ", ".join(f"{record.label} {number(record.importance, digits=2)}" for record in records[:3])
    return figure(
        "importance",
        "importance",
        f"Mean |SHAP value| of each feature, {whom}",
        caption="Weighted mean of the absolute SHAP value, in log-odds of the reported risk, with 95 % interval. "
        f"{interval_of} Correlated features share information, so the importance of each alone can be small.",
        alt=f"Bar chart of feature importance; the largest are {top}",
        data={"bars": bars},
        behind=table("importance-table", "Mean |SHAP value|", columns, rows),
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
        f"SHAP summary (beeswarm) plot, {whom}",
        caption=(
            f"Each dot is one of {count(len(chosen))} {whom}, drawn in proportion to the survey weight; the draw is "
            "the same in every report. Colour shows the rank of the feature's value in the population, from lowest "
            "to highest; in a category of two levels one is lowest and the other highest. Grey: more than two "
            "levels, or missing."
        ),
        alt=f"Beeswarm plot of the contributions of each feature for a sample of the {whom}, coloured by feature value",
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
