"""Open tables to score by name (CSV and JSON lines, compressed or not, and Parquet), and read them in blocks."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

import pandas as pd
import pyarrow as pa

from mgrisk.errors import bad_input
from mgrisk.features.registry import Feature
from mgrisk.score.answers import Answers
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.csv.dialect import Dialect, usual_csv
from mgrisk.score.csv.source import BLOCK_BYTES, CsvSource
from mgrisk.score.file_names import Format, format_of
from mgrisk.score.folders import part_names
from mgrisk.score.formats import LONGEST
from mgrisk.score.input_schema import Checked
from mgrisk.score.json_lines import JsonLinesAsCsv, is_json_lines, json_columns
from mgrisk.score.parquet import MAGIC, ParquetSource
from mgrisk.storage.destinations import STREAM
from mgrisk.types import Integers

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
STANDARD_INPUT: Final = "standard input"
USUAL: Final = Dialect()


class Rows(Protocol):
    """Consecutive rows of a table, checked."""

    @property
    def checked(self) -> Checked:
        """The checked values."""

    def csv_rows(self, answers: Answers, digits: int) -> memoryview:
        """Return the rows with their answers as CSV, with this many significant digits."""

    def table(self) -> pa.Table:
        """Return the columns of the table."""

    def texts(self, names: Sequence[str], places: Integers | None = None) -> pd.DataFrame:
        """Return columns as texts, empty for missing, of all rows or of those at `places`, shape (n, n_names).

        A column that the table lacks is empty, since another file of the folder may have it.
        """

    def original(self, place: int) -> Any:
        """Return the original row, as a dict by column or a list of cells."""


class Source(Protocol):
    """A table read in blocks; `nothing` is a block without rows."""

    columns: list[str]
    nothing: Any

    def blocks(self) -> Iterator[Any]:
        """Yield blocks in order."""

    def digest(self, block: Any) -> str:
        """Return a digest of a block."""

    def read(self, block: Any, inputs: Sequence[Feature]) -> Rows:
        """Read and check the rows of a block."""

    def share_read(self) -> float | None:
        """Return the share of the table that has been read, or None if unknown."""


@contextmanager
def open_source(
    name: str, *, missing: Missing = MISSING, dialect: Dialect = USUAL, folder: bool = False
) -> Iterator[Source]:
    """Open an input by name: CSV or JSON lines, possibly compressed, or Parquet; ``-`` is standard input.

    Its first bytes determine the format, and whether it is compressed by gzip or zstd. Standard input cannot be
    Parquet, and a file named Parquet must be Parquet.

    Parameters
    ----------
    name
        The file.
    missing
        Words and codes that mean missing.
    dialect
        Dialect of CSV.
    folder
        Whether a folder of files is read as one table.

    Raises
    ------
    MgRiskError
        `input.missing_file`, `input.folder`, and those of `CsvSource`, `JsonLinesAsCsv`, `ParquetSource` and, of a
        folder, `part_names`.
    """
    path = Path(name)
    if name == STREAM:
        with _standard_input() as stream:
            begun = _begun(stream, LONGEST)
            json = is_json_lines(begun)
            # The keys of a stream are those of its first block.
            begun += _begun(stream, BLOCK_BYTES) if json else b""
            keys = json_columns(io.BytesIO(_whole_lines(begun)), where=STANDARD_INPUT) if json else None
            yield _lines(cast(BinaryIO, _Rejoined(begun, stream)), keys, dialect, where=STANDARD_INPUT, missing=missing)
        return
    if path.is_dir() and folder:
        yield FolderSource(path, missing=missing, dialect=dialect)
        return
    if path.is_dir():
        hint = "give one file; only `mgrisk score` accepts a folder"
        raise bad_input("input.folder", "this is a folder", where=name, hint=hint)
    if not path.is_file():
        raise bad_input("input.missing_file", "the file does not exist", where=name, hint="check the path")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC or format_of(name) is Format.PARQUET:
            yield ParquetSource(path, missing=missing)
            return
    with _file(path) as stream:
        json = is_json_lines(_begun(stream, LONGEST))
    keys = None
    if json:
        with _file(path) as stream:
            keys = json_columns(stream, where=name)
    with _file(path) as stream:
        size = path.stat().st_size if isinstance(stream, io.BufferedReader) and not json else None
        yield _lines(stream, keys, dialect, where=name, size=size, missing=missing)


def _lines(
    stream: BinaryIO, keys: list[str] | None, dialect: Dialect, *, where: str, missing: Missing, size: int | None = None
) -> CsvSource:
    """Return a source for a stream of CSV, or of JSON lines with these keys."""
    if keys is None:
        stream = usual_csv(stream, dialect, where=where)
    else:
        stream = cast(BinaryIO, JsonLinesAsCsv(stream, keys, where=where))
    return CsvSource(stream, where=where, size=size, missing=missing)


class FolderSource:
    """The files of a folder as one table with the columns of all files; columns that a file lacks are empty.

    Raises
    ------
    MgRiskError
        Those of `part_names`, and those of each file.
    """

    def __init__(self, folder: Path, *, missing: Missing = MISSING, dialect: Dialect = USUAL) -> None:
        self._parts = [str(folder / name) for name in part_names(folder)[0]]
        self._missing, self._dialect = missing, dialect
        self._done = 0
        columns: dict[str, None] = {}
        for part in self._parts:
            with self._opened(part) as table:
                columns.update(dict.fromkeys(table.columns))
                self.nothing: Any = table, table.nothing
        self.columns = list(columns)

    def blocks(self) -> Iterator[tuple[Source, Any]]:
        """Yield blocks in order, each with its table."""
        for part in self._parts:
            with self._opened(part) as table:
                yield from ((table, block) for block in table.blocks())
            self._done += 1

    def _opened(self, part: str) -> AbstractContextManager[Source]:
        return open_source(part, missing=self._missing, dialect=self._dialect)

    def digest(self, block: tuple[Source, Any]) -> str:
        """Return a digest of a block."""
        table, own = block
        return table.digest(own)

    def read(self, block: tuple[Source, Any], inputs: Sequence[Feature]) -> Rows:
        """Read and check the rows of a block."""
        table, own = block
        return table.read(own, inputs)

    def share_read(self) -> float:
        """Return the share of the files that have been read."""
        return self._done / len(self._parts)


def _begun(stream: BinaryIO, size: int) -> bytes:
    """Return the next bytes, at most `size`; none on a read error, which the next read reports."""
    found = b""
    with suppress(EOFError, OSError, zlib.error, pa.ArrowException):
        while len(found) < size and (part := stream.read(size - len(found))):
            found += part
    return found


def _whole_lines(begun: bytes) -> bytes:
    return begun[: begun.rfind(b"\n") + 1] or begun


@contextmanager
def _standard_input() -> Iterator[BinaryIO]:
    first = sys.stdin.buffer.read(len(MAGIC))
    with _decompressed(cast(BinaryIO, _Rejoined(first, sys.stdin.buffer)), first) as stream:
        yield stream


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
        file.seek(0)
        with _decompressed(file, first) as stream:
            yield stream


@contextmanager
def _decompressed(stream: BinaryIO, first: bytes) -> Iterator[BinaryIO]:
    if first.startswith(GZIP):
        with gzip.open(stream) as decompressed:
            yield cast(BinaryIO, decompressed)
    elif first == ZSTD:
        with pa.input_stream(stream, compression="zstd") as decompressed:
            yield decompressed
    else:
        yield stream


class _Rejoined(io.RawIOBase):
    """A stream with its first bytes, which were already read, put back."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        part = self._first[: len(into)] or self._rest.read(len(into))
        self._first = self._first[len(into) :]
        into[: len(part)] = part
        return len(part)
