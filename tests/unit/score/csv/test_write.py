"""The compiled writer gives the shortest decimal that reads back to the same double, as Python does."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mgrisk.compiled import compiled_later
from mgrisk.score.csv import decimals
from mgrisk.score.csv.decimals import ALL_DIGITS, LONGEST_FLOAT, MOST_ROUNDED, VALUE_DIGITS
from mgrisk.score.csv.write import largest

pytestmark = pytest.mark.usefixtures("both_ways")


@compiled_later
def write_float(out: NDArray[np.uint8], at: int, x: float, most: int) -> int:
    return decimals.write_float(out, at, x, most)


def written(value: float, digits: int = ALL_DIGITS) -> str:
    out = np.empty(LONGEST_FLOAT, dtype=np.uint8)
    return out[: write_float(out, 0, value, digits)].tobytes().decode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_written_as_python_writes_it(value: float) -> None:
    assert written(value) == repr(value)


@given(st.integers(-1022, 1023), st.sampled_from([-1, 0, 1]))
def test_powers_of_two_and_their_neighbours_too(exponent: int, step: int) -> None:
    value = np.nextafter(2.0**exponent, np.inf * step) if step else 2.0**exponent
    assert written(float(value)) == repr(float(value))


def test_a_missing_number_is_an_empty_cell() -> None:
    assert written(np.nan) == written(np.nan, VALUE_DIGITS) == ""


@given(st.floats(allow_nan=False, min_value=1e-200, max_value=1e200) | st.integers(-(10**12), 10**12).map(float))
def test_what_people_read_has_ten_significant_digits(value: float) -> None:
    assert float(written(value, VALUE_DIGITS)) == pytest.approx(value, rel=6e-10)
    digits = written(value, VALUE_DIGITS).partition("e")[0].replace(".", "").strip("-0")
    assert len(digits) <= 10


@pytest.mark.parametrize(
    ("value", "text"),
    [(45.0, "45"), (0.1 + 0.2, "0.3"), (1e10, "1e+10"), (9999999999.6, "1e+10"), (-0.00001, "-1e-05")],
)
def test_what_people_read_has_the_form_of_general_format(value: float, text: str) -> None:
    assert written(value, VALUE_DIGITS) == f"{value:.10g}" == text


# A subnormal double has fewer digits than are asked for, so that rounding its shortest form is another thing.
NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.floats(1e-9, 1.0)
    | st.integers(0, 10**7).map(float)
)


@given(NUMBERS, st.integers(1, MOST_ROUNDED))
@example(0.9999995, 6)
@example(9.999995, 6)
@example(0.5, 1)
@example(2.5, 1)
@example(1e23, 15)
def test_fewer_digits_are_those_of_general_format(value: float, digits: int) -> None:
    """But where the shortest decimal lies in the middle of two: then the even one, as people round what they see."""
    shortest = Decimal(repr(value))
    with localcontext() as context:
        context.prec, context.rounding = digits, ROUND_HALF_EVEN
        rounded = +shortest
    assert Decimal(written(value, digits)) == rounded
    last_place = Decimal(5).scaleb(rounded.adjusted() - digits)
    if abs(shortest - rounded) != last_place:
        assert written(value, digits) == f"{value:.{digits}g}"


def test_the_largest_come_first_of_equal_ones_the_first_and_what_contributes_nothing_not_at_all() -> None:
    values = np.array([[0.1, -0.3, 0.3, 0.0], [0.0, 0.0, 0.0, 0.0]])
    feature, effect = np.empty((2, 5), dtype=np.int64), np.empty((2, 5))
    largest(np.ascontiguousarray(values.T), feature, effect)
    assert feature.tolist() == [[1, 2, 0, -1, -1], [-1] * 5]
    np.testing.assert_array_equal(effect, [[-0.3, 0.3, 0.1, np.nan, np.nan], [np.nan] * 5])
    two, of_two = np.empty((2, 2), dtype=np.int64), np.empty((2, 2))
    largest(np.ascontiguousarray(values.T), two, of_two)
    assert two.tolist() == [[1, 2], [-1, -1]]
