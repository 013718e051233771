"""Decimals to doubles: the compiled loops that read numbers. A number is the nearest double, or is left to Python."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgrisk.compiled import inner
from mgrisk.score.cells import BAD, COMMA, CR, EACH, GOOD, LF, MINUS, NINE, PLUS, POINT, TOPS, UNCLEAR, ZERO
from mgrisk.score.powers import FIRST_POWER, POWERS, high_product, leading_zeros, trailing_zeros, word

EXACT_TENS = np.array([float(10**k) for k in range(23)])  # the powers of ten that a double holds
MIDDLE_TWO = 1000
TWOS = 2.0 ** np.arange(-MIDDLE_TWO, MIDDLE_TWO)


@inner
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


@inner
def read_number(data: NDArray[np.uint8], first: int, last: int) -> tuple[int, float]:
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


@inner
def short_number(data: NDArray[np.uint8], first: int) -> tuple[int, float]:
    """Read a plain decimal of at most seven signs that ends its cell; return where, or -1 where it is none.

    Eight bytes at a time, without a branch for each (Mycroft 1987; Lemire 2021, "Number parsing at a gigabyte per
    second"); eight bytes must be there.
    """
    w = word(data, first)
    # The first byte below "-": in a number only the end of its cell is. Those above it may be wrong, the first is not.
    ends = (w - EACH * np.uint64(MINUS)) & ~w & TOPS
    if ends == np.uint64(0):
        return -1, 0.0
    shift = trailing_zeros(ends) & ~np.uint64(7)
    end = (w >> shift) & np.uint64(0xFF)
    if end != np.uint64(COMMA) and end != np.uint64(LF) and end != np.uint64(CR):
        return -1, 0.0
    at = first + int(shift >> np.uint64(3))
    negative = w & np.uint64(0xFF) == np.uint64(MINUS)
    if negative:
        w >>= np.uint64(8)
        shift -= np.uint64(8)
    if shift == np.uint64(0) or at == first:
        return -1, 0.0
    # The signs at the upper end, "0" as 0; below them nothing but zeros.
    x = (w ^ EACH * np.uint64(ZERO)) << (np.uint64(64) - shift)
    others = (((x & ~TOPS) + EACH * np.uint64(0x76)) | x) & TOPS  # above 9
    after = 0
    if others != np.uint64(0):
        place = trailing_zeros(others) & ~np.uint64(7)
        point = (x >> place) & np.uint64(0xFF) == np.uint64(POINT ^ ZERO)
        if not point or others & (others - np.uint64(1)) or shift == np.uint64(8):
            return -1, 0.0
        below = (np.uint64(1) << place) - np.uint64(1)
        x = (x & ~below & ~(np.uint64(0xFF) << place)) | (x & below) << np.uint64(8)
        after = 7 - int(place >> np.uint64(3))
    x = (x * np.uint64(10) + (x >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    x = (x * np.uint64(100) + (x >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    x = (x * np.uint64(10_000) + (x >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    value = np.float64(np.int64(x)) / EXACT_TENS[after]
    return at, -value if negative else value


@inner
def plain_number(data: NDArray[np.uint8], first: int) -> tuple[int, float]:
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
