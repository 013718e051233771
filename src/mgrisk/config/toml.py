"""TOML files: those that lie beside the code and hold facts of the field, and those that a user names.

The first are part of mgrisk and read as they are. The second may be anything: they are read up to a size, and a file
that is not TOML is refused with the line that is wrong.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from mgrisk.errors import usage

LARGEST: Final = 1 << 20  # bytes


def read_toml(path: Path, *, kind: str, prefix: str, hint: str) -> dict[str, Any]:
    """Read a file.

    Parameters
    ----------
    path
        Of the file. A device has no end, and a larger file is none of ours.
    kind
        What it should be, in words: pipeline.
    prefix
        First part of the error codes.
    hint
        What to do where it is not there.

    Raises
    ------
    MgRiskError
        `PREFIX.missing_file`, `PREFIX.not_toml`.
    """
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise usage(f"{prefix}.missing_file", f"there is no such {kind} file", where=str(path), hint=hint)
    try:
        # Windows begins a text with a byte order mark.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as problem:  # not TOML, not UTF-8, a number of thousands of digits
        raise usage(
            f"{prefix}.not_toml", f"not a TOML file: {problem}", where=str(path), hint="mend the line named"
        ) from None


def rows(package: str, place: str, array: str) -> list[dict[str, Any]]:
    """Read an array of tables from one TOML file, or from all the files of a folder in the order of their names.

    Parameters
    ----------
    package
        Name of the package the file lies in.
    place
        Name of the file, or of the folder.
    array
        Name of the array of tables. Keys that stand above it in a file hold for each of its rows that does not say
        otherwise.

    Examples
    --------
    >>> rows("mgrisk.features", "dri.toml", "row")[0]["stage"]
    'general'
    """
    root = files(package).joinpath(place)
    parts = [root] if root.is_file() else sorted(root.iterdir(), key=lambda part: part.name)
    found = []
    for part in parts:
        content = tomllib.loads(part.read_text("utf-8"))
        listed = content.pop(array)
        found += [content | row for row in listed]
    return found
