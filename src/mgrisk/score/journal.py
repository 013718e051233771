"""The journal of a batch: it records which blocks are complete, and when all outputs are.

While ``out.csv`` is written, ``.out.csv.journal`` is beside it: a line that identifies the batch, a line for each
complete block, and at the end a line that all outputs are complete and only have to be renamed (`mgrisk.score.commit`).
Each line begins with a checksum of itself and the previous line, which distinguishes a changed or foreign journal from
a truncated one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import xxhash
from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter

from mgrisk.errors import MgRiskError, bad_input, usage

SEAL: Final = xxhash.xxh3_128().digest_size * 2


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Head(_Line):
    key: str


class Entry(_Line):
    """A complete block, or a complete part of a folder.

    Attributes
    ----------
    block
        The digest of the input's block, or of the part of a folder.
    part
        The name of the part; empty of a block.
    ends
        Size of each output after it, in bytes; empty where outputs are not written block by block.
    tally
        Its counts.
    """

    block: str
    part: str = ""
    ends: tuple[NonNegativeInt, ...]
    tally: dict[str, Any]


class _Complete(_Line):
    sizes: tuple[NonNegativeInt, ...]


_RECORD: TypeAdapter[_Head | Entry | _Complete] = TypeAdapter(_Head | Entry | _Complete)


def part_of(target: Path) -> Path:
    """Return the file that becomes `target` when it is complete."""
    return target.with_name(f".{target.name}.part")


def journal_of(target: Path) -> Path:
    """Return the journal of `target`."""
    return target.with_name(f".{target.name}.journal")


class Journal:
    """The journal of the batch that writes `target`.

    It must be created while the lock of `target` is held (`commit.locked`).

    Parameters
    ----------
    target
        The output, a file or folder.
    key
        Digest of bundle, options and columns. The journal of another batch cannot be resumed.
    resume
        Whether to resume an interrupted batch; otherwise its parts are overwritten.
    block_by_block
        Whether the output can be resumed after any of its blocks, or only be published once it is complete.

    Attributes
    ----------
    done
        Complete blocks.
    sizes
        Size of each output in bytes if all are complete, else None.

    Raises
    ------
    MgRiskError
        `resume.other_batch` for the journal of another batch, `resume.bad_journal` for a damaged journal, and
        `resume.not_possible` where the output cannot be resumed.
    """

    def __init__(self, target: Path, *, key: str, resume: bool, block_by_block: bool = True) -> None:
        self.path, self.resume = journal_of(target), resume
        self.block_by_block = block_by_block
        self._head = _Head(key=key)
        # End offset and checksum of each line that is kept, so that no complete line is ever rewritten.
        self._lines: list[tuple[int, str]] = [(0, "")]
        self._file: BinaryIO | None = None
        self.done: list[Entry] = []
        self.sizes: tuple[int, ...] | None = None
        if resume and self.path.exists():
            if not self.path.is_file():
                raise self.refusal()
            self._read(self.path.read_bytes())
        if resume and not (block_by_block or self.sizes):
            raise not_possible(target)

    def open(self, parts: Sequence[Path]) -> list[int]:
        """Open for writing after the last block whose outputs are all on disk.

        Parameters
        ----------
        parts
            The partial outputs, in the order of `Entry.ends`.

        Returns
        -------
        list of int
            Number of bytes to keep of each.
        """
        sizes = [part.stat().st_size if part.is_file() else 0 for part in parts]
        ends = [0] * len(parts)
        for place, entry in enumerate(self.done):
            if len(entry.ends) != len(parts) or any(end > size for end, size in zip(entry.ends, sizes, strict=True)):
                del self.done[place:], self._lines[place + 2 :]
                break
            ends = list(entry.ends)
        kept, _ = self._lines[-1]
        self._file = os.fdopen(open_private(self.path), "r+b")
        self._file.truncate(kept)
        self._file.seek(kept)
        if not kept:
            self._write(self._head)
        return ends

    def add(self, entry: Entry) -> None:
        """Record that a block is complete; its bytes must have been written before."""
        self._write(entry)

    def complete(self, sizes: Sequence[int]) -> None:
        """Record, as the last line, that all outputs are complete and on disk; only renaming is left."""
        self._write(_Complete(sizes=tuple(sizes)))
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()
        self.sizes = tuple(sizes)

    def close(self) -> None:
        """Close the file without removing it."""
        if self._file is not None:
            self._file.close()

    def refusal(self) -> MgRiskError:
        """Return the error that this journal cannot be resumed."""
        return usage(
            "resume.bad_journal",
            "the interrupted batch cannot be resumed: its journal or a partial output was changed",
            where=str(self.path),
            hint="leave out --resume to start again",
        )

    def _write(self, record: _Line) -> None:
        assert self._file is not None
        line = sealed(record.model_dump_json(), after=self._lines[-1][1])
        self._file.write(line.encode())
        self._file.flush()
        self._lines = [(0, line[:SEAL])]

    def _read(self, content: bytes) -> None:
        head = sealed(self._head.model_dump_json()).encode()
        if head.startswith(content):
            return  # killed before its first line was complete
        for line in io.BytesIO(content):  # split at \n only: `splitlines` would also split at a changed byte, \r
            (end, before), first = self._lines[-1], len(self._lines) == 1
            if not line.endswith(b"\n") and not first:
                break  # truncated by a kill
            try:
                record = _RECORD.validate_json(unsealed(line.decode(), after=before))
            except ValueError:
                raise self.refusal() from None
            if isinstance(record, _Head) != first or self.sizes is not None:
                raise self.refusal()
            if first and line != head:
                raise usage(
                    "resume.other_batch",
                    "the interrupted batch had another model, other options or another file",
                    where=str(self.path),
                    hint="run the same command again, or leave out --resume to start again",
                )
            if isinstance(record, Entry):
                self.done.append(record)
            elif isinstance(record, _Complete):
                self.sizes = record.sizes
            self._lines.append((end + len(line), line[:SEAL].decode()))


def sealed(text: str, *, after: str = "") -> str:
    r"""Return `text` as a line that begins with its checksum.

    Parameters
    ----------
    text
        One line.
    after
        The checksum of the previous line.

    Examples
    --------
    >>> line = sealed("two", after="one")
    >>> unsealed(line, after="one")
    'two'
    >>> unsealed(line.replace("two", "three"), after="one")
    Traceback (most recent call last):
    ...
    ValueError: not a line that was sealed
    """
    return f"{xxhash.xxh3_128_hexdigest((after + text).encode())} {text}\n"


def unsealed(line: str, *, after: str = "") -> str:
    """Return the text of a line from `sealed`.

    Raises
    ------
    ValueError
        If the checksum does not match.
    """
    text = line[SEAL + 1 :].removesuffix("\n")
    if line != sealed(text, after=after):
        raise ValueError("not a line that was sealed")
    return text


def not_possible(target: str | Path) -> MgRiskError:
    """Return the error that an output cannot be resumed."""
    return usage(
        "resume.not_possible",
        "only a CSV output can be resumed",
        where=str(target),
        hint="leave out --resume, or name a .csv file",
    )


def other_input(where: str) -> MgRiskError:
    """Return the refusal to continue with an input that was changed."""
    return bad_input(
        "resume.other_input",
        "the input has changed since the batch was interrupted",
        where=where,
        hint="leave out --resume to start again",
    )


def open_private(path: Path) -> int:
    """Open a file for reading and writing that only its owner may read, and return its descriptor; refuse a link."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o600)
