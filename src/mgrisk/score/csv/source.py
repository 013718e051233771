"""Split a CSV stream into blocks of complete records, and read a block into checked rows."""

from __future__ import annotations

import csv
import io
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.features.registry import Feature
from mgrisk.score.answers import Answers
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.column_names import Given, given_columns
from mgrisk.score.csv.decimals import GOOD, UNCLEAR
from mgrisk.score.csv.read import CompiledSchema, border, read_rows
from mgrisk.score.formats import BYTE_ORDER_MARK, LONGEST, refuse_other_formats
from mgrisk.score.formulas import inert_rows, unescape_formula
from mgrisk.score.input_schema import Checked, compile_schema, read_text, refuse_twice
from mgrisk.types import Integers

BLOCK_BYTES: Final = 4 * 2**20
LONGEST_RECORD: Final = 64 * 2**20
"""Maximum bytes of a record; a longer one has an unclosed quote."""
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
OTHERS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
SEPARATOR_LINE: Final = re.compile("sep=(.),*", re.IGNORECASE)
"""A first line that declares the separator to Excel."""
LOOK_AHEAD: Final = 64 * 2**10
FIRST_ROWS: Final = 20
ALL: Final = 2**62

# A cell may be as long as a record, and each character may take six in the rejects file ("\u0000"). Python's limit of
# 131,072 holds for the whole process, and is only raised here.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True)
class CsvRows:
    """Consecutive rows of a file, checked.

    Attributes
    ----------
    columns, where
        Columns and name of the file.
    data, start, end
        Row ``r`` is ``data[start[r]:end[r]]``, without its line end.
    checked
        The checked values.
    """

    columns: Sequence[str]
    where: str
    data: NDArray[np.uint8]
    start: Integers
    end: Integers
    checked: Checked

    def csv_rows(self, answers: Answers, digits: int) -> memoryview:
        """Return the rows with their answers as CSV; cells are copied byte for byte, except formulas."""
        # Rows of another length are truncated or padded, so that the answer is below its header.
        changed = {place: self._filled(place) for place in self.checked.wrong_fields}
        rows = inert_rows(self.data, self.start, self.end, self._cells, changed=changed, meant=unescape_formula)
        return answers.csv_rows(*rows, digits)

    def table(self) -> pa.Table:
        """Return the cells as text; rows of another length are truncated, or padded with empty cells."""
        return pa.table({name: pa.array(cells, pa.string()) for name, cells in self._columns().items()})

    def texts(self, names: Sequence[str], places: Integers | None = None) -> pd.DataFrame:
        """Return columns as texts."""
        columns = self._columns(places)
        nothing = [""] * len(self.start if places is None else places)
        return pd.DataFrame({name: columns.get(name, nothing) for name in names}, dtype=object)

    def original(self, place: int) -> Any:
        """Return the original row: cells by column, or a list if there are too many or too few."""
        cells = self._cells(place)
        return cells if place in self.checked.wrong_fields else dict(zip(self.columns, cells, strict=True))

    def _columns(self, places: Integers | None = None) -> dict[str, Sequence[str]]:
        rows = range(len(self.start)) if places is None else places.tolist()
        cells = list(zip(*(map(unescape_formula, self._filled(place)) for place in rows), strict=True))
        return dict(zip(self.columns, cells or [()] * len(self.columns), strict=True))

    def _cells(self, place: int) -> list[str]:
        return parsed(self.data[self.start[place] : self.end[place]].tobytes(), where=self.where)

    def _filled(self, place: int) -> list[str]:
        cells, width = self._cells(place), len(self.columns)
        return [*cells[:width], *[""] * (width - len(cells))]


