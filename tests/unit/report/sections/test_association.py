from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mgrisk.run_folder.reader import RunFiles

from mgrisk.errors import MgRiskError
from mgrisk.report.blocks import find_table
from mgrisk.report.sections.association import (
    association,
    curves,
    interaction_table,
    mediation_blocks,
    robustness_blocks,
)
from mgrisk.storage.files import read_json


def test_a_curve_has_its_test_and_says_where_people_are(run_folder: Path) -> None:
    (figure,) = curves(read_json(run_folder / "evidence.json"))
    assert figure["data"]["x"] == [200.0, 300.0, 400.0]
    assert "F = 0.70, p = 0.51" in figure["caption"]
    assert "5 % eat less than 220 mg" in figure["caption"]
    assert len(figure["table"]["rows"]) == 3


def test_what_stays_after_correction_is_said_by_name(run_folder: Path) -> None:
    table, said = interaction_table(read_json(run_folder / "evidence.json"))
    assert said["text"].startswith("Of 1 tests, 1 stay below 0.05 after Holm's correction for their number: ")
    assert said["text"].endswith("Undiagnosed diabetes, Men: yes against no.")
    assert [line["cells"][4] for line in table["rows"]] == ["", "", "0.03"]


def test_parts_come_with_assumptions_and_with_what_cannot_be_told(run_folder: Path) -> None:
    blocks = mediation_blocks(read_json(run_folder / "evidence.json"))
    assert "body size (BMI, waist) 60\u00a0% (50\u00a0% to 70\u00a0%)" in blocks[0]["text"]
    assert any("one visit" in item for item in blocks[1]["items"])
    assert "cannot be told from this" in blocks[2]["text"]


def test_without_records_there_is_nothing_to_say() -> None:
    assert curves([]) == interaction_table([]) == mediation_blocks([]) == []


def said(run_folder: Path) -> str:
    return " ".join(str(block.get("text", "")) for block in robustness_blocks(read_json(run_folder / "evidence.json")))


def test_the_specification_curve_shows_all_of_them_sorted(run_folder: Path) -> None:
    (curve,) = (b for b in robustness_blocks(read_json(run_folder / "evidence.json")) if b["kind"] == "figure")
    estimates = [point["estimate"] for point in curve["data"]["points"]]
    assert estimates == sorted(estimates)
    assert len(estimates) == 12  # five rungs, naive and corrected, and two of the exclusions
    assert "12 lie below 1" in curve["caption"]
    assert "their number is no evidence" in curve["caption"]


def test_each_check_has_its_sentence_with_numbers(run_folder: Path) -> None:
    text = said(run_folder)
    assert "Undiagnosed diabetes from 0.70 to 0.70" in text
    assert "Undiagnosed diabetes 2.10 (of the limit 2.00)" in text
    assert "Close relative with diabetes, odds ratio 0.85 (0.75 to 0.95), an association" in text
    assert "told of diabetes less than 5 years ago +5 (5 to 5) mg/d (300 people)" in text


def test_without_records_there_is_nothing_to_say_content_robustness() -> None:
    assert robustness_blocks([]) == []


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
