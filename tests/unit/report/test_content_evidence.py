from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mgrisk.artifacts import read_json
from mgrisk.errors import MgRiskError
from mgrisk.report.blocks import find_table
from mgrisk.report.content_evidence import association
from mgrisk.report.run_files import RunFiles

Edit = Callable[[str, Callable[[Any], Any]], None]


def sentences(part: dict[str, Any]) -> str:
    return " ".join(str(block.get("text", "")) + str(block.get("items", "")) for block in part["blocks"])


def test_the_ladder_shows_the_numbers_of_the_file(run_folder: Path) -> None:
    records = [
        r
        for r in read_json(run_folder / "evidence.json")
        if r["contrast"] == "per 100 mg/d" and r["analysis"] == "association"
    ]
    table = find_table(association(RunFiles(run_folder)), "ladder-food-corrected")
    assert table is not None
    shown = {name: value for line in table["rows"] for name, value in line["raw"].items()}
    theirs = {
        r["model"]: r["estimate"]
        for r in records
        if r["correction"] == "regression calibration" and r["exposure"] == "magnesium from food"
    }
    assert shown == theirs


def test_naive_stands_beside_corrected(run_folder: Path) -> None:
    part = association(RunFiles(run_folder))
    figures = [block for block in part["blocks"] if block["kind"] == "figure"]
    assert [block["id"] for block in figures[:2]] == ["ladder-undiagnosed", "ladder-homa_ir"]
    assert all("not an effect" in block["caption"] for block in figures)
    for block in figures[:2]:
        assert {point["kind"] for point in block["data"]["points"]} == {"naive", "corrected"}


def test_people_cycles_and_limits_are_said(run_folder: Path) -> None:
    said = sentences(association(RunFiles(run_folder)))
    assert "300 people with the weights of the fasting subsample, NHANES 2015–2018" in said
    assert "Nothing here says that magnesium prevents diabetes." in said
    assert "over-adjusted" in said


def test_an_estimate_that_could_not_be_made_is_shown_as_undefined(edit: Edit, run_folder: Path) -> None:
    def spoil(records: Any) -> None:
        for record in records:
            if record["outcome"] == "undiagnosed" and record["analysis"] == "association":
                record.update(estimate=None, low=None, high=None, problem="logistic.not_converged")

    edit("evidence.json", spoil)
    table = find_table(association(RunFiles(run_folder)), "ladder-food-corrected")
    assert table is not None
    assert table["rows"][0]["cells"][1] == "undefined (logistic.not_converged)"


def test_a_rung_that_is_not_there_is_an_error_with_its_name(edit: Edit, run_folder: Path) -> None:
    edit("evidence.json", lambda records: [r for r in records if r["model"] != "body"])
    with pytest.raises(MgRiskError, match="model body"):
        association(RunFiles(run_folder))
