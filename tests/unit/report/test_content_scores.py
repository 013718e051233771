"""The tables of published scores: each that was evaluated, with what was published, and why others were not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.report.content_scores import score_blocks
from mgrisk.report.run_files import RunFiles
from mgrisk.riskscores.scores import load_score


@pytest.fixture
def blocks(finished_run: Path) -> list[dict[str, Any]]:
    return score_blocks(RunFiles(finished_run), "cross-validated", CROSS_VALIDATED)


def rows(blocks: list[dict[str, Any]], name: str) -> list[list[str]]:
    (found,) = [block for block in blocks if block.get("id") == f"cross-validated-{name}"]
    return [row["cells"] for row in found["rows"]]


def test_each_score_ranks_beside_the_model_with_what_was_published_of_it(blocks: list[dict[str, Any]]) -> None:
    found = {cells[0]: cells[1:] for cells in rows(blocks, "scores")}
    assert set(found) == {"ADA risk test", "USPSTF 2021 criteria"}
    auroc, less, unanswered, published = found["ADA risk test"]
    assert "(" in auroc
    assert less.startswith(("+", "−", "0"))
    assert unanswered.startswith("5.1")
    assert "0.77 (NHANES 2009-2012" in published
    assert found["USPSTF 2021 criteria"][3] == "not found"


def test_a_recalibrated_score_has_its_calibration_and_points_have_none(blocks: list[dict[str, Any]]) -> None:
    assert [cells[0] for cells in rows(blocks, "score-calibration")] == ["ADA risk test, recalibrated"]


def test_at_a_published_cut_the_figure_here_stands_beside_each_that_was_published(blocks: list[dict[str, Any]]) -> None:
    found = rows(blocks, "score-cuts")
    ada = [cells for cells in found if cells[0] == "ADA risk test, from 5"]
    assert [(cells[1], cells[3]) for cells in ada] == [
        (metric, getattr(row, metric))
        for row in load_score("ada").published
        if row.cut
        for metric in ("sensitivity", "specificity")
    ]
    (uspstf, _) = [cells for cells in found if cells[0] == "USPSTF 2021 criteria, from 1"]
    assert uspstf[3:] == ["", "not found"]


def test_a_score_that_was_not_evaluated_says_why(blocks: list[dict[str, Any]]) -> None:
    assert "not evaluated, because it is in this test" in str(blocks[-1])
