"""Publish the outputs of one command together, or not at all.

Each output is written to a file beside it, ``.out.csv.part``, that only its owner may read. When all are complete and
on disk, the journal records it, and then they are renamed. A kill before that record leaves the old outputs; after it,
`--resume` can finish the renaming. Old and new outputs are never mixed without a journal. The scored file or folder is
renamed last: if it is new, all are.

Without `--resume` from the start, an error or SIGTERM removes what was written. Ctrl-C leaves a part that can be
resumed. While an output is written, ``.out.csv.lock`` beside it keeps other commands from writing it.
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
"""Pairs of a complete file and the output that it becomes."""


@dataclass(frozen=True)
class Staged:
    """A folder that is built part by part and published together with files.

    Attributes
    ----------
    staging
        Folder in which it is built, with temporary files; removed at the end.
    made, target
        Subfolder that becomes the output, and the output.
    """

    staging: Path
    made: Path
    target: Path


def continued(stopped: BaseException, *, resume: bool) -> bool:
    """Return whether the written part is kept for resuming: after Ctrl-C, or with `--resume` from the start."""
    return resume or (isinstance(stopped, KeyboardInterrupt) and not isinstance(stopped, Terminated))


@contextmanager
def locked(targets: Sequence[Path]) -> Iterator[None]:
    """Lock output files or folders against other commands for the duration of the block.

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
    """Yield the files that become `targets`, all together, if the block succeeds.

    Parameters
    ----------
    targets
        Files, locked.
    journal
        Journal of the batch, so that it can be resumed; without one, there must be a single target.
    folder
        A folder built elsewhere that is published after the files.

    Raises
    ------
    MgRiskError
        `output.cannot_write`.
    """
    moves = [(part_of(target), target) for target in targets]
    main = folder.target if folder else next(iter(targets), Path())  # named in an error of the journal
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
    except BaseException as stopped:  # Ctrl-C and SIGTERM too: what cannot be resumed is removed
        if journal:
            # Writing the rest would fail on the same full disk.
            with suppress(OSError):
                journal.close()
        if not (journal and journal.block_by_block and continued(stopped, resume=journal.resume)):
            for left in (*([journal.path] if journal else []), *map(part_of, targets)):
                # The first error is reported, not one of this attempt.
                with suppress(OSError):
                    left.unlink(missing_ok=True)
        raise
    _publish(moves, journal, folder)


def finish(targets: Sequence[Path], journal: Journal, *, folder: Staged | None = None) -> None:
    """Rename the outputs that the journal records as complete and that are not yet renamed.

    Raises
    ------
    MgRiskError
        `resume.bad_journal` where one of them no longer exists, `output.cannot_write`.
    """
    moves = [*((part_of(target), target) for target in targets), *([(folder.made, folder.target)] if folder else [])]
    if journal.sizes is None or len(journal.sizes) != len(moves):
        raise journal.refusal()
    for (made, target), size in zip(moves, journal.sizes, strict=True):
        if _size(made if made.exists() else target) != size:
            raise journal.refusal()
    _publish(moves, journal, folder)


class _Part(FileIO):
    """The file that becomes `target`; write errors name the target."""

    def __init__(self, target: Path, *, keep: int) -> None:
        self._target, self._path = target, part_of(target)
        with writes_to(target):
            super().__init__(open_private(self._path), "r+")
            self.truncate(keep)
            self.seek(keep)

    def write(self, content: Any, /) -> int:
        """Write all bytes."""
        left = memoryview(content).cast("B")
        size = len(left)
        with writes_to(self._target):
            while left:
                left = left[super().write(left) :]
        return size

    def complete(self) -> None:
        """Flush the file to disk, with the permissions of the file it replaces."""
        with writes_to(self._target):
            self._path.chmod(_mode(self._target))
            os.fsync(self.fileno())


def _mode(target: Path) -> int:
    """Return the permissions of a file, or the default ones of a new file."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


def _size(made: Path) -> int:
    """Return the size of a file in bytes; 0 for a folder, -1 if it does not exist."""
    if made.is_dir():
        return 0
    return made.stat().st_size if made.is_file() else -1


def _publish(moves: Moves, journal: Journal | None, folder: Staged | None) -> None:
    try:
        _rename(moves, journal, folder)
    except KeyboardInterrupt:
        # Everything is complete; only the quick renaming is left.
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
    # The journal is removed last, since it records what is left to do.
    if folder and folder.staging.exists():
        shutil.rmtree(folder.staging)
    if journal:
        journal.path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Flush the directory entries of a folder to disk, where the system supports it."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
