"""Locks between processes.

A lock is the operating system's own on an empty file (by `filelock`: flock, or LockFileEx on Windows): it goes when
its process goes, however that ends. The file is never the one that the lock protects.
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
        `output.in_use` where `output` is given and another command holds the lock; `output.cannot_write` where the
        lock file cannot be made, the file system has no locks, or a file with content has the name of the lock.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, exclusive_lock(Path(folder) / "one.lock"):
    ...     pass  # nobody else is here
    """
    protected = path if output is None else output
    with folders_above(path, output=protected):
        with writes_to(protected):
            if path.is_symlink() or (path.exists() and not (path.is_file() and path.stat().st_size == 0)):
                # Locking empties the file, and removing it would lose what somebody else wrote.
                raise FileExistsError(errno.EEXIST, "a file that is no lock has the name of the lock", str(path))
            # A file in place of a lock, the fallback of filelock, would outlive its process.
            lock = FileLock(path, timeout=-1 if output is None else 0, fallback_to_soft=False)
            try:
                lock.acquire()
            except Timeout:
                raise in_use(protected) from None
        try:
            yield
        finally:
            if output is not None:
                # Removed while it is held: whoever has opened it meanwhile finds, once the lock is theirs, a file
                # without a name, and filelock begins anew. Windows refuses to remove an open file; filelock does it
                # there.
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
