"""The chosen model in cycles that it never saw, and without inputs that people lack."""

from __future__ import annotations

from typing import Final

from mgrisk.evaluate.missing_inputs import RECALIBRATED, REPORTED
from mgrisk.report.blocks import ABSENT, Section, callout, column, missing, row, section, table, text
from mgrisk.report.content_imputation import imputation
from mgrisk.report.formats import count, interval, model_label, number
from mgrisk.report.run_files import Record, RunFiles

HEADING: Final = "Other cycles, and missing inputs"
SHOWN: Final = {
    "auroc": "AUROC",
    "calibration_slope": "Calibration slope",
    "observed_expected": "Observed / expected",
    "ici": "Mean calibration error",
}


def temporal(files: RunFiles) -> Section:
    """Describe what leaving out each development cycle, and taking inputs away, does to the model."""
    content = files.mapping("temporal.json")
    if content["reason"]:
        return missing("temporal", HEADING, str(content["reason"]), status=ABSENT)
    label = model_label(str(content["model"]))
    cycles, without = content["cycles"], content["missing_inputs"]
    off = [each for each in _of(without, REPORTED, "observed_expected") if _excludes_one(each)]
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
                [name, count(records["auroc"]["events"]), *(interval(records[metric]) for metric in SHOWN)],
                {metric: records[metric]["estimate"] for metric in SHOWN},
            )
            for name, records in _grouped(cycles, "cycle").items()
        ],
    )
    reported, mended = (
        _grouped([each for each in without if each["calibration"] == which], "label")
        for which in (REPORTED, RECALIBRATED)
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
                {metric: records[metric]["estimate"] for metric in SHOWN},
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
            f"Missing: {each['label']}. Observed / expected {interval(each)}: the risks are too "
            f"{'high' if each['estimate'] < 1 else 'low'} by {number(abs(1 / each['estimate'] - 1) * 100, digits=0)} %.",
            tone="warning",
        )
        for each in off
    ]
    return section("temporal", HEADING, [said, by_cycle, *warnings, by_pattern, *imputation(files)])


def _of(records: list[Record], calibration: str, metric: str) -> list[Record]:
    return [each for each in records if each["calibration"] == calibration and each["metric"] == metric]


def _grouped(records: list[Record], key: str) -> dict[str, dict[str, Record]]:
    found: dict[str, dict[str, Record]] = {}
    for record in records:
        found.setdefault(str(record[key]), {})[str(record["metric"])] = record
    return found


def _excludes_one(record: Record) -> bool:
    return record["low"] is not None and not record["low"] <= 1 <= record["high"]
