"""Files left by a killed process are removed or restored, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgrisk.storage.temporary import aside, is_temporary, restore, sweep, sweep_beside, temporary

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="whether a process lives cannot be asked there without harm"
)


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_no_two_names_of_an_output_are_the_same_and_all_are_known(tmp_path: Path) -> None:
    names = {temporary(tmp_path / "out.csv") for _ in range(100)}
    assert len(names) == 100
    assert all(is_temporary(name) and name.parent == tmp_path for name in names)


def test_only_what_dead_processes_left_is_swept(tmp_path: Path, dead: int) -> None:
    (tmp_path / "a").mkdir()
    stale = [tmp_path / f".lock.json.0a1b2c3d.{dead}.part", tmp_path / "a" / f".x.parquet.0a1b2c3d.{dead}.part"]
    kept = [
        tmp_path / f".lock.json.0a1b2c3d.{os.getpid()}.part",
        tmp_path / ".lock.json.0a1b2c3d.1.part",
        tmp_path / "a" / ".DEMO_J.xpt.part",
        tmp_path / f".mine.{dead}.part",
        tmp_path / f".mine.0a1b2c3d.{dead}0000000000.part",
        tmp_path / f"mine.0a1b2c3d.{dead}.part",
    ]
    for path in stale + kept:
        path.touch()
    folder = tmp_path / f".bundle.0a1b2c3d.{dead}.part"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").touch()
    assert sorted(sweep(tmp_path)) == sorted([*stale, folder])
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


@pytest.mark.parametrize("name", ["out.csv", "o[u]t*.csv", "ümlaut ?.csv"])
def test_beside_an_output_only_its_own_are_swept(tmp_path: Path, dead: int, name: str) -> None:
    others = [f".{name}.old.0a1b2c3d.{dead}.part", f".other.csv.0a1b2c3d.{dead}.part", f".{name}.part"]
    for each in [f".{name}.0a1b2c3d.{dead}.part", *others]:
        (tmp_path / each).touch()
    sweep_beside(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    assert sweep_beside(tmp_path / "no-such-folder" / name) == []


def test_a_folder_that_was_moved_aside_comes_back_unless_another_took_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    for there in (False, True):
        old = aside(path)
        old.mkdir()
        (old / "old.txt").touch()
        restore(path)
        assert not old.exists()
        assert (path / "old.txt").exists(), there
