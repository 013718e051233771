"""Read CSV bytes into numbers, in compiled loops that release the GIL.

They behave exactly like Python's `csv` module (quotes, doubled quotes, newlines in quotes, LF, CRLF and CR). A number
is the nearest double; a cell that a loop cannot decide is left to Python (`UNCLEAR`). Short texts, such as levels of a
category, are passed to compiled code as a `StringTable`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mgrisk.compiled import compiled_later, inner
from mgrisk.score.csv.decimals import (
    BAD,
    COMMA,
    CR,
    EACH,
    EMPTY,
    GOOD,
    LF,
    MINUS,
    OUTSIDE,
    QUOTE,
    TOPS,
    UNCLEAR,
    plain_number,
    read_number,
    short_number,
)
from mgrisk.score.csv.instructions import trailing_zeros, word
from mgrisk.types import Booleans, Floats, Integers


class StringTable(NamedTuple):
    """Short texts for compiled code: text ``k`` is ``content[start[k]:start[k + 1]]``.

    Tables made by `of` have eight more bytes at the end, so that texts can be copied by words.
    """

    content: NDArray[np.uint8]
    start: Integers

    @classmethod
    def of(cls, texts: Iterable[str]) -> StringTable:
        """Encode texts in UTF-8."""
        encoded = [text.encode() for text in texts]
        start = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded) + bytes(8), dtype=np.uint8), start)

    def to_arrow(self) -> pa.StringArray:
        """Return the texts as an Arrow array, at most 2 GiB in total."""
        starts = pa.py_buffer(self.start.astype(np.int32))
        return pa.StringArray.from_buffers(len(self.start) - 1, starts, pa.py_buffer(self.content))

    def to_list(self) -> list[str]:
        """Return the texts."""
        content = self.content.tobytes()
        edges = self.start.tolist()
        return [content[a:b].decode() for a, b in itertools.pairwise(edges)]


FEW: Final = 32


class CompiledSchema(NamedTuple):
    """What to read of a row: an entry for each column of the file, then one for each input.

    Attributes
    ----------
    slot
        Index of the input that a column gives, or -1.
    number, factor, low, high
        Whether the input is a number; the factor for the number in the file; the closed range of the product.
    levels, first_level, level
        Words for all levels; those of input ``i`` are ``first_level[i]:first_level[i + 1]``; the level of each word.
    empty, first_empty
        Sorted words that mean missing; those beginning with byte ``b`` are ``first_empty[b]:first_empty[b + 1]``.
    missing_numbers
        Numbers in the file that mean missing.
    """

    slot: Integers
    number: Booleans
    factor: Floats
    low: Floats
    high: Floats
    levels: StringTable
    first_level: Integers
    level: Integers
    empty: StringTable
    first_empty: Integers
    missing_numbers: Floats


@inner
def _among(
    data: NDArray[np.uint8],
    first: int,
    last: int,
    content: NDArray[np.uint8],
    start: Integers,
    texts: tuple[int, int],
    fold: bool,
) -> int:
    """Return the index, between two limits, of the text that equals the bytes, or -1; `fold` ignores ASCII case."""
    for k in range(texts[0], texts[1]):
        if start[k + 1] - start[k] != last - first:
            continue
        same = True
        for i in range(last - first):
            sign = data[first + i]
            if fold and ord("A") <= sign <= ord("Z"):
                sign += 32
            if sign != content[start[k] + i]:
                same = False
                break
        if same:
            return k - texts[0]
    return -1


@inner
def _one_of(x: float, numbers: Floats) -> bool:
    """Whether a number is in an array."""
    found = False
    for k in range(len(numbers)):
        found |= x == numbers[k]
    return found


@inner
def _blank(sign: int) -> bool:
    """Whether Python's `str.strip` removes an ASCII character."""
    return sign == 32 or 9 <= sign <= 13 or 28 <= sign <= 31


