"""CSV as a source: a stream cut into blocks of whole records, and a block read into checked rows."""

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
from mgrisk.score.csv.read import Wanted, border, read_rows
from mgrisk.score.formats import BYTE_ORDER_MARK, LONGEST, refuse_other_formats
from mgrisk.score.formulas import inert_rows, unescape_formula
from mgrisk.score.input_schema import Checked, read_text, refuse_twice, wants
from mgrisk.types import Integers

BLOCK_BYTES: Final = 4 * 2**20
LONGEST_RECORD: Final = 64 * 2**20
"""A record that does not end within so many bytes has a quote that nobody closed."""
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
OTHERS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
SEPARATOR_LINE: Final = re.compile("sep=(.),*", re.IGNORECASE)
"""What Excel takes the separator from, where a file begins with it."""
LOOK_AHEAD: Final = 64 * 2**10
FIRST_ROWS: Final = 20
ALL: Final = 2**62

# A cell may be as long as a record, and each of its signs six among the rejected rows ("\u0000"); Python's own limit of
# 131,072 is for its whole process, and we only ever raise it.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True)
class CsvRows:
    """Some consecutive rows of a file, checked.

    Attributes
    ----------
    columns, where
        The file's columns, and its name.
    data, start, end
        Row ``r`` is ``data[start[r]:end[r]]``, its line end left out.
    checked
        What the contract says of them.
    """

    columns: Sequence[str]
    where: str
    data: NDArray[np.uint8]
    start: Integers
    end: Integers
    checked: Checked

    def csv_rows(self, answers: Answers, digits: int) -> memoryview:
        """Return the rows with their answers as CSV; cells are copied byte for byte, but for formulas."""
        # Rows of another length are cut or filled up, so that the answer stands below its header.
        changed = {place: self._filled(place) for place in self.checked.wrong_fields}
        rows = inert_rows(self.data, self.start, self.end, self._cells, changed=changed, meant=unescape_formula)
        return answers.csv_rows(*rows, digits)

    def table(self) -> pa.Table:
        """Return the cells as text; rows of another length are cut, or filled up with empty cells."""
        return pa.table({name: pa.array(cells, pa.string()) for name, cells in self._columns().items()})

    def texts(self, names: Sequence[str], places: Integers | None = None) -> pd.DataFrame:
        """Return columns as texts."""
        columns = self._columns(places)
        nothing = [""] * len(self.start if places is None else places)
        return pd.DataFrame({name: columns.get(name, nothing) for name in names}, dtype=object)

    def original(self, place: int) -> Any:
        """Return a row as it was: cells by column, or a list where there are too many or too few."""
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
        Bytes; a byte order mark at the beginning is left out.
    where
        The stream's name.
    size
        Its bytes, where they are known.
    missing
        What means missing.
    block_bytes
        How much is read at a time. The blocks of a stream depend on this alone, never on who reads it.

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
        # The contract of the last block: that of the next one, too.
        self._contract: tuple[tuple[Feature, ...], dict[str, Given], Wanted] | None = None
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
            what = "the first line is blank, where the header must be" if self._rest else "the file has no header line"
            raise bad_input("input.empty", what, where=where, hint="see `mgrisk schema --template FILE`")
        if len(names) == 1 and (other := [sign for sign in OTHERS if sign in names[0]]):
            raise _other_separator(other[0], where)
        self._refuse_other_first_lines(names)
        self.columns = [unescape_formula(name.strip()) for name in names]
        # The compiled loops have room for one cell of each input.
        refuse_twice(self.columns, where=where)

    def _header(self) -> list[str]:
        """Return the cells of the next line, none of a blank one."""
        line = self._take(1)
        if line.endswith(b"\r"):
            self._rest = self._rest.removeprefix(b"\n")
        line = line.rstrip(b"\r\n")
        _check_utf8(line, where=self._where)
        return parsed(line, where=self._where) if line else []

    def _refuse_other_first_lines(self, names: Sequence[str]) -> None:
        """Refuse a title in place of the header, and a header without a name for R's row names."""
        ahead = io.StringIO(self._rest[:LOOK_AHEAD].decode(errors="replace"), newline="")
        first = [row for row in itertools.islice(csv.reader(ahead), FIRST_ROWS) if row]
        if _filled(names) <= 1 < max(map(_filled, first), default=0):
            raise bad_input(
                "input.title_row",
                "the first line is a title and no header",
                where=self._where,
                hint="remove the lines above the header",
            )
        numbers = [row[0] for row in first if len(row) == len(names) + 1]
        if len(numbers) == len(first) > 1 and numbers == [str(k + 1) for k in range(len(first))]:
            raise bad_input(
                "input.row_names",
                "the header has no name for the row names that R's write.table writes",
                where=self._where,
                hint="write.csv(people, file, row.names = FALSE)",
            )

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of whole records in order."""
        while block := self._take(ALL):
            yield block

    def digest(self, block: bytes) -> str:
        """Return what tells a block from another."""
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
        if self._contract is None or self._contract[0] is not inputs:
            given = given_columns(self.columns, inputs)
            self._contract = inputs, given, wants(self.columns, inputs, given, self._missing)
        _, given, wanted = self._contract
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
        """Return how much of the stream has been read, None where its size is not known."""
        return self._read / self._size if self._size else None

    def _take(self, most: int) -> bytes:
        """Return whole records, at most so many and as many as a block holds; at the end of the stream the rest."""
        size = self._block_bytes
        while True:
            self._fill(size)
            last, open_quote = _border(self._rest, most)
            if self._ended and (most == ALL or not last):
                if open_quote:
                    # Python's csv would close it, and make one rejected row of all that follow the quote.
                    raise _not_csv("a quote is open where the file ends; is it cut short?", self._where)
                block, self._rest = self._rest, b""
                return block + (b"" if block.endswith((b"\n", b"\r")) or not block else b"\n")
            if last:
                block, self._rest = self._rest[:last], self._rest[last:]
                return block
            if size > LONGEST_RECORD:
                raise _not_csv(f"a record does not end within {size:,} bytes; is a quote left open?", self._where)
            size += self._block_bytes

    def _fill(self, size: int) -> None:
        """Read until so many bytes are there, or the stream ends."""
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
                hint="is it cut short? take a fresh copy",
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
        f"the cells are parted by {OTHERS.get(sign, 'another sign than commas')}",
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
        # The byte alone: its line is somebody's.
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
