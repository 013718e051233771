"""Batches of people from CSV or Parquet, and scored batches back: every row, in order, unharmed."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.artifacts import atomic
from mgrisk.errors import MgRiskError, bad_input

STREAM: Final = "-"
BATCH_ROWS: Final = 20_000
WRONG_FIELDS: Final = "wrong_field_count"


@dataclass(frozen=True)
class Batch:
    """Some consecutive rows.

    Attributes
    ----------
    people
        The input's columns; cells are text for CSV.
    ragged
        For CSV, the whole text cells of rows with more or fewer fields than the header, by position.
    """

    people: pd.DataFrame
    ragged: dict[int, list[str]] = field(default_factory=dict)


class Source(Protocol):
    """A table that is read batch by batch."""

    columns: list[str]

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order."""


class CsvSource:
    """Comma-separated UTF-8 with a header line, from a file or standard input."""

    def __init__(self, stream: TextIO, *, where: str, rows: int = BATCH_ROWS) -> None:
        self._reader = csv.reader(stream)
        self._where = where
        self._rows = rows
        header = self._next()
        if not header:
            raise bad_input(
                "input.empty",
                "the file has no header line",
                where=where,
                hint="see `mgrisk schema --template FILE`",
            )
        self.columns = [name.strip() for name in header]

    def batches(self) -> Iterator[Batch]:
        """Yield batches of text cells; blank lines are no rows."""
        while True:
            rows: list[list[str]] = []
            while len(rows) < self._rows and (row := self._next()) is not None:
                if row:
                    rows.append(row)
            if not rows:
                return
            width = len(self.columns)
            ragged = {position: row for position, row in enumerate(rows) if len(row) != width}
            for position, row in ragged.items():
                rows[position] = [*row[:width], *[""] * (width - len(row))]
            yield Batch(pd.DataFrame(rows, columns=self.columns, dtype=object), ragged)

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except (UnicodeDecodeError, csv.Error) as problem:
            raise bad_input(
                "input.not_csv",
                f"line {self._reader.line_num + 1} cannot be read as CSV in UTF-8: {problem}",
                where=self._where,
                hint="save the file as CSV in UTF-8",
            ) from None


class ParquetSource:
    """A Parquet file."""

    def __init__(self, path: Path, *, rows: int = BATCH_ROWS) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as problem:
            raise bad_input(
                "input.not_parquet",
                f"not a Parquet file: {problem}",
                where=str(path),
                hint="write the file again",
            ) from None
        self._rows = rows
        self.columns = list(self._file.schema_arrow.names)

    def batches(self) -> Iterator[Batch]:
        """Yield batches with the file's own types."""
        for batch in self._file.iter_batches(batch_size=self._rows):
            yield Batch(batch.to_pandas())


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Open an input by name: a .parquet file, a CSV file, or ``-`` for CSV on standard input.

    Raises
    ------
    MgRiskError
        `input.missing_file`, `input.empty`, `input.not_csv`, `input.not_parquet`.
    """
    if name == STREAM:
        yield CsvSource(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline=""), where="standard input")
        return
    path = Path(name)
    if not path.is_file():
        raise bad_input("input.missing_file", "there is no such file", where=name, hint="check the path")
    if path.suffix == ".parquet":
        yield ParquetSource(path)
        return
    with path.open(encoding="utf-8-sig", newline="") as stream:
        yield CsvSource(stream, where=name)


class CsvSink:
    """Writes CSV rows; numbers in full, so that a risk read back is the risk that was computed."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")
        self._begun = False

    def write(self, frame: pd.DataFrame) -> None:
        """Append a frame; the first one brings the header."""
        if not self._begun:
            self._writer.writerow(frame.columns)
            self._begun = True
        columns = [_cells(frame[name]) for name in frame.columns]
        self._writer.writerows(zip(*columns, strict=True))


class ParquetSink:
    """Writes Parquet row groups with the types of the first batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        """Append a frame as a row group."""
        if self._writer is None:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        else:
            table = pa.Table.from_pandas(frame, schema=self._writer.schema, preserve_index=False)
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def open_sink(name: str) -> Iterator[CsvSink | ParquetSink]:
    """Open an output by name; a file appears whole when the block ends well, or not at all."""
    if name == STREAM:
        yield CsvSink(sys.stdout)
        return
    path = Path(name)
    if path.is_dir():
        raise bad_input("output.is_folder", "the output is a folder", where=name, hint="name a file in it")
    try:
        with atomic(path) as part:
            if path.suffix == ".parquet":
                sink = ParquetSink(part)
                try:
                    yield sink
                finally:
                    sink.close()
            else:
                with part.open("w", encoding="utf-8", newline="") as stream:
                    yield CsvSink(stream)
    except OSError as problem:
        raise MgRiskError(
            "output.cannot_write",
            f"the output cannot be written: {problem.strerror}",
            where=name,
            hint="check the folder, its permissions and the space left",
        ) from None


def _cells(column: pd.Series) -> list[Any]:
    if column.dtype == np.float64:
        return ["" if value != value else repr(value) for value in column.tolist()]
    return ["" if value is None or value != value else value for value in column.tolist()]