@inner
def _read_cells(
    data: NDArray[np.uint8],
    first: Integers,
    last: Integers,
    which: Integers,
    wanted: CompiledSchema,
    values: Floats,
    state: NDArray[np.uint8],
) -> None:
    """Read cells: cell ``k`` is ``data[first[k]:last[k]]`` of input ``which[k]``; a negative end is left to Python."""
    # Unpacked once and not per cell, because numba counts references when an array is taken from a tuple.
    number, factor, low, high = wanted.number, wanted.factor, wanted.low, wanted.high
    names, name_start, first_level = wanted.levels.content, wanted.levels.start, wanted.first_level
    empty, empty_start, first_empty = wanted.empty.content, wanted.empty.start, wanted.first_empty
    level, missing_numbers = wanted.level, wanted.missing_numbers
    for k in range(len(first)):
        a, b, i = first[k], last[k], which[k]
        values[k] = np.nan
        if b < 0:
            state[k] = UNCLEAR
            continue
        while a < b and _blank(data[a]):
            a += 1
        while b > a and _blank(data[b - 1]):
            b -= 1
        if a == b:
            state[k] = EMPTY
            continue
        if number[i] or len(missing_numbers):
            found, x = read_number(data, a, b)
            if found == GOOD and _one_of(x, missing_numbers):
                state[k] = EMPTY
                continue
            if found == GOOD and number[i]:
                x *= factor[i]
                inside = low[i] <= x <= high[i]
                state[k] = GOOD if inside else OUTSIDE
                values[k] = x if inside else np.nan
                continue
            if found == UNCLEAR:
                state[k] = UNCLEAR
                continue
        state[k] = BAD
        for at in range(a, b):
            if data[at] >= 128:
                state[k] = UNCLEAR
        if state[k] == UNCLEAR:
            continue
        begins = (first_empty[data[a]], first_empty[data[a] + 1])
        if _among(data, a, b, empty, empty_start, begins, False) >= 0:
            state[k] = EMPTY
        elif not number[i]:
            place = _among(data, a, b, names, name_start, (first_level[i], first_level[i + 1]), True)
            if place >= 0:
                state[k], values[k] = GOOD, level[first_level[i] + place]


@inner
def _cell_end(data: NDArray[np.uint8], at: int) -> tuple[int, bool]:
    """Return the end of the cell that begins at `at`, and whether a quote is still open there."""
    n = len(data)
    if at < n and data[at] == QUOTE:
        at += 1
        while True:
            while at < n and data[at] != QUOTE:
                at += 1
            if at == n:
                return n, True
            if at + 1 < n and data[at + 1] == QUOTE:
                at += 2
                continue
            at += 1
            break
    # Eight bytes at a time; every byte that ends a cell is smaller than "-".
    while at + 8 <= n:
        w = word(data, at)
        small = (w - EACH * np.uint64(MINUS)) & ~w & TOPS
        if small == np.uint64(0):
            at += 8
            continue
        at += int(trailing_zeros(small) >> np.uint64(3))
        if data[at] == COMMA or data[at] == LF or data[at] == CR:
            return at, False
        at += 1
    while at < n and data[at] != COMMA and data[at] != LF and data[at] != CR:
        at += 1
    return at, False


@inner
def _turn(few: NDArray[Any], out: NDArray[Any]) -> None:
    """Transpose the first rows of `few` into the columns of `out`."""
    for i in range(out.shape[0]):
        for r in range(out.shape[1]):
            out[i, r] = few[r, i]


@compiled_later
def border(data: NDArray[np.uint8], most: int) -> tuple[int, bool]:
    """Return the end of the last complete record, including its line end, and whether a quote is open after it.

    Everything after `most` line ends is ignored.
    """
    at, last, n, count = 0, 0, len(data), 0
    while at < n and count < most:
        at, open_quote = _cell_end(data, at)
        if open_quote:
            return last, True
        if at < n:
            if data[at] != COMMA:
                last = at + 1
                count += 1
            at += 1
    return last, False


