"""Locks between processes, and what a process that was killed has left behind.

A lock is the operating system's own on an empty file: it goes when its process goes, however that ends. The
file stays, since removing it while another waits for it would let two in.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> None:
        # Waits ten seconds and gives up: ask again for as long as it takes.
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno != errno.EDEADLOCK:
                    raise
                continue
            return

    def _is_dead(process: int) -> bool:
        return False  # there is no way to ask that does no harm
else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _is_dead(process: int) -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


_OF_A_PROCESS: Final = re.compile(r"\..*\.(\d+)\.part")


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock on a file; wait for whoever holds it, in this process or another.

    Parameters
    ----------
    path
        The lock file, made where need be and never removed. Not the file that the lock protects.

    Raises
    ------
    OSError
        Where the file cannot be made or the file system has no locks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, exclusive_lock(Path(folder) / "one.lock"):
    ...     pass  # nobody else is here
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Closing the file lets the lock go.
    with path.open("ab") as file:
        _take(file)
        yield


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
