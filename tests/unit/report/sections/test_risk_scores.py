"""Published scores in the report: those evaluated, with published results, and reasons for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.report.formats import interval, percent
from mgrisk.report.sections.risk_scores import score_blocks
from mgrisk.riskscores.scores import load_score
from mgrisk.run_folder.folder import RunFolder


@pytest.fixture
def blocks(finished_run: Path) -> list[dict[str, Any]]:
    return score_blocks(RunFolder(finished_run), "scores")


def rows(blocks: list[dict[str, Any]], name: str) -> list[list[str]]:
    (found,) = [block for block in blocks if block.get("id") == f"scores-{name}"]
    return [row["cells"] for row in found["rows"]]


def test_each_score_ranks_beside_the_model_with_what_was_published_of_it(
    blocks: list[dict[str, Any]], finished_run: Path
) -> None:
    found = {cells[0]: cells[1:] for cells in rows(blocks, "table")}
    evaluated = RunFolder(finished_run).scores.where(evaluated=True)
    assert set(found) == {score.label for score in evaluated}
    ada = evaluated.one(name="ada")
    assert ada.sets is not None
    auroc, again, minus, unanswered, published = found["ADA risk test"]
    of_ada = RunFolder(finished_run).evaluation.where(model="ada", metric="auroc", group="all")
    assert auroc == interval(of_ada.one(set="2017-2018"))
    assert again == interval(of_ada.one(set=CROSS_VALIDATED))
    assert minus.startswith(("+", "−", "0"))
    assert unanswered == percent(ada.sets["held-out"].unanswered)
    assert "0.77 (NHANES 2009-2012" in published
    assert found["USPSTF 2021 criteria"][4] == "not found"


def test_a_recalibrated_score_has_its_calibration_and_points_have_none(blocks: list[dict[str, Any]]) -> None:
    shown = [cells[0] for cells in rows(blocks, "calibration")]
    assert "ADA risk test, recalibrated" in shown
    assert "ADA risk test" not in shown


def test_at_a_published_cut_the_figure_here_stands_beside_each_that_was_published(blocks: list[dict[str, Any]]) -> None:
    found = rows(blocks, "cuts")
    ada = [cells for cells in found if cells[0] == "ADA risk test, from 5"]
    assert [(cells[1], cells[4]) for cells in ada] == [
        (metric, getattr(row, metric))
        for row in load_score("ada").published
        if row.cut
        for metric in ("sensitivity", "specificity")
    ]
    (uspstf, _) = [cells for cells in found if cells[0] == "USPSTF 2021 criteria, from 1"]
    assert uspstf[4:] == ["", "not found"]


def test_a_score_that_was_not_evaluated_says_why(blocks: list[dict[str, Any]]) -> None:
    assert "Framingham Offspring, simple clinical: not evaluated, because its input" in str(blocks[-1])
