"""The only module that knows MLflow: tracking a finished run, registering its bundle, finding a registered one.

What is logged is read from the run folder, so that a run without tracking is the same run. A model is logged by
`loader_module`, which keeps the bundle's own files and pickles nothing.
"""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mgrisk.artifacts import read_json
from mgrisk.config import Tracking
from mgrisk.errors import bad_bundle
from mgrisk.score.contract import reason_columns
from mgrisk.score.scorer import DEFAULT_REASONS, Scorer, load_scorer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

LOGGED_FILES: Final = (
    "report.html", "card.md", "evaluation.json", "differences.json", "thresholds.json", "curves.json",
    "added_value.json", "tripod.json", "probast.json", "attrition.json", "table_one.json",
    "tables.json", "known_answers.json", "checks.json", "explanation_summary.json", "explanations.parquet",
    "resolved.toml",
)  # fmt: skip
MODEL_NAME: Final = "bundle"


@dataclass(frozen=True)
class Tracked:
    """Where MLflow keeps a run.

    Attributes
    ----------
    uri, experiment, run_id
        Tracking URI, experiment and run.
    candidates
        Nested runs, one for each candidate of the tuning.
    model, version, alias
        Registered name, version and alias of the bundle.
    """

    uri: str
    experiment: str
    run_id: str
    candidates: int
    model: str
    version: int
    alias: str

    def to_dict(self) -> dict[str, Any]:
        """Return the content of tracking.json."""
        return asdict(self)


def default_uri(folder: Path) -> str:
    """Return the SQLite store beside a run folder: ``runs/mlflow.db``."""
    return f"sqlite:///{(folder.resolve().parent / 'mlflow.db').as_posix()}"


def log_run(folder: Path, *, tracking: Tracking) -> Tracked:
    """Log a finished run folder: parameters, metrics by set, data digests, files, candidates, the bundle.

    Parameters
    ----------
    folder
        Run folder.
    tracking
        The `[tracking]` section of the pipeline file.
    """
    uri = tracking.uri or default_uri(folder)
    with _mlflow(uri):
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = _experiment(client, tracking.experiment, uri)
        manifest, tuning = read_json(folder / "manifest.json"), read_json(folder / "tuning.json")
        with mlflow.start_run(experiment_id=experiment, run_name=str(manifest["pipeline"])) as run:
            mlflow.set_tags(
                {
                    "data": manifest["data"],
                    "mgrisk": manifest["mgrisk"],
                    "winner": tuning["winner"],
                    "mlflow.note.content": manifest["title"],
                }
            )
            resolved = tomllib.loads((folder / "resolved.toml").read_text("utf-8"))
            mlflow.log_params(dict(_flat(resolved)))
            mlflow.log_metrics(dict(_metrics(read_json(folder / "evaluation.json"))))
            _log_data(folder)
            for name in LOGGED_FILES:
                if (folder / name).exists():
                    mlflow.log_artifact(str(folder / name))
            if (folder / "figures").is_dir():
                mlflow.log_artifacts(str(folder / "figures"), "figures")
            _log_candidates(client, experiment, run.info.run_id, tuning["candidates"])
            version = _log_bundle(client, folder / "bundle", tracking)
    return Tracked(
        uri,
        tracking.experiment,
        run.info.run_id,
        len(tuning["candidates"]),
        tracking.register_as,
        version,
        tracking.alias,
    )


