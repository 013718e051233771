"""Locks between processes, and what a process that was killed has left behind.

A lock is the operating system's own on an empty file (by `filelock`: flock, or LockFileEx on Windows): it goes when
its process goes, however that ends. The file is never the one that the lock protects.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from mgrisk.errors import MgRiskError, bad_input

_OF_A_PROCESS: Final = re.compile(r"\..*\.(\d+)\.part")


@contextmanager
def exclusive_lock(path: Path, *, output: Path | None = None) -> Iterator[None]:
    """Hold the lock on a file; wait for whoever holds it, in this process or another.

    Parameters
    ----------
    path
        The lock file, made where need be. Not the file that the lock protects.
    output
        What the lock protects, where that is an output that two commands must not write one after the other either:
        then nobody waits, and the lock file is removed at the end, so that nothing is left beside the output.

    Raises
    ------
    MgRiskError
        `output.in_use` where `output` is given and another command holds the lock.
    OSError
        Where the file cannot be made or the file system has no locks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, exclusive_lock(Path(folder) / "one.lock"):
    ...     pass  # nobody else is here
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file in place of a lock, the fallback of filelock, would outlive its process.
    lock = FileLock(path, timeout=-1 if output is None else 0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise in_use(path if output is None else output) from None
    try:
        yield
    finally:
        if output is not None:
            # Removed while it is held: whoever has opened it meanwhile finds, once the lock is theirs, a file without
            # a name, and filelock begins anew. Windows refuses to remove an open file; filelock does it there.
            with suppress(OSError):
                path.unlink(missing_ok=True)
        lock.release()


def in_use(output: Path) -> MgRiskError:
    """Return the refusal to write an output that another command writes."""
    return bad_input(
        "output.in_use",
        "another mgrisk is writing this output",
        where=str(output),
        hint="wait for it, or name another output",
    )


def _is_dead(process: int) -> bool:
    if sys.platform == "win32":
        return False  # there is no way to ask that does no harm
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def sweep(folder: Path) -> list[Path]:
    """Remove what `mgrisk.storage.files.atomic` left when its process was killed, and return the names.

    Parameters
    ----------
    folder
        Looked through with all below it. Temporary files of processes that live are left alone.
    """
    stale = []
    for path in folder.rglob(".*.part"):
        matched = _OF_A_PROCESS.fullmatch(path.name)
        if matched and path.is_file() and _is_dead(int(matched[1])):
            path.unlink(missing_ok=True)
            stale.append(path)
    return stale
