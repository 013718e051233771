"""The model's own answer to changed inputs stands under Prediction, as what it is, and not where nobody asked."""

from __future__ import annotations

from pathlib import Path

from mgrisk.report.content_response import responses
from mgrisk.report.run_files import RunFiles


def test_the_table_has_the_risk_as_is_and_each_change_and_says_that_it_is_no_effect(run_folder: Path) -> None:
    (block,) = responses(RunFiles(run_folder))
    assert "no effect" in block["caption"]
    cells = [line["cells"] for line in block["rows"]]
    assert cells[0] == ["As they are", "8.0\xa0%"]
    assert len(cells) == 7
    assert all(line[1] == "7.0\xa0%" for line in cells[1:])
    assert "the day they were seen" in block["notes"][0]


def test_a_run_without_options_has_no_table(run_folder: Path) -> None:
    (run_folder / "what_if.json").unlink()
    assert responses(RunFiles(run_folder)) == []
