"""Open the MLflow tracking store, without its log output, and choose the artifact location of a database."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from mgrisk.config.pipeline_file import Tracking
from mgrisk.errors import MgRiskError, bad_bundle
from mgrisk.storage.files import atomic
from mgrisk.storage.lock import exclusive_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

ADDRESS = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"
SERVERS = frozenset({"http", "https", "databricks", "databricks-uc"})
"""URI schemes of servers, which choose the artifact location themselves."""


def tracking_uri(tracking: Tracking, folder: Path) -> str:
    """Return the tracking URI of a run.

    Parameters
    ----------
    tracking
        The `[tracking]` section of the pipeline file.
    folder
        Run folder.

    Returns
    -------
    str
        `tracking.uri`, else MLFLOW_TRACKING_URI, else the SQLite store beside the run folder, ``runs/mlflow.db``.
    """
    beside = f"{SQLITE}{(folder.resolve().parent / 'mlflow.db').as_posix()}"
    return tracking.uri or os.environ.get(ADDRESS) or beside


def without_password(uri: str) -> str:
    """Return a URI with its password replaced by three stars, to show and store."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}:***@{place}"))


@contextmanager
def opened(uri: str) -> Iterator[MlflowClient]:
    """Open a store without MLflow's telemetry and log output, and restore the settings of the process afterwards.

    Raises
    ------
    MgRiskError
        `tracking.unreachable`: a database that cannot be opened, or whose driver is not installed;
        `tracking.failed`: one that failed later. Exit status 5.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.utils import logging_utils
    from sqlalchemy.exc import SQLAlchemyError

    # Otherwise MLflow logs a line for every migration of a new store and every model version.
    quiet = {name: logging.getLogger(name).level for name in ("alembic", "mlflow")}
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging_utils.disable_logging()  # type: ignore[no-untyped-call]
    is_set: bool = mlflow.tracking.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    before = mlflow.get_tracking_uri() if is_set else None
    # MLflow also writes the address to the environment, for processes that it starts.
    environment = os.environ.get(ADDRESS)
    mlflow.set_tracking_uri(uri)
    try:
        yield _client(uri)
    except (SQLAlchemyError, mlflow.MlflowException) as problem:
        raise bad_bundle(
            "tracking.failed",
            "an operation in the tracking store failed",
            where=without_password(uri),
            got=_first_line(problem),
            hint="check that no other program locks it and its disk is not full, then run the same again",
        ) from problem
    finally:
        mlflow.set_tracking_uri(before or "")
        os.environ.pop(ADDRESS, None)
        if environment is not None:
            os.environ[ADDRESS] = environment
        logging_utils.enable_logging()  # type: ignore[no-untyped-call]
        for name, level in quiet.items():
            logging.getLogger(name).setLevel(level)


def experiment_id(client: MlflowClient, tracking: Tracking, *, uri: str, folder: Path) -> str:
    """Return the experiment of a run, created if missing.

    Without a server, artifacts are stored in `tracking.artifacts`, or in ``mlartifacts`` beside the run folder or
    the SQLite file, instead of MLflow's default of the current folder.
    """
    found = _known_experiment(client, tracking, uri=uri)
    if found is not None:
        return found
    place: str | None = tracking.artifacts
    if not place and urlsplit(uri).scheme not in SERVERS:
        place = _beside(_sqlite_file(uri) or folder)
    return str(client.create_experiment(tracking.experiment, artifact_location=place or None))


def refuse_store(tracking: Tracking, folder: Path) -> None:
    """Refuse a store in which a run cannot be logged, as far as this can be checked before the run.

    Parameters
    ----------
    tracking, folder
        As for `tracking_uri`.

    Raises
    ------
    MgRiskError
        `tracking.deleted_experiment`; `tracking.moved_store` if a SQLite store was moved or copied without its
        artifacts. Exit status 5.
    """
    uri = tracking_uri(tracking, folder)
    file = _sqlite_file(uri)
    if file is not None and not file.exists():
        return
    try:
        with opened(uri) as client:
            _known_experiment(client, tracking, uri=uri)
    except MgRiskError as problem:
        # A store that is locked or unreachable now may be available at the last step.
        if problem.code not in {"tracking.unreachable", "tracking.failed"}:
            raise


def _known_experiment(client: MlflowClient, tracking: Tracking, *, uri: str) -> str | None:
    """Return the experiment if it exists and can be used."""
    name = tracking.experiment
    found = client.get_experiment_by_name(name)
    if found is None:
        return None
    if found.lifecycle_stage != "active":
        raise bad_bundle(
            "tracking.deleted_experiment",
            f"the experiment {name} was deleted",
            where=without_password(uri),
            hint=f"restore it (`mlflow experiments restore -x {found.experiment_id}`), or name another: "
            "--set tracking.experiment=NAME",
        )
    # Only a location that mgrisk chose, beside the store, is checked.
    file, place = _sqlite_file(uri), str(found.artifact_location)
    if file is not None and not tracking.artifacts and place.endswith(f"/{ARTIFACTS}") and place != _beside(file):
        raise bad_bundle(
            "tracking.moved_store",
            f"the experiment {name} has its files in {place}: the store was moved or copied",
            where=without_password(uri),
            hint="move it back, or name another experiment, whose files will be beside the store: "
            "--set tracking.experiment=NAME",
        )
    return str(found.experiment_id)


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for any other."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def _beside(path: Path) -> str:
    return (path.resolve().parent / ARTIFACTS).as_uri()


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200]


def _client(uri: str) -> MlflowClient:
    import mlflow
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    file = _sqlite_file(uri)
    try:
        if file is None or not os.access(file.parent, os.W_OK):
            return _asked(uri)
        # The first process creates the tables one by one, and no other process may see the store meanwhile.
        with exclusive_lock(file.with_name(f".{file.name}.lock")):
            if sys.platform != "win32" and not (file.exists() and file.stat().st_size):
                _make(file)  # Windows cannot rename an open file
            return _asked(uri)
    except (ImportError, SQLAlchemyError, CommandError, mlflow.MlflowException) as problem:
        lacking = isinstance(problem, ImportError)
        raise bad_bundle(
            "tracking.unreachable",
            "the tracking store cannot be opened",
            where=without_password(uri),
            got=_first_line(problem),
            hint="pip install 'mgrisk[postgres]'"
            if lacking
            else "check the address, that the server is running, and that no other program locks the file",
        ) from None


def _asked(uri: str) -> MlflowClient:
    """Return a client of a store after a first request, which also opens the registry of a database."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    if urlsplit(uri).scheme not in SERVERS:
        client.search_registered_models(max_results=1)
    return client


def _make(file: Path) -> None:
    """Create an empty SQLite store atomically, since MLflow cannot open an incomplete one."""
    # Also remove the journal of SQLite, which `sweep_beside` does not recognise.
    for left in file.parent.glob(f".{file.name}.*.part*"):
        left.unlink()
    with atomic(file) as part:
        _asked(f"{SQLITE}{part.resolve().as_posix()}")
