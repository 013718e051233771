"""Cycles left out and inputs taken away, as the report says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.evaluate.missing_inputs import REPORTED
from mgrisk.report.blocks import ABSENT, find_table
from mgrisk.report.sections.temporal import temporal
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import write_json

Edit = Callable[[str, Callable[[Any], Any]], None]


def test_each_cycle_and_each_pattern_stands_with_its_calibration(run_folder: Path, edit: Edit) -> None:
    def too_high_without_diet(content: dict[str, Any]) -> None:
        for record in content["missing_inputs"]:
            if record["metric"] == "observed_expected":
                off = (record["missing"], record["calibration"]) == ("diet", REPORTED)
                estimate = 0.8 if off else 1.01
                record.update(estimate=estimate, low=estimate - 0.1, high=estimate + 0.1)

    edit("temporal.json", too_high_without_diet)
    found = temporal(RunFolder(run_folder))
    cycles, missing = find_table(found, "left-out-cycles"), find_table(found, "missing-inputs")
    assert cycles is not None
    assert missing is not None
    assert [line["cells"][:2] for line in cycles["rows"]] == [
        [each.cycle, str(each.events)] for each in RunFolder(run_folder).temporal.cycles if each.metric == "auroc"
    ]
    assert [line["cells"][0] for line in missing["rows"]] == [
        "Nothing", "Diet and magnesium", "Magnesium from supplements",
    ]  # fmt: skip
    assert missing["rows"][0]["cells"][-1] == "–"
    assert missing["rows"][1]["cells"][-1].startswith("1.010")
    (warning,) = (block for block in found["blocks"] if block["kind"] == "callout")
    assert "Missing: Diet and magnesium." in warning["text"]
    assert "too high by 25 %" in warning["text"]


def test_a_run_of_one_cycle_says_why_there_is_nothing(run_folder: Path, edit: Edit) -> None:
    edit("temporal.json", lambda content: {**content, "reason": "one cycle", "cycles": [], "missing_inputs": []})
    found = temporal(RunFolder(run_folder))
    assert (found["status"], found["reason"]) == (ABSENT, "one cycle")


def test_multiple_imputation_stands_beside_missing_as_such_where_it_was_asked_for(run_folder: Path) -> None:
    assert find_table(temporal(RunFolder(run_folder)), "imputation") is None
    record = {
        "set": "cross-validated", "metric": "auroc", "estimate": 0.8, "low": 0.78, "high": 0.82, "pooled": 0.801,
        "pooled_se": 0.01, "between": 0.04, "difference": 0.001, "difference_low": -0.002, "difference_high": 0.004,
    }  # fmt: skip
    about = {"model": "xgboost", "imputations": 5, "people_with_gaps": 120, "people": 400, "cells_missing": 0.061}
    write_json(run_folder / "imputation.json", {**about, "records": [record]})
    table = find_table(temporal(RunFolder(run_folder)), "imputation")
    assert table is not None
    (line,) = table["rows"]
    assert line["cells"][:2] == ["cross-validated", "AUROC"]
    assert line["cells"][3] == "0.801"
    assert line["cells"][-1] == "4 %"
