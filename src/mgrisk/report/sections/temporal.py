"""Section on robustness of the prediction: cycles left out, missing inputs, and multiple imputation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from mgrisk.evaluate.records import Interval, Metric
from mgrisk.report.blocks import Block, Section, callout, column, row, table, text
from mgrisk.report.formats import count, interval, model_label, number
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import PatternMetric

M = TypeVar("M", bound=Metric)

COMPARED: Final = {
    "auroc": "AUROC",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "calibration_slope": "Calibration slope",
    "observed_expected": "Observed / expected",
}


def imputation(run: RunFolder) -> list[Block]:
    """Describe what multiple imputation makes of the model; nothing where the pipeline did not ask for it."""
    if not run.has(names.IMPUTATION):
        return []
    content = run.imputation
    label = model_label(content.model)
    records = content.records
    said = text(
        f"{count(content.people_with_gaps)} of {count(content.people)} development people have at least one missing "
        f"input; {number(100 * content.cells_missing, digits=1)} % of all values are missing. {label} was refitted "
        f"in two ways: on {content.imputations} data sets imputed by chained equations, which were fitted on "
        "training people only and without the outcome, and with missing values left as they are. Both predicted "
        "the same people. Estimates of the imputed data sets are pooled by Rubin's rules.",
    )
    shown = table(
        "imputation",
        f"{label} with missing values left as they are and with multiple imputation (95 % intervals)",
        [
            column("Set", numeric=False),
            column("Measure", numeric=False),
            column("Left missing"),
            column("Imputed"),
            column("Difference"),
            column("Variance due to missing values"),
        ],
        [
            row(
                [
                    each.set,
                    COMPARED[each.metric],
                    interval(each),
                    number(each.pooled),
                    interval(Interval(each.difference, each.difference_low, each.difference_high)),
                    f"{number(None if each.between is None else 100 * each.between, digits=0)} %",
                ],
                {"difference": each.difference, "pooled": each.pooled},
            )
            for each in records
        ],
        notes=[
            "Variance due to missing values: the share of the variance of the imputed estimate that is between data sets."
        ],
    )
    return [said, shown]


SHOWN: Final = {
    "auroc": "AUROC",
    "calibration_slope": "Calibration slope",
    "observed_expected": "Observed / expected",
    "ici": "Integrated calibration index (ICI)",
}
OF_PATTERNS: Final = ("calibration_slope", "observed_expected")


def temporal(run: RunFolder) -> Section:
    """Describe performance in each development cycle left out, and with missing inputs."""
    content = run.temporal
    if content.reason:
        return SECTION.absent(content.reason)
    label = model_label(content.model)
    said = text(
        f"{label} was refitted and recalibrated with each development cycle left out in turn, with the same "
        "settings, and evaluated on that cycle: with all inputs, and with some of them missing. The held-out cycle "
        "is not used here.",
    )
    by_cycle = table(
        "left-out-cycles",
        f"{label} in each development cycle, developed and calibrated on the others (95 % intervals)",
        [column("Cycle left out", numeric=False), column("Cases"), *(column(words) for words in SHOWN.values())],
        [
            row(
                [name, count(records["auroc"].events), *(_shown(records[metric]) for metric in SHOWN)],
                {metric: records[metric].estimate for metric in SHOWN},
            )
            for name, records in _grouped(content.cycles, "cycle").items()
        ],
    )
    found = list(_grouped(content.patterns, "pattern").values())
    warnings = [
        callout(
            f"{each.label}: observed / expected {interval(each)}. The risks are too "
            f"{'high' if each.value < 1 else 'low'} by {number(abs(1 / each.value - 1) * 100, digits=0)} %.",
            tone="warning",
        )
        for records in found
        for each in [records["observed_expected"]]
        if each.kind in ("all", "set") and each.excludes(1.0)
    ]
    return SECTION.of([said, by_cycle, *warnings, *_by_pattern(found), *imputation(run)])


def _shown(record: Metric) -> str:
    """Return an estimate as everywhere in the report: a distance between risks in percentage points."""
    return interval(record, digits=2, share=True) if record.metric == "ici" else interval(record)


def _by_pattern(found: list[dict[str, PatternMetric]]) -> list[Block]:
    listed = [records for records in found if records["auroc"].kind != "random"]
    drawn = [records for records in found if records["auroc"].kind == "random"]
    shown = table(
        "missing-inputs",
        "Performance with missing inputs: all development people, each predicted by a model of the other cycles (95 % intervals)",
        [
            column("Inputs", numeric=False),
            column("AUROC"),
            column("AUROC of a model refitted without them"),
            *(column(SHOWN[metric]) for metric in OF_PATTERNS),
        ],
        [
            row(
                [
                    records["auroc"].label,
                    interval(records["auroc"]),
                    number(records["auroc"].refitted_auroc),
                    *(interval(records[metric]) for metric in OF_PATTERNS),
                ],
                {metric: records[metric].estimate for metric in ("auroc", *OF_PATTERNS)},
            )
            for records in listed
        ],
        notes=[
            "With missing inputs an additive model gives the mean risk over their possible values, given the "
            "inputs that are known. The refitted model has the same penalties and scales.",
        ],
    )
    return [shown, text(_drawn(drawn))] if drawn else [shown]


def _drawn(found: list[dict[str, PatternMetric]]) -> str:
    """Say how far the patterns that were drawn at random go."""
    left = [
        each.value - each.refitted_auroc
        for records in found
        for each in [records["auroc"]]
        if each.refitted_auroc is not None
    ]
    spans = [
        f"{SHOWN[metric].lower()} {_span([records[metric].value for records in found], digits=2)}"
        for metric in OF_PATTERNS
    ]
    beside = f"AUROC minus that of the refitted model {_span(left, digits=4)}, " if left else ""
    return f"Range over {len(found)} random sets of missing inputs: {beside}{', '.join(spans)}."


def _span(values: list[float], *, digits: int) -> str:
    return f"{number(min(values), digits=digits)} to {number(max(values), digits=digits)}"


def _grouped(records: Iterable[M], key: str) -> dict[str, dict[str, M]]:
    """Return the records by the value of a field and by metric."""
    found: dict[str, dict[str, M]] = {}
    for record in records:
        found.setdefault(getattr(record, key), {})[record.metric] = record
    return found


SECTION = ReportSection("temporal", "Calibration over time and with missing inputs", temporal)
