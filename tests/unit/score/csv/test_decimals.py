"""Rounding of numbers: ties and their neighbours, the last digit, powers of two and ten."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mgrisk.compiled import compiled_later
from mgrisk.score.csv import decimals
from mgrisk.score.csv.decimals import ALL_DIGITS, BAD, GOOD, LONGEST_FLOAT, UNCLEAR, VALUE_DIGITS

pytestmark = pytest.mark.usefixtures("both_ways")
SIGNIFICANT = 19
"""Digits of the longest number that is read here and not left to Python."""


# What only other loops call, as loops that Python calls.


@compiled_later
def read_number(data: NDArray[np.uint8], first: int, last: int) -> tuple[int, float]:
    return decimals.read_number(data, first, last)


@compiled_later
def plain_number(data: NDArray[np.uint8], first: int) -> tuple[int, float]:
    return decimals.plain_number(data, first)


@compiled_later
def short_number(data: NDArray[np.uint8], first: int) -> tuple[int, float]:
    return decimals.short_number(data, first)


@compiled_later
def write_float(out: NDArray[np.uint8], at: int, x: float, most: int) -> int:
    return decimals.write_float(out, at, x, most)


def cell(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def read(text: str) -> tuple[int, float]:
    return read_number(cell(text), 0, len(text))


def shown(value: float, digits: int) -> str:
    out = np.empty(LONGEST_FLOAT + 8, dtype=np.uint8)
    return out[: write_float(out, 0, value, digits)].tobytes().decode()


def tie(value: float) -> str:
    """Return, in at most 19 digits or as many as it takes, the decimal halfway between a double and the next."""
    halfway = (Fraction(value) + Fraction(float(np.nextafter(value, np.inf)))) / 2
    assert halfway.denominator == 1
    return str(halfway.numerator)


@pytest.mark.parametrize("exponent", range(53, 62))
@pytest.mark.parametrize("odd", [0, 1])
def test_a_tie_goes_to_the_even_double_and_its_neighbours_to_the_nearer(exponent: int, odd: int) -> None:
    """Integers from 2^53 on of at most 19 digits: the halfway points between doubles are integers, too."""
    value = float(2**exponent) + odd * 2.0 ** (exponent - 52)
    text = tie(value)
    assert len(text) <= SIGNIFICANT
    for step in (-1, 0, 1):
        written = str(int(text) + step)
        state, found = read(written)
        # A tie may be left to Python, but is never read as the odd neighbour.
        assert state in (GOOD, UNCLEAR)
        if state == GOOD:
            assert found == float(written), written
        assert state == GOOD or step == 0, "only the tie itself is in doubt"


@given(
    st.integers(2**52, 2**53 - 1),
    st.integers(-60, 60),
    st.integers(-3, 3),
)
@example(2**53 - 1, 0, 0)
def test_nineteen_digits_beside_the_middle_of_two_doubles_are_read_as_python_reads_them(
    mantissa: int, power: int, step: int
) -> None:
    middle = (Fraction(mantissa) + Fraction(1, 2)) * Fraction(2) ** power
    digits = 18 - len(str(int(middle))) + (middle >= 1)
    scaled = round(middle * Fraction(10) ** digits) + step
    text = f"{scaled}e{-digits}"
    state, found = read(text)
    assert state in (GOOD, UNCLEAR)
    if len(str(scaled)) <= SIGNIFICANT and state == GOOD:
        assert found == float(text)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("1" * 19, GOOD),
        ("1" * 20, UNCLEAR),
        ("0." + "1" * 19, GOOD),
        ("0." + "1" * 20, UNCLEAR),
        ("0" * 30 + "7", GOOD),
        ("9007199254740991", GOOD),
        ("9007199254740992", GOOD),
        ("9007199254740994", GOOD),
        ("9999999999999999999", GOOD),
        ("1e22", GOOD),
        ("1e23", UNCLEAR),
        ("9007199254740993e22", GOOD),
        ("1e-22", GOOD),
        ("1e-23", GOOD),
        ("1e200", GOOD),
        ("1e201", UNCLEAR),
        ("1e-200", GOOD),
        ("1e-201", UNCLEAR),
        ("1e999999999999999999999", UNCLEAR),
        ("1e-999999999999999999999", UNCLEAR),
        ("1e18446744073709551616", UNCLEAR),
        ("1e", BAD),
        ("1e+", BAD),
        ("1e-", BAD),
        ("1e5x", BAD),
        (".", BAD),
        ("-", BAD),
        ("+.5", GOOD),
        ("5.", GOOD),
        ("-0", GOOD),
        ("--1", BAD),
        ("1..2", BAD),
    ],
)
def test_a_number_is_read_exactly_left_to_python_or_refused(text: str, state: int) -> None:
    found, value = read(text)
    assert found == state
    if state == GOOD:
        assert (value, np.signbit(value)) == (float(text), np.signbit(float(text)))


@pytest.mark.parametrize("end", [",", "\n", "\r"])
@pytest.mark.parametrize(
    ("text", "fits"),
    [("123456789012345", True), ("1234567890.1234", True), ("1234567890123456", False), ("9007199254740993", False),
     ("0.3", True), ("-0.3", True), ("-0", True), (".5", True), ("5.", True), (".", False), ("", False), ("1e5", False),
     ("+1", False), ("1.2.3", False)],
)  # fmt: skip
def test_a_plain_decimal_of_at_most_fifteen_signs_is_read_to_the_last_bit(text: str, fits: bool, end: str) -> None:
    at, value = plain_number(cell(text + end), 0)
    assert at == (len(text) if fits else -1)
    if fits:
        assert (value, np.signbit(value)) == (float(text), np.signbit(float(text)))


@given(st.integers(-999_999, 9_999_999), st.integers(0, 6), st.sampled_from(",\n\r"))
def test_a_short_decimal_is_read_to_the_last_bit_wherever_its_point_stands(number: int, after: int, end: str) -> None:
    sign, digits = ("-" if number < 0 else ""), str(abs(number)).zfill(after + 1)
    text = sign + (f"{digits[:-after]}.{digits[-after:]}" if after else digits)
    at, value = short_number(cell(f"{text}{end}........"), 0)
    if len(text) <= 7:
        assert at == len(text)
        assert (value, np.signbit(value)) == (float(text), np.signbit(float(text)))
    else:
        assert at == -1


@pytest.mark.parametrize("exponent", [-1074, -1073, -1022, -1021, -537, -1, 0, 1, 52, 53, 54, 100, 971, 1023])
def test_the_doubles_beside_a_power_of_two_are_written_as_python_writes_them(exponent: int) -> None:
    # Below a power of two doubles lie closer than above it: the border of what reads back is another on that side.
    power = 2.0**exponent
    for value in (np.nextafter(power, 0.0), power, np.nextafter(power, np.inf)):
        if value and np.isfinite(value):
            assert shown(float(value), ALL_DIGITS) == repr(float(value))


@given(st.integers(2**52, 2**53 - 1), st.integers(-1074, 971))
@example(2**52, -1074)
@example(2**53 - 1, 971)
@example(9007199254740991, -20)
def test_a_double_is_written_with_the_digits_that_python_writes(mantissa: int, exponent: int) -> None:
    value = float(np.ldexp(float(mantissa), exponent))
    if np.isfinite(value) and value:
        assert shown(value, ALL_DIGITS) == repr(value)


@given(st.integers(2**52, 2**53 - 1))
@example(4503599627370497)
@example(4503599627370499)
def test_a_quarter_halfway_between_two_tenths_is_written_as_the_even_one(quarters: int) -> None:
    value = float(np.ldexp(float(quarters), -2))
    assert shown(value, ALL_DIGITS) == repr(value)


@pytest.mark.parametrize(
    "value",
    [1000000000.5, 1000000001.5, 1000000002.5, 1000000003.5, 1000000002.5000001, 1000000001.4999999, 9999999999.5,
     9999999998.5, -1000000001.5, 12345678901.0, 99999999995.0, 0.5, 1e-7],
)  # fmt: skip
def test_ten_digits_are_rounded_half_to_even_as_general_format_does(value: float) -> None:
    assert shown(value, VALUE_DIGITS) == f"{value:.10g}"
