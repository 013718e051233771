"""

The model's own answer to changed inputs stands under Prediction, as what it is, and not where nobody asked.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mgrisk.run_folder.reader import RunFiles

from mgrisk.evidence.what_if import STUDIES
from mgrisk.report.blocks import find_table
from mgrisk.report.sections.published import published, responses


def words(part: dict[str, Any]) -> str:
    return str(part["blocks"])


def test_our_estimate_stands_beside_the_cohorts(run_folder: Path) -> None:
    part = published(RunFiles(run_folder))
    (forest,) = (block for block in part["blocks"] if block["kind"] == "figure")
    kinds = [point["kind"] for point in forest["data"]["points"]]
    assert kinds.count("relative risk of new diabetes") == 3
    assert kinds.count("odds ratio of undiagnosed diabetes, this run") == 2
    assert "Differences in design" in forest["caption"]


def test_without_estimates_of_its_own_the_literature_still_stands(run_folder: Path) -> None:
    (run_folder / "evidence.json").unlink()
    (run_folder / "what_if.json").unlink()
    part = published(RunFiles(run_folder))
    (forest,) = (block for block in part["blocks"] if block["kind"] == "figure")
    assert len(forest["data"]["points"]) == 3
    assert "no estimate of its own" in forest["caption"]
    assert not any(str(block.get("id", "")).startswith("options") for block in part["blocks"])


def test_every_study_is_in_a_table_with_its_citation(run_folder: Path) -> None:
    part = published(RunFiles(run_folder))
    tables = [find_table(part, name) for name in ("published-cohorts", "published-trials")]
    cited = {line["cells"][5] for table in tables if table for line in table["rows"]}
    assert cited == {study.citation for study in STUDIES.values()}


def test_a_person_gets_swaps_in_grams_and_no_supplement_number_where_a_clinician_is_asked(run_folder: Path) -> None:
    table = find_table(published(RunFiles(run_folder)), "options-man-52")
    assert table is not None
    by_option = {line["cells"][0]: line["cells"][1:] for line in table["rows"]}
    assert by_option["Reach the allowance of magnesium by a supplement"] == ["ask a clinician first", "–"]
    assert by_option["Reach the allowance of magnesium by food"][0] == "120.0 mg/d"
    assert "in place of" in table["notes"][1]
    assert "8.0\u00a0%" in table["notes"][0]


def test_assumptions_are_named_and_nothing_is_promised(run_folder: Path) -> None:
    text = words(published(RunFiles(run_folder)))
    for word in ("Transport", "Independence", "not the model's own answer"):
        assert word in text
    promises = re.findall(r"[^.]*magnesium prevents[^.]*", text)
    assert promises
    assert all("Neither says that" in promise for promise in promises)


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
