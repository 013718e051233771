"""CSV bytes to numbers: the compiled loops that read, all outside the GIL.

They follow Python's `csv` module to the letter (quotes, doubled quotes, newlines in quotes, LF, CRLF and CR). A
number is the nearest double; a cell that a loop is not sure of is left to Python (`UNCLEAR`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgrisk.score.powers import FIRST_POWER, POWERS, compiled, high_product, leading_zeros
from mgrisk.score.texts import Texts

GOOD, EMPTY, BAD, OUTSIDE, UNCLEAR = range(5)
"""What a cell is: usable, empty, no number or level, out of range, or for Python to say."""

COMMA, QUOTE, LF, CR, POINT, PLUS, MINUS, ZERO, NINE = (ord(sign) for sign in ',"\n\r.+-09')
EXACT_TENS = np.array([float(10**k) for k in range(23)])  # the powers of ten that a double holds
MIDDLE_TWO = 1000
TWOS = 2.0 ** np.arange(-MIDDLE_TWO, MIDDLE_TWO)


class Wanted(NamedTuple):
    """What is wanted of a row: an entry for each column of the file, then one for each input of the contract.

    Attributes
    ----------
    slot
        Input that a column of the file is, or -1.
    number, factor, low, high
        Whether the input is a number; what the file's number is multiplied with; the closed range of the product.
    levels, first_level
        Names of all levels; those of input ``i`` are ``first_level[i]:first_level[i + 1]``.
    empty
        What stands for an empty cell.
    """

    slot: NDArray[np.int64]
    number: NDArray[np.bool_]
    factor: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    levels: Texts
    first_level: NDArray[np.int64]
    empty: Texts


@compiled
def _scaled(mantissa: np.uint64, e: int) -> tuple[bool, float]:
    """Return mantissa × 10^e rounded to the nearest double, and whether that is sure."""
    if mantissa < np.uint64(1 << 53) and -22 <= e <= 22:
        x = np.float64(mantissa)
        return True, (x * EXACT_TENS[e] if e >= 0 else x / EXACT_TENS[-e])
    if mantissa == np.uint64(0) or e < -200 or e > 200:
        return False, 0.0
    zeros = leading_zeros(mantissa)
    m = mantissa << np.uint64(zeros)
    high, low = POWERS[e - FIRST_POWER, 0], POWERS[e - FIRST_POWER, 1]
    # The upper 128 of the 192 bits of the product; the true ones are at most 2 more.
    lower = m * high
    upper = high_product(m, high)
    carried = lower + high_product(m, low)
    if carried < lower:
        upper += np.uint64(1)
    top = np.uint64(11) if upper >> np.uint64(63) else np.uint64(10)
    half = np.uint64(1) << (top - np.uint64(1))
    rest = upper & ((np.uint64(1) << top) - np.uint64(1))
    if (rest == half and carried == np.uint64(0)) or (
        rest == half - np.uint64(1) and carried >= np.uint64(0xFFFFFFFFFFFFFFFE)
    ):
        return False, 0.0
    kept = upper >> top
    if rest >= half:
        kept += np.uint64(1)
    exponent = ((e * 1741647) >> 19) - 63 - zeros + 64 + np.int64(top)
    return True, np.float64(kept) * TWOS[exponent + MIDDLE_TWO]


@compiled
def _number(data: NDArray[np.uint8], first: int, last: int) -> tuple[int, float]:
    """Read the decimal number ``data[first:last]``, not empty and without spaces around it."""
    at = first
    negative = data[at] == MINUS
    if negative or data[at] == PLUS:
        at += 1
    mantissa, digits, e, seen = np.uint64(0), 0, 0, False
    point = False
    while at < last:
        sign = data[at]
        if ZERO <= sign <= NINE:
            seen = True
            # Of more than 19 digits Python says what they round to.
            if digits < 19:
                mantissa = mantissa * np.uint64(10) + np.uint64(sign - ZERO)
            if mantissa != np.uint64(0):
                digits += 1
            if point:
                e -= 1
        elif sign == POINT and not point:
            point = True
        else:
            break
        at += 1
    if not seen:
        return BAD, 0.0
    if at < last:
        if data[at] != ord("e") and data[at] != ord("E"):
            return BAD, 0.0
        at += 1
        down = at < last and data[at] == MINUS
        if at < last and (down or data[at] == PLUS):
            at += 1
        if at == last:
            return BAD, 0.0
        power = 0
        while at < last:
            if not ZERO <= data[at] <= NINE:
                return BAD, 0.0
            power = min(power * 10 + (data[at] - ZERO), 100_000)
            at += 1
        e += -power if down else power
    if digits > 19:
        return UNCLEAR, 0.0
    sure, x = _scaled(mantissa, e)
    return (GOOD, -x if negative else x) if sure else (UNCLEAR, 0.0)


@compiled
def _plain_number(data: NDArray[np.uint8], first: int) -> tuple[int, float]:
    """Read a plain decimal of at most 15 digits that ends its cell; return where, or -1 where it is none."""
    at, n = first, len(data)
    negative = at < n and data[at] == MINUS
    if negative:
        at += 1
    begin, point, mantissa = at, -1, np.int64(0)
    while at < n:
        digit = np.uint8(data[at] - np.uint8(ZERO))
        if digit < 10:
            mantissa = mantissa * 10 + np.int64(digit)
        elif data[at] == POINT and point < 0:
            point = at
        else:
            break
        at += 1
    length = at - begin
    # A point alone is no number; 15 digits are below 2^53, so that one division rounds once.
    if at == n or length > 15 or length == 0 or (length == 1 and point >= 0):
        return -1, 0.0
    if data[at] != COMMA and data[at] != LF and data[at] != CR:
        return -1, 0.0
    x = np.float64(mantissa)
    if point >= 0:
        x /= EXACT_TENS[at - 1 - point]
    return at, -x if negative else x


@compiled
def _among(
    data: NDArray[np.uint8],
    first: int,
    last: int,
    content: NDArray[np.uint8],
    start: NDArray[np.int64],
    texts: tuple[int, int],
    fold: bool,
) -> int:
    """Return which of the texts from ``texts[0]`` to ``texts[1]`` the bytes are, or -1; `fold` lowers A to Z."""
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


@compiled
def _blank(sign: int) -> bool:
    """Whether Python's `str.strip` takes an ASCII sign away."""
    return sign == 32 or 9 <= sign <= 13 or 28 <= sign <= 31


