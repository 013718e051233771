"""What drives the predicted risk: importance of every feature with its interval, and the people as a swarm."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mgrisk.cohort.select import HELD_OUT
from mgrisk.features.registry import Feature
from mgrisk.report.blocks import Block, Section, callout, column, figure, row, section, table, text
from mgrisk.report.content_groups import groups
from mgrisk.report.content_story import story
from mgrisk.report.explained import ExplainedPeople, explained_people, rank_share, representative
from mgrisk.report.formats import count, interval, level_label, model_label, number, percent
from mgrisk.report.run_files import Record, RunFiles
from mgrisk.survey.quantiles import weighted_quantile

SWARM_PEOPLE: Final = 300
CLEAR: Final = 0.5  # rank correlation from which a feature is said to go one way
THIN_SHARE, LARGE = 0.01, 0.4  # share of the development set; log-odds, an odds ratio of 1.5
NO_EFFECT: Final = (
    "A contribution says how this model uses a value for its prediction. It is no effect: changing the value would not "
    "change a person's risk by that amount."
)


def drivers(files: RunFiles) -> Section:
    """Describe the contributions of all features among the held-out people."""
    records = importance_records(files)
    people = explained_people(files)
    learner = model_label(files.winner)
    intro = text(
        f"Shapley values of {learner} on the scale of the reported risk's log-odds, against the whole weighted "
        "development population. For each person they add up, with the base value, to the logit of the reported risk "
        f"(largest error over everybody: {files.explanation_summary['largest_additivity_error']:.1e}). Importance is "
        "the "
        "weighted mean of the absolute contribution.",
    )
    return section(
        "drivers",
        "What drives the predicted risk",
        [
            intro,
            callout(NO_EFFECT),
            *_thin_ground(files, people),
            _bars(records),
            _swarm(records, people),
            _level_table(people),
        ],
        sections=[groups(files, people), story(files, records)],
    )


def importance_records(files: RunFiles) -> list[Record]:
    """Return the importance records of the held-out set, most important first."""
    records = [record for record in files.explanation_summary["features"] if record["set"] == HELD_OUT]
    return sorted(records, key=lambda record: -record["importance"])


def direction_words(direction: float | None) -> str:
    """Say which way a feature goes, from the rank correlation of value and contribution."""
    if direction is None:
        return "by category"
    if direction > CLEAR:
        return "higher value, higher risk"
    if direction < -CLEAR:
        return "higher value, lower risk"
    return "not one direction"


def _bars(records: list[Record]) -> Block:
    rows = [
        row(
            [
                record["label"],
                str(record["group"]),
                interval({**record, "estimate": record["importance"]}),
                direction_words(record["direction"]),
                "–" if record["direction"] is None else number(record["direction"], digits=2, signed=True),
            ],
            record,
        )
        for record in records
    ]
    columns = [
        column("Feature", numeric=False), column("Group", numeric=False), column("Mean |contribution|, log-odds (95 % interval)"),
        column("Direction", numeric=False), column("Rank correlation"),
    ]  # fmt: skip
    bars = [
        {
            "label": record["label"],
            "group": record["group"],
            **{key: record[key] for key in ("importance", "low", "high", "direction")},
        }
        for record in records
    ]
    top = ", ".join(f"{record['label']} {number(record['importance'], digits=2)}" for record in records[:3])
    return figure(
        "importance",
        "importance",
        "Mean absolute contribution of each feature, held-out people",
        caption="Weighted mean of the absolute contribution to the log-odds of the reported risk, with 95 % interval. "
        "The "
        "interval is that of this fitted model over a population of people; another training sample would give other "
        "contributions, and that is not in it. Related features share what they know, so that each alone looks small.",
        alt=f"Bar chart of feature importance; the largest are {top}",
        data={"bars": bars},
        behind=table("importance-table", "Mean absolute contribution", columns, rows),
    )


def _swarm(records: list[Record], people: ExplainedPeople) -> Block:
    chosen = representative(people, min(SWARM_PEOPLE, 4 * len(people.risk)))
    by_name = {feature.name: place for place, feature in enumerate(people.features)}
    strips, rows = [], []
    for record in records:
        feature = people.features[by_name[record["feature"]]]
        values = people.contributions[:, by_name[record["feature"]]]
        strips.append(
            {
                "label": record["label"],
                "contribution": values[chosen].round(4).tolist(),
                "shade": [None if np.isnan(v) else round(float(v), 3) for v in _shade(feature, people)[chosen]],
            }
        )
        quantiles = weighted_quantile(values, people.weight, [0.05, 0.25, 0.5, 0.75, 0.95])
        raw = {f"p{p}": float(q) for p, q in zip((5, 25, 50, 75, 95), quantiles, strict=True)}
        rows.append(row([record["label"], *(number(q, digits=3, signed=True) for q in quantiles)], raw))
    adults = people.weight.sum() / len(chosen)
    columns = [column("Feature", numeric=False), *(column(f"{p}th percentile") for p in (5, 25, 50, 75, 95))]
    columns[3]["label"] = "Median"
    return figure(
        "swarm",
        "swarm",
        "Contributions person by person, held-out people",
        caption=f"{count(len(chosen))} draws from the held-out people with probability proportional to survey weight, "
        "the "
        f"same in every rendering: each dot stands for about {count(round(adults, -3))} adults. Colour: the person's "
        "place "
        "in the population by that feature, from lowest to highest; a category of two levels is lowest and highest; "
        "grey: "
        "a category of more levels, or missing.",
        alt="Swarm of the contributions of each feature for a weighted draw of held-out people, coloured by feature "
        "value",
        data={"strips": strips},
        behind=table(
            "swarm-table", "Weighted percentiles of the contribution, log-odds, all held-out people", columns, rows
        ),
    )


def _shade(feature: Feature, people: ExplainedPeople) -> Any:
    values = people.data[feature.name]
    if feature.kind == "number":
        return rank_share(values.to_numpy(dtype=np.float64), people.weight)
    if len(feature.levels) != 2:
        return np.full(len(values), np.nan)
    coded = values.map({feature.levels[0]: 0.0, feature.levels[1]: 1.0})
    return coded.astype("float64").to_numpy()


def _thin_ground(files: RunFiles, people: ExplainedPeople) -> list[Block]:
    """Warn of missing values that move a risk far although hardly anybody of the development set lacked them."""
    warnings = []
    for place, feature in enumerate(people.features):
        unknown = people.data[feature.name].isna().to_numpy()
        learned_from = float(files.reference[feature.name]["missing"])
        if not unknown.any() or learned_from >= THIN_SHARE:
            continue
        mean = float(np.average(people.contributions[unknown, place], weights=people.weight[unknown]))
        if abs(mean) >= LARGE:
            warnings.append(
                f"Where {feature.label} is missing, the model moves the log-odds by "
                f"{number(mean, digits=2, signed=True)}, which "
                f"it learned from {percent(learned_from, digits=2)} of the development people. Do not trust such a "
                "risk "
                f"({count(int(unknown.sum()))} held-out people)."
            )
    return [callout(sentence, tone="warning") for sentence in warnings]


def _level_table(people: ExplainedPeople) -> Block:
    rows = []
    for place, feature in enumerate(people.features):
        values, contribution = people.data[feature.name], people.contributions[:, place]
        levels: list[tuple[str, Any]] = [(level, (values == level).to_numpy()) for level in feature.levels]
        for level, here in [*levels, ("missing", values.isna().to_numpy())]:
            if not here.any():
                continue
            share = float(people.weight[here].sum() / people.weight.sum())
            mean = float(np.average(contribution[here], weights=people.weight[here]))
            cells = [feature.label, level_label(level), percent(share), number(mean, signed=True)]
            rows.append(row(cells, {"feature": feature.name, "level": level, "share": share, "mean": mean}))
    return table(
        "levels",
        "Mean contribution of each category and of a missing value, held-out people",
        [
            column("Feature", numeric=False),
            column("Level", numeric=False),
            column("Share"),
            column("Mean contribution, log-odds"),
        ],
        rows,
        folded=True,
    )
