"""Curves in the report belong to the right model and set, and agree with the evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.report.blocks import blocks_of, find_section
from mgrisk.report.content import report_content
from mgrisk.report.formats import interval, model_label, number
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import read_json, write_json

SETS = {"held-out": "2017-2018", "cross-validated": CROSS_VALIDATED}


def figure(run_folder: Path, section: str, kind: str) -> dict[str, Any]:
    part = find_section(report_content(run_folder), "performance")
    blocks = blocks_of({"sections": [part]}, "figure")
    found: dict[str, Any] = next(block for block in blocks if block["id"] == f"{section}-{kind}")
    return found


@pytest.fixture(autouse=True)
def _curves_that_differ_by_set_and_model(run_folder: Path) -> None:
    """Shift what the evaluation says by set and model, so that no two figures are of the same numbers."""
    records = read_json(run_folder / "evaluation.json")
    models = sorted({row["model"] for row in records})
    for row in records:
        if row["metric"] == "auroc" and row["group"] == "all":
            row["estimate"] -= 0.01 * models.index(row["model"]) + 0.1 * (row["set"] == CROSS_VALIDATED)
    write_json(run_folder / "evaluation.json", records)
    content = read_json(run_folder / "curves.json")
    for curves in content["sets"][CROSS_VALIDATED].values():
        if "calibration" in curves:
            curves["calibration"]["observed"] = [0.9 * each for each in curves["calibration"]["observed"]]
            curves["decision"]["all"] = [each - 0.01 for each in curves["decision"]["all"]]
    write_json(run_folder / "curves.json", content)


@pytest.mark.parametrize("section", SETS)
def test_a_roc_curve_is_labelled_with_its_models_own_auroc_and_the_winner_is_marked(
    run_folder: Path, section: str
) -> None:
    winner = read_json(run_folder / "tuning.json")["winner"]
    curves = figure(run_folder, section, "roc")["data"]["curves"]
    assert len(curves) > 1
    assert [curve["model"] for curve in curves if curve["chosen"]] == [winner]
    wanted = {"set": SETS[section], "metric": "auroc", "group": "all"}
    for curve in curves:
        row = RunFolder(run_folder).evaluation.one(**wanted, model=curve["model"])
        assert curve["label"] == f"{model_label(curve['model'])} {interval(row)}"


@pytest.mark.parametrize("section", SETS)
def test_calibration_and_decision_curves_are_those_of_the_set(run_folder: Path, section: str) -> None:
    winner = read_json(run_folder / "tuning.json")["winner"]
    curves = read_json(run_folder / "curves.json")["sets"][SETS[section]][winner]
    assert figure(run_folder, section, "calibration")["data"]["smooth"]["observed"] == curves["calibration"]["observed"]
    rows = figure(run_folder, section, "decision")["table"]["rows"]
    shown = [row["cells"][-1] for row in rows]
    assert shown == [number(1000 * each, digits=1) for each in curves["decision"]["all"]]
    assert shown != [number(1000 * each, digits=1) for each in curves["decision"]["model"]]


@pytest.mark.parametrize("section", SETS)
def test_precision_is_the_positive_predictive_value_of_the_thresholds_that_find_so_many(
    run_folder: Path, section: str
) -> None:
    run = RunFolder(run_folder)
    found = figure(run_folder, section, "precision-recall")
    curve = next(each for each in found["data"]["curves"] if each["chosen"])
    records = run.thresholds.where(set=SETS[section], model=run.winner)
    for rule in ("risk 0.05", "risk 0.1"):
        sensitivity, ppv = (records.one(rule=rule, metric=metric).value for metric in ("sensitivity", "ppv"))
        # The curve is thinned, and with the same sensitivity it has many a precision: one of its points is near.
        away = min(abs(x - sensitivity) + abs(y - ppv) for x, y in zip(curve["x"], curve["y"], strict=True))
        assert away < 0.01
    wanted = {"set": SETS[section], "metric": "prevalence", "group": "all"}
    assert found["data"]["chance"] == run.evaluation.one(**wanted, model=run.winner).estimate
