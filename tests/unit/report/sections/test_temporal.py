"""Cycles left out of the fit and absent inputs in the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.report.blocks import ABSENT, find_table
from mgrisk.report.formats import interval
from mgrisk.report.sections.temporal import temporal
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import write_json

Edit = Callable[[str, Callable[[Any], Any]], None]


def test_each_cycle_and_each_pattern_stands_with_its_calibration(run_folder: Path, edit: Edit) -> None:
    def too_high_without_diet(content: dict[str, Any]) -> None:
        for record in content["patterns"]:
            if record["metric"] == "observed_expected":
                estimate = 0.8 if record["pattern"] == "diet" else 1.01
                record.update(estimate=estimate, low=estimate - 0.1, high=estimate + 0.1)
            if (record["pattern"], record["metric"]) == ("diet", "auroc"):
                record.update(refitted_auroc=0.7125)

    edit("temporal.json", too_high_without_diet)
    found = temporal(RunFolder(run_folder))
    cycles, missing = find_table(found, "left-out-cycles"), find_table(found, "missing-inputs")
    assert cycles is not None
    assert missing is not None
    assert [line["cells"][:2] for line in cycles["rows"]] == [
        [each.cycle, str(each.events)] for each in RunFolder(run_folder).temporal.cycles if each.metric == "auroc"
    ]
    # In percentage points, as everywhere in the report.
    assert [line["cells"][-1] for line in cycles["rows"]] == [
        interval(each, digits=2, share=True) for each in RunFolder(run_folder).temporal.cycles if each.metric == "ici"
    ]
    assert [line["cells"][0] for line in missing["rows"]] == [
        "All inputs", "Without diet and magnesium", "Without magnesium from supplements",
        "Absent: Magnesium from food and drink", "Absent: Energy intake",
    ]  # fmt: skip
    assert missing["rows"][1]["cells"][2] == "0.713"
    assert missing["rows"][1]["cells"][4].startswith("0.800")
    (warning,) = (block for block in found["blocks"] if block["kind"] == "callout")
    assert warning["text"].startswith("Without diet and magnesium: observed / expected 0.800")
    assert "too high by 25 %" in warning["text"]


def test_inputs_drawn_at_random_are_told_by_how_far_they_go(run_folder: Path, edit: Edit) -> None:
    assert "drawn at random" not in str(temporal(RunFolder(run_folder)))

    def drawn(content: dict[str, Any]) -> None:
        metrics = {each["metric"]: each for each in content["patterns"] if each["pattern"] == "nothing"}
        for number, (auroc, slope, ratio) in enumerate([(0.8, 0.93, 0.98), (0.77, 1.02, 1.04)]):
            about = {"pattern": f"random_{number}", "label": "drawn", "kind": "random", "refitted_auroc": 0.78}
            for metric, value in (("auroc", auroc), ("calibration_slope", slope), ("observed_expected", ratio)):
                content["patterns"].append({**metrics[metric], **about, "estimate": value})

    edit("temporal.json", drawn)
    found = temporal(RunFolder(run_folder))
    missing = find_table(found, "missing-inputs")
    assert missing is not None
    assert not any(line["cells"][0] == "drawn" for line in missing["rows"])
    (said,) = (block["text"] for block in found["blocks"] if block["kind"] == "text" and "random" in block["text"])
    assert said.startswith("Range over 2 random sets of missing inputs: AUROC minus that of the refitted model")
    assert "0.0200" in said
    assert "calibration slope 0.93 to 1.02, observed / expected 0.98 to 1.04." in said


def test_a_run_of_one_cycle_says_why_there_is_nothing(run_folder: Path, edit: Edit) -> None:
    edit("temporal.json", lambda content: {**content, "reason": "one cycle", "cycles": [], "patterns": []})
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
