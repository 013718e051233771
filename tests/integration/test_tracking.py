"""What MLflow holds of a run, read back: each figure under its own name, each file under its own digest."""

from __future__ import annotations

import json
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run as LoggedRun

import mgrisk
from mgrisk import track
from mgrisk.config.pipeline_file import load
from mgrisk.pipeline.run import Run
from mgrisk.pipeline.track import judge
from mgrisk.pipeline.workspace import Workspace
from mgrisk.storage.files import read_json, sha256


@pytest.fixture(scope="module")
def tracked(small_run: Run) -> dict[str, Any]:
    content: dict[str, Any] = read_json(small_run.folder / "tracking.json")
    return content


@pytest.fixture(scope="module")
def client(tracked: dict[str, Any]) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(tracking_uri=tracked["uri"])


@pytest.fixture(scope="module")
def logged(client: mlflow.MlflowClient, tracked: dict[str, Any]) -> LoggedRun:
    return client.get_run(tracked["run_id"])


def test_every_figure_of_all_people_is_logged_with_its_bounds_and_no_other(logged: LoggedRun, small_run: Run) -> None:
    expected = {}
    for row in small_run.evaluation.where(group="all"):
        if ":" not in row.model:
            name = f"{row.set}/{row.model}/{row.metric}".replace("@", "_at_")
            of_row = {name: row.estimate, f"{name}_low": row.low, f"{name}_high": row.high}
            expected |= {key: value for key, value in of_row.items() if value is not None}
    assert len(expected) > 100
    assert logged.data.metrics == pytest.approx(expected)


def test_a_run_names_its_winner_and_the_digest_of_each_file_that_it_read(logged: LoggedRun, small_run: Run) -> None:
    tuning = read_json(small_run.folder / "tuning.json")
    assert logged.data.tags["winner"] == tuning["winner"]
    for name in ("tables.json", "features.parquet", "cohort.parquet"):
        assert logged.data.tags[f"sha256.{name}"] == sha256(small_run.folder / name)
    inputs = {each.dataset.name.split()[-1]: each.dataset.digest for each in logged.inputs.dataset_inputs}
    assert inputs == {
        name: sha256(small_run.folder / name)[:36] for name in ("tables.json", "features.parquet", "cohort.parquet")
    }


def test_every_candidate_of_the_tuning_is_a_nested_run_with_its_losses(
    client: mlflow.MlflowClient, logged: LoggedRun, tracked: dict[str, Any], small_run: Run
) -> None:
    nested = client.search_runs([logged.info.experiment_id], f"tags.`mlflow.parentRunId` = '{tracked['run_id']}'")
    found = {
        json.dumps(dict(sorted(run.data.params.items()))): (
            run.data.metrics["log_loss"],
            [point.value for point in client.get_metric_history(run.info.run_id, "fold_log_loss")],
        )
        for run in nested
    }
    expected = {}
    for each in read_json(small_run.folder / "tuning.json")["candidates"]:
        params = {"part": each["part"], **{name: str(value) for name, value in each["params"].items()}}
        expected[json.dumps(dict(sorted(params.items())))] = (each["loss"], each["fold_loss"])
    assert found == expected


def test_the_registered_version_is_the_bundle_of_the_run(
    client: mlflow.MlflowClient, tracked: dict[str, Any], small_run: Run
) -> None:
    version = client.get_model_version(tracked["model"], str(tracked["version"]))
    assert version.run_id == tracked["run_id"]
    assert tracked["alias"] == "champion"
    assert tracked["standing"]["refusals"] == []
    found = track.find_bundle(f"{tracked['model']}@{tracked['version']}", uri=tracked["uri"])
    assert (found / "SHA256SUMS").read_bytes() == (small_run.bundle / "SHA256SUMS").read_bytes()


def test_the_version_with_the_alias_and_the_new_one_are_compared_on_the_held_out_people(small_run: Run) -> None:
    workspace = Workspace(load(small_run.folder / "resolved.toml"), small_run.folder)
    held_out = {row["set"]: row for row in read_json(small_run.folder / "attrition.json")}["held-out"]
    standing = judge(workspace, (4, mgrisk.load_bundle(small_run.folder / "trained" / "xgboost").bundle))
    assert {row["metric"] for row in standing.compared} == {"auroc", "log_loss"}
    for row in standing.compared:
        assert (row["n"], row["events"]) == (held_out["n"], held_out["events"])
        held_out_rows = small_run.evaluation.where(set="2017-2018", group="all", metric=row["metric"])
        of_model = {each.model: each.value for each in held_out_rows}
        assert row["estimate"] == pytest.approx(of_model["spline_logistic"] - of_model["xgboost"])
