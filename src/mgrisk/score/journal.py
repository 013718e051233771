"""A file that is written in parts and survives a kill: what is complete is known, and the rest is written again.

Beside ``out.csv`` stand ``.out.csv.part``, the bytes so far, and ``.out.csv.journal``, a line for each block that is
complete: the digest of its input and where the output stood after it. The end of the work renames the part and removes
the journal; an error removes both; a kill or Ctrl-C leaves both, for `--resume`. As long as it is written stands
``.out.csv.lock`` there, too, and keeps other commands from the same output.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mgrisk.errors import MgRiskError, bad_input, usage
from mgrisk.storage.lock import exclusive_lock, in_use


@dataclass(frozen=True)
class Entry:
    """A block that is complete.

    Attributes
    ----------
    digest
        What the input's block was.
    written, rejects
        Bytes of the output and of the file of rejects after it.
    tally
        What is counted of the block.
    """

    digest: str
    written: int
    rejects: int
    tally: Mapping[str, Any]


class Journal:
    """The blocks of a batch that are complete.

    Parameters
    ----------
    target
        The output.
    key
        What the batch is: bundle, options, columns. Another batch's journal is not continued.
    resume
        Whether to go on where a killed batch stopped; without, what it left is overwritten.

    Raises
    ------
    MgRiskError
        `resume.other_batch` where the journal is of another batch.
    """

    def __init__(self, target: Path, *, key: str, resume: bool) -> None:
        self._target, self._path = target, journal_of(target)
        self._key = key
        self.done: list[Entry] = []
        # Bytes of the journal that stay: nothing that a kill may interrupt is written again.
        self._kept = 0
        if resume:
            self._go_on(part_of(target))

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Write the journal as long as the block lasts; it goes where the block ends well or with an error.

        To be opened within `open_part` of the same target, which keeps others out.

        Raises
        ------
        MgRiskError
            `output.cannot_write`.
        """
        with _writable(self._target), self._path.open("a", encoding="utf-8") as self._file:
            self._file.truncate(self._kept)
            if not self._kept:
                self._note({"key": self._key})
            try:
                yield self
            except Exception:
                self._path.unlink(missing_ok=True)
                raise
            self._path.unlink()

    def add(self, entry: Entry) -> None:
        """Note that a block is complete; its bytes must have been handed to the system before."""
        self._note(vars(entry))

    def _note(self, content: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(content) + "\n")
        self._file.flush()

    def _go_on(self, part: Path) -> None:
        if not self._path.is_file() or not part.is_file():
            return
        # The kill may have cut the last line, be it the first.
        lines = [line for line in self._path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        if not lines:
            return
        if json.loads(lines[0])["key"] != self._key:
            raise usage(
                "resume.other_batch",
                "what was interrupted here was another model, other options or another file",
                where=str(part),
                hint="give the same command again, or leave out --resume to begin anew",
            )
        self._kept, size = len(lines[0]), part.stat().st_size
        for line in lines[1:]:
            entry = Entry(**json.loads(line))
            if entry.written > size:
                break
            self.done.append(entry)
            self._kept += len(line)


def part_of(target: Path) -> Path:
    """Return the file that becomes `target` when it is complete."""
    return target.with_name(f".{target.name}.part")


def journal_of(target: Path) -> Path:
    """Return the journal of `target`."""
    return target.with_name(f".{target.name}.journal")


def lock_of(target: Path) -> Path:
    """Return the lock file that stands beside `target`, a file or folder, while it is written."""
    return target.with_name(f".{target.name}.lock")


@contextmanager
def open_part(target: Path, *, keep: int = 0) -> Iterator[BinaryIO]:
    """Yield the file that becomes `target` if the block ends well; after its first `keep` bytes it is written anew.

    An error removes it. Ctrl-C leaves it, as a kill does.

    Raises
    ------
    MgRiskError
        `output.is_folder`, `output.in_use` or `output.cannot_write`.
    """
    if target.is_dir():
        raise bad_input("output.is_folder", "the output is a folder", where=str(target), hint="name a file in it")
    part = part_of(target)
    with _writable(target), exclusive_lock(lock_of(target), output=target):
        try:
            # Not a byte of it is touched before nobody else has it.
            with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as stream:
                if stream.seek(0, os.SEEK_END) < keep:
                    # Between the look into the journal and the lock another command has finished the file.
                    raise in_use(target)
                stream.truncate(keep)
                stream.seek(keep)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        except Exception:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise MgRiskError(
            "output.cannot_write",
            f"the output cannot be written: {problem.strerror}",
            where=str(target),
            hint="check the folder, its permissions and the space left",
        ) from None
