from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from mgrisk.artifacts import write_parquet
from mgrisk.report.blocks import blocks_of, find_section, find_table
from mgrisk.report.content import report_content

Edit = Callable[[str, Callable[[Any], Any]], None]


def groups(folder: Path) -> dict[str, Any]:
    return find_section(report_content(folder), "drivers-groups")


def test_groups_stand_largest_first_beside_the_sum_of_their_features(run_folder: Path) -> None:
    (figure,) = blocks_of({"sections": [groups(run_folder)]}, "figure")
    assert [bar["group"] for bar in figure["data"]["bars"]] == ["background", "magnesium", "diet"]
    assert figure["table"]["rows"][1]["cells"] == [
        "Magnesium, all features together", "Magnesium, total, Magnesium from food and drink",
        "0.300 (0.280 to 0.320)", "0.270",
    ]  # fmt: skip


def test_features_that_travel_together_are_named_with_their_correlation(run_folder: Path) -> None:
    part = groups(run_folder)
    found = find_table(part, "travel")
    assert found is not None
    assert {tuple(line["cells"][:2]) for line in found["rows"]} == {
        ("Magnesium, total", "Magnesium from food and drink"), ("Magnesium, total", "Energy intake"),
        ("Magnesium from food and drink", "Energy intake"),
    }  # fmt: skip
    (warning,) = [block["text"] for block in part["blocks"] if block["kind"] == "callout"]
    assert warning.startswith("Do not read one of these alone: Magnesium")
    assert "Age" not in warning.split(".")[0]


def test_where_nothing_travels_together_that_is_said(run_folder: Path) -> None:
    table = pd.read_parquet(run_folder / "features.parquet")
    alone = table.assign(
        energy_kcal=2000.0, magnesium_food_mg=300.0, magnesium_supplement_mg=0.0, magnesium_total_mg=300.0
    )
    write_parquet(run_folder / "features.parquet", alone)
    assert any("No two numbers" in block.get("text", "") for block in groups(run_folder)["blocks"])


def test_pairs_of_an_additive_model_are_those_of_another_learner_and_said_to_be(run_folder: Path) -> None:
    part = groups(run_folder)
    found = find_table(part, "pairs-xgboost")
    assert found is not None
    assert found["rows"][0]["cells"] == ["Age × Sex", "0.030 (0.020 to 0.040)"]
    assert any("no pair works together in it" in block.get("text", "") for block in part["blocks"])


def test_pairs_that_could_not_be_computed_say_why(edit: Edit, run_folder: Path) -> None:
    problem = [{"learner": "xgboost", "problem": "the trees are too deep"}]
    edit("explanation_summary.json", lambda summary: {**summary, "interactions": problem})
    texts = [block.get("text", "") for block in groups(run_folder)["blocks"]]
    assert "Pairs of XGBoost: not computed, because the trees are too deep." in texts
