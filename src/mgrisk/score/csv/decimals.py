"""Convert decimals to doubles and back, as compiled loops on bytes.

A decimal is read as the nearest double, or left to Python. A double is written as the shortest decimal that reads back
to it (Schubfach; Giulietti 2020, "The Schubfach way to render doubles"), in the form of Python's `repr`, or rounded to
fewer significant digits, in the form of ``format(x, ".6g")``. Both need powers of ten in 128 bits and a few machine
instructions. The special characters of CSV and the states of a cell are also defined here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.compiled import inner
from mgrisk.score.csv.instructions import bits, high_product, leading_zeros, put_word, trailing_zeros, word

GOOD, IMPROBABLE, EMPTY, BAD, OUTSIDE, UNCLEAR, EXCLUDED, CONTRADICTED = range(8)
"""States of a cell: usable, improbable beside another value, empty, not a number or level, out of range, left to
Python, excludes the person from the model, or contradicts another value."""
COMMA, QUOTE, LF, CR, POINT, PLUS, MINUS, ZERO, NINE = (ord(sign) for sign in ',"\n\r.+-09')
EACH: Final = np.uint64(0x0101010101010101)
TOPS: Final = np.uint64(0x8080808080808080)
"""The lowest, and the highest, bit of each of the eight bytes of a word."""

# Powers of ten as truncated 128 bits with the top bit set: POWERS[e - FIRST_POWER] is 10^e times a power of two.
FIRST_POWER: Final = -342
LAST_POWER: Final = 324


def _powers() -> NDArray[np.uint64]:
    rows = []
    for e in range(FIRST_POWER, LAST_POWER + 1):
        shift = 127 - ((e * 1741647) >> 19)
        cut = (10 ** max(e, 0) << max(shift, 0)) // (10 ** max(-e, 0) << max(-shift, 0))
        rows.append([cut >> 64, cut & (2**64 - 1)])
    return np.array(rows, dtype=np.uint64)


POWERS = _powers()
EXACT_TENS = np.array([float(10**k) for k in range(23)])  # the powers of ten that a double represents exactly
MIDDLE_TWO = 1000
TWOS = 2.0 ** np.arange(-MIDDLE_TWO, MIDDLE_TWO)


@inner
def _scaled(mantissa: np.uint64, e: int) -> tuple[bool, float]:
    """Return whether mantissa × 10^e is certainly rounded correctly, and the nearest double."""
    if mantissa < np.uint64(1 << 53) and -22 <= e <= 22:
        x = np.float64(mantissa)
        return True, (x * EXACT_TENS[e] if e >= 0 else x / EXACT_TENS[-e])
    if mantissa == np.uint64(0) or e < -200 or e > 200:
        return False, 0.0
    zeros = leading_zeros(mantissa)
    m = mantissa << np.uint64(zeros)
    high, low = POWERS[e - FIRST_POWER, 0], POWERS[e - FIRST_POWER, 1]
    # The upper 128 of the 192 bits of the product; the exact value is at most 2 larger.
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
            # More than 19 digits are left to Python.
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
    """Read a plain decimal of at most seven characters up to the end of its cell; return its end, or -1 if it is none.

    It reads eight bytes at once without branches (Mycroft 1987; Lemire 2021, "Number parsing at a gigabyte per
    second"); eight bytes must be readable.
    """
    w = word(data, first)
    # The first byte below "-" ends the cell. The mask may be wrong above that byte, but not at it.
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
    # Move the characters to the upper end, with "0" as 0 and zeros below them.
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
    """Read a plain decimal of at most 15 digits up to the end of its cell; return its end, or -1 if it is none."""
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
    # A point alone is not a number; 15 digits are below 2^53, so that a division rounds once.
    if at == n or length > 15 or length == 0 or (length == 1 and point >= 0):
        return -1, 0.0
    if data[at] != COMMA and data[at] != LF and data[at] != CR:
        return -1, 0.0
    x = np.float64(mantissa)
    if point >= 0:
        x /= EXACT_TENS[at - 1 - point]
    return at, -x if negative else x


LONGEST_FLOAT: Final = 25
"""Bytes of the longest double: sign, 17 digits, point, exponent."""
LONGEST_DIGITS: Final = 17
ALL_DIGITS: Final = 17
"""Significant digits with which every double can be read back exactly."""
SHOWN_DIGITS: Final = 6
"""Default significant digits of the numbers of an answer in text."""
VALUE_DIGITS: Final = 10
"""Significant digits of the feature values in reasons."""
MOST_ROUNDED: Final = 15
"""Maximum significant digits for rounding; with more, a double is written so that it can be read back exactly."""
TENS = np.array([10**k for k in range(20)], dtype=np.uint64)


@inner
def _odd(high: np.uint64, low: np.uint64, c: np.uint64) -> np.uint64:
    """Return the upper 64 bits of a 128 × 64 bit product, with the last bit set if anything was truncated."""
    lower = high * c
    upper = high_product(high, c)
    total = lower + high_product(low, c)
    if total < lower:
        upper += np.uint64(1)
    return upper | np.uint64(1) if total > np.uint64(1) else upper


@inner
def _shortest(x: float) -> tuple[np.uint64, np.int64]:
    """Return digits and exponent of the shortest decimal ``digits × 10^exponent`` nearest to a positive double."""
    pattern = bits(x)
    fraction = pattern & np.uint64((1 << 52) - 1)
    biased = np.int64(pattern >> np.uint64(52))
    if biased != 0:
        c, q = fraction | np.uint64(1 << 52), biased - 1075
        if -53 < q <= 0 and c & ((np.uint64(1) << np.uint64(-q)) - np.uint64(1)) == np.uint64(0):
            return c >> np.uint64(-q), np.int64(0)
    else:
        c, q = fraction, np.int64(-1074)
    closer = fraction == np.uint64(0) and biased > 1
    odd = c & np.uint64(1)
    k = (q * 1262611 - (524031 if closer else 0)) >> 22
    h = np.uint64(q + ((-k * 1741647) >> 19) + 1)
    high, low = POWERS[-k - FIRST_POWER, 0], POWERS[-k - FIRST_POWER, 1] + np.uint64(1)
    if low == np.uint64(0):
        high += np.uint64(1)
    four = np.uint64(4) * c
    below = _odd(high, low, (four - np.uint64(1 if closer else 2)) << h) + odd
    value = _odd(high, low, four << h)
    above = _odd(high, low, (four + np.uint64(2)) << h) - odd
    s = value >> np.uint64(2)
    if s >= np.uint64(10):
        tenth = s // np.uint64(10)
        down = below <= np.uint64(40) * tenth
        up = np.uint64(40) * tenth + np.uint64(40) <= above
        if down != up:
            return tenth + np.uint64(1 if up else 0), k + 1
    down = below <= np.uint64(4) * s
    up = np.uint64(4) * s + np.uint64(4) <= above
    if down != up:
        return s + np.uint64(1 if up else 0), k
    middle = np.uint64(4) * s + np.uint64(2)
    higher = value > middle or (value == middle and s & np.uint64(1) != np.uint64(0))
    return s + np.uint64(1 if higher else 0), k


@inner
def _digits(d: np.uint64) -> int:
    """Return the number of digits of a nonzero number."""
    # 1233 / 4096 is slightly more than log10(2): the estimate is right or one too large.
    guess = ((64 - leading_zeros(d)) * 1233) >> 12
    return guess + (1 if d >= TENS[guess] else 0)


@inner
def _eight(d: np.uint64) -> np.uint64:
    """Return eight digits as bytes, the first digit in the lowest byte, with one product per halving."""
    x = d // np.uint64(10_000) | (d % np.uint64(10_000)) << np.uint64(32)
    hundreds = ((x * np.uint64(10486)) >> np.uint64(20)) & np.uint64(0x0000007F0000007F)
    x = hundreds | (x - np.uint64(100) * hundreds) << np.uint64(16)
    tens = ((x * np.uint64(103)) >> np.uint64(10)) & np.uint64(0x000F000F000F000F)
    return (tens | (x - np.uint64(10) * tens) << np.uint64(8)) + EACH * np.uint64(ZERO)


@inner
def _put_digits(out: NDArray[np.uint8], at: int, d: np.uint64, n: int) -> None:
    """Write the n digits of a number; up to seventeen bytes are overwritten."""
    if n <= 8:
        put_word(out, at, _eight(d * TENS[8 - n]))
        return
    d *= TENS[LONGEST_DIGITS - n]
    high = d // np.uint64(10**8)
    out[at] = ZERO + np.uint8(high // np.uint64(10**8))
    put_word(out, at + 1, _eight(high % np.uint64(10**8)))
    put_word(out, at + 9, _eight(d % np.uint64(10**8)))


@inner
def _decimal(out: NDArray[np.uint8], at: int, d: np.uint64, e: np.int64, most: int, point: bool) -> int:
    """Write ``d × 10^e`` like `repr`, with an exponent from 10^most on; with `point`, whole numbers end in ``.0``."""
    ten = np.uint64(10)
    while d % ten == np.uint64(0):
        d //= ten
        e += 1
    n = _digits(d)
    place = n - 1 + int(e)  # power of ten of the first digit
    plain = -4 <= place < most
    if plain and place < 0:
        for i in range(1 - place):
            out[at + i] = ZERO
        out[at + 1] = POINT
        _put_digits(out, at + 1 - place, d, n)
        return at + 1 - place + n
    # Position of the point among the digits; none after the last digit.
    before = place + 1 if plain else 1
    if before < n:
        _put_digits(out, at + 1, d, n)
        for i in range(before):
            out[at + i] = out[at + i + 1]
        out[at + before] = POINT
        at += n + 1
    else:
        _put_digits(out, at, d, n)
        at += n
    if plain:
        for _ in range(n, before):
            out[at] = ZERO
            at += 1
        if point and place >= n - 1:
            out[at], out[at + 1] = POINT, ZERO
            at += 2
        return at
    out[at], out[at + 1] = ord("e"), MINUS if place < 0 else ord("+")
    at += 2
    place = abs(place)
    if place >= 100:
        out[at] = ZERO + place // 100
        at += 1
    out[at], out[at + 1] = ZERO + place // 10 % 10, ZERO + place % 10
    return at + 2


@inner
def _rounded(x: float, most: int) -> tuple[np.uint64, np.int64]:
    """Return digits and exponent of a positive double rounded to `most` digits, ties to even."""
    guess = (((np.int64(bits(x) >> np.uint64(52)) - 1023) * 1233) >> 12) - most  # or one too small
    for e in range(guess + 1, guess + 3):
        if not -22 <= e <= 22:
            break
        # A value this close to a midpoint is not certainly rounded correctly.
        scaled = x / EXACT_TENS[e] if e >= 0 else x * EXACT_TENS[-e]
        if scaled < EXACT_TENS[most]:
            below = np.floor(scaled)
            over = scaled - below - 0.5
            if abs(over) <= scaled * 2.0**-52:
                break
            return np.uint64(below) + np.uint64(1 if over > 0 else 0), np.int64(e)
    d, shortest = _shortest(x)
    cut, unit = 0, np.uint64(1)
    while d // unit >= TENS[most]:
        unit *= np.uint64(10)
        cut += 1
    if cut:
        rest = d % unit
        d //= unit
        if rest * np.uint64(2) > unit or (rest * np.uint64(2) == unit and d % np.uint64(2) == np.uint64(1)):
            d += np.uint64(1)
    return d, shortest + cut


@inner
def write_float(out: NDArray[np.uint8], at: int, x: float, most: int) -> int:
    """Write a finite double from `at` on, or nothing for NaN; return the end.

    Up to `MOST_ROUNDED` significant digits are written as by ``format(x, f".{most}g")``, and more as by `repr`. For a
    subnormal double, the digits of its `repr` are rounded.
    """
    if np.isnan(x):
        return at
    if bits(x) >> np.uint64(63):
        out[at] = MINUS
        at += 1
        x = -x
    if x == 0.0:
        out[at] = ZERO
        if most <= MOST_ROUNDED:
            return at + 1
        out[at + 1], out[at + 2] = POINT, ZERO
        return at + 3
    if most > MOST_ROUNDED:
        d, e = _shortest(x)
        return _decimal(out, at, d, e, 16, True)
    d, e = _rounded(x, most)
    return _decimal(out, at, d, e, most, False)
