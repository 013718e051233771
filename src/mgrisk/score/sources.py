"""Tables to be scored, by name: CSV, packed or not, and Parquet, read block by block."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import xxhash

from mgrisk.errors import bad_input
from mgrisk.features.registry import Feature
from mgrisk.score.answers import Answers
from mgrisk.score.csv.read import read_rows
from mgrisk.score.csv.source import CsvSource, parsed
from mgrisk.score.formulas import inert_rows
from mgrisk.score.input_schema import Checked, check, wants
from mgrisk.storage.destinations import STREAM

BATCH_ROWS: Final = 16_384
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


@dataclass(frozen=True)
class ParquetRows:
    """Some consecutive rows of a Parquet file, checked."""

    own: pa.Table
    checked: Checked

    def csv_rows(self, answers: Answers) -> memoryview:
        """Return the rows with their answers as CSV."""
        data = np.frombuffer(_csv(self.own), dtype=np.uint8)
        n = self.own.num_rows
        start, end, fields = (np.empty(n, dtype=np.int64) for _ in range(3))
        nothing = wants([""] * self.own.num_columns, (), {})
        read_rows(data, nothing, start, end, fields, np.empty((0, n)), np.empty((0, n), dtype=np.uint8))

        def cells(place: int) -> list[str]:
            return parsed(data[start[place] : end[place]].tobytes(), where="the output")

        return answers.csv_rows(*inert_rows(data, start, end, cells))

    def table(self) -> pa.Table:
        """Return the file's own columns and types."""
        return self.own

    def original(self, place: int) -> Any:
        """Return a row by column."""
        return self.own.slice(place, 1).to_pylist()[0]


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
        self._read = 0
        self.columns = list(self._file.schema_arrow.names)
        self.nothing = self._file.schema_arrow.empty_table()

    def blocks(self) -> Iterator[pa.Table]:
        """Yield blocks with the file's own types."""
        for batch in self._file.iter_batches(batch_size=self._rows):
            self._read += batch.num_rows
            yield pa.Table.from_batches([batch])

    def digest(self, block: pa.Table) -> str:
        """Return what tells a block from another: a hash of its Arrow form."""
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, block.schema) as stream:
            stream.write_table(block)
        return xxhash.xxh3_128_hexdigest(sink.getbuffer())

    def read(self, block: pa.Table, inputs: Sequence[Feature]) -> ParquetRows:
        """Check the rows of a block."""
        # Without metadata: an index of pandas is a column like any other here.
        return ParquetRows(block, check(block.to_pandas(ignore_metadata=True), inputs))

    def share_read(self) -> float:
        """Return how much of the file has been read."""
        return self._read / max(int(self._file.metadata.num_rows), 1)


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Open an input by name: a .parquet file, a CSV file, perhaps packed, or ``-`` for CSV on standard input.

    Whether a file is packed by gzip or zstd is told by its first bytes, not by its name.

    Raises
    ------
    MgRiskError
        `input.missing_file`, `input.empty`, `input.not_csv`, `input.not_parquet`.
    """
    if name == STREAM:
        yield CsvSource(sys.stdin.buffer, where="standard input")
        return
    path = Path(name)
    if not path.is_file():
        raise bad_input("input.missing_file", "there is no such file", where=name, hint="check the path")
    if path.suffix == ".parquet":
        yield ParquetSource(path)
        return
    with path.open("rb") as stream:
        first = stream.read(4)
        stream.seek(0)
        if first.startswith(GZIP):
            with gzip.open(stream) as unpacked:
                yield CsvSource(cast(BinaryIO, unpacked), where=name)
        elif first == ZSTD:
            with pa.input_stream(stream, compression="zstd") as unpacked:
                yield CsvSource(unpacked, where=name)
        else:
            yield CsvSource(stream, where=name, size=path.stat().st_size)


def _csv(table: pa.Table) -> bytes:
    """Return a table as CSV without a header."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
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