@compiled
def _read_cells(
    data: NDArray[np.uint8],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    which: NDArray[np.int64],
    wanted: Wanted,
    values: NDArray[np.float64],
    state: NDArray[np.uint8],
) -> None:
    """Read cells: cell ``k`` is ``data[first[k]:last[k]]`` and input ``which[k]``; a negative end is for Python."""
    # Each of these once, not once for each cell: taking an array out of a tuple is counted by numba.
    number, factor, low, high = wanted.number, wanted.factor, wanted.low, wanted.high
    level, level_start, first_level = wanted.levels.content, wanted.levels.start, wanted.first_level
    empty, empty_start = wanted.empty.content, wanted.empty.start
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
        if number[i]:
            found, x = _number(data, a, b)
            if found == GOOD:
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
        if state[k] == BAD and _among(data, a, b, empty, empty_start, (0, len(empty_start) - 1), False) >= 0:
            state[k] = EMPTY
        elif state[k] == BAD and not number[i]:
            place = _among(data, a, b, level, level_start, (first_level[i], first_level[i + 1]), True)
            if place >= 0:
                state[k], values[k] = GOOD, place


@compiled
def _cell_end(data: NDArray[np.uint8], at: int) -> tuple[int, bool]:
    """Return where the cell that begins at `at` ends, and whether a quote in it is still open there."""
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
    while at < n and data[at] != COMMA and data[at] != LF and data[at] != CR:
        at += 1
    return at, False


@compiled
def line_ends(data: NDArray[np.uint8]) -> int:
    """Return how many LF and CR there are: at least as many as records."""
    count = 0
    for sign in data:
        count += 1 if sign in (LF, CR) else 0
    return count


@compiled
def border(data: NDArray[np.uint8], most: int) -> tuple[int, bool]:
    """Return where the last whole record ends, its line end included, and whether a quote is open after it.

    Of more than `most` line ends, the rest is not looked at.
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


@compiled
def read_rows(
    data: NDArray[np.uint8],
    wanted: Wanted,
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    fields: NDArray[np.int64],
    values: NDArray[np.float64],
    state: NDArray[np.uint8],
) -> int:
    """Read whole records; return how many.

    Parameters
    ----------
    data
        Records, each with a line end; blank lines are no records.
    wanted
        What to read of them.
    start, end, fields
        Written: where a record begins and ends, its line end left out, and how many cells it has; shape (n,).
    values, state
        Written: value and state of each input; shape (n_inputs, n). Of a row of another length they are no answer.
    """
    at, n, count = 0, len(data), 0
    slot, number, factor, low, high = wanted.slot, wanted.number, wanted.factor, wanted.low, wanted.high
    width, size = len(slot), len(state)
    # What is not a plain number is read at the end of its row, all of it together.
    first, last, which = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    odd_values, odd_state = np.empty(size), np.empty(size, dtype=np.uint8)
    there = np.zeros(size, dtype=np.bool_)
    for column in range(width):
        if slot[column] >= 0:
            there[slot[column]] = True
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
                values[i, count] = np.nan
                state[i, count] = EMPTY
            elif i >= 0 and number[i]:
                at, x = _plain_number(data, begin)
                if at >= 0:
                    x *= factor[i]
                    inside = low[i] <= x <= high[i]
                    values[i, count] = x if inside else np.nan
                    state[i, count] = GOOD if inside else OUTSIDE
            if at < 0:
                at, _ = _cell_end(data, begin)
                if i >= 0:
                    which[odd], first[odd], last[odd] = i, begin, at
                    if data[begin] == QUOTE:
                        inner = begin + 1
                        while inner < at and data[inner] != QUOTE:
                            inner += 1
                        # Doubled quotes, and signs after the closing one, are for Python.
                        first[odd], last[odd] = begin + 1, (inner if inner == at - 1 else -1)
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
                values[which[k], count] = odd_values[k]
                state[which[k], count] = odd_state[k]
        for i in range(size):
            if not there[i]:
                values[i, count] = np.nan
                state[i, count] = EMPTY
        count += 1
        at += 1
    return count


@compiled
def read_cells(
    data: NDArray[np.uint8],
    start: NDArray[np.int64],
    wanted: Wanted,
    i: int,
    values: NDArray[np.float64],
    state: NDArray[np.uint8],
) -> None:
    """Read the cells ``data[start[k]:start[k + 1]]`` as input `i`."""
    _read_cells(data, start[:-1], start[1:], np.full(len(start) - 1, i), wanted, values, state)
