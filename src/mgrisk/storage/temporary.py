"""Temporary files and folders: their names tell whose they are, so that what a killed process left can be removed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_END: Final = r"\.[0-9a-f]{8}\.(\d{1,10})\.part"
_TEMPORARY: Final = re.compile(rf"\..*{_END}")


def temporary(path: Path) -> Path:
    """Return a name beside `path` that no other thread or process uses.

    Examples
    --------
    >>> temporary(Path("scored.csv")).name  # doctest: +SKIP
    '.scored.csv.5f0c9a1e.4711.part'
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{os.getpid()}.part")


def sweep(folder: Path) -> list[Path]:
    """Remove the temporary files and folders of processes that were killed, and return their names.

    Parameters
    ----------
    folder
        Looked through with all below it. What belongs to a process that lives, or has no name that `temporary` gives,
        stays.
    """
    return _removed(folder.rglob(".*.part"))


def sweep_beside(path: Path) -> list[Path]:
    """Remove what killed processes left of one output, as `sweep` does, and return the names."""
    if not path.parent.is_dir():
        return []
    own = re.compile(rf"\.{re.escape(path.name)}{_END}")
    return _removed(each for each in path.parent.iterdir() if own.fullmatch(each.name))


def aside(path: Path) -> Path:
    """Return a name beside a folder for the time between two renames, under which `restore` finds it again."""
    return temporary(path).with_suffix(".old")


def restore(path: Path) -> None:
    """Put back a folder that a killed process had moved aside; remove it where another one took its place."""
    own = re.compile(rf"\.{re.escape(path.name)}{_END.replace('part', 'old')}")
    left = [each for each in path.parent.iterdir() if own.fullmatch(each.name)] if path.parent.is_dir() else []
    for old in left:
        if os.path.lexists(path):
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(path)


def is_temporary(path: Path) -> bool:
    """Return whether a file has such a name as `temporary` gives."""
    return _TEMPORARY.fullmatch(path.name) is not None


def _removed(paths: Iterable[Path]) -> list[Path]:
    stale = []
    for path in list(paths):
        matched = _TEMPORARY.fullmatch(path.name)
        if matched and not path.is_symlink() and _is_dead(int(matched[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            stale.append(path)
    return stale


def _is_dead(process: int) -> bool:
    if sys.platform == "win32":
        return False  # there is no way to ask that does no harm
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
