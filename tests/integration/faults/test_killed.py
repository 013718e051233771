"""Commands killed at random moments (-9) and run again give the result of an uninterrupted run.

The 200 moments are divided between three commands: `score`, `fetch` and `run`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cli.main import main
from mgrisk.features.registry import FEATURES
from mgrisk.features.summary import paths
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.store import Store
from mgrisk.nhanes.synthetic import write_cohort
from mgrisk.storage.files import sha256

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]
LOOP = Path(__file__).with_name("kill_loop.py")
ROOT = Path(__file__).parents[3]
MARK = "::"
SMALLEST = Path(__file__).with_name("smallest.toml")


def killed(kills: int, longest: float, first: list[str], again: list[str], reset: list[Path]) -> dict[str, list[int]]:
    command = [sys.executable, str(LOOP), str(kills), str(longest), "7", MARK, *first, MARK, *again, MARK]
    done = subprocess.run([*command, *map(str, reset)], stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, list[int]] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{kills} kills of {first[0]}, {found['ends']} ends between them")
    assert found["kills"] == kills
    assert set(found["statuses"]) <= {0}
    return found


def seconds_of(arguments: list[str]) -> float:
    start = time.monotonic()
    assert main(arguments) == 0
    return time.monotonic() - start


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith((".part", ".old", ".journal"))]


def test_scoring_loses_no_row(tmp_path: Path) -> None:
    people, whole, target = (tmp_path / f"{name}.csv" for name in ("people", "whole", "out"))
    lines = [f"p{row},{20 + row % 60},{'male' if row % 2 else 'female'},{150 + row % 50}.5" for row in range(300_000)]
    people.write_text("\n".join(["person_id,age_years,sex,height_cm", *lines]), "utf-8")

    def command(output: Path) -> list[str]:
        return ["score", str(people), "-o", str(output), "--model", str(ROOT / "models" / "undiagnosed")]

    seconds_of(command(whole))  # compiles
    took = seconds_of(command(whole))
    summary = target.with_name(f"{target.name}.summary.json")
    found = killed(110, took, command(target), [*command(target), "--resume"], [target, summary])
    # Those that came to their end among the kills, and one more that goes on after the last kill.
    assert main([*command(target), "--resume"]) == 0
    ends = [target, *(target.with_name(f"{target.name}.end-{number + 1}") for number in range(found["ends"]))]
    assert {sha256(path) for path in ends} == {sha256(whole)}
    assert target.read_bytes().count(b"\n") == 300_001
    assert list(tmp_path.glob(".*")) == []


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A server of SYNTHETIC tables, by its address."""
    source = tmp_path / "source"
    cycles = [each for each in CYCLES if each.years in {"2015-2016", "2017-2018"}]
    write_cohort(source, people_per_cycle=1500, seed=1, cycles=cycles)
    store = Store(source="http://127.0.0.1/", cache=tmp_path / "unused")
    for relative in paths(cycles, FEATURES.values(), VARIABLES, store=store):
        # Tables that the made-up cohort does without are stood in for: only their bytes matter here.
        if not (source / relative).exists():
            xpt.write(pd.DataFrame({"SEQN": np.arange(20_000.0)}), source / relative, table="STANDIN")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(source))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_fetching_ends_with_every_table(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("MGRISK_CACHE", str(cache))
    command = ["fetch", "--cycle", "2015-2016", "2017-2018", "--source", site]
    took = seconds_of(command)
    whole = {path.relative_to(cache): sha256(path) for path in cache.rglob("*.xpt")}
    assert len(whole) > 30
    shutil.rmtree(cache)
    killed(50, took, command, command, [cache])
    assert main(command) == 0
    assert {path.relative_to(cache): sha256(path) for path in cache.rglob("*.xpt")} == whole
    assert left_over(cache) == []


def test_a_run_ends_as_if_nobody_had_disturbed_it(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole" / "run", tmp_path / "killed" / "run"

    def command(out: Path) -> list[str]:
        return ["run", str(SMALLEST), "--out", str(out)]

    took = seconds_of(command(whole))
    found = killed(40, took / 2, command(folder), command(folder), [folder])
    assert main(command(folder)) == 0
    # What is told of when and how long, and MLflow's own names, differ from run to run; nothing else does.
    own = {"manifest.json", "tracking.json"}
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()} - set(map(Path, own))
    for end in (folder, *(folder.with_name(f"run.end-{number + 1}") for number in range(found["ends"]))):
        assert {path.relative_to(end) for path in end.rglob("*") if path.is_file()} - set(map(Path, own)) == names
        assert [str(name) for name in sorted(names) if sha256(whole / name) != sha256(end / name)] == []
        assert left_over(end) == []