class CsvSource:
    """Comma-separated UTF-8 with a header line.

    Parameters
    ----------
    stream
        Bytes; a byte order mark at the beginning is skipped.
    where
        The stream's name.
    size
        Its size in bytes, if known.
    missing
        Words and codes that mean missing.
    block_bytes
        Block size. The blocks of a stream depend on this alone.

    Raises
    ------
    MgRiskError
        `input.cannot_read`, `input.empty`, `input.duplicate_column`, `input.not_csv`, `input.other_format`,
        `input.other_separator`, `input.title_row` or `input.row_names`.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        where: str,
        size: int | None = None,
        missing: Missing = MISSING,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._missing = missing
        self._stream = stream
        self._size = size
        self._read = 0
        self._where = where
        self._block_bytes = block_bytes
        self._rest = b""
        self._ended = False
        self.nothing = b""
        # The compiled schema is kept for the next block.
        self._schema: tuple[tuple[Feature, ...], dict[str, Given], CompiledSchema] | None = None
        self._fill(block_bytes)
        refuse_other_formats(self._rest[:LONGEST], where=where)
        while self._rest.startswith(BYTE_ORDER_MARK):
            self._rest = self._rest.removeprefix(BYTE_ORDER_MARK)
        if self._rest.startswith(UTF_16) or max(self._rest[k:16:2].count(0) for k in (0, 1)) > 4:
            raise _not_csv("it is in UTF-16", where)
        names = self._header()
        if named := SEPARATOR_LINE.fullmatch(",".join(names)):
            if named[1] != ",":
                raise _other_separator(named[1], where)
            names = self._header()
        if not names:
            what = "the first line is blank instead of a header" if self._rest else "the file has no header line"
            raise bad_input("input.empty", what, where=where, hint="see `mgrisk schema --template FILE`")
        if len(names) == 1 and (other := [sign for sign in OTHERS if sign in names[0]]):
            raise _other_separator(other[0], where)
        self._refuse_other_first_lines(names)
        self.columns = [unescape_formula(name.strip()) for name in names]
        # The compiled loops have room for one cell of each input.
        refuse_twice(self.columns, where=where)

    def _header(self) -> list[str]:
        """Return the cells of the next line, none for a blank line."""
        line = self._take(1)
        if line.endswith(b"\r"):
            self._rest = self._rest.removeprefix(b"\n")
        line = line.rstrip(b"\r\n")
        _check_utf8(line, where=self._where)
        return parsed(line, where=self._where) if line else []

    def _refuse_other_first_lines(self, names: Sequence[str]) -> None:
        """Refuse a title instead of a header, and a header without a name for the row names of R."""
        ahead = io.StringIO(self._rest[:LOOK_AHEAD].decode(errors="replace"), newline="")
        first = [row for row in itertools.islice(csv.reader(ahead), FIRST_ROWS) if row]
        if _filled(names) <= 1 < max(map(_filled, first), default=0):
            raise bad_input(
                "input.title_row",
                "the first line is a title, not a header",
                where=self._where,
                hint="remove the lines above the header",
            )
        numbers = [row[0] for row in first if len(row) == len(names) + 1]
        if len(numbers) == len(first) > 1 and numbers == [str(k + 1) for k in range(len(first))]:
            raise bad_input(
                "input.row_names",
                "the header has no name for the row names that write.table of R writes",
                where=self._where,
                hint="write.csv(people, file, row.names = FALSE)",
            )

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of complete records in order."""
        while block := self._take(ALL):
            yield block

    def digest(self, block: bytes) -> str:
        """Return a digest of a block."""
        return xxhash.xxh3_128_hexdigest(block)

    def read(self, block: bytes, inputs: Sequence[Feature]) -> CsvRows:
        """Read and check the rows of a block.

        Raises
        ------
        MgRiskError
            `input.not_csv`.
        """
        if not block.isascii():
            _check_utf8(block, where=self._where)
        inputs = tuple(inputs)
        if self._schema is None or self._schema[0] is not inputs:
            given = given_columns(self.columns, inputs)
            self._schema = inputs, given, compile_schema(self.columns, inputs, given, self._missing)
        _, given, wanted = self._schema
        data = np.frombuffer(block, dtype=np.uint8)
        most = block.count(b"\n") + block.count(b"\r")  # at least as many as records
        start, end, fields = (np.empty(most, dtype=np.int64) for _ in range(3))
        numbers, state = np.empty((len(inputs), most)), np.empty((len(inputs), most), dtype=np.uint8)
        n = read_rows(data, wanted, start, end, fields, numbers, state)
        start, end, fields, numbers, state = start[:n], end[:n], fields[:n], numbers[:, :n], state[:, :n]
        wrong = np.flatnonzero(fields != len(self.columns))
        numbers[:, wrong], state[:, wrong] = np.nan, GOOD
        checked = Checked(inputs, numbers, state, dict(zip(wrong.tolist(), fields[wrong].tolist(), strict=True)))
        rows = CsvRows(self.columns, self._where, data, start, end, checked)
        unclear = np.argwhere(state == UNCLEAR).tolist() if state.size and state.max() == UNCLEAR else []
        for i, place in unclear:
            way = given[inputs[i].name]
            text = str(rows.original(place)[way.column])
            state[i, place], numbers[i, place] = read_text(text, inputs[i], factor=way.factor, missing=self._missing)
        return rows

    def share_read(self) -> float | None:
        """Return the share of the stream that has been read, or None if its size is unknown."""
        return self._read / self._size if self._size else None

    def _take(self, most: int) -> bytes:
        """Return up to `most` complete records that fit in a block; at the end of the stream the rest."""
        size = self._block_bytes
        while True:
            self._fill(size)
            last, open_quote = _border(self._rest, most)
            if self._ended and (most == ALL or not last):
                if open_quote:
                    # Python's csv would accept it, and read everything after the quote as one row.
                    raise _not_csv("a quote is open at the end of the file; is it truncated?", self._where)
                block, self._rest = self._rest, b""
                return block + (b"" if block.endswith((b"\n", b"\r")) or not block else b"\n")
            if last:
                block, self._rest = self._rest[:last], self._rest[last:]
                return block
            if size > LONGEST_RECORD:
                raise _not_csv(f"a record does not end within {size:,} bytes; is a quote open?", self._where)
            size += self._block_bytes

    def _fill(self, size: int) -> None:
        """Read until `size` bytes are buffered, or the stream ends."""
        parts, there = [self._rest], len(self._rest)
        try:
            while there < size and not self._ended:
                part = self._stream.read(size - there)
                parts.append(part)
                there += len(part)
                self._read += len(part)
                self._ended = not part
        except (EOFError, OSError, zlib.error, pa.ArrowException) as problem:
            raise bad_input(
                "input.cannot_read",
                f"the input cannot be read to its end: {problem}",
                where=self._where,
                hint="it may be truncated; make a new copy",
            ) from None
        self._rest = b"".join(parts)


