"""Stop a command at each call that renames, removes, truncates or syncs a file below a folder, and continue it.

    LD_PRELOAD=calls.so python kill_at_calls.py    with the plan as JSON on standard input, see `main`

A process that has imported everything forks; the child runs the command, and calls.c kills it, stops it or lets the
call fail. Another child continues it. Prints a line of JSON for each call.

A command that takes long is not started again for each call: it is paused at each of them, and what it has written
until then, which is what a kill would leave, is kept.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

from mgrisk.cli.main import main as command

NEVER = 2**30  # as the number of a call


def tree(folder: Path, apart: list[str]) -> dict[str, str]:
    """Return all that stands in a folder, by name; of what tells times, only that it is there, or not even that."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(name.startswith(each) for each in apart if each.endswith("/")):
            found[name] = "" if name in apart else sha256(path.read_bytes()).hexdigest()
    return found


def registered(folder: Path) -> dict[str, Any]:
    """Return what MLflow's store in a folder holds: how each run ended, and the versions; {} where there is none."""
    store = folder / "mlflow.db"
    if not store.exists():
        return {}
    with closing(sqlite3.connect(store)) as tables:
        return {
            "runs": [status for (status,) in tables.execute("SELECT status FROM runs")],
            "versions": tables.execute("SELECT name, version FROM model_versions").fetchall(),
            "integrity": tables.execute("PRAGMA integrity_check").fetchone()[0],
        }


def begin(arguments: list[str], log: Path, *, below: str = "", nth: int = 0, sent: int = 0) -> int:
    """Begin the command in a child, and return its process."""
    child = os.fork()
    if child == 0:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        calls = os.open(log.with_suffix(".calls"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        if nth:
            ctypes.CDLL(None).watch(below.encode(), nth, sent, calls)
        status = 1
        try:
            status = command(arguments)
        finally:
            os._exit(status)
    return child


def run(arguments: list[str], log: Path, **how: Any) -> int:
    """Run the command in a child; return its exit status, or the signal as a negative number."""
    _, status = os.waitpid(begin(arguments, log, **how), 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Read {first, again, folder, log, sent, keep, apart, sample} and do it.

    `folder` holds all that the command writes, and nothing else; `keep` has the content to begin with. `sent` is a
    signal, or an error as a negative number. `apart` names files that tell times, and with a / at the end folders whose
    names differ from run to run. Of all calls so many as `sample` are taken, evenly and with the last one; all where it
    is 0.
    """
    plan: dict[str, Any] = json.load(sys.stdin)
    folder, log = Path(plan["folder"]), Path(plan["log"])

    def reset(to: Path = Path(plan["keep"])) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(to, folder, symlinks=True)

    pauses = plan["sent"] == signal.SIGSTOP
    reset()
    # No child is to load all that the command uses.
    if pauses:
        import mgrisk.pipeline.run
        import mgrisk.track.run  # noqa: F401
    else:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            command(plan["first"])
        reset()
    before = tree(folder, plan["apart"])
    whole = run(plan["first"], log, below=f"{folder}/", nth=NEVER)
    assert whole == 0, log.read_text()
    expected = tree(folder, plan["apart"])
    most = len(log.with_suffix(".calls").read_text().splitlines())
    of = plan["sample"] or most
    places = [most * number // of for number in range(1, of + 1)]

    def each_anew() -> Iterator[tuple[int, int]]:
        """Stop the command at each place; yield this and how it ended."""
        for nth in places:
            reset()
            yield nth, run(plan["first"], log, below=f"{folder}/", nth=nth, sent=plan["sent"])

    def paused() -> Iterator[tuple[int, int]]:
        """Pause one command at each place; then yield each, with what stood there, and as if it had been killed."""
        reset()
        kept = folder.with_name(f"{folder.name}-paused")
        child = begin(plan["first"], log, below=f"{folder}/", nth=1, sent=signal.SIGSTOP)
        nth = 0
        while os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
            nth += 1
            if nth in places:
                shutil.copytree(folder, kept / str(nth), symlinks=True)
            os.kill(child, signal.SIGCONT)
        calls = log.with_suffix(".calls").read_bytes()
        for path in sorted(kept.iterdir(), key=lambda path: int(path.name)):
            reset(path)
            log.with_suffix(".calls").write_bytes(calls)
            yield int(path.name), -signal.SIGKILL

    for nth, status in paused() if pauses else each_anew():
        calls = log.with_suffix(".calls").read_text().splitlines()
        if len(calls) < nth:
            continue
        found = tree(folder, plan["apart"])
        said = log.read_text()
        after = run(plan["again"], log) if plan["again"] else None
        at_last = tree(folder, plan["apart"])
        told = {
            "call": calls[nth - 1],
            "status": status,
            "said": said[-600:],
            "left": sorted(found.keys() - expected.keys() - before.keys()),
            "lacks": sorted(name for name in expected if found.get(name) != expected[name]),
            "old_or_new": found in (before, expected),
            "again": after,
            "again_said": log.read_text()[-600:],
            "whole": at_last == expected,
            "differ": sorted(
                name for name in at_last.keys() | expected.keys() if at_last.get(name) != expected.get(name)
            ),
            "registered": registered(folder),
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
