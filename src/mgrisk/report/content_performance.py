"""How well the models do: metrics beside the published score, and the curves, on either set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mgrisk.evaluate.assess import CROSS_VALIDATED, EVERYBODY
from mgrisk.report.blocks import Block, Section, callout, column, row, section, table, text
from mgrisk.report.content_curves import calibration_figure, decision_figure, roc_figure
from mgrisk.report.content_performance_tables import groups_table, thresholds_table
from mgrisk.report.content_scores import score_blocks
from mgrisk.report.formats import count, interval, model_label, span
from mgrisk.report.run_files import Record, RunFiles, pick

SCORE: Final = "ada"
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
DIFFERENCES: Final = {
    "auroc": ("AUROC", 3, 1),
    "auprc": ("Average precision (AUPRC)", 3, 1),
    "log_loss": ("Log loss, nats (below 0 is better)", 4, 1),
    "net_benefit@0.05": ("Net benefit at 5 %, true positives per 1,000 people", 1, 1000),
    "net_benefit@0.1": ("Net benefit at 10 %, true positives per 1,000 people", 1, 1000),
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
        f"sampling unit (PSU) at a time, on t with {df} degrees of freedom; E50 and E90, which are quantiles, with those "
        "of a bootstrap of PSUs. Never a bootstrap of rows."
    )
    models = _models(files, records)
    notes = [
        *(
            ["The published score gives points, not probabilities: it ranks, and has no calibration."]
            if SCORE in models
            else []
        ),
        "ICI, E50 and E90 are distances between the predicted risk and the smooth calibration curve, in percentage "
        "points.",
        "Such a distance is never 0, not even of a model that is right: the smooth curve errs too. Its interval holds for "
        "a model that is off, and errs upward for one that is not.",
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
        thresholds_table(files, name, set_name, _set_label(set_name)),
        decision_figure(files, name, set_name, [model for model in models if "decision" in curves[model]]),
        groups_table(files, name, set_name, _set_label(set_name)),
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
        if record["set"] == set_name and record["group"] == "all" and record["model"] in files.tuning["models"]
    ]
    if not records:
        return [callout("differences.json has no difference for this set.", tone="warning")]
    mine = [record for record in records if record["model"] == files.winner]
    rows = [
        row(
            [
                f"{model_label(record['model'])} less {_reference(str(record['reference']))}",
                label,
                interval(_times(record, factor), digits=digits, signed=True),
            ],
            record,
        )
        for metric, (label, digits, factor) in DIFFERENCES.items()
        for record in mine
        if record["metric"] == metric
    ]
    columns = [column("Difference", numeric=False), column("Metric", numeric=False), column("Estimate (95 % interval)")]
    found = [record for record in mine if (record["metric"], record["reference"]) == ("auroc", SCORE)]
    caption = f"Paired differences on the same people and replicates, {_set_label(set_name)}"
    notes = ["In net benefit a published score acts at its own cut, whatever the threshold."] if found else []
    return [
        table(f"{name}-differences", caption, columns, rows, notes=notes),
        *(text(compare(record)) for record in found),
    ]


def _reference(name: str) -> str:
    return "calling in everybody" if name == EVERYBODY else model_label(name)


def _models(files: RunFiles, records: list[Record]) -> list[str]:
    found = dict.fromkeys(record["model"] for record in records)
    return sorted(found, key=lambda model: (model != files.winner, _is_score(records, model)))


def _is_score(records: list[Record], model: str) -> bool:
    return not any(record["model"] == model and record["metric"] == "brier" for record in records)


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


def _times(record: Mapping[str, Any], factor: float) -> Record:
    scaled = {key: None if record[key] is None else factor * record[key] for key in ("estimate", "low", "high")}
    return {**record, **scaled}


def _cell(record: Mapping[str, Any] | None, *, digits: int, share: bool) -> str:
    if record is None:
        return "not defined"
    return interval(record, digits=digits, share=share)


def _set_label(set_name: str) -> str:
    return "development set, cross-validated" if set_name == CROSS_VALIDATED else f"held-out {span([set_name])}"
