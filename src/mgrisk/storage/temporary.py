"""Name temporary files and folders by process, so that leftovers of killed processes can be removed."""

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
        Searched with its subfolders. Files of a running process, or with other names than those of `temporary`, stay.
    """
    return _removed(folder.rglob(".*.part"))


def sweep_beside(path: Path) -> list[Path]:
    """Remove the leftovers of killed processes for one output, like `sweep`, and return the names."""
    if not path.parent.is_dir():
        return []
    own = re.compile(rf"\.{re.escape(path.name)}{_END}")
    return _removed(each for each in path.parent.iterdir() if own.fullmatch(each.name))


def aside(path: Path) -> Path:
    """Return a name beside a folder, used between two renames, that `restore` recognises."""
    return temporary(path).with_suffix(".old")


def restore(path: Path) -> None:
    """Restore a folder that a killed process had moved aside, or remove it if a new one is in its place."""
    own = re.compile(rf"\.{re.escape(path.name)}{_END.replace('part', 'old')}")
    left = [each for each in path.parent.iterdir() if own.fullmatch(each.name)] if path.parent.is_dir() else []
    for old in left:
        if os.path.lexists(path):
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(path)


def is_temporary(path: Path) -> bool:
    """Return whether a file has a name from `temporary`."""
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
        return False  # it cannot be checked without side effects
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