def find_bundle(name: str, *, uri: str) -> Path:
    """Return the folder of a registered bundle.

    Parameters
    ----------
    name
        ``NAME@ALIAS``.
    uri
        Tracking URI.

    Raises
    ------
    MgRiskError
        `registry.not_found`; exit status 5.
    """
    with _mlflow(uri):
        import mlflow

        try:
            local = mlflow.artifacts.download_artifacts(f"models:/{name}")
        except (mlflow.MlflowException, OSError) as problem:
            raise bad_bundle(
                "registry.not_found",
                f"there is no registered model {name}",
                where=uri,
                got=str(problem).splitlines()[0][:200],
                hint="give --model FOLDER, or run a pipeline that registers it",
            ) from None
    return Path(local) / "data" / "bundle"


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Attributes
    ----------
    model, version, aliases
        As `--model NAME@ALIAS` names it.
    data
        NHANES, or SYNTHETIC.
    learner
        The winner of its run.
    auroc
        Of its run's held-out people; None where the run was not evaluated.
    """

    model: str
    version: int
    aliases: tuple[str, ...]
    data: str
    learner: str
    auroc: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return a row for `mgrisk models`."""
        names = [f"{self.model}@{alias}" for alias in self.aliases] or [f"{self.model} version {self.version}"]
        return {**asdict(self), "aliases": list(self.aliases), "name": ", ".join(names), "kind": "registry"}


def registered(*, uri: str) -> list[Registered]:
    """Return every version of every model that mgrisk registered, by name, the latest version first.

    Parameters
    ----------
    uri
        Tracking URI.
    """
    with _mlflow(uri):
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=uri)
        found = []
        for model in client.search_registered_models(order_by=["name ASC"]):
            aliases: dict[str, list[str]] = {}
            # A search of versions leaves their aliases out.
            for alias, version in client.get_registered_model(model.name).aliases.items():
                aliases.setdefault(str(version), []).append(alias)
            versions = client.search_model_versions(f"name = '{model.name}'")
            for version in sorted(versions, key=lambda each: -int(each.version)):
                run = client.get_run(version.run_id) if version.run_id else None
                if run is None or "mgrisk" not in run.data.tags:
                    continue
                winner = run.data.tags.get("winner", "")
                found.append(
                    Registered(
                        model=model.name,
                        version=int(version.version),
                        aliases=tuple(sorted(aliases.get(str(version.version), []))),
                        data=run.data.tags.get("data", ""),
                        learner=winner,
                        auroc=_held_out(run.data.metrics, winner),
                    )
                )
    return found


class _Pyfunc:
    """What `mlflow.pyfunc` calls: the columns of the scoring file in, those of the answer out."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, people: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Score people; the answer's columns alone."""
        return self.scorer.results(people, reasons=DEFAULT_REASONS)


def _load_pyfunc(path: str) -> _Pyfunc:
    """Load the bundle for `mlflow.pyfunc`; MLflow asks for a function of this name."""
    return _Pyfunc(load_scorer(path))