@compiled_later
def read_rows(
    data: NDArray[np.uint8],
    wanted: CompiledSchema,
    start: Integers,
    end: Integers,
    fields: Integers,
    values: Floats,
    state: NDArray[np.uint8],
) -> int:
    """Read complete records; return their number.

    Parameters
    ----------
    data
        Records, each with a line end; blank lines are not records.
    wanted
        What to read of them.
    start, end, fields
        Written: start and end of each record without its line end, and its number of cells; shape (n,).
    values, state
        Written: value and state of each input; shape (n_inputs, n). They are undefined for a row of another length.
    """
    at, n, count = 0, len(data), 0
    slot, number, factor, low, high = wanted.slot, wanted.number, wanted.factor, wanted.low, wanted.high
    missing_numbers, width, size = wanted.missing_numbers, len(slot), len(state)
    # Cells that are not plain numbers are read together at the end of their row.
    first, last, which = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    odd_values, odd_state = np.empty(size), np.empty(size, dtype=np.uint8)
    # A few rows are buffered, because writing each cell to a distant address took as long as reading it.
    # Inputs without a column stay empty.
    few_values, few_state = np.full((FEW, size), np.nan), np.full((FEW, size), EMPTY, dtype=np.uint8)
    place = 0
    while at < n:
        if data[at] == LF or data[at] == CR:
            at += 1
            continue
        start[count] = at
        column, odd = 0, 0
        while True:
            begin = at
            i = slot[column] if column < width else -1
            at = -1
            if i >= 0 and (data[begin] == COMMA or data[begin] == LF or data[begin] == CR):
                at = begin
                few_values[place, i] = np.nan
                few_state[place, i] = EMPTY
            elif i >= 0 and number[i]:
                at, x = short_number(data, begin) if begin + 8 <= n else (-1, 0.0)
                if at < 0:
                    at, x = plain_number(data, begin)
                if at >= 0 and _one_of(x, missing_numbers):
                    few_values[place, i] = np.nan
                    few_state[place, i] = EMPTY
                elif at >= 0:
                    x *= factor[i]
                    inside = low[i] <= x <= high[i]
                    few_values[place, i] = x if inside else np.nan
                    few_state[place, i] = GOOD if inside else OUTSIDE
            if at < 0:
                at, _ = _cell_end(data, begin)
                if i >= 0:
                    which[odd], first[odd], last[odd] = i, begin, at
                    if data[begin] == QUOTE:
                        closing = begin + 1
                        while closing < at and data[closing] != QUOTE:
                            closing += 1
                        # Doubled quotes, and characters after the closing quote, are left to Python.
                        first[odd], last[odd] = begin + 1, (closing if closing == at - 1 else -1)
                    odd += 1
            column += 1
            if at == n or data[at] != COMMA:
                break
            at += 1
        end[count] = at
        fields[count] = column
        if odd:
            _read_cells(data, first[:odd], last[:odd], which, wanted, odd_values, odd_state)
            for k in range(odd):
                few_values[place, which[k]] = odd_values[k]
                few_state[place, which[k]] = odd_state[k]
        count += 1
        place += 1
        at += 1
        if place == FEW:
            _turn(few_values, values[:, count - place : count])
            _turn(few_state, state[:, count - place : count])
            place = 0
    _turn(few_values, values[:, count - place : count])
    _turn(few_state, state[:, count - place : count])
    return count


@compiled_later
def read_cells(
    data: NDArray[np.uint8],
    start: Integers,
    wanted: CompiledSchema,
    i: int,
    values: Floats,
    state: NDArray[np.uint8],
) -> None:
    """Read the cells ``data[start[k]:start[k + 1]]`` as input `i`."""
    _read_cells(data, start[:-1], start[1:], np.full(len(start) - 1, i), wanted, values, state)
