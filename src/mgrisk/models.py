"""Models to use: a released one, the bundle in a folder, or a version in a registry; loaded as `load_model`."""

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
"""Signs of a digest that a pin has at least."""
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
    """Load a fitted risk model, which predicts as a scikit-learn classifier does, scores and explains people.

    Parameters
    ----------
    model
        Name of a released model, folder of a bundle, or NAME@ALIAS of a registry, which is at MLFLOW_TRACKING_URI or
        else in runs/mlflow.db. The released `undiagnosed` where left out.
    what_if
        Whether `score` also gives what options, such as more magnesium, would make of each risk.
    next_question
        Whether `score` also names the absent input that would tell most; additive models only.
    missing
        Texts that mean missing in a cell, beside the empty ones, NA and the like.
    model_digest
        Whether the column `model` of `score` has the first signs of the bundle's sha256 behind its name.
    threads
        Threads of a model with trees.

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
    """Return the folder of a bundle: one given as a folder, a released one, or one of the registry.

    Parameters
    ----------
    model
        DIR, NAME or NAME@ALIAS, a released NAME before a folder of that name (./NAME is the folder); None for the
        released default, whatever runs have been registered here. Behind it ``==PIN`` refuses a bundle whose sha256
        (that of its SHA256SUMS) does not begin with the pin, of at least 8 signs, and which no mgrisk of this version
        made. A sha256 alone, or at least its first 12 signs, finds a released bundle or one of a run.

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
    # A folder that happens to be called like a released bundle, such as that of its run, does not hide it.
    if Path(name).is_dir() and name not in released_bundles():
        return Path(name)
    if "@" not in name:
        return Path(released(name))
    from mgrisk.track import find_bundle

    return find_bundle(name, uri=asked_registry(name))


def run_bundles() -> list[Path]:
    """Return the bundles of the runs in the folder runs."""
    from mgrisk.run_folder import names

    return sorted(RUNS.glob(f"*/{names.BUNDLE}")) if RUNS.is_dir() else []


def _pinned(folder: Path, pin: str, *, where: str) -> Path:
    from mgrisk.model.bundle import read_about

    version, digest = read_about(folder)["mgrisk"], _digest(folder)
    if pin != version and not (len(pin) >= SHORTEST and digest.startswith(pin)):
        raise bad_bundle(
            "bundle.other",
            "the model is not the one that was asked for",
            where=where,
            expected=pin,
            got=f"version {version}, sha256 {digest}",
            hint="`mgrisk models` lists digests; take the bundle that is meant, or leave out what stands behind ==",
        )
    return folder


def _digest(folder: Path) -> str:
    from mgrisk.storage.files import SUMS, sha256

    return sha256(folder / SUMS) if (folder / SUMS).is_file() else ""


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
