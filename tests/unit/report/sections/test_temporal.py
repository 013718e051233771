"""Cycles left out and inputs taken away, as the report says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.run_folder.reader import RunFiles

from mgrisk.report.blocks import ABSENT, find_table
from mgrisk.report.sections.temporal import temporal
from mgrisk.storage.files import write_json


def test_each_cycle_and_each_pattern_stands_with_its_calibration(run_folder: Path) -> None:
    found = temporal(RunFiles(run_folder))
    cycles, missing = find_table(found, "left-out-cycles"), find_table(found, "missing-inputs")
    assert cycles is not None
    assert missing is not None
    assert [line["cells"][:2] for line in cycles["rows"]] == [["2007-2008", "60"], ["2009-2010", "60"]]
    assert [line["cells"][0] for line in missing["rows"]] == ["Nothing", "Physical activity"]
    assert missing["rows"][0]["cells"][-1] == "–"
    assert missing["rows"][1]["cells"][-1].startswith("1.010")
    (warning,) = (block for block in found["blocks"] if block["kind"] == "callout")
    assert "Missing: Physical activity." in warning["text"]
    assert "too high by 25 %" in warning["text"]


def test_a_run_of_one_cycle_says_why_there_is_nothing(
    run_folder: Path, edit: Callable[[str, Callable[[Any], Any]], None]
) -> None:
    edit("temporal.json", lambda content: {**content, "reason": "one cycle", "cycles": [], "missing_inputs": []})
    found = temporal(RunFiles(run_folder))
    assert (found["status"], found["reason"]) == (ABSENT, "one cycle")


def test_multiple_imputation_stands_beside_missing_as_such_where_it_was_asked_for(run_folder: Path) -> None:
    assert find_table(temporal(RunFiles(run_folder)), "imputation") is None
    record = {
        "set": "cross-validated", "metric": "auroc", "estimate": 0.8, "low": 0.78, "high": 0.82, "pooled": 0.801,
        "pooled_se": 0.01, "between": 0.04, "difference": 0.001, "difference_low": -0.002, "difference_high": 0.004,
    }  # fmt: skip
    about = {"model": "xgboost", "imputations": 5, "people_with_gaps": 120, "people": 400, "cells_missing": 0.061}
    write_json(run_folder / "imputation.json", {**about, "records": [record]})
    table = find_table(temporal(RunFiles(run_folder)), "imputation")
    assert table is not None
    (line,) = table["rows"]
    assert line["cells"][:2] == ["cross-validated", "AUROC"]
    assert line["cells"][3] == "0.801"
    assert line["cells"][-1] == "4 %"
