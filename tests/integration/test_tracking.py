"""MLflow has each figure of a run under its name and each file with its digest."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run as LoggedRun

import mgrisk
from mgrisk import track
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.model.released import released_bundles
from mgrisk.pipeline.finished import Run
from mgrisk.pipeline.track import judge, log, refuse_misuse
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


HEADLINE = ["auroc", "auprc", "brier_scaled", "log_loss", "calibration_slope", "observed_expected", "ici"]


def headline(run: Run, model: str) -> dict[str, float]:
    """The metrics of a model under their names in MLflow, read from evaluation.json alone."""
    rows = [row for row in read_json(run.folder / "evaluation.json") if row["model"] == model and row["group"] == "all"]
    prefix = {"cross-validated": "cv", "2017-2018": "test"}
    return {
        f"{prefix[row['set']]}_{row['metric']}": row["estimate"]
        for row in rows
        if row["metric"] in HEADLINE and row["estimate"] is not None
    }


def test_a_run_has_the_headline_metrics_of_the_chosen_model_and_its_difference_from_ada(
    logged: LoggedRun, small_run: Run, tracked: dict[str, Any]
) -> None:
    winner = logged.data.tags["winner"]
    expected = headline(small_run, winner)
    for prefix in ("cv", "test"):
        of_ada = headline(small_run, "ada")[f"{prefix}_auroc"]
        expected[f"{prefix}_auroc_minus_ada"] = expected[f"{prefix}_auroc"] - of_ada
    assert len(expected) >= 15
    assert logged.data.metrics == pytest.approx(expected)


def test_metrics_are_linked_to_the_people_and_to_the_model_that_is_registered(
    client: mlflow.MlflowClient, logged: LoggedRun, tracked: dict[str, Any]
) -> None:
    version = client.get_model_version(tracked["model"], str(tracked["version"]))
    linked = client.get_logged_model(version.source.removeprefix("models:/")).metrics
    people = {metric.key: metric.dataset_name for metric in linked}
    assert set(people) == set(logged.data.metrics)
    names = {"cv": "SYNTHETIC development", "test": "SYNTHETIC held-out 2017-2018"}
    assert all(name == names[key.partition("_")[0]] for key, name in people.items())
    contexts = {each.dataset.name: each.tags[0].value for each in logged.inputs.dataset_inputs}
    assert contexts == {names["cv"]: "training", names["test"]: "test"}
    assert len({each.dataset.digest for each in logged.inputs.dataset_inputs}) == 2


def test_run_and_version_are_described_by_the_card_and_the_figures(
    client: mlflow.MlflowClient, logged: LoggedRun, tracked: dict[str, Any], small_run: Run
) -> None:
    described = logged.data.tags["mlflow.note.content"]
    version = client.get_model_version(tracked["model"], str(tracked["version"]))
    assert described == version.description
    assert len(described) <= 5000, "what MLflow's database takes"
    card = (small_run.folder / "card.md").read_text("utf-8")
    assert described.startswith(card[: card.index("\n## Population")].rstrip())
    assert "SYNTHETIC" in described
    assert f"| auroc | {headline(small_run, logged.data.tags['winner'])['cv_auroc']:.3f} (" in described


def test_a_run_names_its_winner_and_the_digest_of_each_file_that_it_read(logged: LoggedRun, small_run: Run) -> None:
    tuning = read_json(small_run.folder / "tuning.json")
    assert logged.data.tags["winner"] == tuning["winner"]
    for name in ("tables.json", "features.parquet", "cohort.parquet"):
        assert logged.data.tags[f"sha256.{name}"] == sha256(small_run.folder / name)


def nested_runs(client: mlflow.MlflowClient, logged: LoggedRun, kind: str) -> list[LoggedRun]:
    of_parent = f"tags.`mlflow.parentRunId` = '{logged.info.run_id}' and tags.kind = '{kind}'"
    return list(client.search_runs([logged.info.experiment_id], of_parent))


def test_every_model_that_was_compared_is_a_nested_run_with_the_same_metrics(
    client: mlflow.MlflowClient, logged: LoggedRun, small_run: Run
) -> None:
    found = {run.info.run_name: run.data.metrics for run in nested_runs(client, logged, "model")}
    assert {"spline_logistic", "xgboost", "ada:logistic", "findrisc:logistic"} <= set(found)
    for name, metrics in found.items():
        assert metrics == pytest.approx(headline(small_run, name)), name


def test_every_setting_that_was_tried_is_a_nested_run_with_its_losses(
    client: mlflow.MlflowClient, logged: LoggedRun, small_run: Run
) -> None:
    nested = nested_runs(client, logged, "setting")
    found = {
        json.dumps(dict(sorted(run.data.params.items()))): (
            run.data.metrics["tuning_log_loss"],
            [point.value for point in client.get_metric_history(run.info.run_id, "tuning_log_loss_by_fold")],
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
    standing = judge(workspace, (4, mgrisk.load_model(small_run.folder / "trained" / "xgboost").bundle))
    assert {row["metric"] for row in standing.compared} == {"auroc", "log_loss"}
    for row in standing.compared:
        assert (row["n"], row["events"]) == (held_out["n"], held_out["events"])
        held_out_rows = small_run.evaluation.where(set="2017-2018", group="all", metric=row["metric"])
        of_model = {each.model: each.value for each in held_out_rows}
        assert row["estimate"] == pytest.approx(of_model["spline_logistic"] - of_model["xgboost"])


ROOT = Path(__file__).parents[2]
OPENS = "import sys; from mgrisk import track; print(track.find_version('m', 'champion', uri=sys.argv[1]))"


def test_processes_that_open_a_fresh_registry_at_once_all_get_an_answer(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENS, f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(), process.returncode) for process in both] == [(("None\n", ""), 0)] * 2


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_registry_that_was_killed_while_it_was_made_is_made_anew(tmp_path: Path) -> None:
    store = tmp_path / "mlflow.db"
    command = [sys.executable, "-c", OPENS, f"sqlite:///{store.as_posix()}"]
    first = subprocess.Popen(command)
    while not any(part.stat().st_size > 50_000 for part in tmp_path.glob(".mlflow.db.*.part")):
        assert first.poll() is None
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert not store.exists()
    assert track.find_version("m", "champion", uri=f"sqlite:///{store.as_posix()}") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


def refused(folder: Path, *overrides: str) -> MgRiskError:
    """Return why a run in a folder is refused, once it is seen that nothing was written for it."""
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(MgRiskError) as caught:
        mgrisk.run(folder / "resolved.toml", overrides=overrides, out=folder)
    assert [path for path in sorted(folder.parent.rglob("*")) if path not in before and path.suffix != ".lock"] == []
    return caught.value


def test_a_deleted_experiment_is_refused_before_the_run(run_copy: Path) -> None:
    workspace = Workspace(load(run_copy / "resolved.toml"), run_copy)
    client = mlflow.MlflowClient(tracking_uri=track.tracking_uri(workspace.pipeline.tracking, run_copy))
    client.delete_experiment(client.create_experiment(workspace.pipeline.tracking.experiment))
    error = refused(run_copy)
    assert (error.code, error.status) == ("tracking.deleted_experiment", 5)
    assert "restore" in error.hint


def test_a_store_that_was_moved_or_copied_is_refused_before_the_run(run_copy: Path, tmp_path: Path) -> None:
    workspace = Workspace(load(run_copy / "resolved.toml"), run_copy)
    client = mlflow.MlflowClient(tracking_uri=track.tracking_uri(workspace.pipeline.tracking, run_copy))
    name = workspace.pipeline.tracking.experiment
    client.create_experiment(name, artifact_location=(tmp_path / "elsewhere" / "mlartifacts").as_uri())
    error = refused(run_copy)
    assert (error.code, error.status) == ("tracking.moved_store", 5)
    assert "elsewhere/mlartifacts" in error.message
    # In an experiment of another name the files lie beside the store.
    refuse_misuse(Workspace(load(run_copy / "resolved.toml", overrides=["tracking.experiment=new"]), run_copy))


def test_a_place_that_somebody_chose_for_the_files_is_theirs(run_copy: Path, tmp_path: Path) -> None:
    workspace = Workspace(load(run_copy / "resolved.toml"), run_copy)
    client = mlflow.MlflowClient(tracking_uri=track.tracking_uri(workspace.pipeline.tracking, run_copy))
    client.create_experiment(workspace.pipeline.tracking.experiment, artifact_location=(tmp_path / "chosen").as_uri())
    refuse_misuse(workspace)


@pytest.mark.parametrize("name", ["undiagnosed", "mgrisk-undiagnosed", "MGRISK-Diabetes", "mgrisk-undiagnosed-brief"])
def test_the_name_of_a_released_model_is_refused_to_other_runs(run_copy: Path, name: str) -> None:
    error = refused(run_copy, f"tracking.register_as={name}")
    assert (error.code, error.status) == ("tracking.reserved_name", 2)
    assert refused(run_copy, f"tracking.register_as={name}", "name=undiagnosed").code == "tracking.reserved_name"


@pytest.mark.parametrize("name", released_bundles())
def test_a_released_pipeline_keeps_the_name_of_its_model(name: str, tmp_path: Path) -> None:
    pipeline = load(ROOT / "pipelines" / f"{name}.toml")
    assert pipeline.tracking.register_as == f"mgrisk-{name}"
    refuse_misuse(Workspace(pipeline, tmp_path / name))


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.toml")), ids=lambda path: path.stem)
def test_every_pipeline_that_comes_along_may_register_its_model(path: Path, tmp_path: Path) -> None:
    pipeline = load(path)
    given = None if pipeline.own is None else frozenset[str]()
    refuse_misuse(Workspace(pipeline, tmp_path / path.stem, given=given))


def artifacts(folder: Path) -> dict[str, bytes]:
    found = read_json(folder / "tracking.json")
    mlflow.set_tracking_uri(found["uri"])
    there = Path(mlflow.artifacts.download_artifacts(run_id=found["run_id"]))
    return {path.relative_to(there).as_posix(): path.read_bytes() for path in there.rglob("*") if path.is_file()}


def test_every_record_that_a_step_makes_is_logged_and_evaluation_is_a_table_too(run_copy: Path) -> None:
    log(Workspace(load(run_copy / "resolved.toml"), run_copy))
    found = artifacts(run_copy)
    of_run = {path.name for path in run_copy.glob("*.json")} - {
        "manifest.json",
        "tracking.json",
        "fitted_features.json",
    }
    assert {"scores.json", "leaks.json", "calibration.json", "cohort.json"} <= of_run
    assert of_run <= set(found)
    assert {"report.html", "card.md", "resolved.toml"} <= set(found)
    assert any(name.startswith("figures/") for name in found)
    table = json.loads(found["evaluation_table.json"])
    assert len(table["data"]) == len(read_json(run_copy / "evaluation.json"))
    assert {"model", "set", "metric", "estimate", "low", "high"} <= set(table["columns"])


def test_nobody_of_the_run_is_in_what_mlflow_gets_unless_asked_for(run_copy: Path) -> None:
    log(Workspace(load(run_copy / "resolved.toml"), run_copy))
    without = artifacts(run_copy)
    assert "explanations.parquet" not in without
    assert b'id="people' in without["report.html"], "the section itself stays"
    assert b"application/json" not in without["report.html"], "no data of people"
    assert b"SEQN" not in without["report.html"]
    assert [name for name, content in without.items() if b'"SEQN":' in content] == []
    log(Workspace(load(run_copy / "resolved.toml", overrides=["tracking.people=true"]), run_copy))
    with_people = artifacts(run_copy)
    assert with_people["explanations.parquet"] == (run_copy / "explanations.parquet").read_bytes()
    assert with_people["report.html"] == (run_copy / "report.html").read_bytes()
    assert b"SEQN" in with_people["report.html"]
    assert set(with_people) == {*without, "explanations.parquet"}
