"""Checks and replications in the report: findings come first, and counts are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mgrisk.evaluate.records import OPEN
from mgrisk.report.blocks import find_section, find_table
from mgrisk.report.content import report_content
from mgrisk.storage.files import read_json, write_json


def test_checks_with_a_finding_stand_before_those_that_passed(run_folder: Path) -> None:
    records = read_json(run_folder / "checks.json")
    found = next(each for each in records if each["passed"] is False)
    untold = {**found, "id": "MGR800", "passed": None, "status": OPEN, "finding": "0.34 (0.07 to 1.64)"}
    passed = [{**found, "id": f"MGR90{k}", "passed": True, "status": "passed", "finding": ""} for k in range(2)]
    write_json(run_folder / "checks.json", [passed[0], untold, found, passed[1]])
    section = find_section(report_content(run_folder), "checks")
    table = find_table(section, "checks-table")
    assert table is not None
    assert [row["cells"][0] for row in table["rows"]] == [found["id"], "MGR800", "MGR900", "MGR901"]
    assert [row["cells"][2] for row in table["rows"]] == [found["severity"], OPEN, "passed", "passed"]
    assert section["blocks"][0]["text"].startswith("4 checks: 1 failed, 1 that")


def test_published_figures_and_those_computed_again_in_r_are_counted_apart(run_folder: Path) -> None:
    # A run on made-up people asks none of them.
    asked = {**read_json(run_folder / "known_answers.json")[0], "passed": True, "estimate": 0.1, "problem": ""}
    again: list[dict[str, Any]] = [{**asked, "name": f"again-{k}", "kind": "recomputed"} for k in range(2)]
    others = [{**asked, "name": f"published-{k}", "kind": "published"} for k in range(3)]
    write_json(run_folder / "known_answers.json", [*again, *others])
    said = find_section(report_content(run_folder), "known")["blocks"][0]["text"]
    assert "3 published estimates and 2 computed with the R package survey" in said
