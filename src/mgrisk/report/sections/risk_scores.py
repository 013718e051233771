"""Published risk scores on the same people: discrimination, calibration as published and recalibrated, published cuts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.records import MetricRecord
from mgrisk.report.blocks import Block, bullets, column, raw_records, row, table
from mgrisk.report.formats import interval, model_label, number, percent
from mgrisk.report.population import population
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import PublishedFigures, ScoreRecord

ByMetric = Mapping[tuple[str, str], MetricRecord]
"""Records of all people by model and metric."""
CALIBRATION: Final = (
    ("observed_expected", "Observed / expected", 2, False),
    ("calibration_slope", "Slope", 2, False),
    ("ici", "ICI", 2, True),
    ("brier_scaled", "Scaled Brier score", 1, True),
)
HELD_OUT_AND_AGAIN: Final = "held-out first, cross-validated below"


def score_blocks(run: RunFolder, name: str) -> list[Block]:
    """Return the tables of the published scores, held-out and cross-validated, and why others are not in them.

    Parameters
    ----------
    run
        The run folder.
    name
        Name of the section, with which the ids of the tables begin.
    """
    scores = [score for score in run.scores if score.evaluated]
    left_out = [f"{score.label}: {score.problem}." for score in run.scores if not score.evaluated]
    records = [_records(run, set_name) for set_name in (run.held_out_name, CROSS_VALIDATED)]
    blocks = [_discrimination(run, name, scores, records), _calibration(name, scores, records)]
    if cuts := list(_at_cuts(scores, *records)):
        columns = ["Score", "Metric", "Held-out", "Cross-validated", "Published", "Published for"]
        blocks.append(
            table(
                f"{name}-cuts",
                "Published scores at their published cut-offs, here and as published",
                [column(label, numeric=label in {"Held-out", "Cross-validated"}) for label in columns],
                cuts,
                notes=["Populations, outcomes and years differ, so the figures need not agree."],
                folded=True,
            )
        )
    return [*blocks, *([bullets(*left_out)] if left_out else [])]


def _records(run: RunFolder, set_name: str) -> ByMetric:
    return {(record.model, record.metric): record for record in run.evaluation.where(set=set_name, group="all")}


def _discrimination(run: RunFolder, name: str, scores: list[ScoreRecord], records: list[ByMetric]) -> Block:
    differences = {
        record.model: record
        for record in run.differences.where(set=run.held_out_name, group="all", metric="auroc", reference=run.winner)
    }
    rows = []
    for score in scores:
        held_out, cross_validated = (found[score.name, "auroc"] for found in records)
        minus = differences.get(score.name)
        published = "; ".join(f"{row.auroc} ({row.people})" for row in score.published if row.auroc)
        cells = [
            score.label,
            interval(held_out),
            interval(cross_validated),
            interval(minus, signed=True) if minus else "",
            percent((score.sets or {})["held-out"].unanswered),
            published or "not found",
        ]
        raw = {"auroc": vars(held_out), "cross_validated": vars(cross_validated)}
        rows.append(row(cells, {**raw, "difference": vars(minus) if minus else None}))
    columns = [
        column("Score", numeric=False),
        column("AUROC, held-out (95 % interval)"),
        column("AUROC, cross-validated"),
        column(f"Held-out, minus {model_label(run.winner)}, paired"),
        column("With an unanswered item"),
        column("AUROC published", numeric=False),
    ]
    notes = [
        f"An unanswered item scores 0, as a blank on a paper form does. {names.SCORES} has the items of each score, "
        "which of them NHANES does not ask, and how answers were matched.",
        *population(run).scores_of_later,
    ]
    return table(
        f"{name}-table", "Published risk scores on the same people: discrimination", columns, rows, notes=notes
    )


def _calibration(name: str, scores: list[ScoreRecord], records: list[ByMetric]) -> Block:
    rows = []
    for score in scores:
        variants = [score.name, *(f"{score.name}:{kind}" for kind in ("published", "intercept", "logistic"))]
        for model in variants:
            found = [{metric: of_set.get((model, metric)) for metric, *_ in CALIBRATION} for of_set in records]
            if any(found[0].values()):
                rows += [
                    row([first, *_cells(of_set)], {"model": model, "set": label, **raw_records(of_set)}, level=level)
                    for first, of_set, label, level in (
                        (model_label(model), found[0], "held-out", 0),
                        ("cross-validated", found[1], "cross-validated", 1),
                    )
                ]
    columns = [column("Score", numeric=False), *(column(label) for _, label, _, _ in CALIBRATION)]
    notes = [
        "As published, then recalibrated on the development set: by the intercept alone, and by intercept and "
        "slope. Cross-validated risks come from recalibrations fitted without the person's fold."
    ]
    caption = f"Published risk scores on the same people: calibration, {HELD_OUT_AND_AGAIN}"
    return table(f"{name}-calibration", caption, columns, rows, notes=notes, folded=True)


def _cells(found: Mapping[str, MetricRecord | None]) -> list[str]:
    return [
        interval(record, digits=digits, share=share) if (record := found[metric]) else ""
        for metric, _, digits, share in CALIBRATION
    ]


def _at_cuts(scores: list[ScoreRecord], held_out: ByMetric, cross_validated: ByMetric) -> Iterator[dict[str, Any]]:
    for score in scores:
        published = [each for each in score.published if each.cut is not None]
        if score.high is not None and score.high not in [each.cut for each in published]:
            published.insert(0, PublishedFigures("not found", "", score.high))
        for each in published:
            cut = number(each.cut, digits=0 if score.kind == "points" else 3)
            for metric, label in (("sensitivity", "sensitivity"), ("specificity", "specificity")):
                key = (score.name, f"{metric}@{each.cut:g}")
                if key in held_out:
                    whom = ", ".join(part for part in (each.people, each.outcome) if part)
                    shown = [interval(found[key], digits=2) for found in (held_out, cross_validated)]
                    cells = [f"{score.label}, from {cut}", label, *shown, getattr(each, metric), whom]
                    yield row(cells, {"record": vars(held_out[key]), "published": vars(each)})
