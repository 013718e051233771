"""The whole pipeline on a small SYNTHETIC cohort: files, report, MLflow, reruns."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import mgrisk
from mgrisk.cli.main import command_line, main
from mgrisk.cli.run import result
from mgrisk.pipeline.finished import Run
from mgrisk.storage.files import sha256

DEMO = Path(__file__).parents[2] / "pipelines" / "demo.toml"
RUN_FOLDER = [
    "resolved.toml", "manifest.json", "attrition.json", "features.parquet", "cohort.parquet", "folds.parquet",
    "oof.parquet", "bundle", "known_answers.json", "evaluation.json", "explanations.parquet", "checks.json",
    "report.html", "card.md", "tracking.json", "added_value.json", "tripod.json", "probast.json",
    "stability.json", "stability.parquet", "temporal.json", "imputation.json",
]  # fmt: skip


def test_the_run_folder_holds_what_the_interface_names(small_run: Run) -> None:
    assert [name for name in RUN_FOLDER if not (small_run.folder / name).exists()] == []


def test_the_manifest_names_what_the_interface_has_and_the_run_has_not(small_run: Run) -> None:
    absent = json.loads((small_run.folder / "manifest.json").read_text("utf-8"))["absent"]
    assert set(absent) == {"evidence.json"}
    assert not any((small_run.folder / name).exists() for name in absent)


def test_every_output_says_synthetic(small_run: Run) -> None:
    folder = small_run.folder
    for path in folder.glob("*.json"):
        assert "SYNTHETIC" in path.read_text("utf-8"), path.name
    for path in folder.glob("*.parquet"):
        said = set(pd.read_parquet(path)["data"])
        # Nothing behind the label is learned in this run: a table of nobody.
        assert said == (set() if path.name == "targets.parquet" else {"SYNTHETIC"}), path.name
    for name in ("report.html", "card.md", "bundle/card.md", "bundle/bundle.json", "resolved.toml"):
        assert "SYNTHETIC" in (folder / name).read_text("utf-8"), name
    for path in (folder / "figures").glob("*.svg"):
        assert "SYNTHETIC" in path.read_text("utf-8"), path.name
    assert (folder / "synthetic" / "SYNTHETIC.txt").exists()


def test_a_run_ends_with_performance_its_interval_and_what_to_open(small_run: Run) -> None:
    head, *lines = result(small_run)
    assert head == "SYNTHETIC people: estimate (95 % interval)"
    rows = [line.split()[0] for line in lines if line.count(" to ")]
    assert {"spline_logistic", "xgboost", "ada"} <= set(rows)
    assert not any(":" in name for name in rows)
    table = small_run.evaluation.frame()
    chosen = table[(table["model"] == small_run.chosen) & (table["set"] == "2017-2018") & (table["group"] == "all")]
    (auroc,) = chosen[chosen["metric"] == "auroc"].to_dict("records")
    shown = "{estimate:.3f} ({low:.3f} to {high:.3f})".format(**auroc)
    assert [line for line in lines if line.startswith(small_run.chosen) and shown in line]
    *_, report, bundle, following = lines
    assert (report, bundle) == (
        f"report: {small_run.report} (open it in a browser)",
        f"bundle: {small_run.bundle}",
    )
    command = shlex.split(following.removeprefix("next: mgrisk "))
    assert command_line().parse_args(command).model == str(small_run.bundle)


def test_evaluation_has_every_model_on_both_sets_with_intervals(small_run: Run) -> None:
    table = small_run.evaluation.frame()
    auroc = table[(table["metric"] == "auroc") & (table["group"] == "all")]
    assert set(zip(auroc["model"], auroc["set"], strict=True)) >= {
        (model, name) for model in ("spline_logistic", "xgboost", "ada") for name in ("cross-validated", "2017-2018")
    }
    assert (auroc["low"] < auroc["estimate"]).all()
    assert (auroc["estimate"] < auroc["high"]).all()


def test_the_attrition_loses_nobody_unexplained(small_run: Run) -> None:
    rows = pd.DataFrame(json.loads((small_run.folder / "attrition.json").read_text("utf-8")))
    for _, steps in rows.groupby("set"):
        assert (steps["n"].iloc[:-1].to_numpy() - steps["excluded"].iloc[1:].to_numpy() == steps["n"].iloc[1:]).all()


def test_contributions_add_up_to_the_logit_of_the_reported_risk(small_run: Run) -> None:
    folder = small_run.folder
    explained = pd.read_parquet(folder / "explanations.parquet")
    winner = json.loads((folder / "tuning.json").read_text("utf-8"))["winner"]
    predicted = pd.read_parquet(folder / "predictions.parquet")
    held_out = explained[explained["set"] == "held-out"].merge(predicted[["SEQN", winner]], on="SEQN")
    besides = [
        "SEQN", "set", "data", "risk_low", "risk_high", "risk_low_inputs", "risk_high_inputs", "in_domain",
        "recall_share", winner,
    ]  # fmt: skip
    contributions = held_out.drop(columns=besides).sum(axis=1)
    risk = held_out[winner]
    assert len(held_out) > 150
    np.testing.assert_allclose(contributions, np.log(risk / (1 - risk)), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_second_run_does_nothing_and_a_changed_setting_only_what_depends_on_it(
    run_copy: Path, small_settings: tuple[str, ...]
) -> None:
    # The folder was copied, so that only the absolute path of the synthetic source differs: no step knows it.
    again = mgrisk.run(DEMO, overrides=small_settings, out=run_copy)
    assert again.steps == ()
    (run_copy / "report.html").write_text("half a repo", encoding="utf-8")
    mended = mgrisk.run(DEMO, overrides=small_settings, out=run_copy)
    assert mended.steps[0] == "report"
    assert "train" not in mended.steps


def test_the_bundle_tells_its_performance_on_held_out_people_with_the_digits_of_its_card(small_run: Run) -> None:
    about = json.loads((small_run.bundle / "bundle.json").read_text("utf-8"))
    found = about["performance"]
    assert found["set"] == "2017-2018"
    card = (small_run.bundle / "card.md").read_text("utf-8")
    low, middle, high = (f"{found['auroc'][place]:.3f}" for place in (1, 0, 2))
    assert f"| AUROC | {middle} ({low} to {high}) |" in card
    of_chosen = small_run.evaluation.where(model=about["learner"], set="2017-2018", group="all")
    assert found["observed_expected"][0] == round(of_chosen.one(metric="observed_expected").estimate, 2)


@pytest.mark.slow
def test_two_runs_make_the_same_bundle_to_the_byte(
    small_run: Run, tmp_path: Path, small_settings: tuple[str, ...]
) -> None:
    again = mgrisk.run(DEMO, overrides=small_settings, out=tmp_path / "again")
    assert sha256(again.bundle) == sha256(small_run.bundle)


def test_mlflow_holds_parameters_metrics_candidates_files_and_the_registered_bundle(small_run: Run) -> None:
    tracked = json.loads((small_run.folder / "tracking.json").read_text("utf-8"))
    client = mlflow.MlflowClient(tracking_uri=tracked["uri"])
    run = client.get_run(tracked["run_id"])
    assert run.data.params["cohort.folds"] == "3"
    assert run.data.tags["data"] == "SYNTHETIC"
    of_winner = small_run.evaluation.one(set="2017-2018", model=run.data.tags["winner"], metric="auroc")
    assert run.data.metrics["test_auroc"] == of_winner.estimate
    assert len(run.inputs.dataset_inputs) == 2
    files = {item.path for item in client.list_artifacts(tracked["run_id"])}
    assert {"report.html", "card.md", "figures", "evaluation.json"} <= files
    nested = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{tracked['run_id']}'")
    tuning = json.loads((small_run.folder / "tuning.json").read_text("utf-8"))
    assert len([each for each in nested if each.data.tags["kind"] == "setting"]) == len(tuning["candidates"]) == 3
    version = client.get_model_version_by_alias("mgrisk-demo-SYNTHETIC", "champion")
    assert int(version.version) == tracked["version"]


def test_the_logged_model_answers_like_the_bundle(small_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = json.loads((small_run.folder / "tracking.json").read_text("utf-8"))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    mlflow.set_tracking_uri(tracked["uri"])
    model = mlflow.pyfunc.load_model(f"models:/{tracked['model']}@{tracked['alias']}")
    people = pd.DataFrame({"age_years": [35.0, 71.0], "sex": ["female", "male"], "bmi_kg_m2": [22.0, 35.0]})
    expected = mgrisk.load_model(small_run.bundle).score(people)
    answer = model.predict(people)
    assert [column["name"] for column in model.metadata.metadata["columns"]][:2] == ["age_years", "sex"]
    np.testing.assert_array_equal(answer["risk"], expected["risk"])
    assert "SYNTHETIC" in answer["model"].iloc[0]


def test_registered_versions_and_the_report_are_found_from_the_command_line(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked = json.loads((small_run.folder / "tracking.json").read_text("utf-8"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracked["uri"])
    assert main(["models", "--format", "json"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out) if row["kind"] == "registry"]
    (row,) = (row for row in rows if "champion" in row["aliases"])
    assert (row["name"], row["version"]) == (f"{tracked['model']}@champion", tracked["version"])
    evaluation = small_run.evaluation.frame()
    held_out = evaluation[(evaluation["set"] == "2017-2018") & (evaluation["model"] == row["learner"])]
    assert row["auroc"] == held_out.loc[held_out["metric"] == "auroc", "estimate"].iloc[0]
    assert row["data"] == "SYNTHETIC"
    copy = tmp_path / "copy"
    shutil.copytree(small_run.folder, copy)
    (copy / "report.html").unlink()
    assert main(["report", str(copy)]) == 0
    # What came after the report in the run, TRIPOD+AI among it, is in the provenance now.
    page = (copy / "report.html").read_text("utf-8")
    assert "tripod.json" in page
    assert len(page) >= len(small_run.report.read_text("utf-8"))


def test_one_bundle_is_calibrated_whatever_inputs_are_absent(small_run: Run) -> None:
    scorer = mgrisk.load_model(small_run.folder / "trained" / "spline_logistic")
    people = pd.read_parquet(small_run.folder / "cohort.parquet")
    developed = people[(people["set"] == "development") & people["analysis"]]
    everybody = pd.read_parquet(small_run.folder / "features.parquet").merge(developed[["SEQN", "weight", "outcome"]])
    prevalence = np.average(everybody["outcome"], weights=everybody["weight"])
    given = everybody.drop(columns=["data", "SEQN", "weight", "outcome"])
    for kept in (list(given), ["age_years", "sex", "bmi_kg_m2"], ["age_years", "sex"]):
        answer = scorer.score(given[kept])
        assert np.average(answer["risk"], weights=everybody["weight"]) == pytest.approx(prevalence, rel=0.1)
        assert answer["inputs_used"].max() <= max(len(kept), 2)


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_next_one(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_settings: tuple[str, ...]
) -> None:
    from mgrisk.pipeline import evaluate, run

    def dies(*_: object) -> str:
        raise KeyboardInterrupt

    dies.__module__ = evaluate.__name__  # its code is that of the step
    folder = tmp_path / "killed"
    with monkeypatch.context() as broken:
        killed = replace(evaluate.STEP, action=dies)
        broken.setattr(run, "STEPS", [killed if step is evaluate.STEP else step for step in run.STEPS])
        with pytest.raises(KeyboardInterrupt):
            mgrisk.run(DEMO, overrides=small_settings, out=folder)
    finished = mgrisk.run(DEMO, overrides=small_settings, out=folder)
    assert "train" not in finished.steps
    assert "evaluate" in finished.steps
    assert sha256(finished.bundle) == sha256(small_run.bundle)
    shutil.rmtree(folder)
