"""Where MLflow keeps things: which store, opened without its chatter, and where the artifacts of a database lie."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from mgrisk.config.pipeline_file import Tracking
from mgrisk.errors import bad_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient

ADDRESS = "MLFLOW_TRACKING_URI"
SERVERS = frozenset({"http", "https", "databricks", "databricks-uc"})
"""Schemes of servers, which decide for themselves where artifacts lie."""


def tracking_uri(tracking: Tracking, folder: Path) -> str:
    """Return the store of a run.

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
    beside = f"sqlite:///{(folder.resolve().parent / 'mlflow.db').as_posix()}"
    return tracking.uri or os.environ.get(ADDRESS) or beside


def without_password(uri: str) -> str:
    """Return a URI fit to be shown and stored: a password in it is three stars."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}:***@{place}"))


@contextmanager
def opened(uri: str) -> Iterator[MlflowClient]:
    """Point MLflow at a store without its telemetry and chatter, and leave the process as it was.

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

    # Every migration of a fresh store and every model version would be a line of its own otherwise.
    quiet = {name: logging.getLogger(name).level for name in ("alembic", "mlflow")}
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging_utils.disable_logging()  # type: ignore[no-untyped-call]
    is_set: bool = mlflow.tracking.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    before = mlflow.get_tracking_uri() if is_set else None
    # MLflow writes the address into the environment too, for processes that it starts.
    environment = os.environ.get(ADDRESS)
    mlflow.set_tracking_uri(uri)
    try:
        yield _client(uri)
    except (SQLAlchemyError, mlflow.MlflowException) as problem:
        raise bad_bundle(
            "tracking.failed",
            "the tracking store did not take or give what it was asked",
            where=without_password(uri),
            got=_first_line(problem),
            hint="is it locked by another program, or its disk full? run the same again: what is done stays done",
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
    """Return the experiment of a run, made where there is none.

    Without a server the artifacts would go to whatever folder the command was started in; they go to
    `tracking.artifacts`, or to ``mlartifacts`` beside the run folder or beside the SQLite file.
    """
    found = client.get_experiment_by_name(tracking.experiment)
    if found is not None:
        return str(found.experiment_id)
    place: str | None = tracking.artifacts
    if not place and urlsplit(uri).scheme not in SERVERS:
        is_file = uri.startswith("sqlite:///")
        beside = Path(uri.removeprefix("sqlite:///")) if is_file else folder
        place = (beside.resolve().parent / "mlartifacts").as_uri()
    return str(client.create_experiment(tracking.experiment, artifact_location=place or None))


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200]


def _client(uri: str) -> MlflowClient:
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return mlflow.MlflowClient(tracking_uri=uri)
    except (ImportError, SQLAlchemyError, mlflow.MlflowException) as problem:
        lacking = isinstance(problem, ImportError)
        raise bad_bundle(
            "tracking.unreachable",
            "the tracking store cannot be opened",
            where=without_password(uri),
            got=_first_line(problem),
            hint="pip install 'mgrisk[postgres]'"
            if lacking
            else "check the address, that the server is running, and that no other program holds the file",
        ) from None
