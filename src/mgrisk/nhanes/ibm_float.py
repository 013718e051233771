"""IBM hexadecimal floating point, the number format of SAS transport files, to and from IEEE doubles.

A number is one byte of sign and excess-64 exponent to the base 16, then up to 56 bits of fraction, most
significant byte first: ``(-1)**sign * 16**(exponent - 64) * fraction / 2**56``. A missing value is one
character (``.``, ``_`` or ``A`` to ``Z``) in the first byte, followed by zeros. Source: SAS Technical
Support document TS-140, "The Record Layout of a Data Set in SAS Transport (XPORT) Format".
"""

from __future__ import annotations

import string
from typing import Final

import numpy as np
import numpy.typing as npt

from mgrisk.types import Booleans, Floats

SMALLEST: Final = 2.0**-260
"""Smallest magnitude above zero that `encode` writes, 16**-65."""

TOO_LARGE: Final = 2.0**252
"""Magnitudes from this value on, 16**63, cannot be represented."""

MISSING: Final = 0x2E << 56
"""The word of the ordinary SAS missing value ``.``."""

TAGS: Final = "._" + string.ascii_uppercase
"""The characters of the 28 missing values of SAS."""

_FRACTION: Final = np.uint64((1 << 56) - 1)
_EXPONENT: Final = np.uint64(0x7F << 56)
_SIGN: Final = np.uint64(1 << 63)
_TOP_BYTE: Final = np.uint64(56)
# A base-16 exponent at bit 56 is, two bits further down, four times itself at bit 52, where a double has its
# exponent to the base 2; this adds what remains of 4 * (exponent - 64) - 56 + 1023.
_EXPONENT_SHIFT: Final = np.uint64(2)
_REBIAS: Final = np.uint64((1023 - 56 - 4 * 64) << 52)
_POINT: Final = np.uint64(MISSING)


def _is_tag() -> Booleans:
    known = np.zeros(256, dtype=np.bool_)
    known[[ord(tag) for tag in TAGS]] = True
    return known


_IS_TAG: Final = _is_tag()


def decode(words: npt.NDArray[np.uint64], *, out: Floats | None = None) -> Floats:
    """Return IEEE doubles for 8-byte IBM numbers.

    Parameters
    ----------
    words
        The numbers as native unsigned integers, any shape. A number of fewer than 8 bytes must be padded on
        the right with the zero bytes that SAS left out.
    out
        Array of the same shape for the result.

    Returns
    -------
    numpy.ndarray
        Doubles of the same shape. Exact where the fraction has at most 53 significant bits, as every number
        converted from a double has; otherwise rounded to nearest, ties to even. All missing values are NaN.

    Examples
    --------
    >>> decode(np.array([0x4110000000000000, 0, 0x2E00000000000000], dtype=np.uint64)).tolist()
    [1.0, 0.0, nan]
    """
    fraction = words & _FRACTION
    # The signed power of two by which the integer fraction is multiplied, built from the bits of the word.
    # It is always a normal double, so that the product is exact.
    scale = words & _EXPONENT
    scale >>= _EXPONENT_SHIFT
    scale += _REBIAS
    scale |= words & _SIGN
    # From signed integers (the fraction has 56 bits), because that conversion is one machine instruction.
    values = np.multiply(fraction.view(np.int64).astype(np.float64), scale.view(np.float64), out=out)
    point = words == _POINT
    np.copyto(values, np.nan, where=point)
    tagged = fraction == 0
    tagged &= words != 0
    tagged ^= point
    if tagged.any():
        # Rare: missing values with another tag, and zeros with an exponent or a sign, which become 0.0.
        where = np.nonzero(tagged)
        values[where] = np.where(_IS_TAG[words[where] >> _TOP_BYTE], np.nan, 0.0)
    return values


def tags(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    r"""Return the tag of each missing value as an ASCII code, and 0 where there is a number.

    Parameters
    ----------
    words
        As for `decode`.

    Examples
    --------
    >>> bytes(tags(np.array([0x4110000000000000, 0x2E00000000000000, 0x4100000000000000], dtype=np.uint64)))
    b'\x00.A'
    """
    first = words >> _TOP_BYTE
    missing = ((words & _FRACTION) == 0) & _IS_TAG[first]
    codes: npt.NDArray[np.uint8] = np.where(missing, first, 0).astype(np.uint8)
    return codes


def fits(values: Floats) -> Booleans:
    """Return which doubles `encode` can write without changing them.

    Zeros, NaN and magnitudes from 16**-65 (5.4e-79) up to below 16**63 (7.2e75) do; infinities, larger and
    smaller magnitudes do not.
    """
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        inside = (size >= SMALLEST) & (size < TOO_LARGE)
    representable: Booleans = inside | (values == 0) | np.isnan(values)
    return representable


def encode(values: Floats) -> npt.NDArray[np.uint64]:
    """Return 8-byte IBM numbers for doubles that `fits`; `decode` gives the same bits back.

    Parameters
    ----------
    values
        Doubles, any shape. NaN becomes the missing value ``.`` and loses its payload, -0.0 becomes 0.0. The
        result for values that do not fit is meaningless: ask `fits` first.

    Returns
    -------
    numpy.ndarray
        Native unsigned integers of the same shape, normalised (no leading zero digit).

    Examples
    --------
    >>> [hex(word) for word in encode(np.array([1.0, -0.1])).tolist()]
    ['0x4110000000000000', '0xc01999999999999a']
    """
    missing = np.isnan(values)
    zero = values == 0
    mantissa, exponent = np.frexp(np.where(missing | zero, 1.0, np.abs(values)))
    digits = -(-exponent // 4)
    # The mantissa has 53 bits and the fraction 56: the spare three hold the shift to an exponent to the base 16.
    shift = (3 - (4 * digits - exponent)).astype(np.uint64)
    words = np.ldexp(mantissa, 53).astype(np.uint64) << shift
    words |= ((digits + 64) & 0x7F).astype(np.uint64) << _TOP_BYTE
    words |= np.signbit(values).astype(np.uint64) << np.uint64(63)
    words[zero] = 0  # without a sign: some readers take a negative zero for a missing value
    words[missing] = MISSING
    return words
