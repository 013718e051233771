"""Tables in and out: every row and every cell comes back, files appear whole or not at all."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.score.tables import CsvSink, CsvSource, open_sink, open_source

CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\x00"), max_size=6)


def rows_of(text: str, *, rows: int = 100) -> list[list[str]]:
    source = CsvSource(io.StringIO(text, newline=""), where="a test", rows=rows)
    return [list(row) for batch in source.batches() for row in batch.people.itertuples(index=False)]


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=12), st.integers(1, 5))
def test_cells_come_back_as_they_were_whatever_the_batch_size(table: list[list[str]], rows: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([["a", "b"], *table])
    source = CsvSource(io.StringIO(text.getvalue(), newline=""), where="a test", rows=rows)
    out = io.StringIO(newline="")
    sink = CsvSink(out)
    for batch in source.batches():
        sink.write(batch.people)
    assert list(csv.reader(io.StringIO(out.getvalue(), newline="")))[1:] == table


def test_numbers_are_written_in_full_and_missing_ones_empty() -> None:
    out = io.StringIO()
    CsvSink(out).write(pd.DataFrame({"risk": [0.1 + 0.2, np.nan], "n": [1, 2]}))
    assert out.getvalue() == "risk,n\n0.30000000000000004,1\n,2\n"


def test_rows_of_another_length_are_kept_whole_and_marked() -> None:
    source = CsvSource(io.StringIO("a,b\n1\n2,3\n4,5,6\n"), where="a test")
    (batch,) = source.batches()
    assert batch.ragged == {0: ["1"], 2: ["4", "5", "6"]}
    assert batch.people.to_numpy().tolist() == [["1", ""], ["2", "3"], ["4", "5"]]


def test_blank_lines_are_no_rows_and_quoted_newlines_no_line_ends() -> None:
    assert rows_of('a,b\n\n1,"x\ny"\n\n') == [["1", "x\ny"]]


def test_crlf_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes("\ufeffa,b\r\n1,ä\r\n".encode())
    with open_source(str(tmp_path / "people.csv")) as source:
        assert source.columns == ["a", "b"]
        (batch,) = source.batches()
    assert batch.people.to_numpy().tolist() == [["1", "ä"]]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_output_that_fails_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    target.write_text("old", encoding="utf-8")

    def half() -> None:
        with open_sink(str(target)) as sink:
            sink.write(pd.DataFrame({"a": [1.0]}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert target.read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_parquet_keeps_types_over_batches(tmp_path: Path) -> None:
    target = str(tmp_path / "out.parquet")
    with open_sink(target) as sink:
        sink.write(pd.DataFrame({"id": [1, 2], "risk": [0.5, np.nan], "note": ["a", ""]}))
        sink.write(pd.DataFrame({"id": [3], "risk": [np.nan], "note": ["b"]}))
    back = pd.read_parquet(target)
    assert back["id"].tolist() == [1, 2, 3]
    assert back["risk"].isna().tolist() == [False, True, True]
    with open_source(target) as source:
        assert source.columns == ["id", "risk", "note"]
        assert sum(len(batch.people) for batch in source.batches()) == 3


@pytest.mark.parametrize(("name", "code"), [("no.csv", "input.missing_file"), ("bad.parquet", "input.not_parquet")])
def test_inputs_that_cannot_be_read_are_refused(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "bad.parquet").write_text("not parquet at all", encoding="utf-8")
    with pytest.raises(MgRiskError) as caught, open_source(str(tmp_path / name)):
        pass
    assert caught.value.code == code


def test_an_output_in_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target, code in [(tmp_path, "output.is_folder"), (tmp_path / "file" / "out.csv", "output.cannot_write")]:
        with pytest.raises(MgRiskError) as caught, open_sink(str(target)):
            pass
        assert caught.value.code == code
