"""A full or read-only disk, a lock or a wrong clock gives an error with what to do, and no data is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

import mgrisk
from mgrisk.cli.main import main
from mgrisk.errors import MgRiskError
from mgrisk.pipeline import cohort, known, run
from mgrisk.pipeline.finished import Run
from mgrisk.storage.files import sha256

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "pipelines" / "demo.toml"
MODEL = ROOT / "models" / "undiagnosed"


@pytest.fixture
def read_only(tmp_path: Path, mounted: Callable[[Path, str], AbstractContextManager[Path]]) -> Iterator[Path]:
    """A folder that not even root may write in."""
    with mounted(tmp_path / "read-only", "ro") as folder:
        yield folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    lines = [f"p{row},{20 + row % 60},{'male' if row % 2 else 'female'}" for row in range(40_000)]
    (tmp_path / "people.csv").write_text("\n".join(["person_id,age_years,sex", *lines]), "utf-8")
    return tmp_path / "people.csv"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], code: str) -> str:
    capsys.readouterr()
    assert main(arguments) not in {0, 1}
    said = capsys.readouterr().err
    assert f"[{code}]" in said
    assert "Traceback" not in said
    return said


def test_a_full_disk_keeps_the_old_scores(small_disk: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = small_disk / "out.csv"
    target.write_text("the old answer", "utf-8")
    command = ["score", str(people), "-o", str(target), "--model", str(MODEL)]
    assert "No space left" in refused(command, capsys, "output.cannot_write")
    assert target.read_text("utf-8") == "the old answer"
    assert [path.name for path in small_disk.iterdir()] == ["out.csv"]


def test_a_read_only_folder_is_named(read_only: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(people), "-o", str(read_only / "out.csv"), "--model", str(MODEL)]
    assert str(read_only) in refused(command, capsys, "output.cannot_write")
    assert str(read_only) in refused(["run", str(DEMO), "--out", str(read_only / "run")], capsys, "output.cannot_write")


@pytest.mark.slow
def test_a_run_that_filled_the_disk_goes_on_where_there_is_space(
    small_run: Run, small_disk: Path, small_settings: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [word for setting in small_settings for word in ("--set", setting)]
    refused(["run", str(DEMO), "--out", str(small_disk / "demo"), *settings], capsys, "output.cannot_write")
    assert not list(small_disk.rglob("*.part"))
    subprocess.run(["mount", "-o", "remount,size=500m", str(small_disk)], check=True)
    finished = mgrisk.run(DEMO, overrides=small_settings, out=small_disk / "demo")
    assert sha256(finished.bundle) == sha256(small_run.bundle)


@pytest.mark.slow
def test_a_locked_registry_stops_the_last_step_alone(
    run_copy: Path, small_settings: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = run_copy.parent / "mlflow.db"
    arguments = ["run", str(DEMO), "--out", str(run_copy)]
    arguments += [word for setting in small_settings for word in ("--set", setting)]
    assert main(arguments) == 0
    (run_copy / "tracking.json").unlink()
    before = sha256(run_copy / "report.html")
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        said = refused(arguments, capsys, "tracking.unreachable")
        other.rollback()
    assert "locked" in said
    assert sha256(run_copy / "report.html") == before
    assert main(arguments) == 0
    assert (run_copy / "tracking.json").exists()


@pytest.mark.slow
def test_a_second_run_in_the_folder_is_refused_while_the_first_one_runs(
    run_copy: Path, small_settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def second(*_: object) -> str:
        with pytest.raises(MgRiskError) as found:
            mgrisk.run(DEMO, overrides=small_settings, out=run_copy)
        told.append(found.value.code)
        return known_before(*_)

    known_before = known.know
    monkeypatch.setattr(known, "know", second)
    (run_copy / "known_answers.json").unlink()
    mgrisk.run(DEMO, overrides=small_settings, out=run_copy)
    assert told == ["output.in_use"]


@pytest.mark.slow
def test_tables_that_vanish_in_the_middle_of_a_run_are_named_and_made_again(
    small_run: Run, tmp_path: Path, small_settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run._make_people
    folder = tmp_path / "demo"

    def made_and_lost(*arguments: object) -> None:
        made(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(cohort, "make_cohort", lost)

    def lost(*arguments: object) -> str:
        shutil.rmtree(folder / "synthetic" / "Public" / "2017")
        return make_cohort(*arguments)  # type: ignore[arg-type]

    make_cohort = cohort.make_cohort
    monkeypatch.setattr(run, "_make_people", made_and_lost)
    with pytest.raises(MgRiskError, match="table") as refused_:
        mgrisk.run(DEMO, overrides=small_settings, out=folder)
    assert refused_.value.code == "store.missing_table"
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    finished = mgrisk.run(DEMO, overrides=small_settings, out=folder)
    assert sha256(finished.bundle) == sha256(small_run.bundle)


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_jumps_changes_nothing(
    run_copy: Path, small_settings: tuple[str, ...], years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mgrisk.run(DEMO, overrides=small_settings, out=run_copy)
    jump = years * 365 * 86_400
    real_time, real_time_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real_time() + jump)
    monkeypatch.setattr(time, "time_ns", lambda: real_time_ns() + jump * 10**9)
    for path in run_copy.rglob("*"):
        os.utime(path, (real_time() - jump, real_time() - jump))
    assert mgrisk.run(DEMO, overrides=small_settings, out=run_copy).steps == ()
