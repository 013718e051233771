"""A folder scored on a Dask cluster whose workers are killed: no row is lost or doubled."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cli.main import main
from mgrisk.pipeline.finished import Run
from mgrisk.score.parts import RECEIPTS, on_cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("distributed") is None, reason="Dask (extra `cluster`) is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]
PARTS, ROWS = 16, 20_000


class Cluster:
    """A scheduler and workers as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        options = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
        self.scheduler = self._start("scheduler", *options)

    def add_worker(self) -> None:
        # Without a nanny, which would start a killed worker again.
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.folder / "dask")]
        self.workers.append(self._start("worker", self.address, *options))

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command[0]}-{len(self.workers)}.log").open("wb") as log:
            return subprocess.Popen([sys.executable, "-m", "dask", *command], stdout=log, stderr=log)

    def kill(self, place: int) -> None:
        self.workers[place].send_signal(signal.SIGKILL)
        self.workers[place].wait()

    def stop(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "people"
    random = np.random.default_rng(7)
    for part in range(PARTS):
        place = folder / f"half={part % 2}"
        place.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(
            {
                "person_id": [f"{part}-{row}" for row in range(ROWS)],
                "age_years": random.integers(20, 86, ROWS).astype(float),
                "sex": random.choice(["male", "female"], ROWS),
                "bmi_kg_m2": random.normal(28, 5, ROWS).round(1).clip(14, 70),
            }
        )
        frame.loc[5, "age_years"] = 430.0
        frame.to_parquet(place / f"part-{part:02}.parquet", index=False)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_workers_killed_in_the_middle_lose_nothing_and_double_nothing(
    cluster: Cluster, people: Path, small_run: Run, tmp_path: Path
) -> None:
    command = ["score", str(people), "--model", str(small_run.bundle), "--rejects"]
    assert main([*command, str(tmp_path / "alone.csv"), "-o", str(tmp_path / "alone")]) == 0
    for _ in range(3):
        cluster.add_worker()
    receipts, killed = tmp_path / ".out.parts" / RECEIPTS, []

    def kill_two() -> None:
        for place, complete in ((0, 2), (1, 6)):
            while len(list(receipts.rglob("*.json"))) < complete:
                time.sleep(0.01)
            cluster.kill(place)
            killed.append(len(list(receipts.rglob("*.json"))))

    killer = threading.Thread(target=kill_two, daemon=True)
    killer.start()
    options = [str(tmp_path / "out.csv"), "-o", str(tmp_path / "out"), "--cluster", cluster.address]
    assert main([*command, *options]) == 0
    killer.join(10)
    # Both died while there was work left.
    assert len(killed) == 2
    assert killed[-1] < PARTS
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert (tmp_path / "out.summary.json").read_bytes() == (tmp_path / "alone.summary.json").read_bytes()
    ids = pd.concat([pd.read_parquet(path) for path in (tmp_path / "out").rglob("*.parquet")])
    assert len(ids) == PARTS * ROWS
    assert ids["person_id"].is_unique
    assert (ids["status"] == "rejected").sum() == PARTS


def test_the_whole_command_can_be_killed_and_gone_on_with(
    cluster: Cluster, people: Path, small_run: Run, tmp_path: Path
) -> None:
    cluster.add_worker()
    command = ["score", str(people), "--model", str(small_run.bundle), "-o", str(tmp_path / "out")]
    command += ["--cluster", cluster.address]
    process = subprocess.Popen([sys.executable, "-m", "mgrisk.cli.main", *command], stderr=subprocess.DEVNULL)
    receipts = tmp_path / ".out.parts" / RECEIPTS
    while process.poll() is None and len(list(receipts.rglob("*.json"))) < 3:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the command ended before it could be killed"
    assert not (tmp_path / "out").exists()
    complete = {path: path.stat().st_mtime_ns for path in receipts.rglob("*.json")}
    assert main([*command, "--resume"]) == 0
    assert len(complete) >= 3
    assert main([*command[:4], "-o", str(tmp_path / "alone")]) == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")


def test_a_scheduler_that_dies_is_told_and_complete_parts_stay(
    cluster: Cluster, people: Path, small_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.add_worker()
    command = ["score", str(people), "--model", str(small_run.bundle), "-o", str(tmp_path / "out")]
    receipts = tmp_path / ".out.parts" / RECEIPTS

    def kill() -> None:
        while len(list(receipts.rglob("*.json"))) < 2:
            time.sleep(0.01)
        cluster.scheduler.kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    assert main([*command, "--cluster", cluster.address]) == 2
    killer.join(10)
    told = capsys.readouterr().err
    assert "cluster.scheduler_died" in told
    assert "--resume" in told
    assert main([*command, "--resume"]) == 0
    assert len(tree(tmp_path / "out")) == PARTS


def test_a_bad_part_is_told_as_on_one_machine(
    cluster: Cluster, small_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.add_worker()
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "a.csv").write_text("age_years,sex\n50,male\n", "utf-8")
    (tmp_path / "people" / "b.csv").write_text("sex\nmale\n", "utf-8")
    command = ["score", str(tmp_path / "people"), "--model", str(small_run.bundle), "-o", str(tmp_path / "out")]
    assert main([*command, "--cluster", cluster.address]) == 3
    told = capsys.readouterr().err
    assert "input.missing_column" in told
    assert "b.csv" in told
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_is_not_there_and_a_file_for_a_cluster(
    people: Path, small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mgrisk.score.parts.PATIENCE", "1s")
    command = ["score", str(people), "--model", str(small_run.bundle), "-o", str(tmp_path / "out")]
    assert main([*command, "--cluster", "tcp://127.0.0.1:9"]) == 2
    assert "cluster.unreachable" in capsys.readouterr().err
    part = next(people.rglob("*.parquet"))
    command[1] = str(part)
    assert main([*command, "--cluster", "tcp://127.0.0.1:9"]) == 2
    assert "cluster.needs_folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert callable(on_cluster("tcp://127.0.0.1:9"))
    command[1] = str(people)
    assert main([*command, "--cluster", ""]) == 2
    assert "cluster.unreachable" in capsys.readouterr().err
