"""A finished run in MLflow: parameters, metrics by set, data digests, files, candidates, and its registered bundle."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mgrisk.config.pipeline_file import Tracking
from mgrisk.evaluate.records import MetricRecord
from mgrisk.model.learners import Candidate
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import ManifestRecord
from mgrisk.score.scorer import load_scorer
from mgrisk.storage.files import sha256
from mgrisk.track.registry import BUNDLE, Standing, settle, version_of
from mgrisk.track.served import example_people, signature
from mgrisk.track.store import experiment_id, opened, tracking_uri, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME: Final = "bundle"
FOLDER: Final = "mgrisk.folder"
"""Tag of a run: sha256 of the path of its run folder, in which one process runs at a time."""
CONTENT: Final = "mgrisk.content"
"""Tag of a run: sha256 of all that is logged of it."""


@dataclass(frozen=True)
class Tracked:
    """Where MLflow keeps a run.

    Attributes
    ----------
    uri, experiment, run_id
        Tracking URI without a password, experiment and run.
    candidates
        Nested runs, one for each candidate of the tuning.
    model, version, alias
        Registered name, version, and the alias that the version has: `champion`, or `challenger` where it was refused;
        empty where an unchanged bundle, registered before, has lost it to another.
    standing
        What the gate said, and what else was against the alias.
    """

    uri: str
    experiment: str
    run_id: str
    candidates: int
    model: str
    version: int
    alias: str
    standing: Standing

    def to_dict(self) -> dict[str, Any]:
        """Return the content of tracking.json."""
        return asdict(self)


def log_run(folder: Path, *, tracking: Tracking, standing: Standing) -> Tracked:
    """Log a finished run folder: parameters, metrics by set, data digests, files, candidates, the bundle.

    A bundle that is registered already, byte for byte, is not registered again, and a run that is logged already, with
    the same content, is not logged again. What a process that was killed began for this folder is marked as killed.

    Parameters
    ----------
    folder
        Run folder.
    tracking
        The `[tracking]` section of the pipeline file.
    standing
        Whether the bundle gets the alias that the section names.
    """
    uri = tracking_uri(tracking, folder)
    with opened(uri) as client:
        import mlflow

        experiment = experiment_id(client, tracking, uri=uri, folder=folder)
        bundle = sha256(folder / names.BUNDLE)
        version = version_of(client, tracking.register_as, bundle)
        tags = {FOLDER: _digest(str(folder.resolve())), CONTENT: _content(folder, tracking)}
        run_id = _logged_before(client, experiment, tags, version=version, model=tracking.register_as)
        made = RunFolder(folder)
        candidates = made.tuning.candidates
        if run_id is None:
            # The tags come with the run, so that one that is killed can be told from its first moment.
            with mlflow.start_run(experiment_id=experiment, run_name=made.manifest.pipeline, tags=tags) as run:
                run_id = run.info.run_id
                _log_results(made, tracking)
                _log_candidates(client, experiment, run_id, candidates)
                # Last, so that a run that has a version is logged in full.
                if version is None:
                    version = _log_bundle(client, folder / names.BUNDLE, tracking.register_as, bundle)
        assert version is not None
        alias, standing = settle(client, tracking.register_as, version, alias=tracking.alias, standing=standing)
    return Tracked(
        without_password(uri),
        tracking.experiment,
        run_id,
        len(candidates),
        tracking.register_as,
        version,
        alias,
        standing,
    )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _files(tracking: Tracking) -> tuple[str, ...]:
    return (*names.LOGGED, names.EXPLANATIONS) if tracking.people else names.LOGGED


def _content(folder: Path, tracking: Tracking) -> str:
    """Return the sha256 of all that is logged of a run folder."""
    files = (*_files(tracking), names.BUNDLE, names.TUNING, names.FIGURES)
    found = {name: sha256(folder / name) for name in files if (folder / name).exists()}
    return _digest({**found, "people": tracking.people, "register_as": tracking.register_as})


def _logged_before(
    client: MlflowClient, experiment: str, tags: Mapping[str, str], *, version: int | None, model: str
) -> str | None:
    """Return the run that has logged this content of this folder in full; mark others that never came to their end.

    The run folder is locked while this runs: whoever began a run of it that is still RUNNING, and did not get as far as
    the bundle's version, is dead.
    """
    registered_by = client.get_model_version(model, str(version)).run_id if version is not None else None
    whole = None
    for run in client.search_runs([experiment], f"tags.`{FOLDER}` = '{tags[FOLDER]}'"):
        name, status = run.info.run_id, run.info.status
        same = version is not None and run.data.tags.get(CONTENT) == tags[CONTENT]
        if same and (name == registered_by or status == "FINISHED"):
            whole = whole or name
            if status != "FINISHED":
                client.set_terminated(name)
        elif status == "RUNNING":
            _mark_killed(client, experiment, name)
    return whole


def _mark_killed(client: MlflowClient, experiment: str, run_id: str) -> None:
    from mlflow.entities import LoggedModelStatus

    for nested in client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'"):
        if nested.info.status == "RUNNING":
            client.set_terminated(nested.info.run_id, "KILLED")
    for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        if model.status == LoggedModelStatus.PENDING:
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
    client.set_terminated(run_id, "KILLED")


def _log_results(run: RunFolder, tracking: Tracking) -> None:
    """Log parameters, metrics, digests and files of a run folder in MLflow's active run."""
    import mlflow

    # Here and not above: what is served loads this package, and draws nothing.
    from mgrisk.report.render import report_without_people

    folder, manifest = run.folder, run.manifest
    mlflow.set_tags(
        {
            "data": manifest.data,
            "mgrisk": manifest.mgrisk,
            "winner": run.tuning.winner,
            "mlflow.note.content": manifest.title,
        }
    )
    mlflow.log_params(dict(_flat(tomllib.loads((folder / names.RESOLVED).read_text("utf-8")))))
    mlflow.log_metrics(dict(_metrics(run.evaluation)))
    _log_data(manifest)
    for name in _files(tracking):
        if name == names.REPORT and not tracking.people:
            mlflow.log_text(report_without_people(folder), name)
        elif (folder / name).exists():
            mlflow.log_artifact(str(folder / name))
    if (folder / names.FIGURES).is_dir():
        mlflow.log_artifacts(str(folder / names.FIGURES), names.FIGURES)


