"""Outputs of one command that appear together, or not at all.

Each output is written into a file beside it, ``.out.csv.part``, that only its owner may read. Where all are complete
and on disk, the journal says so, and then they are renamed. A kill before that line leaves the old outputs, a kill
after it what `--resume` needs to finish, and nothing is half of one and half of the other. The scored file or folder
comes last: where it is new, all are.

Unless `--resume` was given from the start, an error removes what was written, and so does SIGTERM. Ctrl-C leaves what
can be continued. As long as an output is written, ``.out.csv.lock`` stands beside it and keeps other commands from it.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from mgrisk.errors import Terminated
from mgrisk.score.journal import Journal, open_private, part_of
from mgrisk.storage.destinations import writes_to
from mgrisk.storage.lock import exclusive_lock

Moves = Sequence[tuple[Path, Path]]
"""What is complete, and the output that it becomes."""


@dataclass(frozen=True)
class Staged:
    """A folder that is made part by part, and appears together with files.

    Attributes
    ----------
    staging
        Where it is made, with whatever else is needed until all is done; removed then.
    made, target
        What of it becomes the output.
    """

    staging: Path
    made: Path
    target: Path


def continued(stopped: BaseException, *, resume: bool) -> bool:
    """Return whether what was written may be continued: by whom pressed Ctrl-C, or asked for it from the start."""
    return resume or (isinstance(stopped, KeyboardInterrupt) and not isinstance(stopped, Terminated))


@contextmanager
def locked(targets: Sequence[Path]) -> Iterator[None]:
    """Keep other commands from some outputs, files or folders, as long as the block lasts.

    Raises
    ------
    MgRiskError
        `output.in_use` or `output.cannot_write`.
    """
    with ExitStack() as held:
        for target in targets:
            with writes_to(target):
                held.enter_context(exclusive_lock(target.with_name(f".{target.name}.lock"), output=target))
        yield


@contextmanager
def open_files(
    targets: Sequence[Path], *, journal: Journal | None = None, folder: Staged | None = None
) -> Iterator[list[FileIO]]:
    """Yield the files that become `targets`, all of them, if the block ends well.

    Parameters
    ----------
    targets
        Files, locked.
    journal
        Of the batch, so that it can be continued; without, there must be one target.
    folder
        A folder that is made otherwise, and appears after the files.

    Raises
    ------
    MgRiskError
        `output.cannot_write`.
    """
    moves = [(part_of(target), target) for target in targets]
    main = folder.target if folder else next(iter(targets), Path())  # what an error of the journal names
    try:
        with ExitStack() as opened:
            keep = [0] * len(targets)
            if journal:
                with writes_to(main):
                    keep = journal.open([part for part, _ in moves])
            streams = [
                opened.enter_context(_Part(target, keep=size)) for target, size in zip(targets, keep, strict=True)
            ]
            yield [*streams]
            for stream in streams:
                stream.complete()
        moves += [(folder.made, folder.target)] if folder else []
        if journal:
            with writes_to(main):
                journal.complete([_size(made) for made, _ in moves])
    except BaseException as stopped:  # Ctrl-C and SIGTERM too: what nobody will continue is removed
        if journal:
            # What is left to be written would meet the same full disk.
            with suppress(OSError):
                journal.close()
        if not (journal and journal.block_by_block and continued(stopped, resume=journal.resume)):
            for left in (*([journal.path] if journal else []), *map(part_of, targets)):
                # Whatever the disk says to that, the error is the first one.
                with suppress(OSError):
                    left.unlink(missing_ok=True)
        raise
    _appear(moves, journal, folder)


def finish(targets: Sequence[Path], journal: Journal, *, folder: Staged | None = None) -> None:
    """Rename the outputs that the journal says are complete, as far as the kill had not let it be done.

    Raises
    ------
    MgRiskError
        `resume.bad_journal` where one of them is gone, `output.cannot_write`.
    """
    moves = [*((part_of(target), target) for target in targets), *([(folder.made, folder.target)] if folder else [])]
    if journal.sizes is None or len(journal.sizes) != len(moves):
        raise journal.refusal()
    for (made, target), size in zip(moves, journal.sizes, strict=True):
        if _size(made if made.exists() else target) != size:
            raise journal.refusal()
    _appear(moves, journal, folder)


class _Part(FileIO):
    """The file that becomes `target`; an error of writing names the target."""

    def __init__(self, target: Path, *, keep: int) -> None:
        self._target, self._path = target, part_of(target)
        with writes_to(target):
            super().__init__(open_private(self._path), "r+")
            self.truncate(keep)
            self.seek(keep)

    def write(self, content: Any, /) -> int:
        """Write all of some bytes."""
        left = memoryview(content).cast("B")
        size = len(left)
        with writes_to(self._target):
            while left:
                left = left[super().write(left) :]
        return size

    def complete(self) -> None:
        """Have all of it on disk, with the permissions of what it replaces."""
        with writes_to(self._target):
            self._path.chmod(_mode(self._target))
            os.fsync(self.fileno())


def _mode(target: Path) -> int:
    """Return the permissions of a file, or those of a new one."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


def _size(made: Path) -> int:
    """Return the bytes of a file; 0 of a folder, -1 where there is neither."""
    if made.is_dir():
        return 0
    return made.stat().st_size if made.is_file() else -1


def _appear(moves: Moves, journal: Journal | None, folder: Staged | None) -> None:
    try:
        _rename(moves, journal, folder)
    except KeyboardInterrupt:
        # All is complete, and what is left to do takes no time.
        _rename(moves, journal, folder)
        raise


def _rename(moves: Moves, journal: Journal | None, folder: Staged | None) -> None:
    hint = "check the folder and its permissions" + ("; then --resume finishes what is complete" if journal else "")
    for made, target in moves:
        with writes_to(target, hint=hint):
            if made.exists():
                if target.is_dir():
                    target.rmdir()  # empty; Windows does not replace even that
                made.replace(target)
            _sync(target.parent)
    # The journal goes last: whatever else is left, it tells of.
    if folder and folder.staging.exists():
        shutil.rmtree(folder.staging)
    if journal:
        journal.path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Have the names of a folder on disk, where the system can."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
