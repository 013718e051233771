"""Thresholds in the report: those of the file with their origin, and adjustable ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mgrisk.report.sections.performance import RECALIBRATED
from mgrisk.report.sections.thresholds import threshold_slider, thresholds_table
from mgrisk.run_folder.folder import RunFolder

HELD_OUT = "2017-2018"


def test_thresholds_are_those_of_the_file_with_how_they_came_about(run_folder: Path) -> None:
    table = thresholds_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    rules = [(row["raw"]["rule"], row["cells"][0]) for row in table["rows"] if "rule" in row["raw"]]
    assert ("risk 0.05", "From a risk of 5.0 %".replace(" %", "\u00a0%")) in rules
    assert ("published cut", "From 5 points, the published cut") in rules
    assert any(rule == "sensitivity 0.9" and "in development" in shown for rule, shown in rules)


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


def test_a_threshold_that_is_moved_to_has_the_rates_of_the_evaluation(run_folder: Path) -> None:
    run = RunFolder(run_folder)
    block = threshold_slider(run, HELD_OUT, "held-out")
    points = {risk: rates for risk, *rates in json.loads(block["points"])}
    for risk in (0.02, 0.05, 0.1, 0.2):
        records = run.thresholds.where(set=HELD_OUT, model=run.winner, rule=f"risk {risk:g}")
        sensitivity, specificity = (records.one(metric=metric).value for metric in ("sensitivity", "specificity"))
        assert points[risk] == pytest.approx([sensitivity, 1.0 - specificity], abs=1e-5)
        positive = block["share"] * points[risk][0] + (1.0 - block["share"]) * points[risk][1]
        assert positive == pytest.approx(records.one(metric="flagged").value, abs=2e-5)
    assert list(points)[block["start"]] == 0.05
    assert block["last"] == len(points) - 1
