"""The journal of a batch: which blocks are complete, and that its outputs are.

Beside ``out.csv`` stands ``.out.csv.journal`` while it is written: a line that says which batch it is, a line for each
block that is complete, and at the end one that says that all outputs are complete and only have to be renamed
(`mgrisk.score.commit`). Each line begins with a checksum of itself and of the line before it, so that a journal of
something else, or one that was changed, is told from one that a kill cut short.
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
    """A block, or a part of a folder, that is complete.

    Attributes
    ----------
    block
        The digest of the input's block, or of the part of a folder.
    part
        The name of the part; empty of a block.
    ends
        Bytes of each output after it; none where an output is not written block by block.
    tally
        What is counted of it.
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

    To be made while the lock of `target` is held (`commit.locked`).

    Parameters
    ----------
    target
        The output, a file or folder.
    key
        What the batch is: bundle, options, columns. Another batch's journal is not continued.
    resume
        Whether to continue what an interrupted batch left; without, it is overwritten.
    block_by_block
        Whether the output can be continued after any of its blocks, or only appear once it is complete.

    Attributes
    ----------
    done
        Blocks that are complete.
    sizes
        Bytes of each output where all are complete, else None.

    Raises
    ------
    MgRiskError
        `resume.other_batch` where the journal is of another batch, `resume.bad_journal` where it is not one, and
        `resume.not_possible` where there is nothing that could be continued.
    """

    def __init__(self, target: Path, *, key: str, resume: bool, block_by_block: bool = True) -> None:
        self.path, self.resume = journal_of(target), resume
        self.block_by_block = block_by_block
        self._head = _Head(key=key)
        # Where each line that stays ends, and its checksum: nothing that a kill may interrupt is written again.
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
        """Begin to write, after the last block whose outputs are all there.

        Parameters
        ----------
        parts
            The outputs so far, as `Entry.ends` has them.

        Returns
        -------
        list of int
            Bytes of each that are kept.
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
        """Note that a block is complete; its bytes must have been handed to the system before."""
        self._write(entry)

    def complete(self, sizes: Sequence[int]) -> None:
        """Note, as the last line, that all outputs are complete, and on disk; from here on they can only appear."""
        self._write(_Complete(sizes=tuple(sizes)))
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()
        self.sizes = tuple(sizes)

    def close(self) -> None:
        """Close the file; it stays where it is."""
        if self._file is not None:
            self._file.close()

    def refusal(self) -> MgRiskError:
        """Return the refusal to continue with this journal."""
        return usage(
            "resume.bad_journal",
            "what was interrupted here cannot be continued: its journal, or a file that it tells of, was changed",
            where=str(self.path),
            hint="leave out --resume to begin anew",
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
            return  # killed before its first line was whole
        for line in io.BytesIO(content):  # by \n alone: `splitlines` would take a changed byte, \r, for the end of one
            (end, before), first = self._lines[-1], len(self._lines) == 1
            if not line.endswith(b"\n") and not first:
                break  # the kill cut it
            try:
                record = _RECORD.validate_json(unsealed(line.decode(), after=before))
            except ValueError:
                raise self.refusal() from None
            if isinstance(record, _Head) != first or self.sizes is not None:
                raise self.refusal()
            if first and line != head:
                raise usage(
                    "resume.other_batch",
                    "what was interrupted here was another model, other options or another file",
                    where=str(self.path),
                    hint="give the same command again, or leave out --resume to begin anew",
                )
            if isinstance(record, Entry):
                self.done.append(record)
            elif isinstance(record, _Complete):
                self.sizes = record.sizes
            self._lines.append((end + len(line), line[:SEAL].decode()))


def sealed(text: str, *, after: str = "") -> str:
    r"""Return a line of `text` that begins with its checksum.

    Parameters
    ----------
    text
        One line.
    after
        The checksum of the line before.

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
    """Return the text of a line that `sealed` made.

    Raises
    ------
    ValueError
        Where it did not.
    """
    text = line[SEAL + 1 :].removesuffix("\n")
    if line != sealed(text, after=after):
        raise ValueError("not a line that was sealed")
    return text


def not_possible(target: str | Path) -> MgRiskError:
    """Return the refusal to continue an output that only appears as a whole."""
    return usage(
        "resume.not_possible",
        "only an output in CSV can be gone on with",
        where=str(target),
        hint="leave out --resume, or name a .csv file",
    )


def other_input(where: str) -> MgRiskError:
    """Return the refusal to continue with an input that was changed."""
    return bad_input(
        "resume.other_input",
        "the input is not what it was when the batch was interrupted",
        where=where,
        hint="leave out --resume to begin anew",
    )


def open_private(path: Path) -> int:
    """Return the descriptor of a file for reading and writing that only its owner may read; a link is an error."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o600)
