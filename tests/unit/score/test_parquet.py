"""Parquet: digits are kept, partition keys are columns, and unreadable files are refused with one error."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import features
from mgrisk.score.parquet import ParquetSource, folder_keys, inputs_frame, texts

INPUTS = features(["age_years", "sex"])


def source_of(folder: Path, **columns: Any) -> ParquetSource:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "people.parquet")
    return ParquetSource(folder / "people.parquet", rows=2)


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=8))
def test_whole_numbers_keep_every_digit_beside_missing_ones(ids: list[int | None]) -> None:
    column = pa.chunked_array([pa.array(ids, pa.int64())])
    assert texts(column) == ["" if each is None else str(each) for each in ids]
    assert texts(column.dictionary_encode()) == texts(column)


def test_a_cell_is_the_same_text_whatever_its_type() -> None:
    cells: list[tuple[pa.Array, list[str]]] = [
        (pa.array(["007", None]), ["007", ""]),
        (pa.array([1.0, 0.1, float("nan")]), ["1", "0.1", ""]),
        (pa.array([True, None]), ["True", ""]),
        (pa.array([b"abc", b"\xff\x00"]), ["abc", "0xff00"]),
        (pa.array([[1, None], None]), ["[1, null]", ""]),
        (pa.array([{"a": date(2020, 1, 1)}]), ['{"a": "2020-01-01"}']),
        (pa.array([2**30], pa.date32()), ["<value out of range: 1073741824>"]),
    ]
    for column, expected in cells:
        assert texts(pa.chunked_array([column])) == expected


def test_inputs_are_numbers_booleans_or_texts_and_no_other_column_is_looked_at() -> None:
    table = pa.table({"age_years": pa.array([50], pa.decimal128(4, 1)), "sex": pa.array([b"male"]), "x": [[1]]})
    assert inputs_frame(table, INPUTS).to_dict("records") == [{"age_years": "50.0", "sex": "male"}]


def test_rejected_rows_are_told_as_they_were(tmp_path: Path) -> None:
    source = source_of(tmp_path, age_years=pa.array([500]), sex=["male"], when=pa.array([2**30], pa.date32()))
    (rows,) = [source.read(block, INPUTS) for block in source.blocks()]
    assert rows.checked.problems.tolist() == ["out_of_range:age_years"]
    assert json.dumps(rows.original(0)) == (
        '{"age_years": 500, "sex": "male", "when": "<value out of range: 1073741824>"}'
    )


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("people/a.parquet", {}),
        ("a=1/people/b.parquet", {}),
        ("t/a=1/b=x%3Dy/c.parquet", {"a": "1", "b": "x=y"}),
        ("t/a=__HIVE_DEFAULT_PARTITION__/c.parquet", {"a": None}),
        ("t/a=/c.parquet", {"a": ""}),
    ],
)
def test_keys_are_those_of_the_folders_right_above_a_file(path: str, keys: dict[str, str | None]) -> None:
    assert folder_keys(Path(path)) == keys


def test_a_key_is_a_column_of_each_block_and_pandas_reads_what_was_written(tmp_path: Path) -> None:
    source = source_of(tmp_path / "sex=male", age_years=[50, 61, 40])
    blocks = list(source.blocks())
    assert source.columns == ["age_years", "sex"] == source.nothing.column_names
    assert [source.read(block, INPUTS).checked.rejected.any() for block in blocks] == [False, False]
    (tmp_path / "out" / "sex=male").mkdir(parents=True)
    pq.write_table(pa.concat_tables(blocks), tmp_path / "out" / "sex=male" / "people.parquet")
    assert pd.read_parquet(tmp_path / "out")["sex"].tolist() == ["male"] * 3


def test_a_text_that_is_no_utf_8_is_refused_and_not_told(tmp_path: Path) -> None:
    latin = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"J\xe4ne")])
    source = source_of(tmp_path, age_years=[50], sex=["male"], name=latin)
    with pytest.raises(MgRiskError) as caught:
        list(source.blocks())
    assert caught.value.code == "input.not_parquet"
    assert "J" not in caught.value.what().removeprefix("the Parquet file cannot be read: Invalid UTF8")
