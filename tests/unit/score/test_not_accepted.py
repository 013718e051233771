"""Unknown codes are listed, but no text about a person."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.features.registry import features
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.not_accepted import FEWEST_ROWS, LONGEST, MOST_VALUES, NotAccepted
from mgrisk.score.sources import open_source

INPUTS = features(["age_years", "smoking"])


def counted(cells: Sequence[str], *, block_bytes: int = 2**20) -> NotAccepted:
    text = "\n".join(["age_years,Smoking", *(f'50,"{cell}"' for cell in cells), ""])
    source = CsvSource(io.BytesIO(text.encode()), where="people.csv", block_bytes=block_bytes)
    found = NotAccepted()
    for block in source.blocks():
        rows = source.read(block, INPUTS)
        found += NotAccepted.of(rows, source.columns, rows.checked.rejected)
    return found


def test_a_code_of_many_rows_is_named_and_one_of_few_is_not() -> None:
    cells = [*["Ex-smoker"] * FEWEST_ROWS, *["Jane Doe"] * (FEWEST_ROWS - 1), *["never"] * 100, ""]
    assert counted(cells).named() == {"smoking": {"Ex-smoker": FEWEST_ROWS}}


def test_of_a_column_with_many_values_none_is_named() -> None:
    cells = ["Jane Doe"] * FEWEST_ROWS
    assert counted([*cells, *map(str, range(MOST_VALUES - 1))]).named() == {"smoking": {"Jane Doe": FEWEST_ROWS}}
    assert counted([*cells, *map(str, range(MOST_VALUES))]).named() == {}


def test_a_long_text_is_no_code() -> None:
    assert counted(["a" * LONGEST] * FEWEST_ROWS).named() != {}
    assert counted(["a" * (LONGEST + 1)] * FEWEST_ROWS).named() == {}


@pytest.mark.parametrize("more", [0, MOST_VALUES])
def test_blocks_count_as_the_whole(more: int) -> None:
    cells = [f"code {place % 7}" for place in range(200)] + [f"text {place}" for place in range(more)]
    assert counted(cells, block_bytes=64) == counted(cells)


def test_the_most_frequent_input_and_value_come_first() -> None:
    found = NotAccepted({"age_years": {"999": 30}, "smoking": {"N": 40, "E": 50}})
    assert found.lines() == ["  not accepted: smoking: 'E' 50, 'N' 40; age_years: '999' 30"]
    assert NotAccepted({"smoking": None}).lines() == []


def test_rows_that_are_not_rejected_are_not_looked_at() -> None:
    source = CsvSource(io.BytesIO(b"age_years,smoking\n" + b"50,x\n" * 20), where="people.csv")
    rows = source.read(next(source.blocks()), INPUTS)
    rejected = np.arange(20) < FEWEST_ROWS
    assert NotAccepted.of(rows, source.columns, rejected).named() == {"smoking": {"x": FEWEST_ROWS}}


def test_parquet_counts_as_csv(tmp_path: Path) -> None:
    people = pd.DataFrame({"age_years": [430] * 20 + [50] * 20, "smoking": ["never"] * 15 + ["Ex"] * 25})
    people.to_csv(tmp_path / "people.csv", index=False)
    people.to_parquet(tmp_path / "people.parquet")
    named = []
    for name in ("people.csv", "people.parquet"):
        with open_source(str(tmp_path / name)) as source:
            rows = source.read(next(source.blocks()), INPUTS)
            named.append(NotAccepted.of(rows, source.columns, rows.checked.rejected).named())
    assert named[0] == named[1] == {"smoking": {"Ex": 25}, "age_years": {"430": 20}}
