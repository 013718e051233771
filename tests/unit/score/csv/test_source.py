"""A stream of CSV in blocks has every record once, in order, for any size of blocks and pieces."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import features
from mgrisk.score.cells import Missing
from mgrisk.score.csv.source import CsvRows, CsvSource
from mgrisk.score.formulas import unescape_formula
from mgrisk.score.input_schema import read_text

pytestmark = pytest.mark.usefixtures("both_ways")
INPUTS = features(["age_years", "sex"])
CELL = st.text(st.characters(blacklist_categories=["Cs"]), max_size=6)


class Dripping(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 3))


def rows_of(content: bytes, *, block_bytes: int = 1000, stream: type[io.BytesIO] = io.BytesIO) -> list[CsvRows]:
    source = CsvSource(stream(content), where="a test", block_bytes=block_bytes)
    return [source.read(block, INPUTS) for block in source.blocks()]


def cells_of(content: bytes, **options: object) -> list[list[str]]:
    return [row for rows in rows_of(content, **options) for row in zip_lists(rows)]  # type: ignore[arg-type]


def zip_lists(rows: CsvRows) -> Sequence[list[str]]:
    return [list(map(str, row.values())) for row in rows.table().to_pylist()]


@given(
    st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=12),
    st.integers(1, 40),
    # With another line end Python's writer would leave a "\r" in a cell unquoted, if it may.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r", csv.QUOTE_ALL)]),
    st.sampled_from([io.BytesIO, Dripping]),
)
@example([["", "'="]], 1, ("\r\n", csv.QUOTE_MINIMAL), io.BytesIO)
def test_cells_come_back_as_they_were_meant_whatever_the_block_size(
    table: list[list[str]], block_bytes: int, form: tuple[str, int], stream: type[io.BytesIO]
) -> None:
    end, quoting = form
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([["a", "b"], *table])  # type: ignore[call-overload]
    content = text.getvalue().encode()
    # An apostrophe before a formula is how scored files escape it.
    meant = [[unescape_formula(cell) for cell in row] for row in table]
    assert cells_of(content, block_bytes=block_bytes, stream=stream) == meant


@given(st.lists(st.text(st.sampled_from('0123456789.,"\n\rxe äNA'), max_size=12), max_size=12), st.integers(1, 40))
def test_what_is_read_is_what_csv_and_the_contract_say_in_python(lines: list[str], block_bytes: int) -> None:
    text = "\n".join(["age_years,sex", *lines])
    assume([*csv.reader(io.StringIO(f"{text}\nend", newline=""))][-1] == ["end"])  # no quote is left open
    content = text.encode()
    expected = [row for row in csv.reader(io.StringIO(content.decode(), newline="")) if row][1:]
    read = rows_of(content, block_bytes=block_bytes)
    states = np.concatenate([np.empty((2, 0)), *(rows.checked.state for rows in read)], axis=1).T
    numbers = np.concatenate([np.empty((2, 0)), *(rows.checked.numbers for rows in read)], axis=1).T
    wrong = [count for rows in read for count in rows.checked.wrong_fields.values()]
    assert wrong == [len(row) for row in expected if len(row) != 2]
    assert len(states) == len(expected)
    for state, number, row in zip(states, numbers, expected, strict=True):
        if len(row) == 2:
            told = [read_text(cell, feature) for cell, feature in zip(row, INPUTS, strict=True)]
            assert state.tolist() == [each[0] for each in told]
            np.testing.assert_array_equal(number, [each[1] for each in told])


def test_rows_of_another_length_are_kept_whole_and_marked() -> None:
    (rows,) = rows_of(b"a,b\n1\n2,3\n4,5,6\n")
    assert rows.checked.wrong_fields == {0: 1, 2: 3}
    assert rows.checked.rejected.tolist() == [True, True, True]  # no age_years, no sex
    assert rows.original(2) == ["4", "5", "6"]
    assert rows.original(1) == {"a": "2", "b": "3"}
    assert rows.table().to_pydict() == {"a": ["1", "2", "4"], "b": ["", "3", "5"]}


def test_blank_lines_are_no_rows_and_quoted_newlines_no_line_ends() -> None:
    assert cells_of(b'a,b\n\n1,"x\ny"\n\n') == [["1", "x\ny"]]


def test_a_byte_order_mark_and_the_end_of_a_file_without_a_line_end_are_read() -> None:
    assert CsvSource(io.BytesIO("\ufeffa,b\r\n1,ä".encode()), where="a test").columns == ["a", "b"]
    assert cells_of("\ufeffa,b\r\n1,ä".encode()) == [["1", "ä"]]


@pytest.mark.parametrize("content", [b'a,b\n1,"x\ny', b'a,b\n1,2\n"3,4\n5,6\n', b'a,"b\n1,2\n'])
def test_a_quote_that_is_open_where_the_file_ends_is_refused(content: bytes) -> None:
    """Python's csv closes it, and all rows after the quote come out as one."""
    with pytest.raises(MgRiskError) as caught:
        rows_of(content)
    assert caught.value.code == "input.not_csv"
    assert "a quote is open" in caught.value.what()


