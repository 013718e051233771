"""Tables to be scored, by name: CSV, packed or not, and Parquet, read block by block."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

import pandas as pd
import pyarrow as pa

from mgrisk.errors import bad_input
from mgrisk.features.registry import Feature
from mgrisk.score.answers import Answers
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.input_schema import Checked
from mgrisk.score.parquet import MAGIC, ParquetSource, is_parquet
from mgrisk.storage.destinations import STREAM
from mgrisk.types import Integers

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"


class Rows(Protocol):
    """Some consecutive rows of a table, checked."""

    @property
    def checked(self) -> Checked:
        """What the contract says of them."""

    def csv_rows(self, answers: Answers) -> memoryview:
        """Return the rows with their answers as CSV."""

    def table(self) -> pa.Table:
        """Return the table's own columns."""

    def texts(self, names: Sequence[str], places: Integers | None = None) -> pd.DataFrame:
        """Return columns as texts, empty where there is nothing, of all rows or of some, shape (n, n_names)."""

    def original(self, place: int) -> Any:
        """Return a row as it was, by column, or as a list of cells."""


class Source(Protocol):
    """A table that is read block by block; `nothing` is a block without rows."""

    columns: list[str]
    nothing: Any

    def blocks(self) -> Iterator[Any]:
        """Yield blocks in order."""

    def digest(self, block: Any) -> str:
        """Return what tells a block from another."""

    def read(self, block: Any, inputs: Sequence[Feature]) -> Rows:
        """Read and check the rows of a block."""

    def share_read(self) -> float | None:
        """Return how much of the table has been read, None where that is not known."""


@contextmanager
def open_source(name: str, *, missing: Missing = MISSING) -> Iterator[Source]:
    """Open an input by name: CSV, perhaps packed, or Parquet; ``-`` for CSV on standard input.

    Whether it is Parquet, or packed by gzip or zstd, is told by its first bytes; what is called Parquet must be it.

    Parameters
    ----------
    name
        The file.
    missing
        What means missing in it.

    Raises
    ------
    MgRiskError
        `input.missing_file`, `input.folder`, and those of `CsvSource` and `ParquetSource`.
    """
    path = Path(name)
    if name == STREAM:
        first = sys.stdin.buffer.read(len(MAGIC))
        whole = cast(BinaryIO, _Rejoined(first, sys.stdin.buffer))
        with _unpacked(whole, first) as stream:
            yield CsvSource(stream, where="standard input", missing=missing)
        return
    if path.is_dir():
        hint = "give one file; `mgrisk score` takes a folder of files"
        raise bad_input("input.folder", "this is a folder", where=name, hint=hint)
    if not path.is_file():
        raise bad_input("input.missing_file", "there is no such file", where=name, hint="check the path")
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
        file.seek(0)
        if first == MAGIC or is_parquet(name):
            yield ParquetSource(path, missing=missing)
            return
        with _unpacked(file, first) as stream:
            size = path.stat().st_size if stream is file else None
            yield CsvSource(stream, where=name, size=size, missing=missing)


@contextmanager
def _unpacked(stream: BinaryIO, first: bytes) -> Iterator[BinaryIO]:
    if first.startswith(GZIP):
        with gzip.open(stream) as unpacked:
            yield cast(BinaryIO, unpacked)
    elif first == ZSTD:
        with pa.input_stream(stream, compression="zstd") as unpacked:
            yield unpacked
    else:
        yield stream


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes have been read, from its beginning."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        part = self._first[: len(into)] or self._rest.read(len(into))
        self._first = self._first[len(into) :]
        into[: len(part)] = part
        return len(part)
