"""A command killed, terminated or failing at any call on a file loses no data and leaves no files.

calls.c intercepts calls of the C library below a folder that rename, remove, truncate or sync a file, including those
of Arrow and SQLite.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mgrisk.errors import ExitStatus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("gcc"), reason="it needs Linux and gcc"),
]
HERE = Path(__file__).parent
MODEL = HERE.parents[2] / "models" / "undiagnosed"
SMALLEST = HERE / "smallest.toml"
HEAD = "person_id,age_years,sex,bmi_kg_m2,outcome\n"


@dataclass(frozen=True)
class Command:
    """A command that writes into WORK, what goes on with it, and how many calls it makes at least."""

    first: str
    again: str
    calls: int


SCORE = f"score PEOPLE --rejects WORK/r.csv --model {MODEL} -o "
COMMANDS = {
    "csv": Command(f"{SCORE} WORK/o.csv --workers 1", "--resume", 14),
    "csv, two workers": Command(f"{SCORE} WORK/o.csv --workers 2", "--resume", 14),
    "csv, begun anew": Command(f"{SCORE} WORK/o.csv --workers 2", "", 14),
    "packed": Command(f"{SCORE} WORK/o.csv.gz --workers 2", "--resume", 14),
    "parquet, begun anew": Command(f"{SCORE} WORK/o.parquet --workers 2", "", 14),
    "folder": Command(f"{SCORE.replace('PEOPLE', 'FOLDER')} WORK/o --workers 2", "--resume", 60),
    "map": Command("map PEOPLE --mapping MAPPING -o WORK/m.csv --overwrite", "", 3),
    "explain": Command(f"explain PEOPLE --model {MODEL} -o WORK/page.html", "", 2),
    "evaluate": Command(f"evaluate PEOPLE --outcome outcome --model {MODEL} -o WORK/ev", "", 5),
}


def rows(n: int) -> str:
    return "".join(
        f"p{i},{430 if i % 70 == 3 else 20 + i % 60},{'male' if i % 2 else 'female'},{20 + i % 17},{int(i % 9 == 0)}\n"
        for i in range(n)
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("calls") / "calls.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(made), str(HERE / "calls.c"), "-ldl"], check=True)
    return made


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name.lower() for name in ("PEOPLE", "FOLDER", "MAPPING", "WORK", "KEEP")}
    (found["FOLDER"] / "deep").mkdir(parents=True)
    found["KEEP"].mkdir()
    found["PEOPLE"] = tmp_path / "people.csv"
    found["PEOPLE"].write_text(HEAD + rows(400), "utf-8")
    for name in ("a.csv", "deep/b.csv"):
        (found["FOLDER"] / name).write_text(HEAD + rows(200), "utf-8")
    mapping = '[keep]\nperson_id = "person_id"\n[features]\nage_years = { from = "age_years" }\n'
    found["MAPPING"].write_text(f'{mapping}sex = {{ from = "sex" }}\n', "utf-8")
    return found


def stopped(
    command: Command, places: dict[str, Path], library: Path, sent: int, **chosen: object
) -> list[dict[str, Any]]:
    """Stop the command at each of its calls, go on with it, and return what was found; `chosen` goes into the plan."""
    first = [str(places.get(word, word)) for word in command.first.split()]
    first = [word.replace("WORK/", f"{places['WORK']}/") for word in first]
    plan = {
        "first": first,
        "again": [*first, *command.again.split()],
        "folder": str(places["WORK"]),
        "keep": str(places["KEEP"]),
        "log": str(places["WORK"]) + ".log",
        "sent": sent,
        "apart": [],
        "sample": 0,
        **chosen,
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_at_calls.py")],
        input=json.dumps(plan),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "LD_PRELOAD": str(library)},
    )
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    print(f"{len(found)} times {sent} to {first[0]}")
    assert len(found) >= command.calls
    return found


def finished(each: dict[str, Any]) -> bool:
    """Whether all is there as if nobody had disturbed it; a folder that was complete before is not made again."""
    complete = each["again"] == 0 or "output.exists" in each["again_said"]
    return complete and bool(each["whole"])


@pytest.mark.parametrize("name", COMMANDS)
def test_after_a_kill_the_outputs_are_those_of_an_undisturbed_run(
    name: str, places: dict[str, Path], library: Path
) -> None:
    found = stopped(COMMANDS[name], places, library, signal.SIGKILL)
    assert {each["status"] for each in found} == {-signal.SIGKILL}
    assert [each for each in found if not finished(each)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_termination_leaves_the_old_files_or_the_new_ones(name: str, places: dict[str, Path], library: Path) -> None:
    found = stopped(COMMANDS[name], places, library, signal.SIGTERM)
    assert [each for each in found if each["status"] not in {0, 128 + signal.SIGTERM}] == []
    assert [each for each in found if each["left"] or not each["old_or_new"]] == []
    assert [each for each in found if not finished(each)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_at_any_call_is_told_and_can_be_made_up_for(
    name: str, places: dict[str, Path], library: Path
) -> None:
    found = stopped(COMMANDS[name], places, library, -errno.ENOSPC)
    assert [each for each in found if each["status"] not in {ExitStatus.DONE, ExitStatus.INPUT}] == []
    # What could not be removed, an empty lock, is no reason to fail; all outputs are there.
    done = [each for each in found if each["status"] == ExitStatus.DONE]
    assert [each for each in done if each["lacks"] or not all(name.endswith(".lock") for name in each["left"])] == []
    assert [each for each in found if not finished(each)] == []


def test_a_run_that_is_killed_at_any_call_ends_as_one_that_nobody_disturbed(
    empty_registry: Path, places: dict[str, Path], library: Path
) -> None:
    shutil.copy(empty_registry, places["KEEP"])
    # Of the manifest and the names that MLflow gives only the place is the same in two runs.
    apart = ["run/manifest.json", "run/tracking.json", "mlflow.db", "mlartifacts/"]
    command = Command(f"run {SMALLEST} --out WORK/run --workers 1", "", 6)
    found = stopped(command, places, library, signal.SIGSTOP, apart=apart, sample=6)
    assert len({tuple(each["lacks"]) for each in found}) > 3
    assert [each for each in found if not finished(each)] == []
    for each in found:
        registered = each["registered"]
        assert "RUNNING" not in registered["runs"]
        assert [version for _, version in registered["versions"]] == [1]
        assert registered["integrity"] == "ok"
