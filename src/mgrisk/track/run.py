"""Log a finished run in MLflow: headline metrics, data sets, files, description, candidate models and bundle.

Every run has the same few metrics, so that runs can be compared in MLflow: ``cv_auroc`` in cross-validated development
people, ``test_auroc`` in held-out people, and so on. Each model that the run compares is a nested run with the same
metrics. All other results are in the logged files.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mgrisk.config.pipeline_file import Tracking
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.records import PartRecord
from mgrisk.report.formats import interval, model_label
from mgrisk.riskscores.scores import Method
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import sha256
from mgrisk.track.bundle import log_model, model_of, register
from mgrisk.track.registry import Standing, settle, version_of
from mgrisk.track.store import experiment_id, opened, tracking_uri, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER: Final = "mgrisk.folder"
"""Tag of a run: sha256 of the path of its run folder, which one process uses at a time."""
CONTENT: Final = "mgrisk.content"
"""Tag of a run: sha256 of everything logged."""
KIND: Final = "kind"
"""Tag of a nested run: a compared model or a tuning trial."""
HEADLINE: Final = (
    "auroc", "auprc", "brier_scaled", "log_loss", "calibration_slope", "observed_expected", "ici",
)  # fmt: skip
REFERENCE: Final = "ada"
DATA: Final = (names.TABLES, names.FEATURES, names.COHORT_PEOPLE)
TABLE: Final = "evaluation_table.json"
LONGEST: Final = 5000
"""Maximum characters of the description of a version in MLflow's database."""


@dataclass(frozen=True)
class Tracked:
    """Identifiers of a run in MLflow.

    Attributes
    ----------
    uri, experiment, run_id
        Tracking URI without a password, experiment and run.
    nested
        Number of nested runs: one per compared model and one per tuning trial.
    model, version, alias
        Registered name, version, and the alias of the version: `champion`, or `challenger` if it was refused; empty if
        an unchanged bundle, registered before, has lost it to another version.
    standing
        Result of the checks, with further reasons against the alias.
    """

    uri: str
    experiment: str
    run_id: str
    nested: int
    model: str
    version: int
    alias: str
    standing: Standing

    def to_dict(self) -> dict[str, Any]:
        """Return the content of tracking.json."""
        return asdict(self)


def log_run(folder: Path, *, tracking: Tracking, standing: Standing) -> Tracked:
    """Log a finished run folder.

    An identical bundle is not registered again, and a run with the same content is not logged again. Runs of this
    folder that a killed process started are marked as killed.

    Parameters
    ----------
    folder
        Run folder.
    tracking
        The `[tracking]` section of the pipeline file.
    standing
        Result of the checks: whether the bundle gets the alias of the section.
    """
    uri = tracking_uri(tracking, folder)
    with opened(uri) as client:
        import mlflow

        experiment = experiment_id(client, tracking, uri=uri, folder=folder)
        bundle = sha256(folder / names.BUNDLE)
        version = version_of(client, tracking.register_as, bundle)
        made = RunFolder(folder)
        tags = {FOLDER: _digest(str(folder.resolve())), CONTENT: _content(made, tracking)}
        run_id = _logged_before(client, experiment, tags, version=version, model=tracking.register_as)
        nested = [*_models(made), *_settings(made)]
        if run_id is None:
            # Tags are set at creation, so that a killed run can be recognised from the start.
            with mlflow.start_run(experiment_id=experiment, run_name=made.manifest.pipeline, tags=tags) as run:
                run_id = run.info.run_id
                _log_results(made, tracking)
                model = (
                    log_model(folder / names.BUNDLE)
                    if version is None
                    else model_of(client, tracking.register_as, version)
                )
                _log_headline(made, model)
                for each in nested:
                    each.log(client, experiment, run_id)
                # Last, so that a run with a version has been logged completely.
                if version is None:
                    version = register(
                        client, model, tracking.register_as, digest=bundle, description=_description(made)
                    )
        assert version is not None
        alias, standing = settle(client, tracking.register_as, version, alias=tracking.alias, standing=standing)
    return Tracked(
        without_password(uri),
        tracking.experiment,
        run_id,
        len(nested),
        tracking.register_as,
        version,
        alias,
        standing,
    )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _files(run: RunFolder, tracking: Tracking) -> list[str]:
    """Return the files and folders to log: those that the steps name, and the settings."""
    logged = [name for step in run.manifest.steps.values() for name in step.logged]
    return [*logged, names.RESOLVED, *([names.EXPLANATIONS] if tracking.people else [])]


def _content(run: RunFolder, tracking: Tracking) -> str:
    """Return the sha256 of everything logged from a run folder."""
    found = {name: sha256(run.folder / name) for name in (*_files(run, tracking), names.BUNDLE)}
    return _digest({**found, "people": tracking.people, "register_as": tracking.register_as})


