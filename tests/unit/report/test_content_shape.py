from __future__ import annotations

from pathlib import Path

from mgrisk.artifacts import read_json
from mgrisk.report.content_shape import curves, interaction_table, mediation_blocks


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
