"""Log bundles as models in MLflow, and register them as versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mgrisk.config.pipeline_file import Tracking
from mgrisk.errors import usage
from mgrisk.model.released import is_reserved, released_bundles
from mgrisk.run_folder import names
from mgrisk.score.scorer import load_scorer
from mgrisk.storage.files import sha256
from mgrisk.track.registry import BUNDLE, Registered, Standing, holder_of, registered, settle, version_of
from mgrisk.track.served import example_people, signature
from mgrisk.track.store import experiment_id, opened

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME: Final = "bundle"


def register_bundle(folder: Path, *, tracking: Tracking, uri: str, beside: Path) -> Registered:
    """Register a bundle that does not come from a run of this registry: a released or recalibrated one.

    Parameters
    ----------
    folder
        The bundle.
    tracking
        Experiment, registered name (empty: that of the bundle) and alias. A version of another bundle that has the
        alias keeps it.
    uri
        Tracking URI.
    beside
        File or folder beside which a database without a server stores artifacts.

    Returns
    -------
    Registered
        The version; a registered bundle is not registered again.

    Raises
    ------
    MgRiskError
        `registry.reserved_name` if the name is that of a released model and the bundle is another one; those of
        `load_scorer` and `experiment_id`.
    """
    about, digest = load_scorer(folder).bundle.about, sha256(folder)
    name = tracking.register_as or str(about["name"])
    if is_reserved(name) and digest not in {sha256(released) for released in released_bundles().values()}:
        raise usage(
            "registry.reserved_name",
            f"{name} is the name of a released model, and this bundle is another",
            where=str(folder),
            hint="give it another name: --as NAME",
        )
    with opened(uri) as client:
        import mlflow

        version = version_of(client, name, digest)
        if version is None:
            experiment = experiment_id(client, tracking, uri=uri, folder=beside)
            tags = {"data": str(about["data"]), "mgrisk": str(about["mgrisk"]), "winner": str(about["learner"])}
            with mlflow.start_run(experiment_id=experiment, run_name=f"register {name}", tags=tags):
                mlflow.log_artifact(str(folder / names.CARD))
                version = register(client, log_model(folder), name, digest=digest, description=str(about["title"]))
        holder = holder_of(client, name, tracking.alias)
        refusals = () if holder in {None, version} else (f"version {holder} has the alias {tracking.alias}",)
        settle(client, name, version, alias=tracking.alias, standing=Standing(refusals, holder))
    return next(each for each in registered(uri=uri) if (each.model, each.version) == (name, version))


def log_model(bundle: Path) -> str:
    """Log a bundle in MLflow's active run; return the identifier of the logged model, which has no version yet."""
    import mlflow

    scorer = load_scorer(bundle)
    logged = mlflow.pyfunc.log_model(
        name=MODEL_NAME,
        loader_module="mgrisk.track",
        data_path=str(bundle),
        signature=signature(scorer),
        input_example=example_people(scorer),
        # Given explicitly, since inference would load the model in a second process.
        pip_requirements=[f"mgrisk=={scorer.bundle.about['mgrisk']}"],
        metadata={"data": scorer.bundle.about["data"], "columns": scorer.schema()},
    )
    return str(logged.model_id)


def model_of(client: MlflowClient, name: str, version: int) -> str:
    """Return the identifier of a version's logged model, from its source ``models:/ID``."""
    return str(client.get_model_version(name, str(version)).source).rpartition("/")[2]


def register(client: MlflowClient, model: str, name: str, *, digest: str, description: str) -> int:
    """Register a logged model; return its version, which has no alias yet."""
    # Not with `registered_model_name`, which prints to standard error at any log level.
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    logged = client.get_logged_model(model)
    created = client.create_model_version(
        name,
        source=logged.model_uri,
        run_id=logged.source_run_id,
        model_id=model,
        tags={BUNDLE: digest},
        description=description,
    )
    return int(created.version)