def _log_data(manifest: ManifestRecord) -> None:
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    outputs = manifest.steps["cohort"].outputs
    for name in (names.TABLES, names.FEATURES, names.COHORT_PEOPLE):
        digest = outputs[name]
        # MLflow's own stub calls the class abstract; it is made to be instantiated.
        dataset = MetaDataset(  # type: ignore[abstract]
            CodeDatasetSource(tags={"sha256": digest}), name=f"{manifest.data} {name}", digest=digest[:36]
        )
        mlflow.log_input(dataset, context="training")
        mlflow.set_tag(f"sha256.{name}", digest)


def _log_candidates(client: MlflowClient, experiment: str, parent: str, candidates: Sequence[Candidate]) -> None:
    from mlflow.entities import Metric, Param

    for number, candidate in enumerate(candidates, start=1):
        tags = {"mlflow.parentRunId": parent, "mlflow.runName": f"{candidate.part} {number}"}
        run = client.create_run(experiment, tags=tags)
        measure = candidate.measure
        metrics = [Metric(measure, candidate.loss, 0, 0)]
        metrics += [Metric(f"fold_{measure}", value, 0, fold) for fold, value in enumerate(candidate.fold_loss)]
        params = [Param(name, str(value)) for name, value in candidate.params.items()]
        client.log_batch(run.info.run_id, metrics=metrics, params=[Param("part", candidate.part), *params])
        client.set_terminated(run.info.run_id)


def _log_bundle(client: MlflowClient, bundle: Path, model: str, digest: str) -> int:
    """Log the bundle and register it; returns its version, which has no alias yet."""
    import mlflow

    scorer = load_scorer(bundle)
    info = mlflow.pyfunc.log_model(
        name=MODEL_NAME,
        loader_module="mgrisk.track",
        data_path=str(bundle),
        signature=signature(scorer),
        input_example=example_people(scorer),
        # Given, not inferred: inference would load the model in a second process to watch its imports.
        pip_requirements=[f"mgrisk=={scorer.bundle.about['mgrisk']}"],
        metadata={"data": scorer.bundle.about["data"], "columns": scorer.schema()},
    )
    # By the client, not by `registered_model_name`: that prints to standard error whatever the log level is.
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    created = client.create_model_version(
        model, source=info.model_uri, run_id=info.run_id, model_id=info.model_id, tags={BUNDLE: digest}
    )
    return int(created.version)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _metrics(records: Iterable[MetricRecord]) -> Iterator[tuple[str, float]]:
    """Name metrics of all people set/model/metric, with their bounds; MLflow allows no @ in a name.

    Groups, and variants of published scores (``ada:logistic``), are left to the file, which is logged as a file.
    """
    for record in records:
        if ":" in record.model or record.group != "all":
            continue
        name = f"{record.set}/{record.model}/{record.metric}".replace("@", "_at_").replace(",", "")
        for suffix, value in (("", record.estimate), ("_low", record.low), ("_high", record.high)):
            if value is not None:
                yield name + suffix, value
