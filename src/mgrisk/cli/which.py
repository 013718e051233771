"""Which bundle a command takes: what `--model` names, or the released default; a registry only where one is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from mgrisk.errors import bad_bundle

STORE: Final = Path("runs/mlflow.db")


def bundle_folder(model: str | None) -> Path:
    """Return the folder of a bundle: one given as a folder, a released one, or one of the registry.

    Parameters
    ----------
    model
        DIR, NAME or NAME@ALIAS, a released NAME before a folder of that name (./NAME is the folder); None for the
        released default, whatever runs have been registered here.

    Raises
    ------
    MgRiskError
        ``registry.none``, and those of `model.bundle.released` and `track.find_bundle`.
    """
    from mgrisk.model.bundle import DEFAULT, released, released_bundles

    name = model or DEFAULT
    # A folder that happens to be called like a released bundle, such as that of its run, does not hide it.
    if Path(name).is_dir() and name not in released_bundles():
        return Path(name)
    if "@" not in name:
        return Path(released(name))
    from mgrisk.track import find_bundle

    return find_bundle(name, uri=asked_registry(name))


def asked_registry(name: str) -> str:
    """Return where a registered model is to be found.

    Raises
    ------
    MgRiskError
        ``registry.none``.
    """
    uri = registry_uri()
    if not uri:
        raise bad_bundle(
            "registry.none",
            f"there is no registry to find {name} in",
            where=str(STORE),
            hint="give --model FOLDER, set MLFLOW_TRACKING_URI, or run a pipeline first",
        )
    return uri


def registry_uri() -> str | None:
    """Return where registered models are: MLFLOW_TRACKING_URI, else the store beside the runs; None without either."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    return uri or (f"sqlite:///{STORE.resolve()}" if STORE.exists() else None)
