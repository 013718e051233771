"""Incremental value of magnesium in the report: every difference with its interval, in cautious words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mgrisk.evaluate.added_value import COMPARISONS
from mgrisk.report.blocks import ABSENT, find_table
from mgrisk.report.sections.added_value import added_value
from mgrisk.run_folder.folder import RunFolder

Edit = Callable[[str, Callable[[Any], Any]], None]
GAIN = {"estimate": 0.0021, "low": -0.0012, "high": 0.0054}


def test_each_question_has_its_differences_on_both_sets(run_folder: Path, edit: Edit) -> None:
    edit("added_value.json", lambda content: [record.update(GAIN) for record in content["records"]] and content)
    table = find_table(added_value(RunFolder(run_folder)), "magnesium-added-value-table")
    assert table is not None
    questions = [each.question for each in COMPARISONS]
    assert [line["cells"][0] for line in table["rows"]] == [
        "Development, cross-validated", *questions,
        "Held-out 2017–2018", *questions, "magnesium, by shuffling it in the fitted model",
    ]  # fmt: skip
    assert table["rows"][1]["cells"][1] == "+0.0021 (−0.0012 to 0.0054)"
    assert table["rows"][1]["cells"][3] == "+2.10 (−1.20 to 5.40)"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.001, 0.005, "no evidence that magnesium improves"),
        (0.001, 0.005, "Magnesium improves discrimination"),
        (-0.006, -0.001, "worse with magnesium"),
    ],
)
def test_the_sentence_says_what_the_interval_shows(
    low: float, high: float, said: str, run_folder: Path, edit: Edit
) -> None:
    def change(content: dict[str, Any]) -> None:
        for record in content["records"]:
            record.update(estimate=(low + high) / 2, low=low, high=high)

    edit("added_value.json", change)
    assert said in added_value(RunFolder(run_folder))["blocks"][0]["text"]


def test_a_model_without_magnesium_has_no_such_section_and_says_why(run_folder: Path, edit: Edit) -> None:
    edit(
        "added_value.json",
        lambda content: {**content, "reason": "the model has no feature of magnesium", "records": []},
    )
    found = added_value(RunFolder(run_folder))
    assert (found["status"], found["reason"]) == (ABSENT, "the model has no feature of magnesium")
