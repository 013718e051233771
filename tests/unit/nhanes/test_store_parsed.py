from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.nhanes import lock_file, store, xpt

FRAME = pd.DataFrame(
    {
        "SEQN": np.arange(1.0, 2001.0),
        "FOOD": pd.Series(["milk", "", "café", "x"] * 500, dtype="str"),
        "MG": np.random.default_rng(0).gamma(2.0, 50.0, 2000),
        "ZERO": [0.0, np.nan] * 1000,
    }
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    xpt.write(FRAME, tmp_path / "IFF.xpt", table="IFF")
    return tmp_path / "IFF.xpt"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def read(table: Path, cache: Path, **how: Any) -> pd.DataFrame:
    return store.read_table(table, cache=cache, min_size=0, **how)


def parquet(table: Path, cache: Path) -> Path:
    return store.parquet_of(cache, lock_file.digest(table))


def no_xpt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xpt, "read", lambda *_, **__: pytest.fail("the transport file was read"))


@pytest.mark.parametrize("columns", [None, ["ZERO", "SEQN"], ["FOOD"], ["MG", "FOOD", "SEQN", "ZERO"]])
def test_the_second_read_is_from_parquet_and_the_same(
    table: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, columns: list[str] | None
) -> None:
    wanted = FRAME if columns is None else FRAME[columns]
    assert read(table, cache, columns=columns).equals(wanted)
    no_xpt(monkeypatch)
    again = read(table, cache, columns=columns)
    assert again.equals(wanted)
    assert list(again.dtypes) == list(wanted.dtypes)


def test_numbers_are_the_same_to_the_bit(table: Path, cache: Path) -> None:
    read(table, cache)
    again = read(table, cache)
    for name in ("SEQN", "MG", "ZERO"):
        assert (again[name].to_numpy().view(np.uint64) == xpt.read(table)[name].to_numpy().view(np.uint64)).all()


def test_what_comes_from_parquet_may_be_changed_by_its_owner(table: Path, cache: Path) -> None:
    read(table, cache)
    again = read(table, cache, columns=["MG"])
    again.loc[0, "MG"] = -1.0
    assert again["MG"].iloc[0] == -1.0
    assert read(table, cache)["MG"].iloc[0] == FRAME["MG"].iloc[0]


@pytest.mark.parametrize("how", ["small", "no cache"])
def test_a_table_that_is_read_as_fast_directly_gets_no_parquet(table: Path, cache: Path, how: str) -> None:
    frame = store.read_table(table, cache=cache if how == "small" else None)
    assert frame.equals(FRAME)
    assert not cache.exists()


def test_a_changed_table_is_another_table(table: Path, cache: Path) -> None:
    read(table, cache)
    xpt.write(FRAME.assign(MG=1.0), table, table="IFF")
    assert (read(table, cache)["MG"] == 1.0).all()
    assert len(list(cache.rglob("*.parquet"))) == 2


def test_another_reader_makes_another_parquet(table: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(table, cache)
    monkeypatch.setattr(store, "READER", store.READER + 1)
    read(table, cache)
    assert len(list(cache.rglob("*.parquet"))) == 2


def damage_nothing_left(path: Path, cache: Path) -> None:
    path.write_bytes(b"")


def damage_foreign(path: Path, cache: Path) -> None:
    FRAME.assign(MG=7.0).to_parquet(path)


def damage_of_another_table(path: Path, cache: Path) -> None:
    xpt.write(FRAME.assign(MG=7.0), cache / "other.xpt", table="IFF")
    read(cache / "other.xpt", cache)
    path.write_bytes(parquet(cache / "other.xpt", cache).read_bytes())


def damage_of_fewer_rows(path: Path, cache: Path) -> None:
    whole = pq.read_table(path)
    pq.write_table(whole.slice(0, 1000), path)


def damage_truncated(path: Path, cache: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def damage_in_the_middle(path: Path, cache: Path) -> None:
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    content[place : place + 8] = bytes(255 - byte for byte in content[place : place + 8])
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing_left,
        damage_foreign,
        damage_of_another_table,
        damage_of_fewer_rows,
        damage_truncated,
        damage_in_the_middle,
    ],
)
def test_a_parquet_that_is_not_to_be_believed_is_made_again(
    table: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, damage: Any
) -> None:
    read(table, cache)
    damage(parquet(table, cache), cache)
    assert read(table, cache).equals(FRAME)
    no_xpt(monkeypatch)
    assert read(table, cache).equals(FRAME)


def test_a_known_sha256_saves_reading_the_transport_file(
    table: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(table, cache)
    known = lock_file.digest(table)
    no_xpt(monkeypatch)
    monkeypatch.setattr(store, "digest", lambda _: pytest.fail("the sha256 was computed"))
    assert read(table, cache, sha256=known).equals(FRAME)


@pytest.mark.parametrize("there", [True, False])
def test_columns_that_do_not_exist_are_refused_as_by_the_reader(table: Path, cache: Path, there: bool) -> None:
    if there:
        read(table, cache)
    with pytest.raises(MgRiskError, match="no column MGG") as refused:
        read(table, cache, columns=["SEQN", "MGG"])
    assert refused.value.code == "xpt.no_such_column"
    with pytest.raises(ValueError, match="different names"):
        read(table, cache, columns=["MG", "MG"])
    with pytest.raises(MgRiskError) as missing:
        read(table.with_name("NOWHERE.xpt"), cache)
    assert missing.value.code == "xpt.no_such_file"


def test_a_cache_that_cannot_be_written_is_no_error(table: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    assert read(table, cache, columns=["MG"]).equals(FRAME[["MG"]])
    assert list(cache.rglob("*.part")) == list(cache.rglob("*.parquet")) == []
