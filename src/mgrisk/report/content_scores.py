"""Published risk scores beside the chosen model: ranking, calibration as published and recalibrated, published cuts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mgrisk.report.blocks import Block, bullets, column, row, table
from mgrisk.report.formats import interval, model_label, number, percent
from mgrisk.report.run_files import Record, RunFiles
from mgrisk.report.whose import own_cohort

SETS: Final = {"held-out": "held-out", "cross-validated": "development"}
CALIBRATION: Final = (
    ("observed_expected", "Observed / expected", 2, False),
    ("calibration_slope", "Slope", 2, False),
    ("ici", "ICI", 2, True),
    ("brier_scaled", "Scaled Brier score", 1, True),
)


def score_blocks(files: RunFiles, name: str, set_name: str) -> list[Block]:
    """Return the tables of the published scores on one set, and why others are not in them.

    Parameters
    ----------
    files
        The run folder.
    name
        ``held-out`` or ``cross-validated``, as the section is called.
    set_name
        Name of the set in records.
    """
    scores = [score for score in files.scores if score["evaluated"]]
    records = {
        (record["model"], record["metric"]): record
        for record in files.evaluation
        if record["set"] == set_name and record["group"] == "all"
    }
    left_out = [f"{score['label']}: {score['problem']}." for score in files.scores if not score["evaluated"]]
    blocks = [_ranking(files, name, set_name, scores, records), _calibration(name, scores, records)]
    if cuts := list(_at_cuts(scores, records)):
        columns = ["Score", "Figure", "Here", "Published", "Published for"]
        blocks.append(
            table(
                f"{name}-score-cuts",
                "Published scores at their published cuts, here and in the people they were published for",
                [column(label, numeric=label == "Here") for label in columns],
                cuts,
                notes=["Other people, other outcomes and other years: they need not agree."],
            )
        )
    return [*blocks, *([bullets(*left_out)] if left_out else [])]


def _ranking(
    files: RunFiles, name: str, set_name: str, scores: list[Record], records: dict[tuple[str, str], Record]
) -> Block:
    differences = {
        (record["model"], record["reference"]): record
        for record in files.differences
        if record["set"] == set_name and record["group"] == "all" and record["metric"] == "auroc"
    }
    rows = []
    for score in scores:
        found = records[score["name"], "auroc"]
        less = differences.get((score["name"], files.winner))
        published = "; ".join(f"{row['auroc']} ({row['people']})" for row in score["published"] if row["auroc"])
        cells = [
            score["label"],
            interval(found),
            interval(less, signed=True) if less else "",
            percent(score["sets"][SETS[name]]["unanswered"]),
            published or "not found",
        ]
        rows.append(row(cells, {"auroc": found, "difference": less}))
    columns = [
        column("Score", numeric=False),
        column("AUROC (95 % interval)"),
        column(f"Less {model_label(files.winner)}, paired"),
        column("With an unanswered item"),
        column("AUROC published", numeric=False),
    ]
    notes = [
        "An item without an answer counts nothing, as a blank on a paper form does. What each score asks, what NHANES "
        "does not ask of it and how its answers were matched is in scores.json.",
        *(
            []
            if own_cohort(files)
            else ["Some were made for the diabetes of years to come: here they find the one that is there."]
        ),
    ]
    return table(f"{name}-scores", "Published risk scores on the same people: ranking", columns, rows, notes=notes)


def _calibration(name: str, scores: list[Record], records: dict[tuple[str, str], Record]) -> Block:
    rows = []
    for score in scores:
        variants = [score["name"], *(f"{score['name']}:{kind}" for kind in ("published", "intercept", "logistic"))]
        for model in variants:
            found = {metric: records.get((model, metric)) for metric, *_ in CALIBRATION}
            if any(found.values()):
                cells = [
                    interval(record, digits=digits, share=share) if (record := found[metric]) else ""
                    for metric, _, digits, share in CALIBRATION
                ]
                rows.append(row([model_label(model), *cells], {"model": model, **found}))
    columns = [column("Score", numeric=False), *(column(label) for _, label, _, _ in CALIBRATION)]
    notes = [
        "As published, then recalibrated on the development set: by the intercept alone, and by intercept and slope. "
        "People of the development set have risks of which the recalibration had not seen their fold."
    ]
    caption = "Published risk scores on the same people: calibration"
    return table(f"{name}-score-calibration", caption, columns, rows, notes=notes, folded=True)


def _at_cuts(scores: list[Record], records: dict[tuple[str, str], Record]) -> Iterator[dict[str, Any]]:
    for score in scores:
        published = [each for each in score["published"] if each["cut"] is not None]
        if score["high"] is not None and score["high"] not in [each["cut"] for each in published]:
            published.insert(0, {"cut": score["high"], "people": "not found", "outcome": ""})
        for each in published:
            cut = number(each["cut"], digits=0 if score["kind"] == "points" else 3)
            for metric, label in (("sensitivity", "sensitivity"), ("specificity", "specificity")):
                record = records.get((score["name"], f"{metric}@{each['cut']:g}"))
                if record:
                    whom = ", ".join(part for part in (each["people"], each["outcome"]) if part)
                    cells = [
                        f"{score['label']}, from {cut}", label, interval(record, digits=2), each.get(metric, ""), whom,
                    ]  # fmt: skip
                    yield row(cells, {"record": record, "published": each})