def _logged_before(
    client: MlflowClient, experiment: str, tags: Mapping[str, str], *, version: int | None, model: str
) -> str | None:
    """Return the run that has logged this content of this folder completely; mark unfinished ones as killed.

    The run folder is locked, so that a run of it that is still RUNNING and has no version was killed.
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
    """Log description, parameters and files of a run folder in MLflow's active run."""
    import mlflow
    from mlflow.utils.git_utils import get_git_commit

    # Imported here, since serving a model imports this package and needs no plots.
    from mgrisk.report.render import report_without_people

    folder, manifest = run.folder, run.manifest
    commit = get_git_commit(str(Path(__file__).parent))
    mlflow.set_tags(
        {
            "title": manifest.title,
            "data": manifest.data,
            "mgrisk": manifest.mgrisk,
            "winner": run.tuning.winner,
            "mlflow.note.content": _description(run),
            **({"mlflow.source.git.commit": commit} if commit else {}),
            **{f"sha256.{name}": manifest.steps["cohort"].outputs[name] for name in DATA},
        }
    )
    mlflow.log_params(dict(_flat(tomllib.loads((folder / names.RESOLVED).read_text("utf-8")))))
    for name in _files(run, tracking):
        if name == names.REPORT and not tracking.people:
            mlflow.log_text(report_without_people(folder), name)
        elif (folder / name).is_dir():
            mlflow.log_artifacts(str(folder / name), name)
        else:
            mlflow.log_artifact(str(folder / name))
    mlflow.log_table(run.evaluation.frame(), TABLE)


def _description(run: RunFolder) -> str:
    """Return the description of a run and its model in MLflow: first sections of the card, and headline metrics.

    The complete card is too long.
    """
    title, what_it_is, what_it_is_not, *_ = run.path(names.CARD).read_text("utf-8").split("\n## ")
    sets = _sets(run)
    table = [
        f"| {model_label(run.winner)} | {' | '.join(sets)} |",
        "| --- | --: | --: |",
        *(f"| {metric} | {' | '.join(_with_interval(run, name, metric) for name in sets)} |" for metric in HEADLINE),
    ]
    note = f"95 % intervals. The complete card is the artifact {names.CARD}."
    figures = "\n".join(["Performance\n", *table, f"\n{note}"])
    return "\n## ".join([title, what_it_is, what_it_is_not.rstrip() + "\n", figures])[:LONGEST]


def _with_interval(run: RunFolder, set_name: str, metric: str) -> str:
    return interval(run.evaluation.one(model=run.winner, set=set_name, metric=metric))


def _log_headline(run: RunFolder, model: str) -> None:
    """Log the headline metrics of each set in MLflow's active run, linked to its people and to the logged model."""
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    digests = [run.manifest.steps["cohort"].outputs[name] for name in DATA]
    for set_name, prefix in _sets(run).items():
        # The type stub of MLflow wrongly declares the class abstract.
        people = MetaDataset(  # type: ignore[abstract]
            CodeDatasetSource(tags=dict(zip(DATA, digests, strict=True))),
            name=f"{run.manifest.data} {'development' if set_name == CROSS_VALIDATED else f'held-out {set_name}'}",
            digest=_digest([*digests, set_name])[:36],
        )
        mlflow.log_input(people, context="training" if set_name == CROSS_VALIDATED else "test")
        metrics = _headline(run, run.winner, {set_name: prefix})
        for each in run.differences.where(
            set=set_name, group="all", model=run.winner, reference=REFERENCE, metric="auroc"
        ):
            if each.estimate is not None:
                metrics[f"{prefix}_auroc_minus_{REFERENCE}"] = each.estimate
        mlflow.log_metrics(metrics, model_id=model, dataset=people)


def _sets(run: RunFolder) -> dict[str, str]:
    """Return the metric prefix of each set."""
    return {CROSS_VALIDATED: "cv", run.held_out_name: "test"}


def _headline(run: RunFolder, model: str, sets: Mapping[str, str]) -> dict[str, float]:
    """Return the defined headline metrics of a model, by their names in MLflow."""
    return {
        f"{sets[record.set]}_{record.metric}": record.estimate
        for record in run.evaluation.where(model=model, group="all")
        if record.set in sets and record.metric in HEADLINE and record.estimate is not None
    }


@dataclass(frozen=True)
class _Nested:
    """A nested run: a compared model or a tuning trial."""

    name: str
    kind: str
    params: Mapping[str, str]
    metrics: Mapping[str, Sequence[float]]
    """Values by step; MLflow shows the last."""

    def log(self, client: MlflowClient, experiment: str, parent: str) -> None:
        from mlflow.entities import Metric, Param

        tags = {"mlflow.parentRunId": parent, "mlflow.runName": self.name, KIND: self.kind}
        run = client.create_run(experiment, tags=tags)
        metrics = [Metric(name, each, 0, step) for name, of in self.metrics.items() for step, each in enumerate(of)]
        client.log_batch(run.info.run_id, metrics=metrics, params=[Param(*each) for each in self.params.items()])
        client.set_terminated(run.info.run_id)


def _models(run: RunFolder) -> Iterator[_Nested]:
    """Yield the models of the run, and the published scores recalibrated to its people."""
    own = {name: _flat_parts(record.parts) for name, record in run.tuning.models.items()}
    rivals = {record.model for record in run.evaluation if record.model.endswith(f":{Method.LOGISTIC}")}
    for name in (*own, *sorted(rivals)):
        metrics = {metric: [value] for metric, value in _headline(run, name, _sets(run)).items()}
        yield _Nested(name, "model", own.get(name, {}), metrics)


def _flat_parts(parts: Iterable[PartRecord]) -> dict[str, str]:
    return {f"{part.part}.{name}": str(value) for part in parts for name, value in part.params.items()}


def _settings(run: RunFolder) -> Iterator[_Nested]:
    for number, tried in enumerate(run.tuning.candidates, start=1):
        params = {"part": tried.part, **{name: str(value) for name, value in tried.params.items()}}
        # Log loss of uncalibrated predictions, unlike the `cv_log_loss` of a model.
        metrics = {f"tuning_{tried.measure}": [tried.loss], f"tuning_{tried.measure}_by_fold": tried.fold_loss}
        yield _Nested(f"{tried.part} {number}", "setting", params, metrics)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
