"""The compiled reader agrees with Python's csv and float on any bytes, and leaves unclear numbers to Python."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mgrisk.features.registry import Feature, features
from mgrisk.score.cells import EMPTY_CELLS, MISSING, Missing
from mgrisk.score.csv.decimals import BAD, EMPTY, GOOD, OUTSIDE, UNCLEAR
from mgrisk.score.csv.read import StringTable, border, read_cells, read_rows
from mgrisk.score.input_schema import Given, compile_schema, read_text

pytestmark = pytest.mark.usefixtures("both_ways")
AGE, SMOKING, TOLD = features(["age_years", "smoking", "hypertension_told"])
ANY_NUMBER = AGE.model_copy(update={"minimum": None, "maximum": None})
NUMBERS = st.one_of(
    st.floats().map(repr),
    st.floats(allow_nan=False).map(lambda x: f"{x:.3f}"),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.25e}"),
    st.from_regex(r"[ +-]{0,2}[0-9]{0,22}\.?[0-9]{0,22}([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.text(st.sampled_from("0123456789.eE+-_ NAnul/\t\x1f\xa0٣"), max_size=8),
)
SIGNS = st.text(st.sampled_from('ab,"\n\r ä'), max_size=40)


def read_cell(text: str, feature: Feature, *, factor: float = 1.0, missing: Missing = MISSING) -> tuple[int, float]:
    """Return what the compiled code says of one cell."""
    values, state = np.empty(1), np.empty(1, dtype=np.uint8)
    cells = StringTable.of([text])
    wanted = compile_schema((), [feature], {feature.name: Given(feature.name, factor)}, missing)
    read_cells(cells.content, cells.start, wanted, 0, values, state)
    return int(state[0]), float(values[0])


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of a text by the borders that the compiled code finds, each record read by Python."""
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    start, end, fields = (np.empty(len(data) + 1, dtype=np.int64) for _ in range(3))
    nothing = (np.empty((0, len(data) + 1)), np.empty((0, len(data) + 1), dtype=np.uint8))
    n = read_rows(data, compile_schema((), (), {}), start, end, fields, *nothing)
    found = [next(csv.reader([data[start[r] : end[r]].tobytes().decode()])) for r in range(n)]
    assert [len(row) for row in found] == fields[:n].tolist()
    return found


@given(NUMBERS)
@example("9007199254740993")
@example("179769313486231580793e289")
@example("0.000000000000000000000000000000000000001")
def test_a_number_is_what_python_reads_or_left_to_it(text: str) -> None:
    state, value = read_cell(text, ANY_NUMBER)
    expected = read_text(text, ANY_NUMBER)
    if state != UNCLEAR:
        assert state == expected[0]
        np.testing.assert_equal(value, expected[1])


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-100, max_value=1e100))
def test_numbers_of_seventeen_digits_are_not_left_to_python(value: float) -> None:
    assert read_cell(repr(value), ANY_NUMBER) == (GOOD, value)


@given(st.text(max_size=9) | st.sampled_from(["Never", " FORMER", "current\t", "NA", "none"]))
def test_a_level_is_what_python_reads_or_left_to_it(text: str) -> None:
    state, value = read_cell(text, SMOKING)
    expected = read_text(text, SMOKING)
    if state != UNCLEAR:
        assert state == expected[0]
        np.testing.assert_equal(value, expected[1])
    assert state != UNCLEAR or not text.isascii()


WORDS = st.sampled_from([*sorted(EMPTY_CELLS), "-9", "unknown", "TRUE", "false", "yes", "No", "-9.0", "9e0", "."])


@given(WORDS | st.text(st.sampled_from(".ABZabzNAtrue-9 "), max_size=5), st.sampled_from([AGE, SMOKING, TOLD]))
def test_words_for_missing_and_booleans_are_what_python_reads_or_left_to_it(text: str, feature: Feature) -> None:
    for missing in (MISSING, Missing.also(["-9", "unknown", "true"])):
        state, value = read_cell(text, feature, missing=missing)
        expected = read_text(text, feature, missing=missing)
        assert state == expected[0]
        np.testing.assert_equal(value, expected[1])


SHORT = st.one_of(
    NUMBERS.filter(lambda text: '"' not in text),
    st.text(st.sampled_from("0123456789.-+/:;e "), max_size=9),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-9999, max_value=9999, places=2).map(str),
)


@given(st.lists(st.tuples(SHORT, SHORT), min_size=1, max_size=80), st.sampled_from(["\n", "\r\n", "\r"]))
def test_numbers_in_rows_are_what_python_reads_of_each_cell(rows: list[tuple[str, str]], line_end: str) -> None:
    missing = Missing.also(["9", "0.0"])
    text = "".join(f"{first},{second}{line_end}" for first, second in rows)
    wanted = compile_schema(["a", "b"], [ANY_NUMBER], {ANY_NUMBER.name: Given("b", 1.0)}, missing)
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    start, end, fields = (np.empty(len(data), dtype=np.int64) for _ in range(3))
    values, state = np.empty((1, len(data))), np.empty((1, len(data)), dtype=np.uint8)
    # A line end among the signs of a cell makes other rows of it: they are somebody else's test.
    assume(not any(sign in cell for row in rows for cell in row for sign in "\n\r"))
    assert read_rows(data, wanted, start, end, fields, values, state) == len(rows)
    for (_, cell), found, value in zip(rows, state[0].tolist(), values[0].tolist(), strict=False):
        expected = read_text(cell, ANY_NUMBER, missing=missing)
        if found != UNCLEAR:
            assert found == expected[0]
            np.testing.assert_equal(value, expected[1])


@pytest.mark.parametrize(
    ("text", "state"), [("20", GOOD), ("19.999", OUTSIDE), ("120.001", OUTSIDE), ("", EMPTY), ("x", BAD)]
)
def test_the_range_is_closed(text: str, state: int) -> None:
    assert read_cell(text, AGE)[0] == state


def test_a_number_is_multiplied_before_its_range_is_looked_at() -> None:
    assert read_cell("600", AGE, factor=1 / 12) == (GOOD, 600 / 12)
    assert read_cell("60", AGE, factor=1 / 12)[0] == OUTSIDE


@given(SIGNS)
@example('a"b,c\n')
@example('"a""b",c\r\n"d\ne"f"g,h\r\r\n')
@example('""\n\n""x')
def test_records_and_cells_are_those_of_pythons_csv(text: str) -> None:
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    data = text.encode()
    _, open_quote = border(np.frombuffer(data, dtype=np.uint8), len(data))
    # As the source does at the end of a stream.
    assert rows_of(text + ('"' if open_quote else "") + "\n") == expected


@given(SIGNS)
def test_the_border_parts_a_text_into_records_and_a_beginning(text: str) -> None:
    data = text.encode()
    place, _ = border(np.frombuffer(data, dtype=np.uint8), len(data))
    both = [*rows_of(data[:place].decode()), *csv.reader(io.StringIO(data[place:].decode(), newline=""))]
    assert [row for row in both if row] == [row for row in csv.reader(io.StringIO(text, newline="")) if row]
