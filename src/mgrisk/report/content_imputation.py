"""The sensitivity run: the chosen model on completed data, beside how it takes what is missing."""

from __future__ import annotations

from typing import Final

from mgrisk.report.blocks import Block, column, row, table, text
from mgrisk.report.formats import count, interval, model_label, number
from mgrisk.report.run_files import RunFiles

FILE: Final = "imputation.json"
SHOWN: Final = {
    "auroc": "AUROC",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "calibration_slope": "Calibration slope",
    "observed_expected": "Observed / expected",
}


def imputation(files: RunFiles) -> list[Block]:
    """Describe what multiple imputation makes of the model; nothing where the pipeline did not ask for it."""
    if not files.has(FILE):
        return []
    content = files.mapping(FILE)
    imputations = int(content["imputations"])
    label = model_label(str(content["model"]))
    records = content["records"]
    said = text(
        f"{count(content['people_with_gaps'])} of {count(content['people'])} development people lack at least one input; {number(100 * content['cells_missing'], digits=1)} % of all are missing. "
        f"{label} was fitted again on {imputations} data sets completed by chained equations, learned on training people alone and without the outcome, and as it is, with what is missing "
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
                    str(each["set"]),
                    SHOWN[each["metric"]],
                    interval(each),
                    number(each["pooled"]),
                    interval(
                        {"estimate": each["difference"], "low": each["difference_low"], "high": each["difference_high"]}
                    ),
                    f"{number(100 * each['between'], digits=0)} %",
                ],
                {"difference": each["difference"], "pooled": each["pooled"]},
            )
            for each in records
        ],
        notes=[
            "Variance due to gaps: the share of the imputed estimate's variance that differs between the data sets."
        ],
    )
    return [said, shown]