@contextmanager
def _mlflow(uri: str) -> Iterator[None]:
    """Point MLflow at a store without its telemetry and chatter, and leave the process as it was."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.utils import logging_utils

    # Every migration of a fresh store and every model version would be a line of its own otherwise.
    quiet = {name: logging.getLogger(name).level for name in ("alembic", "mlflow")}
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging_utils.disable_logging()  # type: ignore[no-untyped-call]
    is_set: bool = mlflow.tracking.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    before = mlflow.get_tracking_uri() if is_set else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before or "")
        logging_utils.enable_logging()  # type: ignore[no-untyped-call]
        for name, level in quiet.items():
            logging.getLogger(name).setLevel(level)


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None
    if uri.startswith("sqlite:///"):
        # Else artifacts would go to whatever folder the command was started in.
        location = (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _log_data(folder: Path) -> None:
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    manifest = read_json(folder / "manifest.json")
    outputs = manifest["steps"]["cohort"]["outputs"]
    for name in ("tables.json", "features.parquet", "cohort.parquet"):
        digest = outputs[name]
        # MLflow's own stub calls the class abstract; it is made to be instantiated.
        dataset = MetaDataset(  # type: ignore[abstract]
            CodeDatasetSource(tags={"sha256": digest}), name=f"{manifest['data']} {name}", digest=digest[:36]
        )
        mlflow.log_input(dataset, context="training")
        mlflow.set_tag(f"sha256.{name}", digest)


def _log_candidates(client: MlflowClient, experiment: str, parent: str, candidates: list[dict[str, Any]]) -> None:
    from mlflow.entities import Metric, Param

    for number, candidate in enumerate(candidates, start=1):
        tags = {"mlflow.parentRunId": parent, "mlflow.runName": f"{candidate['part']} {number}"}
        run = client.create_run(experiment, tags=tags)
        measure = candidate["measure"]
        metrics = [Metric(measure, candidate["loss"], 0, 0)]
        metrics += [Metric(f"fold_{measure}", value, 0, fold) for fold, value in enumerate(candidate["fold_loss"])]
        params = [Param(name, str(value)) for name, value in candidate["params"].items()]
        client.log_batch(run.info.run_id, metrics=metrics, params=[Param("part", candidate["part"]), *params])
        client.set_terminated(run.info.run_id)


def _log_bundle(client: MlflowClient, bundle: Path, tracking: Tracking) -> int:
    import mlflow

    scorer = load_scorer(bundle)
    info = mlflow.pyfunc.log_model(
        name=MODEL_NAME,
        loader_module="mgrisk.track",
        data_path=str(bundle),
        signature=_signature(scorer),
        input_example=example_people(scorer),
        # Given, not inferred: inference would load the model in a second process to watch its imports.
        pip_requirements=[f"mgrisk=={scorer.bundle.about['mgrisk']}"],
        metadata={"data": scorer.bundle.about["data"]},
    )
    # By the client, not by `registered_model_name`: that prints to standard error whatever the log level is.
    if not client.search_registered_models(f"name = '{tracking.register_as}'"):
        client.create_registered_model(tracking.register_as)
    created = client.create_model_version(
        tracking.register_as, source=info.model_uri, run_id=info.run_id, model_id=info.model_id
    )
    version = int(created.version)
    client.set_registered_model_alias(tracking.register_as, tracking.alias, str(version))
    return version


def _signature(scorer: Scorer) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [
        ColSpec(
            DataType.double if row["type"] == "number" else DataType.string,
            name=row["name"],
            required=row["required"],
        )
        for row in scorer.schema()
    ]
    numbers = {"risk", "risk_low", "risk_high"}
    answer = [
        "status",
        "problems",
        "risk",
        "risk_low",
        "risk_high",
        "in_domain",
        "model",
        *reason_columns(DEFAULT_REASONS),
    ]
    outputs = [
        ColSpec(DataType.double if name in numbers or name.endswith("_effect") else DataType.string, name=name)
        for name in answer
    ]
    return ModelSignature(Schema([*inputs]), Schema([*outputs]))


def example_people(scorer: Scorer) -> pd.DataFrame:
    """Return two made-up people in the shape of the scoring file: the reference medians, and only what is required."""
    medians: dict[str, Any] = {}
    for feature in scorer.bundle.inputs:
        row = scorer.bundle.reference.get(feature.name)
        if row is None:
            medians[feature.name] = None
        elif feature.kind == "number":
            medians[feature.name] = row["quantiles"]["0.5"]
        else:
            medians[feature.name] = max(row["shares"], key=row["shares"].get)
    least = {feature.name: medians[feature.name] if feature.required else None for feature in scorer.bundle.inputs}
    frame = pd.DataFrame([medians, least])
    for feature in scorer.bundle.inputs:
        if feature.kind == "number":
            frame[feature.name] = frame[feature.name].astype("float64")
    return frame


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _metrics(records: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """Name metrics of all people set/model/metric, with their bounds; MLflow allows no @ in a name.

    Groups, and variants of published scores (``ada:logistic``), are left to evaluation.json, which is logged as a file.
    """
    for record in records:
        if ":" in record["model"] or record["group"] != "all":
            continue
        name = f"{record['set']}/{record['model']}/{record['metric']}".replace("@", "_at_").replace(",", "")
        for suffix, key in (("", "estimate"), ("_low", "low"), ("_high", "high")):
            if record[key] is not None:
                yield name + suffix, float(record[key])


def _held_out(metrics: Mapping[str, float], winner: str) -> float | None:
    names = [name for name in metrics if name.endswith(f"/{winner}/auroc") and not name.startswith("cross-validated/")]
    return metrics[names[0]] if names else None
