"""If a process is killed while it logs a run, the next one completes the run or marks it as killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.store.model_registry import sqlalchemy_store as registry_store
from mlflow.store.tracking import sqlalchemy_store as tracking_store
from mlflow.tracking import fluent

from mgrisk import track
from mgrisk.config.pipeline_file import load
from mgrisk.pipeline.track import log
from mgrisk.pipeline.workspace import Workspace
from mgrisk.storage.files import read_json

WRITES = {
    tracking_store.SqlAlchemyStore: (
        "create_experiment", "create_run", "update_run_info", "log_batch", "log_inputs", "log_outputs", "set_tag",
        "create_logged_model", "finalize_logged_model", "set_logged_model_tags", "log_logged_model_params",
        "record_logged_model",
    ),
    registry_store.SqlAlchemyStore: (
        "create_registered_model", "create_model_version", "set_model_version_tag", "set_registered_model_alias",
        "delete_registered_model_alias",
    ),
}  # fmt: skip


class Killed(BaseException):
    """The end of a process, for nothing catches it."""


class Deadly:
    """Counts what is written to the store; from the write of a number or a name on, nothing is: the process is dead."""

    def __init__(self, patch: pytest.MonkeyPatch, *, at: int | str | None = None) -> None:
        self.written: list[str] = []
        self.at = at
        for store, methods in WRITES.items():
            for name in methods:
                patch.setattr(store, name, self._counted(name, getattr(store, name)))

    def _counted(self, name: str, write: Any) -> Any:
        def counted(*arguments: Any, **named: Any) -> Any:
            if self.at in (len(self.written), name):
                self.at = len(self.written)
                raise Killed
            self.written.append(name)
            return write(*arguments, **named)

        return counted


@pytest.fixture
def workspace(run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # Drawing the page takes longer than all that is tested here.
    monkeypatch.setattr("mgrisk.report.render.report_without_people", lambda folder: f"<p>{folder.name}</p>")
    return Workspace(load(run_copy / "resolved.toml"), run_copy)


@pytest.fixture(autouse=True)
def _nothing_active() -> Iterator[None]:
    yield
    fluent._active_run_stack.set([])


def kill(workspace: Workspace, *, at: int | str) -> bool:
    """Log a run in a process that dies at a write; return whether it did."""
    with pytest.MonkeyPatch.context() as patch:
        Deadly(patch, at=at)
        try:
            log(workspace)
        except Killed:
            fluent._active_run_stack.set([])
            return True
    return False


def in_the_store(workspace: Workspace) -> dict[str, Any]:
    tracked = read_json(workspace.run.path("tracking.json"))
    client = mlflow.MlflowClient(tracking_uri=tracked["uri"])
    experiment = client.get_experiment_by_name(tracked["experiment"]).experiment_id
    runs = client.search_runs([experiment])
    whole = [run for run in runs if run.info.status == "FINISHED" and "mlflow.parentRunId" not in run.data.tags]
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{tracked['run_id']}'")
    models = client.search_logged_models([experiment])
    return {
        "status": {run.info.status for run in runs},
        "whole": [run.info.run_id for run in whole],
        "nested": [run.info.status for run in nested],
        "files": {item.path for item in client.list_artifacts(tracked["run_id"])},
        "pending": [model.model_id for model in models if model.status == LoggedModelStatus.PENDING],
        "versions": {
            row.version: row.aliases for row in track.registered(uri=tracked["uri"]) if row.model == tracked["model"]
        },
        "run_of_version": client.get_model_version(tracked["model"], "1").run_id,
        "run_id": tracked["run_id"],
        "nested_runs": tracked["nested"],
    }


def is_whole(found: dict[str, Any]) -> bool:
    return bool(
        "RUNNING" not in found["status"]
        and found["whole"] == [found["run_id"]] == [found["run_of_version"]]
        and found["nested"] == ["FINISHED"] * found["nested_runs"]
        and {"report.html", "evaluation.json", "figures"} <= found["files"]
        and found["pending"] == []
        and found["versions"] == {1: ("champion",)}
    )


@pytest.mark.parametrize("write", ["set_tag", "finalize_logged_model", "create_model_version", "set_model_version_tag"])
def test_a_run_that_was_killed_is_finished_or_marked_by_the_next(workspace: Workspace, write: str) -> None:
    assert kill(workspace, at=write)
    log(workspace)
    assert is_whole(in_the_store(workspace))


@pytest.mark.slow
def test_killed_at_any_write_no_run_is_left_running_and_no_version_registered_twice(workspace: Workspace) -> None:
    # Each in an experiment and a registry name of its own: the store is the same.
    with pytest.MonkeyPatch.context() as patch:
        counted = Deadly(patch)
        log(workspace)
    assert len(counted.written) > 20
    for number in range(len(counted.written)):
        own = [f"tracking.experiment=e{number}", f"tracking.register_as=m{number}"]
        another = Workspace(load(workspace.folder / "resolved.toml", overrides=own), workspace.folder)
        assert kill(another, at=number), number
        log(another)
        found = in_the_store(another)
        assert is_whole(found), (number, counted.written[number], found)


def test_a_run_that_is_logged_already_is_not_logged_again(workspace: Workspace) -> None:
    log(workspace)
    first = in_the_store(workspace)
    workspace.run.path("tracking.json").unlink()
    log(workspace)
    assert in_the_store(workspace) == first


def test_a_bundle_whose_version_somebody_deleted_is_registered_again(workspace: Workspace) -> None:
    log(workspace)
    first = read_json(workspace.run.path("tracking.json"))
    mlflow.MlflowClient(tracking_uri=first["uri"]).delete_model_version(first["model"], str(first["version"]))
    log(workspace)
    assert [row.aliases for row in track.registered(uri=first["uri"])] == [("champion",)]
