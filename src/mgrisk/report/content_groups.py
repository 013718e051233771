"""What may be read together only: groups of features taken whole, what travels with what, and which pairs interact."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import numpy as np

from mgrisk.cohort.select import HELD_OUT
from mgrisk.report.blocks import Block, Section, callout, column, figure, row, section, table, text
from mgrisk.report.explained import ExplainedPeople, rank_correlation
from mgrisk.report.formats import interval, model_label, number
from mgrisk.report.run_files import Record, RunFiles

TRAVEL: Final = 0.5  # rank correlation from which two features are not read apart
GROUPS: Final = {
    "magnesium": "Magnesium, all features together",
    "diet": "Diet without magnesium",
    "activity": "Activity",
    "body": "Body size",
    "background": "Background",
    "depletion": "Magnesium depletion score and its parts, none of which measures magnesium",
    "marker": "Markers",
}


def groups(files: RunFiles, people: ExplainedPeople) -> Section:
    """Describe the groups of features, the correlations that make them necessary, and the strongest pairs."""
    return section(
        "drivers-groups",
        "Groups of features, taken whole",
        [
            text(
                "Here a group joins with all its features at once, and its value is Shapley's for the game between groups "
                "(what Owen's values of its features sum to). Beside it stands the sum of the features' own values: they "
                "differ where features of two groups work together."
            ),
            _bars(group_records(files), people),
            *_travel(people),
            *_pairs(files),
        ],
    )


def group_records(files: RunFiles) -> list[Record]:
    """Return the records of groups among the held-out people, most important first."""
    records = [record for record in files.explanation_summary["groups"] if record["set"] == HELD_OUT]
    return sorted(records, key=lambda record: -float(record["importance"]))


def _bars(records: list[Record], people: ExplainedPeople) -> Block:
    rows = [
        row(
            [
                GROUPS[record["group"]],
                ", ".join(feature.label for feature in people.family(record["group"])),
                interval({**record, "estimate": record["importance"]}),
                number(record["summed"]),
            ],
            record,
        )
        for record in records
    ]
    bars = [{**record, "label": GROUPS[record["group"]], "direction": None} for record in records]
    first = ", ".join(f"{bar['label']} {number(bar['importance'], digits=2)}" for bar in bars[:3])
    return figure(
        "importance-groups",
        "importance",
        "Mean absolute contribution of each group, held-out people",
        caption="Weighted mean of the absolute value of the group as one player, log-odds, with 95 % interval.",
        alt=f"Bar chart of the importance of groups; the largest are {first}",
        data={"bars": bars},
        behind=table(
            "importance-groups-table",
            "Importance of groups of features",
            [
                column("Group", numeric=False),
                column("Features", numeric=False),
                column("As one player, log-odds (95 % interval)"),
                column("Sum of the features' own values"),
            ],
            rows,
        ),
    )


def _travel(people: ExplainedPeople) -> list[Block]:
    """Show which features go together so closely that neither may be read alone."""
    found = []
    numbers = [feature for feature in people.features if feature.kind == "number"]
    for one, other in combinations(numbers, 2):
        first, second = (people.data[each.name].to_numpy(dtype=np.float64) for each in (one, other))
        correlation = rank_correlation(first, second, people.weight)
        if correlation is not None and abs(correlation) >= TRAVEL:
            found.append((one, other, correlation))
    if not found:
        return [text(f"No two numbers among the features have a rank correlation of {TRAVEL} or more.")]
    found.sort(key=lambda pair: -abs(pair[2]))
    rows = [
        row(
            [one.label, other.label, number(value, digits=2, signed=True)],
            {"first": one.name, "second": other.name, "correlation": value},
        )
        for one, other, value in found
    ]
    names = list(dict.fromkeys(each.label for pair in found for each in pair[:2]))
    columns = [column("Feature", numeric=False), column("Travels with", numeric=False), column("Rank correlation")]
    return [
        callout(
            f"Do not read one of these alone: {', '.join(names)}. Features that go together share what they know, and how a "
            "model divides it among them may change with the next sample.",
            tone="warning",
        ),
        table(
            "travel", f"Features with a weighted rank correlation of {TRAVEL} or more, held-out people", columns, rows
        ),
    ]


def _pairs(files: RunFiles) -> list[Block]:
    """Show the strongest pairs of each learner with trees; the others are sums of one function of each feature."""
    records: list[dict[str, Any]] = files.explanation_summary["interactions"]
    blocks: list[Block] = []
    for learner in dict.fromkeys(str(record["learner"]) for record in records):
        of_learner = [record for record in records if record["learner"] == learner]
        problems = [str(record["problem"]) for record in of_learner if record["problem"]]
        if problems:
            blocks.append(text(f"Pairs of {model_label(learner)}: not computed, because {problems[0]}."))
            continue
        rows = [
            row(
                [
                    f"{record['first_label']} × {record['second_label']}",
                    interval({**record, "estimate": record["importance"]}),
                ],
                record,
            )
            for record in of_learner
        ]
        blocks.append(
            table(
                f"pairs-{learner}",
                f"The {len(rows)} pairs that work together most in {model_label(learner)}, held-out people",
                [column("Pair", numeric=False), column("Mean |interaction|, log-odds (95 % interval)")],
                rows,
                notes=["Shapley interaction index, interventional, against the whole weighted development population."],
                folded=True,
            )
        )
    if files.winner not in {record["learner"] for record in records}:
        blocks.insert(
            0,
            text(
                f"{model_label(files.winner)} adds up one function of each feature: no pair works together in it. What a "
                "learner with trees found in pairs stands below, where there is one."
            ),
        )
    return blocks
