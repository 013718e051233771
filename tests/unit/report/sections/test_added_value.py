"""What magnesium adds, in the report: every difference with its interval, and no more said than it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mgrisk.run_folder.reader import RunFiles

from mgrisk.report.blocks import ABSENT, find_table
from mgrisk.report.sections.added_value import added_value

Edit = Callable[[str, Callable[[Any], Any]], None]


def test_each_question_has_its_differences_on_both_sets(run_folder: Path) -> None:
    table = find_table(added_value(RunFiles(run_folder)), "added-value-table")
    assert table is not None
    assert [line["cells"][0] for line in table["rows"]] == [
        "Development, cross-validated", "magnesium, beside everything else",
        "Held-out 2017–2018", "magnesium, beside everything else",
    ]  # fmt: skip
    assert table["rows"][1]["cells"][1] == "+0.0021 (−0.0012 to 0.0054)"
    assert table["rows"][1]["cells"][3] == "+2.10 (−1.20 to 5.40)"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-0.001, 0.005, "is not shown"), (0.001, 0.005, "people better: +"), (-0.006, -0.001, "people worse")],
)
def test_the_sentence_says_what_the_interval_shows(
    low: float, high: float, said: str, run_folder: Path, edit: Edit
) -> None:
    def change(content: dict[str, Any]) -> None:
        for record in content["records"]:
            record.update(low=low, high=high)

    edit("added_value.json", change)
    assert said in added_value(RunFiles(run_folder))["blocks"][0]["text"]


def test_a_model_without_magnesium_has_no_such_section_and_says_why(run_folder: Path, edit: Edit) -> None:
    edit(
        "added_value.json",
        lambda content: {**content, "reason": "the model has no feature of magnesium", "records": []},
    )
    found = added_value(RunFiles(run_folder))
    assert (found["status"], found["reason"]) == (ABSENT, "the model has no feature of magnesium")
