"""Published numbers of records detect truncated files that the format cannot detect."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.nhanes import lock_file, xpt
from mgrisk.nhanes.lock_file import PUBLISHED_ROWS, LockFile, digest, refuse_cut_table


def test_a_table_with_fewer_records_than_published_is_refused() -> None:
    with pytest.raises(MgRiskError, match="truncated") as caught:
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


Make = Callable[..., bytes]


@pytest.fixture
def lock(tmp_path: Path) -> LockFile:
    return LockFile(tmp_path / "lock.json", guard=tmp_path / "guard")


@pytest.fixture
def demo(tmp_path: Path, make_table: Make) -> Path:
    path = tmp_path / "DEMO.xpt"
    path.write_bytes(make_table())
    return path


def age(path: Path) -> None:
    """Make a file look as if nobody had touched it for a minute."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 60_000_000_000))


def test_the_first_use_is_recorded_and_the_same_file_agrees(lock: LockFile, demo: Path) -> None:
    assert lock.tables() == {}
    lock.check("DEMO", demo, where="here", url="http://site/DEMO")
    before = lock.path.read_bytes()
    lock.check("DEMO", demo, where="here")
    assert lock.path.read_bytes() == before
    (record,) = lock.tables().values()
    assert (record.size, record.rows, record.url) == (demo.stat().st_size, 50, "http://site/DEMO")


def test_another_file_of_the_same_size_is_refused(lock: LockFile, demo: Path, make_table: Make) -> None:
    lock.check("DEMO", demo, where="here")
    demo.write_bytes(make_table(first=2))
    with pytest.raises(MgRiskError) as refused:
        lock.check("DEMO", demo, where="there")
    assert (refused.value.code, refused.value.where) == ("store.changed", "there")


def test_a_file_that_is_no_table_any_more_is_refused_as_changed(lock: LockFile, demo: Path) -> None:
    lock.check("DEMO", demo, where="here")
    demo.write_bytes(b"<html>")
    with pytest.raises(MgRiskError, match="no readable rows") as refused:
        lock.check("DEMO", demo, where="here")
    assert refused.value.code == "store.changed"


def test_the_record_that_another_process_made_meanwhile_holds(
    lock: LockFile, demo: Path, make_table: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = demo.with_name("OTHER.xpt")
    other.write_bytes(make_table(first=2))
    really = lock_file.xpt.header

    def meanwhile(path: Path) -> object:
        # Between looking for the record and making it, another process makes one.
        monkeypatch.undo()
        lock.check("DEMO", other, where="there")
        return really(path)

    monkeypatch.setattr(lock_file.xpt, "header", meanwhile)
    with pytest.raises(MgRiskError) as refused:
        lock.check("DEMO", demo, where="here")
    assert refused.value.code == "store.changed"
    assert lock.tables()["DEMO"].sha256 == digest(other)


def test_a_lock_file_from_before_addresses_were_recorded_is_read(lock: LockFile, demo: Path) -> None:
    lock.check("DEMO", demo, where="here")
    content = json.loads(lock.path.read_text())
    del content["tables"]["DEMO"]["url"]
    lock.path.write_text(json.dumps(content))
    lock.check("DEMO", demo, where="here")
    assert lock.tables()["DEMO"].url == ""


def test_a_lock_file_of_another_format_is_neither_read_nor_written_over(lock: LockFile, demo: Path) -> None:
    lock.check("DEMO", demo, where="here")
    later = json.dumps(json.loads(lock.path.read_text()) | {"version": 2})
    lock.path.write_text(later)
    with pytest.raises(MgRiskError) as refused:
        lock.check("DEMO", demo, where="here")
    assert (refused.value.code, refused.value.expected, refused.value.got) == ("store.other_format", "1", "2")
    assert lock.path.read_text() == later


def test_a_file_that_nobody_touched_is_read_once(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(demo)
    first = digest(demo)
    monkeypatch.setattr(lock_file, "sha256", lambda path: pytest.fail("read again"))
    assert digest(demo) == first


def test_a_change_within_one_tick_of_the_clock_is_seen(demo: Path, make_table: Make) -> None:
    found, before = demo.stat(), digest(demo)
    demo.write_bytes(make_table(first=2))
    os.utime(demo, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert digest(demo) != before
