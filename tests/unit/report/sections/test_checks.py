"""TRIPOD+AI and PROBAST+AI in the report: every item with its answer and valid links."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.report.blocks import find_table
from mgrisk.report.sections.checks import reporting
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import write_json

ITEMS = [
    {
        "item": "1", "topic": "Title", "status": "done", "answer": "Said.", "source": "TRIPOD+AI",
        "evidence": ["report.html#summary", "evaluation.json"],
    },
    {
        "item": "2", "topic": "Abstract <script>", "status": "not done", "answer": "None.", "source": "TRIPOD+AI",
        "evidence": ["docs/decisions/0004.md"],
    },
]  # fmt: skip
QUESTIONS = [
    {
        "id": "development 1.1", "topic": "Sources", "answer": "yes", "reason": "NHANES.", "check": [],
        "source": "PROBAST+AI", "evidence": ["tables.json"],
    }
]  # fmt: skip


def test_every_item_stands_with_its_answer_and_its_evidence(tmp_path: Path) -> None:
    write_json(tmp_path / "tripod.json", ITEMS)
    write_json(tmp_path / "probast.json", QUESTIONS)
    found = reporting(RunFolder(tmp_path))
    assert "1 done, 1 not done of 2 items" in found["blocks"][0]["text"]
    assert "1 yes of 1 questions" in found["blocks"][0]["text"]
    tripod, probast = find_table(found, "tripod"), find_table(found, "probast")
    assert tripod is not None
    assert probast is not None
    assert [line["cells"][:4] for line in tripod["rows"]] == [
        ["1", "Title", "done", "Said."],
        ["2", "Abstract <script>", "not done", "None."],
    ]
    assert tripod["rows"][0]["links"] == [
        {"text": "#summary", "href": "#summary"},
        {"text": "evaluation.json", "href": "evaluation.json"},
    ]
    # A page of the repository does not lie beside the report.
    assert tripod["rows"][1]["links"] == [{"text": "docs/decisions/0004.md", "href": ""}]
    assert (tripod["rows"][0]["pale"], tripod["rows"][1]["pale"]) == (False, True)
    assert probast["rows"][0]["cells"][:4] == ["development 1.1", "Sources", "yes", "NHANES."]


def test_a_run_without_answers_has_no_such_section(tmp_path: Path) -> None:
    write_json(tmp_path / "tripod.json", ITEMS)
    with pytest.raises(MgRiskError, match=r"probast\.json"):
        reporting(RunFolder(tmp_path))
