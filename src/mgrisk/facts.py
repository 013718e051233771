"""Facts of the field: rows of the TOML files that lie beside the code which reads them."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


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
