"""Perform the steps of a pipeline: in this process one at a time, or several at a time in worker processes.

A worker is a new Python process. It gets the module of a step, reads and writes the run folder as this process would,
and ends when this process ends, even if this process is killed.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

import scipy.linalg  # noqa: F401  # loads its own BLAS, which can be limited to one thread only once it is loaded
from threadpoolctl import threadpool_limits

from mgrisk.errors import RAISED_AT, MgRiskError, Terminated, bad_input, last_place
from mgrisk.storage.temporary import sweep

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from mgrisk.pipeline.engine import Step
    from mgrisk.pipeline.workspace import Workspace

EVERY_STEP: Final = "mgrisk.pipeline.run"
PATIENCE: Final = 10.0
"""Seconds in which a stopped worker can remove what it has not finished."""


@dataclass(frozen=True)
class Done:
    """What the manifest records of a finished step, besides its inputs and outputs."""

    summary: str
    seconds: float
    peak_memory_mb: int


class Workers(Protocol):
    """Perform steps."""

    def has_room(self) -> bool:
        """Return whether a step can be started now."""
        ...

    def start(self, step: Step, workspace: Workspace) -> None:
        """Start a step."""
        ...

    def finished(self) -> Iterator[tuple[Step, Done]]:
        """Wait until a step has finished, and yield those that have; raise what a step raised."""
        ...


@contextmanager
def started(count: int, folder: Path) -> Iterator[Workers]:
    """Start workers, and stop them at the end.

    Parameters
    ----------
    count
        Number of steps at a time; 1 performs them in this process.
    folder
        The run folder, from which unfinished files of stopped workers are removed.
    """
    if count == 1:
        yield Here()
        return
    processes = Processes(count)
    try:
        yield processes
    finally:
        processes.stop()
        sweep(folder)


class Here:
    """Performs steps in this process."""

    def __init__(self) -> None:
        self._done: list[tuple[Step, Done]] = []

    def has_room(self) -> bool:
        """Return whether the last step has been recorded."""
        return not self._done

    def start(self, step: Step, workspace: Workspace) -> None:
        """Perform a step."""
        self._done.append((step, perform(step.action, workspace)))

    def finished(self) -> Iterator[tuple[Step, Done]]:
        """Yield the step that was performed."""
        while self._done:
            yield self._done.pop()


class Worker(NamedTuple):
    """A worker process, and the end of its connection that is ours."""

    process: SpawnProcess
    connection: Connection


class Processes:
    """Performs steps in worker processes.

    Parameters
    ----------
    count
        Number of processes.
    """

    def __init__(self, count: int) -> None:
        # Not forked: a copy of a process with threads, such as those of XGBoost, may wait for ever.
        context = multiprocessing.get_context("spawn")
        self._busy: dict[Connection, tuple[Worker, Step]] = {}
        self._idle: list[Worker] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs,))
            process.start()
            theirs.close()
            self._idle.append(Worker(process, ours))

    def has_room(self) -> bool:
        """Return whether a worker is idle."""
        return bool(self._idle)

    def start(self, step: Step, workspace: Workspace) -> None:
        """Send a step to a worker."""
        worker = self._idle.pop()
        try:
            # A copy without what has been computed for this process.
            worker.connection.send((step.action.__module__, replace(workspace)))
        except OSError:
            raise _died(step, worker) from None
        self._busy[worker.connection] = worker, step

    def finished(self) -> Iterator[tuple[Step, Done]]:
        """Yield the steps that have finished, as soon as there is one."""
        for ready in cast(list[Connection], wait(list(self._busy))):
            worker, step = self._busy[ready]
            try:
                answer, printed = ready.recv()
            except (EOFError, OSError):
                raise _died(step, worker) from None
            sys.stderr.write(printed)
            del self._busy[ready]
            self._idle.append(worker)
            if isinstance(answer, BaseException):
                raise answer
            yield step, answer

    def stop(self) -> None:
        """End all workers; those that perform a step first remove what they have not finished."""
        busy = [worker for worker, _ in self._busy.values()]
        for worker in self._idle:
            worker.process.kill()
        for worker in busy:
            worker.process.terminate()
        for worker in (*self._idle, *busy):
            worker.connection.close()
            worker.process.join(PATIENCE)
            worker.process.kill()
            worker.process.join()


def serve(connection: Connection) -> None:
    """Perform the steps that come through a connection; send back their results or exceptions, and what they print."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError, KeyboardInterrupt):
        _stop_by_exception()
        import_module(EVERY_STEP)
        while True:
            module, workspace = connection.recv()
            printed = io.StringIO()
            answer: Done | BaseException
            try:
                with redirect_stdout(printed), redirect_stderr(printed):
                    answer = perform(import_module(module).STEP.action, workspace)
            except BaseException as problem:  # noqa: BLE001  # raised again in the process of the run
                answer = _portable(problem)
            connection.send((answer, printed.getvalue()))


def perform(action: Callable[[Workspace], str], workspace: Workspace) -> Done:
    """Perform a step.

    Notes
    -----
    Linear algebra uses one thread, since the rounding of sums depends on the number of threads, and a run must give the
    same result on every machine.
    """
    begun = time.perf_counter()
    with threadpool_limits(limits=1, user_api="blas"):
        summary = action(workspace)
    return Done(summary, time.perf_counter() - begun, peak_memory_mb())


def peak_memory_mb() -> int:
    """Return the peak resident memory of this process in MiB; 0 if the system does not report it."""
    if sys.platform == "win32":
        return 0
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(size / 2**20) if sys.platform == "darwin" else int(size / 2**10)


def _died(step: Step, worker: Worker) -> MgRiskError:
    worker.process.join()
    status = worker.process.exitcode
    if status is not None and status < 0:
        what = f"the process of a step was killed by signal {-status}"
        hint = "most often memory has run out: run the same again with --workers 1, which needs the least"
    else:
        what = f"the process of a step ended with status {status}"
        hint = 'in a Python script, call mgrisk.run(workers=…) under `if __name__ == "__main__":`, or leave out workers'
    return bad_input("run.worker_died", what, where=f"step {step.name}", hint=hint)


def _end_with_parent() -> None:
    if hasattr(signal, "pthread_sigmask"):
        # Signals are for the main thread: one that is delivered to this thread would not interrupt it.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _stop_by_exception() -> None:
    """Raise an exception at a signal that stops the run, so that every `finally` runs; further signals are ignored."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

    def stop(number: int, _: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def _portable(problem: BaseException) -> BaseException:
    """Return an exception as it can be sent to another process, with the place where it was raised."""
    place, text = last_place(problem), "".join(traceback.format_exception(problem))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(problem))  # as the connection does
    except Exception:  # noqa: BLE001  # whatever its class does
        problem = RuntimeError(f"{type(problem).__name__}: {problem}")
    vars(problem)[RAISED_AT] = place
    problem.add_note(f"in a worker process:\n{text}")
    return problem
