"""Find and load models: a released one, the bundle in a folder, or a version in a registry."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mgrisk.errors import bad_bundle

if TYPE_CHECKING:
    from mgrisk.score.scorer import Scorer

RUNS: Final = Path("runs")
STORE: Final = RUNS / "mlflow.db"
SHORTEST: Final = 8
"""Minimum characters of a digest in a pin."""
DIGEST: Final = re.compile("[0-9a-f]{12,64}")


def load_model(
    model: str | os.PathLike[str] | None = None,
    *,
    what_if: bool = False,
    next_question: bool = False,
    missing: Sequence[str] = (),
    model_digest: bool = False,
    threads: int = 1,
) -> Scorer:
    """Load a fitted risk model, which predicts like a scikit-learn classifier, and scores and explains people.

    Parameters
    ----------
    model
        Name of a released model, folder of a bundle, or NAME@ALIAS in the registry at MLFLOW_TRACKING_URI or else in
        runs/mlflow.db. By default the released model `undiagnosed`.
    what_if
        Whether `score` also returns each risk under hypothetical changes, such as more magnesium.
    next_question
        Whether `score` also names the missing input that would reduce uncertainty most; additive models only.
    missing
        Cell texts that mean missing, in addition to empty cells, NA and the like.
    model_digest
        Whether the column `model` of `score` has the first characters of the bundle's sha256 after its name.
    threads
        Threads for tree models.

    Returns
    -------
    Scorer

    Raises
    ------
    MgRiskError
        ``bundle.unknown``, ``bundle.missing`` and the like, ``registry.none``; exit status 5.

    Examples
    --------
    >>> import pandas as pd
    >>> model = load_model("undiagnosed")
    >>> people = pd.DataFrame({"age_years": [34, 71], "sex": ["female", "male"]}, index=["a", "b"])
    >>> model.predict_proba(people).round(3).shape
    (2, 2)
    >>> model.score(people, reasons=1)["reason_1"].tolist()
    ['age_years', 'age_years']
    """
    from mgrisk.score.cells import Missing
    from mgrisk.score.scorer import load_scorer

    return load_scorer(
        bundle_folder(model),
        threads=threads,
        what_if=what_if,
        next_question=next_question,
        missing=Missing.also(missing),
        model_digest=model_digest,
    )


def bundle_folder(model: str | os.PathLike[str] | None) -> Path:
    """Return the folder of a bundle: one given as a folder, a released one, or one in the registry.

    Parameters
    ----------
    model
        DIR, NAME or NAME@ALIAS; None for the released default. A released NAME takes precedence over a folder of that
        name (write ./NAME for the folder). A suffix ``==PIN`` refuses any bundle but the one pinned: PIN is at least
        the first 8 characters of the sha256 of its SHA256SUMS, or the version of mgrisk that wrote it. A sha256 alone,
        or at least its first 12 characters, finds a released bundle or the bundle of a run.

    Raises
    ------
    MgRiskError
        ``registry.none``, ``bundle.other`` for a pin that does not fit, and those of `model.released.released` and
        `track.find_bundle`.
    """
    from mgrisk.model.released import DEFAULT, released, released_bundles

    name = os.fspath(model or DEFAULT)
    meant, pinned, pin = name.rpartition("==")
    if pinned and not Path(name).is_dir():
        return _pinned(bundle_folder(meant), pin, where=meant)
    if DIGEST.fullmatch(name) and not Path(name).exists():
        for folder in (*released_bundles().values(), *run_bundles()):
            if _digest(folder).startswith(name):
                return folder
    # A folder with the name of a released bundle, such as its run folder, does not hide the released bundle.
    if Path(name).is_dir() and name not in released_bundles():
        return Path(name)
    if "@" not in name:
        return Path(released(name))
    from mgrisk.track import find_bundle

    return find_bundle(name, uri=asked_registry(name))


def run_bundles() -> list[Path]:
    """Return the bundle folders of all runs in the folder `runs`."""
    from mgrisk.run_folder import names

    return sorted(RUNS.glob(f"*/{names.BUNDLE}")) if RUNS.is_dir() else []


def _pinned(folder: Path, pin: str, *, where: str) -> Path:
    from mgrisk.model.bundle import read_about

    version, digest = read_about(folder)["mgrisk"], _digest(folder)
    if pin != version and not (len(pin) >= SHORTEST and digest.startswith(pin)):
        raise bad_bundle(
            "bundle.other",
            "the model is not the one that was pinned",
            where=where,
            expected=pin,
            got=f"version {version}, sha256 {digest}",
            hint="`mgrisk models` lists digests; choose the pinned bundle, or leave out == and what follows it",
        )
    return folder


def _digest(folder: Path) -> str:
    from mgrisk.storage.files import SUMS, sha256

    return sha256(folder / SUMS) if (folder / SUMS).is_file() else ""


def asked_registry(name: str) -> str:
    """Return the URI of the model registry.

    Raises
    ------
    MgRiskError
        ``registry.none``.
    """
    uri = registry_uri()
    if not uri:
        raise bad_bundle(
            "registry.none",
            f"no registry found to look up {name}",
            where=str(STORE),
            hint="give --model FOLDER, set MLFLOW_TRACKING_URI, or run a pipeline first",
        )
    return uri


def registry_uri() -> str | None:
    """Return MLFLOW_TRACKING_URI, else the URI of the store beside the runs; None without either."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    return uri or (f"sqlite:///{STORE.resolve()}" if STORE.exists() else None)
