"""Cycles left out and inputs taken away, as the report says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.report.blocks import ABSENT, find_table
from mgrisk.report.content_temporal import temporal
from mgrisk.report.run_files import RunFiles


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
