from __future__ import annotations

from pathlib import Path

from mgrisk.artifacts import read_json
from mgrisk.report.content_robustness import robustness_blocks


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


def test_without_records_there_is_nothing_to_say() -> None:
    assert robustness_blocks([]) == []
