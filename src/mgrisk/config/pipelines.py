"""Find the pipelines that come with mgrisk by name, in a checkout or a wheel."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import tomli_w

from mgrisk.config.pipeline_file import read_merged
from mgrisk.errors import usage


def known_pipelines() -> dict[str, Path]:
    """Return the file of each pipeline that comes with mgrisk, by name.

    Examples
    --------
    >>> "demo" in known_pipelines()
    True
    """
    package = Path(str(files("mgrisk")))
    # A wheel has pipelines/ in the package; an editable installation has it in the checkout.
    found: dict[str, Path] = {}
    for home in (package / "pipelines", package.parents[1] / "pipelines"):
        found |= {path.stem: path for path in sorted(home.glob("*.toml"))}
    return found


def pipeline_path(given: str | os.PathLike[str]) -> Path:
    """Return the file of a pipeline given by path, or by the name of one that comes with mgrisk.

    Examples
    --------
    >>> pipeline_path("demo").name, str(pipeline_path("mine.toml"))
    ('demo.toml', 'mine.toml')
    """
    text = os.fspath(given)
    return known_pipelines().get(text, Path(text))


def text_of(name: str) -> str:
    """Return a pipeline that comes with mgrisk as one editable TOML file, with the files it extends merged in.

    Raises
    ------
    MgRiskError
        ``config.unknown_pipeline``.
    """
    known = known_pipelines()
    if name not in known:
        raise usage(
            "config.unknown_pipeline",
            f"no pipeline {name} comes with mgrisk",
            where="mgrisk pipelines",
            hint=f"one of: {', '.join(known)}",
        )
    return tomli_w.dumps(read_merged(known[name]))
