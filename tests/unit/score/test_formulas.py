"""No cell of a scored file is a formula, no cell is lost, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mgrisk.model.bundle import Bundle
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.formulas import escape_formula, suspect_rows, unescape_formula
from mgrisk.score.scorer import Scorer

pytestmark = pytest.mark.usefixtures("both_ways")
FORMULAS = [
    "=1+1",
    "=HYPERLINK(1)",
    "+1+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n\n=1",
    "\t-1",
    "--1",
    "-",
    "+",
]
HARMLESS = [
    "1",
    "\n",
    "\tx",
    "-1",
    "+1",
    "-1.5",
    "-.5",
    "+1e-3",
    "-1E+20",
    "it's",
    "a=b",
    "a-b",
    "",
    " =1",
    "'",
    "''",
    "'a",
    "1-1",
]
CELLS = st.text(st.sampled_from("=+-@\t\r\n',\"1.eEa "), max_size=6)


@pytest.fixture
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"])


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def written(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", HARMLESS)
def test_what_is_no_formula_stays(cell: str) -> None:
    assert escape_formula(cell) == unescape_formula(cell) == cell


@given(CELLS)
def test_reading_back_gives_what_was_meant(cell: str) -> None:
    assert unescape_formula(escape_formula(cell)) == cell
    # What a cell means is written the same, however it stood in the file that it came from.
    assert escape_formula(unescape_formula(escape_formula(cell))) == escape_formula(cell)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6), every=st.booleans())
@example(rows=[["", "\n=1"]], every=False)
def test_no_row_with_a_formula_is_missed(rows: list[list[str]], every: bool) -> None:
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL
    lines, start = b"", []
    for row in rows:
        text.seek(text.truncate(0) or 0)
        csv.writer(text, lineterminator="\r\n", quoting=quoting).writerow(row)
        start.append(len(lines))
        lines += text.getvalue().encode()
    found = np.empty(len(rows), dtype=np.int64)
    data = np.frombuffer(lines, dtype=np.uint8)
    count = suspect_rows(data, np.array(start, dtype=np.int64), found) if len(data) else 0
    dangerous = {place for place, row in enumerate(rows) if any(escape_formula(cell) != cell for cell in row)}
    assert dangerous <= set(found[:count].tolist())


@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
def test_scored_files_hold_what_was_meant_and_no_formula(
    rows: list[tuple[str, str]], scorer: Scorer, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_bytes(written([["age_years", "sex", "=id", "note"], *(["50", "male", *row] for row in rows)]))
    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=1))
    found = read(tmp_path / "out.csv")
    assert [(row["'=id"], row["note"]) for row in found] == [
        (escape_formula(unescape_formula(name)), escape_formula(unescape_formula(note))) for name, note in rows
    ]
    assert all(escape_formula(unescape_formula(cell)) == cell for row in found for cell in row.values())
    # Scoring what was scored changes no cell, and Parquet has the cells as they were meant.
    drop = list(found[0])[4:] if found else []
    again = [{name: row[name] for name in row if name not in drop} for row in found]
    people.write_bytes(written([list(again[0]) if again else ["age_years", "sex"], *(list(r.values()) for r in again)]))
    score_table(scorer, str(people), str(tmp_path / "out.parquet"), BatchOptions(reasons=1))
    table = pq.read_table(tmp_path / "out.parquet")
    assert (
        [tuple(row) for row in zip(*(table.column(c).to_pylist() for c in ("=id", "note")), strict=True)]
        == [tuple(map(unescape_formula, row)) for row in rows]
        if rows
        else True
    )


@given(cells=st.lists(CELLS, min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_texts_of_parquet_come_back_from_csv(cells: list[str], scorer: Scorer, tmp_path: Path) -> None:
    frame = pd.DataFrame({"age_years": 50.0, "sex": "male", "note": cells})
    frame.to_parquet(tmp_path / "people.parquet", index=False)
    score_table(scorer, str(tmp_path / "people.parquet"), str(tmp_path / "out.csv"), BatchOptions(reasons=0))
    found = [row["note"] for row in read(tmp_path / "out.csv")]
    assert found == [escape_formula(cell) for cell in cells]
    assert [unescape_formula(cell) for cell in found] == cells


def test_a_formula_behind_many_line_ends_is_found_wherever_the_quote_stands() -> None:
    for before in range(70):
        data = np.frombuffer(b"x" * before + b',"' + b"\n" * 200 + b'=1"\n', dtype=np.uint8)
        assert suspect_rows(data, np.zeros(1, dtype=np.int64), np.empty(1, dtype=np.int64)) == 1


def test_a_row_of_another_length_is_inert_too(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(b"age_years,sex,note\n50,male\n50,male,=1,2\n50,male,-2\n")
    score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / "out.csv"), BatchOptions(reasons=0))
    assert [row["note"] for row in read(tmp_path / "out.csv")] == ["", "'=1", "-2"]
