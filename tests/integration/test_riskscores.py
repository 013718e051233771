"""Published scores in a SYNTHETIC run: which are evaluated, their names, and their recalibration."""

from __future__ import annotations

import json

import pandas as pd

from mgrisk.pipeline.finished import Run

RANKING = {"ada", "cdc", "findrisc", "leicester", "ausdrisk", "uspstf"}
PUBLISHED = {f"{name}:published" for name in ("findrisc", "leicester", "ausdrisk")}
RECALIBRATED = {
    *(f"{name}:logistic" for name in (*RANKING, "cambridge")),
    *(f"{name}:intercept" for name in ("findrisc", "leicester", "ausdrisk", "cambridge")),
}


def about(run: Run) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads((run.folder / "scores.json").read_text("utf-8"))}


def test_every_score_is_evaluated_or_says_why_it_is_not(small_run: Run) -> None:
    found = about(small_run)
    assert set(found) == {*RANKING, "cambridge", "framingham"}
    assert [name for name, row in found.items() if not row["evaluated"]] == ["framingham"]
    assert "defines the outcome" in str(found["framingham"]["problem"])
    table = small_run.evaluation.frame()
    for set_name in ("cross-validated", "2017-2018"):
        of_set = table[table["set"] == set_name]
        assert set(of_set.loc[of_set["metric"] == "auroc", "model"]) == {
            "spline_logistic", "xgboost", "cambridge", *RANKING, *PUBLISHED, *RECALIBRATED,
        }  # fmt: skip
        assert not RANKING & set(of_set.loc[of_set["metric"] == "brier", "model"])


def of_everybody(run: Run) -> pd.DataFrame:
    """Return the records that are of no group of people."""
    table = run.evaluation.frame()
    return table[table["group"] == "all"]


def test_the_records_have_the_same_people_for_every_score(small_run: Run) -> None:
    table = of_everybody(small_run)
    assert (table.groupby("set")[["n", "events"]].nunique() == 1).all(axis=None)


def test_recalibration_brings_development_risks_to_the_cases_and_keeps_the_ranking(small_run: Run) -> None:
    table = of_everybody(small_run)
    found = table[table["set"] == "cross-validated"].pivot(index="model", columns="metric", values="estimate")
    assert found.loc[sorted(RECALIBRATED), "observed_expected"].between(0.93, 1.07).all()
    slopes = found.loc[[name for name in RECALIBRATED if name.endswith("logistic")], "calibration_slope"]
    assert slopes.drop("uspstf:logistic").between(0.85, 1.15).all()
    held_out = table[(table["set"] == "2017-2018") & (table["metric"] == "auroc")].set_index("model")["estimate"]
    for name in (*RANKING, "cambridge"):
        assert held_out[f"{name}:logistic"] == held_out[name]


def test_predictions_hold_every_score_of_every_person(small_run: Run) -> None:
    predictions = pd.read_parquet(small_run.folder / "predictions.parquet")
    assert predictions[sorted({*RANKING, *PUBLISHED, *RECALIBRATED})].notna().all(axis=None)


def test_a_told_of_high_glucose_is_read_for_scores_and_never_by_the_model(small_run: Run) -> None:
    assert "high_glucose_told" in pd.read_parquet(small_run.folder / "features.parquet")
    bundle = json.loads((small_run.bundle / "bundle.json").read_text("utf-8"))
    assert "high_glucose_told" not in {row["name"] for row in bundle["features"]}
