"""Published numbers of records find files that were cut off where the format cannot tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.nhanes import xpt
from mgrisk.nhanes.published import PUBLISHED_ROWS, refuse_cut_table


def test_a_table_with_fewer_records_than_published_is_refused() -> None:
    with pytest.raises(MgRiskError, match="cut off") as caught:
        refuse_cut_table("DEMO_J", 9253, where="DEMO_J.xpt")
    assert caught.value.code == "published.cut_table"
    assert (caught.value.expected, caught.value.got) == ("9,254", "9,253")


@pytest.mark.parametrize(("table", "rows"), [("DEMO_J", 9254), ("DEMO_J", 9300), ("OWN_TABLE", 3)])
def test_whole_updated_and_unknown_tables_pass(table: str, rows: int) -> None:
    refuse_cut_table(table, rows, where="a file")


@pytest.mark.nhanes
def test_every_table_of_the_mirror_has_the_published_number_of_records() -> None:
    folder = os.environ.get("MGRISK_NHANES")
    if not folder:
        pytest.skip("MGRISK_NHANES does not name a mirror of NHANES")
    tables = {path.stem: path for path in Path(folder).rglob("*.xpt") if path.stem in PUBLISHED_ROWS}
    assert len(tables) > 100
    assert {name: xpt.header(path).n_rows for name, path in tables.items()} == {
        name: PUBLISHED_ROWS[name] for name in tables
    }
