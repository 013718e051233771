"""Read TOML files: those of the package, and those that a user names.

Files of the package are trusted. A user's file is read up to a maximum size, and refused with the wrong line if it is
not TOML.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from mgrisk.errors import usage

LARGEST: Final = 1 << 20  # bytes


def read_toml(path: Path, *, kind: str, prefix: str, hint: str) -> dict[str, Any]:
    """Read a TOML file that a user named.

    Parameters
    ----------
    path
        Path of the file. At most `LARGEST` bytes are read, since a device has no end.
    kind
        Kind of file for messages, such as pipeline.
    prefix
        Prefix of the error codes.
    hint
        What to do if the file does not exist.

    Raises
    ------
    MgRiskError
        `PREFIX.missing_file`, `PREFIX.not_toml`.
    """
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise usage(f"{prefix}.missing_file", f"the {kind} file does not exist", where=str(path), hint=hint)
    try:
        # Windows editors may write a byte order mark.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as problem:  # not TOML, not UTF-8, a number of thousands of digits
        raise usage(
            f"{prefix}.not_toml", f"not a TOML file: {problem}", where=str(path), hint="correct the line named"
        ) from None


def rows(package: str, place: str, array: str) -> list[dict[str, Any]]:
    """Read an array of tables from a TOML file of the package, or from all files of a folder in order of name.

    Parameters
    ----------
    package
        Name of the package with the file.
    place
        Name of the file, or of the folder.
    array
        Name of the array of tables. Top-level keys of a file are defaults for its rows.

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
