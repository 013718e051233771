from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.report.blocks import find_section, find_table
from mgrisk.report.content import report_content

Edit = Callable[[str, Callable[[Any], Any]], None]


def story(folder: Path) -> dict[str, Any]:
    return find_section(report_content(folder), "drivers-story")


def cells(part: dict[str, Any], name: str) -> list[list[str]]:
    found = find_table(part, name)
    assert found is not None
    return [line["cells"] for line in found["rows"]]


def test_ranks_stand_with_their_range(run_folder: Path) -> None:
    assert cells(story(run_folder), "ranks")[:2] == [
        ["Age", "1", "1 to 2", "100\u00a0%", "1 to 4"],
        ["Sex", "2", "1 to 3", "50\u00a0%", "1 to 4"],
    ]


def test_other_learners_are_compared_and_disagreement_is_said(edit: Edit, run_folder: Path) -> None:
    part = story(run_folder)
    assert cells(part, "agreement") == [["XGBoost", "70\u00a0%", "80\u00a0%", "0.90", "0.95"]]
    assert cells(part, "agreement-features")[1] == ["Sex", "not used"]
    assert "another one that predicts as well may differ" in part["blocks"][0]["text"]
    edit("explanation_summary.json", lambda s: {**s, "agreement": [{**s["agreement"][0], "same_first": 0.9}]})
    assert "may differ" not in story(run_folder)["blocks"][0]["text"]


def test_of_several_learners_it_is_said_who_keeps_the_reason_in_all(edit: Edit, run_folder: Path) -> None:
    edit("explanation_summary.json", lambda s: {**s, "agreement": [s["agreement"][0], s["agreement"][0]]})
    text = story(run_folder)["blocks"][0]["text"]
    assert "70\u00a0% of the population have the same first reason by all 3 learners." in text


def test_a_single_learner_has_nobody_to_agree_with(edit: Edit, run_folder: Path) -> None:
    edit("explanation_summary.json", lambda summary: {**summary, "agreement": [], "across_learners": None})
    part = story(run_folder)
    assert "one learner" in part["blocks"][0]["text"]
    assert find_table(part, "agreement") is None


def test_a_subgroup_of_few_people_shows_no_number(run_folder: Path) -> None:
    found = find_table(story(run_folder), "subgroups-sex")
    assert found is not None
    assert [column["label"] for column in found["columns"]] == ["Feature", "female (n = 120)", "male (n = 12)"]
    assert found["rows"][0]["cells"] == ["Age", "0.40 (0.40 to 0.40)", "too few"]
