"""Read Parquet in blocks of rows with the types of the file, check them, and convert them to CSV."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import xxhash

from mgrisk.errors import MACHINE, bad_input
from mgrisk.features.registry import Feature
from mgrisk.score.answers import Answers
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.column_names import given_columns
from mgrisk.score.csv.read import read_rows
from mgrisk.score.csv.source import parsed
from mgrisk.score.formulas import inert_rows
from mgrisk.score.input_schema import Checked, check, compile_schema, refuse_twice
from mgrisk.types import Integers

BATCH_ROWS: Final = 16_384
MAGIC: Final = b"PAR1"
HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class ParquetRows:
    """Some consecutive rows of a Parquet file, checked."""

    own: pa.Table
    checked: Checked

    def csv_rows(self, answers: Answers, digits: int) -> memoryview:
        """Return the rows with their answers as CSV."""
        data = np.frombuffer(_csv(self.own), dtype=np.uint8)
        n = self.own.num_rows
        start, end, fields = (np.empty(n, dtype=np.int64) for _ in range(3))
        nothing = compile_schema([""] * self.own.num_columns, (), {})
        read_rows(data, nothing, start, end, fields, np.empty((0, n)), np.empty((0, n), dtype=np.uint8))

        def cells(place: int) -> list[str]:
            return parsed(data[start[place] : end[place]].tobytes(), where="the output")

        return answers.csv_rows(*inert_rows(data, start, end, cells), digits)

    def table(self) -> pa.Table:
        """Return the columns with the types of the file."""
        return self.own

    def texts(self, names: Sequence[str], places: Integers | None = None) -> pd.DataFrame:
        """Return columns as texts, empty for null; whole numbers have all digits and no point."""
        own = self.own if places is None else self.own.take(pa.array(places))
        there = set(own.column_names)
        columns = {name: texts(own.column(name)) if name in there else [""] * own.num_rows for name in names}
        return pd.DataFrame(columns, dtype=object)

    def original(self, place: int) -> Any:
        """Return a row as a dict by column."""
        row = self.own.slice(place, 1)
        return {name: values(column)[0] for name, column in zip(row.column_names, row.columns, strict=True)}


class ParquetSource:
    """A Parquet file; partition keys of its parent folders, such as ``sex=male``, are additional columns at the end.

    Raises
    ------
    MgRiskError
        `input.duplicate_column`, and `input.not_parquet` for a file that Arrow cannot read, when opened or later.
    """

    def __init__(self, path: Path, *, missing: Missing = MISSING, rows: int = BATCH_ROWS) -> None:
        self._where = str(path)
        self._missing = missing
        self._rows = rows
        self._read = 0
        self._keys = folder_keys(path)
        with _reading(self._where):
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            self.nothing = self._with_keys(self._file.schema_arrow.empty_table())
        self.columns = list(self.nothing.column_names)
        refuse_twice(self.columns, where=self._where)

    def blocks(self) -> Iterator[pa.Table]:
        """Yield blocks with the types of the file."""
        with _reading(self._where):
            for batch in self._file.iter_batches(batch_size=self._rows):
                block = pa.Table.from_batches([batch])
                # Checked here, since text that is not UTF-8 would otherwise fail only in the output's reader.
                block.validate(full=True)
                self._read += block.num_rows
                yield self._with_keys(block)

    def digest(self, block: pa.Table) -> str:
        """Return a hash of the Arrow form of a block."""
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, block.schema) as stream:
            stream.write_table(block)
        return xxhash.xxh3_128_hexdigest(sink.getbuffer())

    def read(self, block: pa.Table, inputs: Sequence[Feature]) -> ParquetRows:
        """Check the rows of a block."""
        return ParquetRows(block, check(inputs_frame(block, inputs), inputs, self._missing))

    def share_read(self) -> float:
        """Return the share of the file that has been read."""
        return self._read / max(int(self._file.metadata.num_rows), 1)

    def _with_keys(self, table: pa.Table) -> pa.Table:
        for name, value in self._keys.items():
            key = pa.array([value], pa.string()).dictionary_encode()
            table = table.append_column(name, key.take(pa.array(np.zeros(table.num_rows, dtype=np.int64))))
        return table


def inputs_frame(table: pa.Table, inputs: Sequence[Feature]) -> pd.DataFrame:
    """Return the columns that give inputs, as numbers, booleans or texts, shape (n, n_given)."""
    used = [way.column for way in given_columns(table.column_names, inputs).values()]
    if not used:
        return pd.DataFrame(index=pd.RangeIndex(table.num_rows))
    frame: pd.DataFrame = pa.table({name: _typed(table.column(name)) for name in used}).to_pandas()
    return frame


def texts(column: pa.ChunkedArray) -> list[str]:
    """Return the cells of a column as texts, empty for null; whole numbers have all digits and no point.

    Examples
    --------
    >>> texts(pa.chunked_array([[9007199254740993, None]])), texts(pa.chunked_array([[1.0, 0.5]]))
    (['9007199254740993', ''], ['1', '0.5'])
    """
    return list(map(_text, values(column)))


def folder_keys(path: Path) -> dict[str, str | None]:
    """Return the partition keys in the names of a file's parent folders (Hive style), the outermost first.

    Examples
    --------
    >>> folder_keys(Path("people/sex=male/site=St.%20Mary/part-0.parquet"))
    {'sex': 'male', 'site': 'St. Mary'}
    """
    steps = list(itertools.takewhile(lambda name: "=" in name, (folder.name for folder in path.parents)))
    keys = (map(unquote, step.split("=", 1)) for step in reversed(steps))
    return {name: None if value == HIVE_NULL else value for name, value in keys}


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Convert read errors of Arrow to `input.not_parquet`."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        if isinstance(problem, OSError) and problem.errno in MACHINE:
            raise
        said = " ".join(str(problem).split())[:200]
        encrypted = "crypt" in said.lower()
        raise bad_input(
            "input.not_parquet",
            "this is an encrypted Parquet file" if encrypted else f"the Parquet file cannot be read: {said}",
            where=where,
            hint="decrypt it, and write it again without encryption" if encrypted else "write the file again",
        ) from None


def _is_plain(kind: pa.DataType) -> bool:
    """Whether pandas has a type for numbers, booleans or texts of this type."""
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return texts or any(of(kind) for of in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean))


def _typed(column: pa.ChunkedArray, *others: Callable[[pa.DataType], bool]) -> pa.ChunkedArray:
    """Return a column as numbers, booleans or texts, or unchanged if one of `others` accepts its type."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if _is_plain(column.type) or any(of(column.type) for of in others):
        return column
    texts = [None if value is None else _text(value) for value in values(column)]
    return pa.chunked_array([texts], pa.large_string())


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as Python values; dates or times that Python cannot represent are texts."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        return list(column.cast(pa.string()).to_pylist())


def _text(value: Any) -> str:
    """Return a value as text; lists and records as JSON, bytes that are not text in hexadecimal."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return f"0x{value.hex()}"
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)


def _csv(table: pa.Table) -> bytes:
    """Return a table as CSV without a header."""
    of = pa.types
    for place, name in enumerate(table.column_names):
        column = _typed(table.column(place), of.is_temporal, of.is_decimal, of.is_null)
        table = table.set_column(place, name, column)
    out = io.BytesIO()
    try:
        pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise bad_input(
            "output.not_for_csv",
            f"a column cannot be written as CSV: {problem}",
            where="the output",
            hint="name an output that ends in .parquet",
        ) from None
    return out.getvalue()