def parsed(record: bytes, *, where: str) -> list[str]:
    """Return the cells of one record.

    Raises
    ------
    MgRiskError
        `input.not_csv`.
    """
    try:
        return next(csv.reader([record.decode()]), [])
    except csv.Error as problem:
        raise _not_csv(str(problem), where) from None


def _filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _other_separator(sign: str, where: str) -> MgRiskError:
    return bad_input(
        "input.other_separator",
        f"the cells are separated by {OTHERS.get(sign, 'another character than commas')}",
        where=where,
        hint="save the file as CSV with commas, and numbers with a decimal point",
    )


def _border(data: bytes, most: int) -> tuple[int, bool]:
    if most == ALL and b'"' not in data:
        return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1, False
    last, open_quote = border(np.frombuffer(data, dtype=np.uint8), most)
    return int(last), bool(open_quote)


def _check_utf8(data: bytes, *, where: str) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as problem:
        # Only the byte is quoted, since its line may be about a person.
        byte = data[problem.start : problem.start + 1]
        raise _not_csv(
            f"{problem.reason} 0x{byte.hex()}, which in Latin-1 is {byte.decode('latin-1')!r}", where
        ) from None


def _not_csv(what: str, where: str) -> MgRiskError:
    return bad_input(
        "input.not_csv",
        f"this cannot be read as CSV in UTF-8: {what}",
        where=where,
        hint="save the file as CSV in UTF-8",
    )
