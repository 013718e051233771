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
from mgrisk.score.formulas import csv_line, escape_formula
from mgrisk.score.journal import open_part
from mgrisk.score.parquet import is_parquet
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

    def write(self, rendered: Any) -> int:
        """Append what was rendered, in order; return how many bytes there are."""


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

    def header(self, columns: Sequence[str]) -> None:
        """Write the header line."""
        self.write(self._pack(csv_line([escape_formula(name) for name in columns])))

    def render(self, rows: Rows, answers: Answers) -> bytes | memoryview:
        """Return the lines of a block."""
        return self._pack(rows.csv_rows(answers))

    def write(self, rendered: bytes | memoryview) -> int:
        """Append lines and hand them to the system; return how many bytes there are."""
        self._stream.write(rendered)
        self._stream.flush()
        return self._stream.tell() if self._stream.seekable() else 0


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

    def write(self, rendered: pa.Table) -> int:
        """Append a row group."""
        if self._writer is None:
            # A dictionary of doubles, most of which stand once, costs time and is thrown away.
            texts = [field.name for field in rendered.schema if not pa.types.is_primitive(field.type)]
            self._writer = pq.ParquetWriter(self._stream, rendered.schema, compression="zstd", use_dictionary=texts)
        self._writer.write_table(rendered)
        return 0

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def open_output(name: str, columns: Sequence[str], *, keep: int = 0) -> Iterator[Output]:
    """Open an output by name: ``-`` for standard output, Parquet, else CSV, packed by .gz or .zst.

    Parameters
    ----------
    name
        A file appears whole when the block ends well, or not at all.
    columns
        The header of CSV.
    keep
        Bytes of an interrupted CSV to go on after.

    Raises
    ------
    MgRiskError
        As `journal.open_part`.
    """
    if name == STREAM:
        output = CsvOutput(sys.stdout.buffer)
        output.header(columns)
        yield output
        return
    path = Path(name)
    with open_part(path, keep=keep) as stream:
        if is_parquet(name):
            table = ParquetOutput(stream)
            yield table
            table.close()
        else:
            output = CsvOutput(stream, PACKS.get(path.suffix, _plain))
            if not keep:
                output.header(columns)
            yield output


def write_frame(frame: pd.DataFrame, name: str) -> None:
    """Write people as CSV or Parquet, by name as in `open_output`; numbers in full."""
    if is_parquet(name):
        with open_part(Path(name)) as stream:
            frame.to_parquet(stream, compression="zstd", index=False)
        return
    with open_output(name, list(frame.columns)) as output:
        columns = [_cells(frame[column]) for column in frame.columns]
        output.write(b"".join(csv_line(list(row)) for row in zip(*columns, strict=True)))


def _cells(column: pd.Series) -> list[Any]:
    if column.dtype == np.float64:
        return ["" if value != value else repr(value) for value in column.tolist()]
    values = ["" if value is None or value != value else value for value in column.tolist()]
    return [escape_formula(value) if isinstance(value, str) else value for value in values]
