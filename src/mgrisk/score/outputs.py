"""Write scored files as CSV, JSON lines or Parquet; a file is published complete, or not at all."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.score.answers import Answers
from mgrisk.score.cells import NUMBER
from mgrisk.score.column_names import given_columns
from mgrisk.score.commit import locked, open_files
from mgrisk.score.csv.decimals import ALL_DIGITS
from mgrisk.score.file_names import COMPRESSED, Format, output_format
from mgrisk.score.formulas import csv_line, escape_formula
from mgrisk.score.json_lines import json_line
from mgrisk.score.parquet import values
from mgrisk.score.sources import Rows
from mgrisk.storage.destinations import open_stream, output_file

Compressor = Callable[[bytes | memoryview], bytes | memoryview]


def _zstd(content: bytes | memoryview) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def _gzip(content: bytes | memoryview) -> bytes:
    # No time stamp, so that the same rows give the same bytes.
    return gzip.compress(content, compresslevel=3, mtime=0)


def _plain(content: bytes | memoryview) -> bytes | memoryview:
    return content


# Both formats allow concatenation: compressed blocks in sequence are one file.
COMPRESSORS: Final[dict[str, Compressor]] = dict(zip(COMPRESSED, (_gzip, _zstd, _zstd), strict=True))


class Output(Protocol):
    """A destination of scored rows."""

    def render(self, rows: Rows, answers: Answers) -> Any:
        """Convert rows and answers for `write`; may be called on several threads."""

    def write(self, rendered: Any) -> None:
        """Append rendered rows, in order."""

    def texts(self, rows: pd.DataFrame) -> None:
        """Append rows of texts, with "" for missing, shape (n, n_columns)."""


class CsvOutput:
    """Scored rows as CSV.

    Parameters
    ----------
    stream
        Stream to write to.
    compress
        Compression of each block.
    digits
        Significant digits of the numbers in answers.
    """

    def __init__(self, stream: BinaryIO, compress: Compressor = _plain, digits: int = ALL_DIGITS) -> None:
        self._stream = stream
        self._compress = compress
        self._digits = digits

    def lines(self, content: bytes) -> None:
        """Append complete lines."""
        self.write(self._compress(content))

    def render(self, rows: Rows, answers: Answers) -> bytes | memoryview:
        """Return the lines of a block."""
        return self._compress(rows.csv_rows(answers, self._digits))

    def write(self, rendered: bytes | memoryview) -> None:
        """Append lines and hand them to the system."""
        self._stream.write(rendered)
        self._stream.flush()

    def texts(self, rows: pd.DataFrame) -> None:
        """Append lines of texts, with formulas escaped."""
        columns = (rows[name].tolist() for name in rows.columns)
        self.lines(b"".join(csv_line([escape_formula(cell) for cell in line]) for line in zip(*columns, strict=True)))


class JsonLinesOutput:
    """Rows as JSON lines; from a text file, numeric inputs become numbers, and other columns stay text.

    Parameters
    ----------
    stream, compress
        As of `CsvOutput`.
    """

    def __init__(self, stream: BinaryIO, compress: Compressor = _plain) -> None:
        self._stream = stream
        self._compress = compress

    def render(self, rows: Rows, answers: Answers) -> bytes | memoryview:
        """Return the lines of a block."""
        table = with_answers(rows, answers)
        given = given_columns(table.column_names, [each for each in rows.checked.inputs if each.kind == "number"])
        texts = {way.column for way in given.values() if pa.types.is_string(table.schema.field(way.column).type)}
        columns = [
            list(map(_number, values(table.column(name)))) if name in texts else values(table.column(name))
            for name in table.column_names
        ]
        lines = (json_line(dict(zip(table.column_names, row, strict=True))) for row in zip(*columns, strict=True))
        return self._compress(b"".join(lines))

    def texts(self, rows: pd.DataFrame) -> None:
        """Append rows of texts."""
        lines = zip(*(rows[name].tolist() for name in rows.columns), strict=True)
        self.write(self._compress(b"".join(json_line(dict(zip(rows.columns, line, strict=True))) for line in lines)))

    def write(self, rendered: bytes | memoryview) -> None:
        """Append lines and hand them to the system."""
        self._stream.write(rendered)
        self._stream.flush()


class ParquetOutput:
    """Scored rows as Parquet, one row group per block, with the types of the first block."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writer: Any = None

    def render(self, rows: Rows, answers: Answers) -> pa.Table:
        """Return the table of a block."""
        return with_answers(rows, answers)

    def write(self, rendered: pa.Table) -> None:
        """Append a row group."""
        if self._writer is None:
            # Dictionary encoding of mostly distinct doubles would cost time and be discarded.
            texts = [field.name for field in rendered.schema if not pa.types.is_primitive(field.type)]
            self._writer = pq.ParquetWriter(self._stream, rendered.schema, compression="zstd", use_dictionary=texts)
        self._writer.write_table(rendered)

    def texts(self, rows: pd.DataFrame) -> None:
        """Append a row group of texts, with null for missing."""
        columns = {name: [cell or None for cell in rows[name].tolist()] for name in rows.columns}
        self.write(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            try:
                self._writer.close()
            finally:
                self._writer.is_open = False  # otherwise it closes again at garbage collection, with the stream closed


def _number(cell: str | None) -> float | int | str | None:
    """Return a cell as a number, None if it is empty, and any other text unchanged."""
    text = (cell or "").strip()
    if not NUMBER.fullmatch(text):
        return cell or None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def with_answers(rows: Rows, answers: Answers) -> pa.Table:
    """Return the rows with their answers as a table."""
    table = rows.table()
    for name, column in answers.columns.items():
        table = table.append_column(name, column)
    return table


def _compressor_of(name: str) -> Compressor:
    return COMPRESSORS.get(Path(name).suffix.lower(), _plain)


@contextmanager
def open_one(name: str) -> Iterator[BinaryIO]:
    """Open a single output; a file is published complete if the block succeeds, or not at all.

    Parameters
    ----------
    name
        A file or stream, as distinguished by `destinations.output_file`.

    Raises
    ------
    MgRiskError
        Those of `destinations.output_file`, `commit.locked` and `commit.open_files`.
    """
    file = output_file(name)
    if file is None:
        with open_stream(name) as stream:
            yield stream
        return
    with locked([file]), open_files([file]) as (part,):
        yield part


@contextmanager
def open_lines(name: str, columns: Sequence[str]) -> Iterator[CsvOutput]:
    """Open a CSV output like `open_one`, compressed by gzip or zstd if its name says so, and write its header."""
    with open_one(name) as stream:
        yield lines_into(stream, name, columns)


@contextmanager
def open_rows(name: str, columns: Sequence[str]) -> Iterator[Output]:
    """Open an output for rows like `open_one`, in the format of its name."""
    with open_one(name) as stream, rows_into(stream, name, columns) as output:
        yield output


def lines_into(
    stream: BinaryIO, name: str, columns: Sequence[str], *, begun: bool = False, digits: int = ALL_DIGITS
) -> CsvOutput:
    """Return a stream as CSV, compressed according to its name, with a header unless the output is being resumed.

    Raises
    ------
    MgRiskError
        `output.unknown_format` if the name is of another format.
    """
    output_format(name, of=(Format.CSV,))
    output = CsvOutput(stream, _compressor_of(name), digits)
    if not begun:
        output.lines(csv_line([escape_formula(name) for name in columns]))
    return output


@contextmanager
def rows_into(
    stream: BinaryIO, name: str, columns: Sequence[str], *, begun: bool = False, digits: int = ALL_DIGITS
) -> Iterator[Output]:
    """Yield an output for scored rows on a stream, as Parquet, JSON lines or CSV by its name; as `lines_into`."""
    form = output_format(name)
    if form is Format.JSON_LINES:
        yield JsonLinesOutput(stream, _compressor_of(name))
        return
    if form is Format.CSV:
        yield lines_into(stream, name, columns, begun=begun, digits=digits)
        return
    table = ParquetOutput(stream)
    try:
        yield table
    finally:
        table.close()


def write_frame(frame: pd.DataFrame, name: str) -> None:
    """Write people as CSV or Parquet, by name as in `open_one`; numbers with all digits."""
    if output_format(name, of=(Format.CSV, Format.PARQUET)) is Format.PARQUET:
        with open_one(name) as stream:
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
