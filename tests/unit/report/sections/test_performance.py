"""Groups and thresholds in the report: every number with its interval, small groups greyed, absent ones named.

The tables of published scores: each that was evaluated, with what was published, and why others were not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.report.formats import percent
from mgrisk.report.sections.performance import (
    RECALIBRATED,
    compare_net_benefit,
    groups_table,
    net_benefits,
    score_blocks,
    thresholds_table,
)
from mgrisk.riskscores.scores import load_score
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import read_json

HELD_OUT = "2017-2018"
Edit = Callable[[str, Callable[[Any], Any]], None]


def test_every_group_of_the_evaluation_has_its_row(run_folder: Path) -> None:
    records = [r for r in read_json(run_folder / "evaluation.json") if (r["set"], r["group"]) == (HELD_OUT, "sex")]
    table = groups_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    for level in {record["level"] for record in records}:
        (line,) = (row for row in table["rows"] if row["raw"].get("level") == level)
        expected = {r["metric"]: r for r in records if r["level"] == level and r["model"] == "spline_logistic"}
        assert line["raw"]["metrics"] == expected
        assert line["cells"][1:3] == [str(expected["auroc"]["n"]), str(expected["auroc"]["events"])]


def test_a_group_whose_feature_the_run_has_not_is_there_and_says_so(run_folder: Path) -> None:
    table = groups_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    place = next(i for i, row in enumerate(table["rows"]) if row["cells"][0] == "Family income")
    absent = table["rows"][place + 1]
    assert absent["pale"]
    assert absent["cells"][1] == "not asked"
    assert set(absent["cells"][2:]) == {""}


def test_a_group_that_would_not_be_printed_is_greyed_and_its_numbers_marked(run_folder: Path, edit: Edit) -> None:
    def keep_back(records: list[dict[str, Any]]) -> None:
        for record in records:
            if record["group"] == "sex" and record["metric"] in {"prevalence", "auroc"}:
                record["presentation"] = "suppress:width" if record["level"] == "female" else "present"

    edit("evaluation.json", keep_back)
    table = groups_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    female, male = (next(r for r in table["rows"] if r["raw"].get("level") == name) for name in ("female", "male"))
    assert female["pale"]
    assert female["cells"][0] == "female (too few to judge)"
    assert female["cells"][4].endswith("*")
    assert not male["pale"]


def test_thresholds_are_those_of_the_file_with_how_they_came_about(run_folder: Path) -> None:
    table = thresholds_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    rules = [(row["raw"]["rule"], row["cells"][0]) for row in table["rows"] if "rule" in row["raw"]]
    assert ("risk 0.05", "From a risk of 5.0 %".replace(" %", "\u00a0%")) in rules
    assert ("published cut", "From 5 points, the published cut") in rules
    assert any(rule == "sensitivity 0.9" and "in development" in shown for rule, shown in rules)


@pytest.fixture
def blocks(finished_run: Path) -> list[dict[str, Any]]:
    return score_blocks(RunFolder(finished_run), "cross-validated", CROSS_VALIDATED)


def rows(blocks: list[dict[str, Any]], name: str) -> list[list[str]]:
    (found,) = [block for block in blocks if block.get("id") == f"cross-validated-{name}"]
    return [row["cells"] for row in found["rows"]]


def test_each_score_ranks_beside_the_model_with_what_was_published_of_it(
    blocks: list[dict[str, Any]], finished_run: Path
) -> None:
    found = {cells[0]: cells[1:] for cells in rows(blocks, "scores")}
    evaluated = RunFolder(finished_run).scores.where(evaluated=True)
    assert set(found) == {score.label for score in evaluated}
    ada = evaluated.one(name="ada")
    assert ada.sets is not None
    auroc, less, unanswered, published = found["ADA risk test"]
    assert "(" in auroc
    assert less.startswith(("+", "−", "0"))
    assert unanswered == percent(ada.sets["development"].unanswered)
    assert "0.77 (NHANES 2009-2012" in published
    assert found["USPSTF 2021 criteria"][3] == "not found"


def test_a_recalibrated_score_has_its_calibration_and_points_have_none(blocks: list[dict[str, Any]]) -> None:
    shown = [cells[0] for cells in rows(blocks, "score-calibration")]
    assert "ADA risk test, recalibrated" in shown
    assert "ADA risk test" not in shown


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
    assert "Framingham Offspring, simple clinical: not evaluated, because its input" in str(blocks[-1])


def test_net_benefit_is_that_against_the_recalibrated_score_in_words_that_claim_no_more(run_folder: Path) -> None:
    found = net_benefits(RunFolder(run_folder), HELD_OUT)
    assert [(each.reference, each.metric) for each in found] == [
        (RECALIBRATED, "net_benefit@0.05"), (RECALIBRATED, "net_benefit@0.1"),
    ]  # fmt: skip
    above = replace(found[0], estimate=0.01, low=0.001, high=0.02)
    unknown = replace(found[1], estimate=0.01, low=-0.01, high=0.02)
    score = "Net benefit against the recalibrated ADA risk test: "
    assert compare_net_benefit([above, unknown]) == f"{score}above at 5\u00a0%, not shown to differ at 10\u00a0%."
    below = replace(above, estimate=-0.01, low=-0.02, high=-0.001)
    assert compare_net_benefit([below, replace(below, metric="net_benefit@0.1")]) == (
        f"{score}below at 5\u00a0% and 10\u00a0%."
    )
    assert compare_net_benefit([replace(above, low=None, high=None)]) == f"{score}not shown to differ at 5\u00a0%."
    assert compare_net_benefit([]) == ""


def test_at_risk_thresholds_stands_the_recalibrated_score_and_points_at_their_own_cut(run_folder: Path) -> None:
    rows = thresholds_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")["rows"]
    rules: dict[str, list[str]] = {}
    for line in rows:
        if "model" in line["raw"]:
            model = line["raw"]["model"]
        else:
            rules.setdefault(model, []).append(line["raw"]["rule"])
    assert set(rules) == {"spline_logistic", "ada", RECALIBRATED}
    assert "risk 0.1" in rules[RECALIBRATED]
    assert "published cut" in rules["ada"]
    assert not any(rule.startswith("risk") for rule in rules["ada"])
