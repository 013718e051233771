from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.storage.lock import exclusive_lock

COUNT = """
import sys
from pathlib import Path
from mgrisk.storage.lock import exclusive_lock
counter = Path(sys.argv[1])
for _ in range(100):
    with exclusive_lock(counter.with_name("counter.lock")):
        counter.write_text(str(int(counter.read_text()) + 1))
"""
HOLD = """
import sys, time
from pathlib import Path
from mgrisk.storage.lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

REFUSED = """
import sys
from pathlib import Path
from mgrisk.errors import MgRiskError
from mgrisk.storage.lock import exclusive_lock
try:
    with exclusive_lock(Path(sys.argv[1]), output=Path("out")):
        pass
except MgRiskError as refusal:
    print(refusal.code, end="")
"""
# Whoever is in makes a file that must not be there yet.
TAKE_TURNS = """
import sys, time
from pathlib import Path
from mgrisk.errors import MgRiskError
from mgrisk.storage.lock import exclusive_lock
output, turns = Path(sys.argv[1]), 0
while turns < 200:
    try:
        with exclusive_lock(output.with_name(".out.lock"), output=output):
            output.open("x").close()
            output.unlink()
            turns += 1
    except MgRiskError:
        time.sleep(0.0001)
"""


def test_processes_that_count_together_lose_no_count(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, str(counter)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "300"


def test_threads_that_count_together_lose_no_count(tmp_path: Path) -> None:
    counts = {"n": 0}

    def count() -> None:
        for _ in range(100):
            with exclusive_lock(tmp_path / "one.lock"):
                before = counts["n"]
                tmp_path.stat()  # lets others run
                counts["n"] = before + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts["n"] == 400


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a" / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline().strip() == b"held"
    holder.kill()
    holder.wait()
    with exclusive_lock(tmp_path / "a" / "lock"):
        assert (tmp_path / "a" / "lock").is_file()


def test_an_error_lets_the_lock_go(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), exclusive_lock(tmp_path / "lock"):
        raise RuntimeError
    with exclusive_lock(tmp_path / "lock"):
        pass


def test_an_output_is_refused_at_once_while_another_writes_it(tmp_path: Path) -> None:
    lock, output = tmp_path / ".out.lock", tmp_path / "out"
    refusals: list[MgRiskError] = []

    def second() -> None:
        try:
            with exclusive_lock(lock, output=output):
                pass
        except MgRiskError as refusal:
            refusals.append(refusal)

    with exclusive_lock(lock, output=output):
        second()
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        command = [sys.executable, "-c", REFUSED, str(lock)]
        assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"output.in_use"
        assert lock.exists()
    assert [(refusal.code, refusal.where) for refusal in refusals] == [("output.in_use", str(output))] * 2


def test_nothing_is_left_beside_an_output(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / ".out.lock", output=tmp_path / "out"):
        (tmp_path / "out").write_bytes(b"content")
    with pytest.raises(RuntimeError), exclusive_lock(tmp_path / ".out.lock", output=tmp_path / "out"):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_removing_the_lock_file_of_an_output_never_lets_two_in(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", TAKE_TURNS, str(tmp_path / "out")]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_file_that_is_no_lock_is_neither_emptied_nor_removed(tmp_path: Path, kind: str) -> None:
    lock, own = tmp_path / ".out.lock", tmp_path / "mine.txt"
    own.write_text("mine")
    {"file": lambda: lock.write_text("mine"), "link": lambda: lock.symlink_to(own), "folder": lock.mkdir}[kind]()
    with pytest.raises(MgRiskError) as refused, exclusive_lock(lock, output=tmp_path / "out"):
        pass
    assert refused.value.code == "output.cannot_write"
    assert own.read_text() == "mine"
    assert lock.is_dir() or lock.read_text() == "mine"


def test_an_error_leaves_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), exclusive_lock(tmp_path / "a" / "b" / ".lock", output=tmp_path / "a" / "b"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
