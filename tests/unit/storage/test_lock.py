from __future__ import annotations

import errno
import os
import runpy
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from mgrisk.storage import lock as file_lock_module
from mgrisk.storage.lock import exclusive_lock, sweep

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


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


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


@pytest.mark.parametrize("last", [0, errno.ENOLCK])
def test_the_lock_of_windows_asks_again_until_it_is_given_or_refused(
    last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not Windows, but what its documentation says of `locking`: ten tries in ten seconds, then EDEADLOCK.
    answers = [errno.EDEADLOCK, errno.EDEADLOCK, last]

    def locking(file: int, kind: str, size: int) -> None:
        assert (kind, size) == ("lock", 1)
        if number := answers.pop(0):
            raise OSError(number, os.strerror(number))

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_LOCK="lock", locking=locking))
    monkeypatch.setattr(sys, "platform", "win32")
    there = runpy.run_path(file_lock_module.__file__)["exclusive_lock"]
    with pytest.raises(OSError, match=os.strerror(last)) if last else nullcontext(), there(tmp_path / "lock"):
        assert not last
    assert answers == []


@pytest.mark.skipif(sys.platform == "win32", reason="whether a process lives cannot be asked there without harm")
def test_only_what_dead_processes_left_is_swept(tmp_path: Path, dead: int) -> None:
    (tmp_path / "a").mkdir()
    stale = [tmp_path / f".lock.json.{dead}.part", tmp_path / "a" / f".x.parquet.{dead}.part"]
    kept = [
        tmp_path / f".lock.json.{os.getpid()}.part",
        tmp_path / ".lock.json.1.part",
        tmp_path / "a" / ".DEMO_J.xpt.part",
        tmp_path / f"mine.{dead}.part",
    ]
    for path in stale + kept:
        path.touch()
    assert sorted(sweep(tmp_path)) == sorted(stale)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
