"""Doubles to decimals: the compiled loops that write numbers.

A double is written as the shortest decimal that reads back to it (Schubfach; Giulietti 2020, "The Schubfach way to
render doubles"), in the form of Python's `repr`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.compiled import inner
from mgrisk.score.cells import EACH, MINUS, POINT, ZERO
from mgrisk.score.powers import FIRST_POWER, POWERS, bits, high_product, leading_zeros, put_word

LONGEST_FLOAT: Final = 25
"""Bytes of the longest double: sign, 17 digits, point, exponent."""
LONGEST_DIGITS: Final = 17
SHOWN_DIGITS: Final = 10
"""Significant digits of a feature's value among the reasons."""
TENS = np.array([10**k for k in range(20)], dtype=np.uint64)


@inner
def _odd(high: np.uint64, low: np.uint64, c: np.uint64) -> np.uint64:
    """Return the upper 64 bits of 128 × 64, the last one set where anything was cut off."""
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
    """Return how many digits a number has that is not zero."""
    # 1233 / 4096 is a little more than log10(2): the guess is right or one too large.
    guess = ((64 - leading_zeros(d)) * 1233) >> 12
    return guess + (1 if d >= TENS[guess] else 0)


@inner
def _eight(d: np.uint64) -> np.uint64:
    """Return eight digits as bytes, the first one lowest: each half, quarter and eighth in one product for all."""
    x = d // np.uint64(10_000) | (d % np.uint64(10_000)) << np.uint64(32)
    hundreds = ((x * np.uint64(10486)) >> np.uint64(20)) & np.uint64(0x0000007F0000007F)
    x = hundreds | (x - np.uint64(100) * hundreds) << np.uint64(16)
    tens = ((x * np.uint64(103)) >> np.uint64(10)) & np.uint64(0x000F000F000F000F)
    return (tens | (x - np.uint64(10) * tens) << np.uint64(8)) + EACH * np.uint64(ZERO)


@inner
def _put_digits(out: NDArray[np.uint8], at: int, d: np.uint64, n: int) -> None:
    """Write the n digits of a number, and whatever up to seventeen bytes."""
    d *= TENS[LONGEST_DIGITS - n]
    high = d // np.uint64(10**8)
    out[at] = ZERO + np.uint8(high // np.uint64(10**8))
    put_word(out, at + 1, _eight(high % np.uint64(10**8)))
    put_word(out, at + 9, _eight(d % np.uint64(10**8)))


@inner
def _decimal(out: NDArray[np.uint8], at: int, d: np.uint64, e: np.int64, most: int, point: bool) -> int:
    """Write ``d × 10^e`` as `repr` does; with an exponent from 10^most on; `point`: whole numbers end in ``.0``."""
    ten = np.uint64(10)
    while d % ten == np.uint64(0):
        d //= ten
        e += 1
    n = _digits(d)
    place = n - 1 + int(e)  # of the first digit: 0 for units
    plain = -4 <= place < most
    if plain and place < 0:
        for i in range(1 - place):
            out[at + i] = ZERO
        out[at + 1] = POINT
        _put_digits(out, at + 1 - place, d, n)
        return at + 1 - place + n
    # The place of the point among the digits; behind them all there is none.
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
def write_float(out: NDArray[np.uint8], at: int, x: float, short: bool) -> int:
    """Write a finite double from `at` on, nothing for NaN; return where it ends.

    With `short` no more than ten significant digits and no ``.0``, for the values that people read.
    """
    if np.isnan(x):
        return at
    if bits(x) >> np.uint64(63):
        out[at] = MINUS
        at += 1
        x = -x
    if x == 0.0:
        out[at] = ZERO
        if short:
            return at + 1
        out[at + 1], out[at + 2] = POINT, ZERO
        return at + 3
    d, e = _shortest(x)
    if not short:
        return _decimal(out, at, d, e, 16, True)
    cut, unit = 0, np.uint64(1)
    while d // unit >= np.uint64(10**SHOWN_DIGITS):
        unit *= np.uint64(10)
        cut += 1
    if cut:
        rest = d % unit
        d //= unit
        if rest * np.uint64(2) > unit or (rest * np.uint64(2) == unit and d % np.uint64(2) == np.uint64(1)):
            d += np.uint64(1)
    return _decimal(out, at, d, e + cut, SHOWN_DIGITS, False)
