"""How well the models do: metrics beside the published score, and the curves, on either set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.intervals import WITHOUT_INTERVAL
from mgrisk.report.blocks import Block, Section, callout, column, row, section, table, text
from mgrisk.report.content_curves import calibration_figure, decision_figure, roc_figure
from mgrisk.report.content_scores import score_blocks
from mgrisk.report.formats import count, interval, model_label, number, percent, span
from mgrisk.report.run_files import Record, RunFiles, pick

# Metric, label, digits, shown as a percentage. What is better stands in the label where it is not obvious.
METRICS: Final[tuple[tuple[str, str, int, bool], ...]] = (
    ("auroc", "AUROC", 3, False),
    ("auprc", "Average precision (AUPRC)", 3, False),
    ("brier", "Brier score", 4, False),
    ("brier_scaled", "Scaled Brier score", 1, True),
    ("log_loss", "Log loss, nats", 4, False),
    ("calibration_intercept", "Calibration intercept (0 is right)", 2, False),
    ("calibration_slope", "Calibration slope (1 is right)", 2, False),
    ("observed_expected", "Observed / expected cases (1 is right)", 2, False),
    ("ici", "ICI: mean calibration error", 2, True),
    ("e50", "E50: median calibration error", 2, True),
    ("e90", "E90: 90th percentile of calibration error", 2, True),
)
AT_THRESHOLD: Final = {
    "sensitivity": ("Sensitivity", 1, True),
    "specificity": ("Specificity", 1, True),
    "ppv": ("Positive predictive value", 1, True),
    "npv": ("Negative predictive value", 1, True),
    "net_benefit": ("Net benefit, true positives per 1,000 people", 1, False),
}


def held_out(files: RunFiles) -> Section:
    """Describe performance on the held-out cycle, which nothing was fitted, tuned or calibrated on."""
    name = files.held_out_name
    intro = (
        f"Nobody of {span(files.about['held_out'])} was used for fitting, tuning, calibration or imputation. "
        "All models are evaluated on the same people."
    )
    return _performance(files, "held-out", f"Performance on the held-out cycle {span([name])}", name, intro)


def cross_validated(files: RunFiles) -> Section:
    """Describe cross-validated performance in the development set."""
    intro = (
        "Risks of development people from models and calibrations that had not seen them. The settings of the winner "
        "were chosen on these same folds, so that these numbers flatter slightly; the held-out cycle does not."
    )
    return _performance(files, "cross-validated", "Performance, cross-validated", CROSS_VALIDATED, intro)


def _performance(files: RunFiles, name: str, heading: str, set_name: str, intro: str) -> Section:
    curves = files.curves[set_name]
    # Published scores other than the reference, which has curves too, stand in tables of their own.
    records = [
        record
        for record in files.evaluation
        if record["set"] == set_name and record["group"] == "all" and record["model"] in curves
    ]
    first = pick(records, "evaluation.json", model=files.winner, metric="auroc")
    df = int(curves[files.winner]["roc"]["df"])
    how = (
        f"Intervals are 95 %: every metric recomputed with each set of jackknife weights, leaving out one primary "
        f"sampling unit (PSU) at a time, on t with {df} degrees of freedom. Never a bootstrap of rows."
    )
    models = _models(files, records)
    notes = [
        "The published score gives points, not probabilities: it ranks, and has no calibration.",
        "ICI, E50 and E90 are distances between the predicted risk and the smooth calibration curve, in percentage "
        "points.",
        "E50 and E90 are quantiles, for which the jackknife gives no valid interval: they have none.",
    ]
    blocks: list[Block] = [
        text(intro, f"{count(first['n'])} people, {count(first['events'])} cases.", how),
        table(
            f"{name}-metrics",
            f"Metrics, {_set_label(set_name)}",
            _columns(files, models),
            _rows(records, models),
            notes=notes,
        ),
        *_difference_blocks(files, name, set_name),
        roc_figure(files, name, set_name, models),
        _unless_failed(
            "calibration curve",
            curves[files.winner],
            ("calibration", "calibration_groups"),
            lambda: calibration_figure(files, name, set_name),
        ),
        table(
            f"{name}-thresholds",
            f"Acting from a threshold of risk, {_set_label(set_name)}",
            _columns(files, _calibrated(records, models)),
            _threshold_rows(records, _calibrated(records, models)),
            notes=["Thresholds are examples, not advice: who is called in is a decision about costs and benefits."],
        ),
        decision_figure(files, name, set_name, [model for model in models if "decision" in curves[model]]),
        *score_blocks(files, name, set_name),
    ]
    return section(name, heading, blocks)


def _unless_failed(what: str, curves: Mapping[str, Any], needed: Sequence[str], make: Callable[[], Block]) -> Block:
    """Return the figure, or the reason why a curve that it needs could not be made."""
    for name in needed:
        if "problem" in curves[name]:
            return callout(f"No {what}: failed, because {curves[name]['problem']}.", tone="warning")
    return make()


def compare(record: Mapping[str, Any]) -> str:
    """Say in words what a paired difference with its interval shows, and no more."""
    mine, theirs = model_label(str(record["model"])), model_label(str(record["reference"]))
    low, high = record["low"], record["high"]
    if low is None or high is None:
        return f"Whether {mine} ranks people better than the {theirs} cannot be told from these data."
    if low > 0:
        return f"{mine} ranks these people better than the {theirs}: the interval of the difference lies above 0."
    if high < 0:
        return f"{mine} ranks these people worse than the {theirs}: the interval of the difference lies below 0."
    return f"The data do not show that {mine} ranks people better, or worse, than the {theirs}."


def _difference_blocks(files: RunFiles, name: str, set_name: str) -> list[Block]:
    records = [
        record
        for record in files.differences
        if record["set"] == set_name and record["group"] == "all" and record["model"] in files.tuning["best"]
    ]
    if not records:
        return [callout("differences.json has no difference for this set.", tone="warning")]
    labels = {"auroc": "AUROC", "auprc": "Average precision (AUPRC)"}
    ordered = sorted(records, key=lambda record: record["model"] != files.winner)
    rows = [
        row(
            [
                f"{model_label(record['model'])} less {model_label(record['reference'])}",
                labels.get(str(record["metric"]), str(record["metric"])),
                interval(record, signed=True),
            ],
            record,
        )
        for record in ordered
    ]
    columns = [column("Difference", numeric=False), column("Metric", numeric=False), column("Estimate (95 % interval)")]
    found = pick(ordered, "differences.json", model=files.winner, metric="auroc")
    caption = f"Paired differences on the same people and replicates, {_set_label(set_name)}"
    return [table(f"{name}-differences", caption, columns, rows), text(compare(found))]


def _models(files: RunFiles, records: list[Record]) -> list[str]:
    found = dict.fromkeys(record["model"] for record in records)
    return sorted(found, key=lambda model: (model != files.winner, _is_score(records, model)))


def _is_score(records: list[Record], model: str) -> bool:
    return not any(record["model"] == model and record["metric"] == "brier" for record in records)


def _calibrated(records: list[Record], models: list[str]) -> list[str]:
    return [model for model in models if not _is_score(records, model)]


def _columns(files: RunFiles, models: list[str]) -> list[dict[str, Any]]:
    named = [
        column(
            f"{model_label(model)} (chosen)" if model == files.winner else model_label(model),
            marked=model == files.winner,
        )
        for model in models
    ]
    return [column("Metric", numeric=False), *named]


def _rows(records: list[Record], models: list[str]) -> list[dict[str, Any]]:
    found = []
    for metric, label, digits, share in METRICS:
        by_model = {record["model"]: record for record in records if record["metric"] == metric}
        if by_model:
            cells = [_cell(by_model.get(model), digits=digits, share=share) for model in models]
            found.append(row([label, *cells], {"metric": metric, "models": by_model}))
    return found


def _threshold_rows(records: list[Record], models: list[str]) -> list[dict[str, Any]]:
    of_models = [r["metric"] for r in records if r["model"] in models and "@" in r["metric"]]
    thresholds = sorted({float(metric.partition("@")[2]) for metric in of_models})
    found = []
    for threshold in thresholds:
        found.append(row([f"Risk of {100 * threshold:g} % and above", *("" for _ in models)], {"threshold": threshold}))
        for base, (label, digits, share) in AT_THRESHOLD.items():
            metric = f"{base}@{threshold:g}"
            by_model = {record["model"]: record for record in records if record["metric"] == metric}
            if base == "net_benefit":
                shown = {model: _times(record, 1000.0) for model, record in by_model.items()}
            else:
                shown = dict(by_model)
            cells = [_cell(shown.get(model), digits=digits, share=share) for model in models]
            found.append(row([label, *cells], {"metric": metric, "models": by_model}, level=1))
    return found


def _times(record: Mapping[str, Any], factor: float) -> Record:
    scaled = {key: None if record[key] is None else factor * record[key] for key in ("estimate", "low", "high")}
    return {**record, **scaled}


def _cell(record: Mapping[str, Any] | None, *, digits: int, share: bool) -> str:
    if record is None:
        return "not defined"
    if record["metric"] in WITHOUT_INTERVAL and record["estimate"] is not None:
        return percent(record["estimate"], digits=digits) if share else number(record["estimate"], digits=digits)
    return interval(record, digits=digits, share=share)


def _set_label(set_name: str) -> str:
    return "development set, cross-validated" if set_name == CROSS_VALIDATED else f"held-out {span([set_name])}"
