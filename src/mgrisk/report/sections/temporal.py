"""Sections on robustness of the prediction: cycles left out, inputs taken away, and missing inputs imputed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from mgrisk.evaluate.missing_inputs import RECALIBRATED, REPORTED
from mgrisk.evaluate.records import Interval, Metric
from mgrisk.report.blocks import Block, Section, callout, column, row, table, text
from mgrisk.report.formats import count, interval, model_label, number
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder

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
        f"{count(content.people_with_gaps)} of {count(content.people)} development people lack at least one input; {number(100 * content.cells_missing, digits=1)} % of all are missing. "
        f"{label} was fitted again on {content.imputations} data sets completed by chained equations, learned on training people alone and without the outcome, and as it is, with what is missing "
        "left missing; both predicted the same people. The estimates are pooled by Rubin's rules.",
    )
    shown = table(
        "imputation",
        f"{label}, missing values as such and multiply imputed (95 % intervals)",
        [
            column("Set", numeric=False),
            column("Measure", numeric=False),
            column("Missing as such"),
            column("Imputed"),
            column("Difference"),
            column("Variance due to gaps"),
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
            "Variance due to gaps: the share of the imputed estimate's variance that differs between the data sets."
        ],
    )
    return [said, shown]


SHOWN: Final = {
    "auroc": "AUROC",
    "calibration_slope": "Calibration slope",
    "observed_expected": "Observed / expected",
    "ici": "Mean calibration error",
}


def temporal(run: RunFolder) -> Section:
    """Describe what leaving out each development cycle, and taking inputs away, does to the model."""
    content = run.temporal
    if content.reason:
        return SECTION.absent(content.reason)
    label = model_label(content.model)
    cycles, without = content.cycles, content.missing_inputs
    off = [
        each
        for each in without
        if (each.calibration, each.metric) == (REPORTED, "observed_expected") and each.excludes(1.0)
    ]
    said = text(
        f"{label} was fitted and calibrated again without each development cycle, with its settings as chosen, and predicted that cycle. The same models then predicted "
        "the same people with some inputs taken away. The held-out cycle has no part in this.",
    )
    by_cycle = table(
        "left-out-cycles",
        f"{label} in each development cycle, made and calibrated on the others (95 % intervals)",
        [column("Cycle left out", numeric=False), column("Cases"), *(column(words) for words in SHOWN.values())],
        [
            row(
                [name, count(records["auroc"].events), *(interval(records[metric]) for metric in SHOWN)],
                {metric: records[metric].estimate for metric in SHOWN},
            )
            for name, records in _grouped(cycles, "cycle").items()
        ],
    )
    reported, mended = (
        _grouped([each for each in without if each.calibration == which], "label") for which in (REPORTED, RECALIBRATED)
    )
    by_pattern = table(
        "missing-inputs",
        "All development people, each predicted without the own cycle, when inputs are missing (95 % intervals)",
        [
            column("Missing", numeric=False),
            *(column(SHOWN[metric]) for metric in ("auroc", "calibration_slope", "observed_expected")),
            column("Observed / expected, calibrated for them"),
        ],
        [
            row(
                [
                    name,
                    *(interval(records[metric]) for metric in ("auroc", "calibration_slope", "observed_expected")),
                    interval(mended[name]["observed_expected"]) if name in mended else "–",
                ],
                {metric: records[metric].estimate for metric in SHOWN},
            )
            for name, records in reported.items()
        ],
        notes=[
            "Calibrated for them: intercept and slope of people without these inputs, fitted on the other cycles. The run has a bundle with such a calibration for each line, in its folder "
            "`without/`: `mgrisk score --model RUN/without/NAME`. Anybody who has one of the inputs is to be scored with the bundle itself."
        ],
    )
    warnings = [
        callout(
            f"Missing: {each.label}. Observed / expected {interval(each)}: the risks are too "
            f"{'high' if each.value < 1 else 'low'} by {number(abs(1 / each.value - 1) * 100, digits=0)} %.",
            tone="warning",
        )
        for each in off
    ]
    return SECTION.of([said, by_cycle, *warnings, by_pattern, *imputation(run)])


def _grouped(records: Iterable[M], key: str) -> dict[str, dict[str, M]]:
    """Return the records by the value of a field and by metric."""
    found: dict[str, dict[str, M]] = {}
    for record in records:
        found.setdefault(getattr(record, key), {})[record.metric] = record
    return found


SECTION = ReportSection("temporal", "Other cycles, and missing inputs", temporal)
