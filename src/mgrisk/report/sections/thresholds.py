"""Classification at risk thresholds: a table with intervals, and a threshold that the reader moves."""

from __future__ import annotations

import json
from typing import Final

import numpy as np

from mgrisk.evaluate.records import ThresholdRecord
from mgrisk.report.blocks import Block, column, raw_records, row, table
from mgrisk.report.formats import interval, model_label, number, percent
from mgrisk.run_folder.folder import RunFolder

CLASSIFIED: Final = (
    ("flagged", "Screen-positive", 1, True),
    ("sensitivity", "Sensitivity", 1, True),
    ("specificity", "Specificity", 1, True),
    ("ppv", "Positive predictive value", 1, True),
    ("npv", "Negative predictive value", 1, True),
    ("number_to_test", "Number needed to screen", 1, False),
)
MOVED_TO: Final = tuple(round(0.005 * step, 3) for step in range(1, 101))
START: Final = 0.05


def thresholds_table(run: RunFolder, name: str, set_name: str, label: str, *, folded: bool = False) -> Block:
    """Return what classification at risk thresholds comes to: the chosen model, the score recalibrated and at its cut."""
    records = run.thresholds.where(set=set_name)
    scores = dict.fromkeys(record.model for record in records if record.model not in run.tuning.models)
    rows = []
    for model in (run.winner, *scores):
        mine = records.where(model=model)
        points = not mine.where(metric="net_benefit")
        rows.append(row([model_label(model), *("" for _ in CLASSIFIED)], {"model": model}))
        for rule in dict.fromkeys(record.rule for record in mine):
            by_metric = {record.metric: record for record in mine.where(rule=rule)}
            cells = [interval(by_metric[key], digits=digits, share=share) for key, _, digits, share in CLASSIFIED]
            first = _rule_label(next(iter(by_metric.values())), points=points)
            rows.append(row([first, *cells], {"rule": rule, "metrics": raw_records(by_metric)}, level=1))
    return table(
        f"{name}-thresholds",
        f"Classification at a risk threshold, {label} (95 % intervals)",
        [column("Threshold", numeric=False), *(column(title) for _, title, _, _ in CLASSIFIED)],
        rows,
        notes=[
            "Thresholds are examples, not recommendations: the choice depends on costs and benefits. Thresholds "
            "for a given sensitivity were chosen on the development people. The number needed to screen, 1 / "
            "positive predictive value, is how many screen-positive people are tested for each case found.",
        ],
        folded=folded,
    )


def _rule_label(record: ThresholdRecord, *, points: bool) -> str:
    kind, _, value = record.rule.partition(" ")
    at = f"{number(record.threshold, digits=0)} points" if points else f"a risk of {percent(record.threshold)}"
    if kind == "sensitivity":
        return f"From {at}: sensitivity {percent(float(value), digits=0)} in development"
    return f"From {at}" + (", the published cut" if points else "")


def threshold_slider(run: RunFolder, set_name: str, label: str) -> Block:
    """Return the block in which the reader moves the threshold of the chosen model and reads the confusion matrix.

    Its points hold threshold, sensitivity and false positive rate as the evaluation has them, weighted; the page works
    out everything else from these and the share of cases.
    """
    share = run.evaluation.one(model=run.winner, set=set_name, metric="prevalence").value
    curve = run.curves.sets[set_name][run.winner]["roc"]
    # From nobody screen-positive, which has no threshold, to everybody.
    thresholds = np.array(curve["threshold"][1:], dtype=np.float64)
    rates = np.column_stack([curve["sensitivity"], curve["false_positive_rate"]])
    at = [int(np.count_nonzero(thresholds >= threshold)) for threshold in MOVED_TO]
    points = [
        [threshold, *(round(float(each), 5) for each in rates[place])]
        for threshold, place in zip(MOVED_TO, at, strict=True)
    ]
    return {
        "kind": "slider",
        "caption": f"{model_label(run.winner)}, {label}: consequences of a risk threshold per 1,000 people",
        "points": json.dumps(points, separators=(",", ":")),
        "share": share,
        "start": MOVED_TO.index(START),
        "last": len(MOVED_TO) - 1,
    }
