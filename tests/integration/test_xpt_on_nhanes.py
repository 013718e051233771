"""The reader against pyreadstat, value by value, on real tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyreadstat
import pytest

from mgrisk.nhanes import store, xpt

MIRROR = os.environ.get("MGRISK_NHANES", "")

pytestmark = [
    pytest.mark.nhanes,
    pytest.mark.skipif(not Path(MIRROR, "Public").is_dir(), reason="MGRISK_NHANES names no NHANES mirror"),
]

# Across cycles; with text columns: RXQ_RX (drugs), DRXFCD (foods), DSQIDS (alcohol); with a label that is not
# UTF-8: BIOPRO_L.
TABLES = [
    "2017/DataFiles/DEMO_J",
    "2017/DataFiles/DR1TOT_J",
    "2017/DataFiles/GLU_J",
    "2017/DataFiles/BMX_J",
    "2017/DataFiles/P_GHB",
    "2015/DataFiles/PAQ_I",
    "2015/DataFiles/DRXFCD_I",
    "2013/DataFiles/RXQ_RX_H",
    "2011/DataFiles/MCQ_G",
    "2009/DataFiles/RHQ_F",
    "2009/DataFiles/DSQIDS_F",
    "2007/DataFiles/DSQTOT_E",
    "2007/DataFiles/OGTT_E",
    "2021/DataFiles/DEMO_L",
    "2021/DataFiles/BIOPRO_L",
]
EVERY_TABLE = sorted(
    path.relative_to(Path(MIRROR, "Public")).with_suffix("").as_posix()
    for path in Path(MIRROR, "Public").rglob("*.xpt")
)


def on_mirror(table: str) -> Path:
    path = Path(MIRROR, "Public", f"{table}.xpt")
    if not path.is_file():
        pytest.skip(f"the mirror does not have {table}")
    return path


def assert_equals_pyreadstat(path: Path) -> None:
    ours, head = xpt.read(path), xpt.header(path)
    try:
        theirs, about = pyreadstat.read_xport(path, disable_datetime_conversion=True)
    except UnicodeDecodeError:
        theirs, about = pyreadstat.read_xport(path, disable_datetime_conversion=True, encoding="WINDOWS-1252")
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs) == head.n_rows
    assert head.table == about.table_name
    assert [variable.label for variable in head.variables] == [label or "" for label in about.column_labels]
    for variable in head.variables:
        if variable.kind == "text":
            assert ours[variable.name].tolist() == theirs[variable.name].tolist(), variable.name
            continue
        mine, their = ours[variable.name].to_numpy(), theirs[variable.name].to_numpy(dtype=np.float64)
        missing = np.isnan(their)
        assert (np.isnan(mine) == missing).all(), variable.name
        # As integers: equal to the bit, and no zero that is not quite zero.
        assert (mine.view(np.uint64) == their.view(np.uint64))[~missing].all(), variable.name


@pytest.mark.parametrize("table", TABLES)
def test_every_value_and_label_equals_that_of_pyreadstat(table: str) -> None:
    assert_equals_pyreadstat(on_mirror(table))


@pytest.mark.slow
@pytest.mark.parametrize("table", EVERY_TABLE)
def test_every_table_of_the_mirror_equals_that_of_pyreadstat(table: str) -> None:
    # Whole, with no sampling: about one minute on one core for the 383 tables.
    assert_equals_pyreadstat(on_mirror(table))


@pytest.mark.parametrize("table", ["2017/DataFiles/DR1TOT_J", "2017/DataFiles/DEMO_J"])
def test_a_missing_number_has_a_tag_and_no_other_number_has(table: str) -> None:
    values, tags = xpt.read(on_mirror(table)), xpt.read_tags(on_mirror(table))
    assert list(tags) == list(values)
    assert ((tags != "") == values.isna()).all(axis=None)
    assert values.isna().any(axis=None)


@pytest.mark.parametrize("table", ["2017/DataFiles/DR1TOT_J", "2013/DataFiles/RXQ_RX_H", "2017/DataFiles/DEMO_J"])
def test_a_projection_equals_the_columns_of_the_whole(table: str) -> None:
    whole = xpt.read(on_mirror(table))
    names = [variable.name for variable in xpt.header(on_mirror(table)).variables]
    for columns in (names[::7], names[::-3], names[-1:]):
        assert xpt.read(on_mirror(table), columns=columns).equals(whole[columns])


@pytest.mark.parametrize("table", ["2017/DataFiles/DR1TOT_J", "2013/DataFiles/RXQ_RX_H", "2015/DataFiles/DRXFCD_I"])
def test_the_parquet_of_a_table_equals_the_table(table: str, tmp_path: Path) -> None:
    path = on_mirror(table)
    whole = xpt.read(path)
    columns = list(whole)[::-2]
    for _ in ("made", "found"):
        assert store.read_table(path, cache=tmp_path, columns=columns, min_size=0).equals(whole[columns])
    assert store.read_table(path, cache=tmp_path, min_size=0).equals(whole)


def test_people_without_alcohol_have_exact_zeros() -> None:
    alcohol = xpt.read(on_mirror("2017/DataFiles/DR1TOT_J"), columns=["DR1TALCO"])["DR1TALCO"]
    assert (alcohol == 0).sum() > 5000
    assert alcohol[alcohol != 0].min() > 1e-3


def test_the_largest_table_of_a_cycle_is_read_whole() -> None:
    foods = xpt.read(on_mirror("2017/DataFiles/DR1IFF_J"), columns=["SEQN", "DR1IMAGN"])
    assert len(foods) == xpt.header(on_mirror("2017/DataFiles/DR1IFF_J")).n_rows
    assert foods["SEQN"].is_monotonic_increasing