@pytest.mark.parametrize("content", [b"a,b\n1,m\xe4le\n", b"\xff\xfea,b\n"])
def test_what_is_no_utf_8_is_refused_and_no_cell_is_told(content: bytes) -> None:
    with pytest.raises(MgRiskError) as caught:
        rows_of(content)
    assert caught.value.code == "input.not_csv"
    assert "0xe4" in caught.value.what() or "UTF-16" in caught.value.what()
    assert not any(text in caught.value.what() for text in ("1,m", "mäle", "m\\xe4le"))


@pytest.mark.parametrize("content", [b"", b"\n1,2\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_is_refused(content: bytes) -> None:
    with pytest.raises(MgRiskError) as caught:
        CsvSource(io.BytesIO(content), where="a test")
    assert caught.value.code == "input.empty"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"Patients 2024,,\n\nage_years,sex,x\n50,male,1\n", "input.title_row"),
        (b"sep=;\r\nage_years;sex\r\n50;male\r\n", "input.other_separator"),
        (b'"age_years","sex"\n"1",50,"male"\n"2",61,"female"\n', "input.row_names"),
        (b"age_years,sex,sex\n50,male,male\n", "input.duplicate_column"),
        (b"PK\x03\x04" + bytes(20), "input.other_format"),
    ],
)
def test_what_is_no_header_is_refused_by_name_and_without_a_cell(content: bytes, code: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        CsvSource(io.BytesIO(content), where="a test")
    assert caught.value.code == code
    assert "2024" not in " ".join(caught.value.lines())


@pytest.mark.parametrize("line", [b"sep=,\n", b"sep=,\r\n", b"sep=,\r", b'"SEP=,",,\n'])
def test_the_line_that_tells_excel_the_separator_is_no_header(line: bytes) -> None:
    assert cells_of(line + b"a,b\n1,2\n") == [["1", "2"]]


def test_numbers_in_the_first_column_are_row_names_only_where_all_rows_are_one_cell_longer() -> None:
    assert cells_of(b"a,b\n1,x\n2,y\n") == [["1", "x"], ["2", "y"]]
    (rows,) = rows_of(b"a,b\n1,x,9\n2,y\n")
    assert rows.checked.wrong_fields == {0: 3}


def test_a_cell_longer_than_the_limit_of_pythons_csv_is_one_cell() -> None:
    long = "q" * 300_000
    (rows,) = rows_of(f"a,b\nx,{long}\n".encode())
    assert rows.original(0) == {"a": "x", "b": long}
    assert rows.texts(["b"])["b"].tolist() == [long]


def test_what_means_missing_is_told_to_the_reader() -> None:
    content = "age_years,sex\n-9.0,unknown\n50,weiß nicht\n-99999999999999999999,male\n".encode()
    missing = Missing.also(["-9", "unknown", "weiß nicht"])
    source = CsvSource(io.BytesIO(content), where="a test", missing=missing)
    (rows,) = [source.read(block, INPUTS) for block in source.blocks()]
    assert rows.checked.problems.tolist() == [
        "missing:age_years;missing:sex", "missing:sex", "out_of_range:age_years"
    ]  # fmt: skip
