"""Scored files: rows with their answers as CSV, packed or not, or as Parquet; whole or not at all."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.score.answers import Answers
from mgrisk.score.commit import locked, open_files
from mgrisk.score.formulas import csv_line, escape_formula
from mgrisk.score.sources import STREAM, Rows

Pack = Callable[[bytes | memoryview], bytes | memoryview]


def _zstd(content: bytes | memoryview) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def _gzip(content: bytes | memoryview) -> bytes:
    # No time stamp: the same rows are the same bytes.
    return gzip.compress(content, compresslevel=3, mtime=0)


def _plain(content: bytes | memoryview) -> bytes | memoryview:
    return content


# Both are made to be joined: one block after the other is one file.
PACKS: Final[dict[str, Pack]] = {".gz": _gzip, ".zst": _zstd, ".zstd": _zstd}


class Output(Protocol):
    """Where scored rows go."""

    def render(self, rows: Rows, answers: Answers) -> Any:
        """Return rows and answers in the form that `write` takes; may be called on several threads."""

    def write(self, rendered: Any) -> None:
        """Append what was rendered, in order."""


class CsvOutput:
    """Scored rows as CSV.

    Parameters
    ----------
    stream
        Where the bytes go.
    pack
        What each block goes through.
    """

    def __init__(self, stream: BinaryIO, pack: Pack = _plain) -> None:
        self._stream = stream
        self._pack = pack

    def lines(self, content: bytes) -> None:
        """Append lines that were made elsewhere."""
        self.write(self._pack(content))

    def render(self, rows: Rows, answers: Answers) -> bytes | memoryview:
        """Return the lines of a block."""
        return self._pack(rows.csv_rows(answers))

    def write(self, rendered: bytes | memoryview) -> None:
        """Append lines and hand them to the system."""
        self._stream.write(rendered)
        self._stream.flush()


class ParquetOutput:
    """Scored rows as Parquet, a row group for each block, with the types of the first."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writer: Any = None

    def render(self, rows: Rows, answers: Answers) -> pa.Table:
        """Return the table of a block."""
        table = rows.table()
        for name, column in answers.columns.items():
            table = table.append_column(name, column)
        return table

    def write(self, rendered: pa.Table) -> None:
        """Append a row group."""
        if self._writer is None:
            # A dictionary of doubles, most of which stand once, costs time and is thrown away.
            texts = [field.name for field in rendered.schema if not pa.types.is_primitive(field.type)]
            self._writer = pq.ParquetWriter(self._stream, rendered.schema, compression="zstd", use_dictionary=texts)
        self._writer.write_table(rendered)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def open_lines(name: str, columns: Sequence[str]) -> Iterator[CsvOutput]:
    """Open a CSV file by name, packed by .gz or .zst, or ``-`` for standard output.

    Parameters
    ----------
    name
        A file appears whole when the block ends well, or not at all.
    columns
        The header.

    Raises
    ------
    MgRiskError
        As `commit.locked` and `commit.open_files`.
    """
    if name == STREAM:
        yield lines_into(sys.stdout.buffer, name, columns)
        return
    with locked([Path(name)]), open_files([Path(name)]) as (stream,):
        yield lines_into(stream, name, columns)


def lines_into(stream: Any, name: str, columns: Sequence[str]) -> CsvOutput:
    """Return a stream as CSV, packed as its name says; a header is written where nothing has been.

    Parameters
    ----------
    stream
        Open for writing.
    name, columns
        As of `open_lines`.
    """
    output = CsvOutput(stream, PACKS.get(Path(name).suffix, _plain))
    if name == STREAM or not stream.tell():
        output.lines(csv_line([escape_formula(name) for name in columns]))
    return output


@contextmanager
def rows_into(stream: Any, name: str, columns: Sequence[str]) -> Iterator[Output]:
    """Yield a stream for scored rows, as Parquet or CSV by its name; the rest as `lines_into`."""
    if Path(name).suffix != ".parquet":
        yield lines_into(stream, name, columns)
        return
    table = ParquetOutput(stream)
    yield table
    table.close()


def write_frame(frame: pd.DataFrame, name: str) -> None:
    """Write people as CSV or Parquet, by name as in `open_lines`; numbers in full."""
    if Path(name).suffix == ".parquet":
        with locked([Path(name)]), open_files([Path(name)]) as (stream,):
            frame.to_parquet(stream, compression="zstd", index=False)
        return
    with open_lines(name, list(frame.columns)) as output:
        columns = [_cells(frame[column]) for column in frame.columns]
        output.lines(b"".join(csv_line(list(row)) for row in zip(*columns, strict=True)))


def _cells(column: pd.Series) -> list[Any]:
    if column.dtype == np.float64:
        return ["" if value != value else repr(value) for value in column.tolist()]
    values = ["" if value is None or value != value else value for value in column.tolist()]
    return [escape_formula(value) if isinstance(value, str) else value for value in values]
