"""Locks between processes.

A lock is one of the operating system on an empty file (by `filelock`: flock, or LockFileEx on Windows), which is
released however its process ends. The lock file is never the file that it protects.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.storage.destinations import folders_above, writes_to


@contextmanager
def exclusive_lock(path: Path, *, output: Path | None = None) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for other holders in this process or another.

    Parameters
    ----------
    path
        The lock file, created if needed. It must not be the file that the lock protects.
    output
        The protected output, if a second command must not write it after the first either: the lock is then refused
        instead of waited for, and the lock file is removed at the end.

    Raises
    ------
    MgRiskError
        `output.in_use` if `output` is given and another command holds the lock; `output.cannot_write` if the lock file
        cannot be created, the file system has no locks, or a file with content has the name of the lock.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, exclusive_lock(Path(folder) / "one.lock"):
    ...     pass  # no other process holds the lock
    """
    protected = path if output is None else output
    with folders_above(path, output=protected):
        with writes_to(protected):
            if path.is_symlink() or (path.exists() and not (path.is_file() and path.stat().st_size == 0)):
                # Locking empties the file, which would lose somebody else's content.
                raise FileExistsError(errno.EEXIST, "a file that is not a lock has the name of the lock", str(path))
            # The fallback of filelock, an existing file as a lock, would outlive its process.
            lock = FileLock(path, timeout=-1 if output is None else 0, fallback_to_soft=False)
            try:
                lock.acquire()
            except Timeout:
                raise in_use(protected) from None
        try:
            yield
        finally:
            if output is not None:
                # Removed while it is held: a process that opened it meanwhile gets the lock of a file without a name,
                # and filelock retries. Windows refuses to remove an open file; filelock does so
                # there.
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            lock.release()


def in_use(output: Path) -> MgRiskError:
    """Return the error that another command is writing an output."""
    return bad_input(
        "output.in_use",
        "another mgrisk is writing this output",
        where=str(output),
        hint="wait for it, or name another output",
    )
