"""A batch that is killed twice and resumed equals an uninterrupted one byte for byte."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mgrisk.cli.main import main
from mgrisk.pipeline.finished import Run
from mgrisk.score.journal import journal_of

LINES = 150_000  # a few blocks


def command(people: Path, target: Path, model: Path) -> list[str]:
    rejects = target.with_suffix(".rejects.csv")
    return ["score", str(people), "-o", str(target), "--model", str(model), "--rejects", str(rejects), "--workers", "2"]


def kill_when(done: int, arguments: list[str], target: Path) -> None:
    """Run the command and kill it as soon as so many blocks are complete."""
    process = subprocess.Popen([sys.executable, "-m", "mgrisk.cli.main", *arguments], stderr=subprocess.DEVNULL)
    journal = journal_of(target)
    while process.poll() is None:
        if journal.exists() and journal.read_text("utf-8").count("\n") > done:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL, "the batch ended before it could be killed"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_batch_ends_as_one_that_nobody_disturbed(small_run: Run, tmp_path: Path) -> None:
    lines = [f"p{row},{20 + row % 70},{'male' if row % 2 else 'female'},{150 + row % 50}.5" for row in range(LINES)]
    lines[70_000], lines[140_000] = "p,430,male,", "p,too,short"
    people, whole, target = (tmp_path / f"{name}.csv" for name in ("people", "whole", "out"))
    people.write_text(
        "\n".join(["person_id,age_years,sex,note" + "x" * 100, *(line + "y" * 90 for line in lines)]), encoding="utf-8"
    )
    assert main(command(people, whole, small_run.bundle)) == 0
    kill_when(1, command(people, target, small_run.bundle), target)
    assert not target.exists()
    kill_when(2, [*command(people, target, small_run.bundle), "--resume"], target)
    assert not target.exists()
    assert main([*command(people, target, small_run.bundle), "--resume"]) == 0
    assert target.read_bytes() == whole.read_bytes()
    for suffix in (".csv.summary.json", ".rejects.csv"):
        assert target.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
