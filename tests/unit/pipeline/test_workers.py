"""Steps run side by side in worker processes: what they give, raise and print is what one process would."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError, last_place
from mgrisk.pipeline.engine import Manifest, Step, run_steps
from mgrisk.pipeline.run import STEPS, run
from mgrisk.pipeline.workers import PATIENCE, started
from mgrisk.storage.files import read_json

# A module of one step, as those in mgrisk.pipeline are.
MODULE = """
import os, signal, sys, time
from pathlib import Path
from mgrisk.errors import MgRiskError, bad_input
from mgrisk.pipeline.engine import Step
from mgrisk.storage.temporary import temporary

class Unsendable(Exception):
    def __init__(self, one, two):
        super().__init__("cannot be sent")

def noted(problem):
    problem.add_note("a note of a library, which may quote a person")
    return problem

def wait_for(path):
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{{path.name}} never came"
        time.sleep(0.01)

def act(workspace):
    folder = workspace.folder
    (folder / "{name}.began").write_text(str(os.getpid()))
    {body}
    (folder / "{name}").write_text("made")
    return "made {name}"

STEP = Step("{name}", "make {name}", {inputs!r}, ("{name}",), (), act)
"""


class AnySettings:
    """Stands in for a pipeline file without settings."""

    def digest(self) -> str:
        return ""


@dataclass
class ToyWorkspace:
    """Stands in for a workspace."""

    folder: Path
    pipeline: AnySettings = field(default_factory=AnySettings)
    candidates: dict[str, object] = field(default_factory=dict)


class Toy:
    """Runs toy steps in a folder with two workers."""

    def __init__(self, folder: Path, modules: Path) -> None:
        self.folder, self.modules, self.said = folder, modules, list[str]()

    def step(self, name: str, body: str = "pass", *, inputs: tuple[str, ...] = ()) -> Step:
        (self.modules / f"toy_{name}.py").write_text(MODULE.format(name=name, body=body, inputs=inputs))
        importlib.invalidate_caches()
        sys.modules.pop(f"toy_{name}", None)
        step: Step = importlib.import_module(f"toy_{name}").STEP
        return step

    def run(self, *steps: Step, workers: int = 2) -> list[str]:
        manifest = Manifest.open(self.folder, {})
        with started(workers, self.folder) as performers:
            return run_steps(
                steps,
                ToyWorkspace(self.folder),  # type: ignore[arg-type]
                manifest,
                raw="",
                workers=performers,
                progress=self.said.append,
            )

    def process_of(self, name: str) -> int:
        return int((self.folder / f"{name}.began").read_text())


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    modules, folder = tmp_path / "modules", tmp_path / "run"
    modules.mkdir()
    folder.mkdir()
    monkeypatch.syspath_prepend(str(modules))
    monkeypatch.setattr("mgrisk.pipeline.closure.digest", lambda module: f"code of {module}")
    return Toy(folder, modules)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_steps_run_side_by_side_and_each_after_those_whose_outputs_it_reads(toy: Toy) -> None:
    left = toy.step("left", 'wait_for(folder / "right.began")')
    right = toy.step("right", 'wait_for(folder / "left.began")')
    both = toy.step(
        "both", 'assert (folder / "left").exists() and (folder / "right").exists()', inputs=("left", "right")
    )
    assert sorted(toy.run(left, right, both)) == ["both", "left", "right"]
    assert len({toy.process_of("left"), toy.process_of("right"), os.getpid()}) == 3
    assert toy.said[:2] == ["[1/3] left: make left", "[2/3] right: make right"]
    assert toy.said[4] == "[3/3] both: make both"
    assert toy.said[5].endswith(" s  both: made both")
    assert list(read_json(toy.folder / "manifest.json")["steps"]) == ["left", "right", "both"]
    assert not any(is_running(toy.process_of(name)) for name in ("left", "right", "both"))
    assert toy.run(left, right, both) == []


def test_one_worker_is_this_process_and_keeps_the_order(toy: Toy) -> None:
    steps = [toy.step("first"), toy.step("second"), toy.step("third", inputs=("first",))]
    assert toy.run(*steps, workers=1) == ["first", "second", "third"]
    assert {toy.process_of(step.name) for step in steps} == {os.getpid()}


def test_an_error_of_a_step_is_raised_and_the_other_step_removes_what_it_has_not_finished(toy: Toy) -> None:
    body = """
    part = temporary(folder / "slow")
    part.write_text("a person")
    (folder / "slow.part").write_text(part.name)
    try:
        time.sleep(600)
    finally:
        part.unlink()
        (folder / "cleaned").touch()
    """.strip()
    slow = toy.step("slow", body)
    fails = toy.step(
        "fails", 'wait_for(folder / "slow.part"); raise bad_input("a.code", "wrong", where="here", hint="so")'
    )
    begun = time.monotonic()
    with pytest.raises(MgRiskError) as refused:
        toy.run(slow, fails)
    assert time.monotonic() - begun < 60
    assert (refused.value.code, refused.value.where, refused.value.hint) == ("a.code", "here", "so")
    assert (toy.folder / "cleaned").exists()
    assert not (toy.folder / (toy.folder / "slow.part").read_text()).exists()
    assert not is_running(toy.process_of("slow"))
    assert not (toy.folder / "manifest.json").exists()  # no step was finished


def test_files_of_a_worker_that_was_killed_are_removed_and_the_step_is_named(toy: Toy) -> None:
    dies = toy.step("dies", 'temporary(folder / "x").write_text("a person"); os.kill(os.getpid(), signal.SIGKILL)')
    with pytest.raises(MgRiskError) as refused:
        toy.run(dies)
    assert refused.value.code == "run.worker_died"
    assert refused.value.where == "step dies"
    assert "signal 9" in refused.value.what()
    assert list(toy.folder.glob(".*")) == []


def test_workers_that_were_killed_before_a_step_are_reported(toy: Toy) -> None:
    step = toy.step("never")
    with started(2, toy.folder) as workers:
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        with pytest.raises(MgRiskError) as refused:
            workers.start(step, ToyWorkspace(toy.folder))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.where) == ("run.worker_died", "step never")


@pytest.mark.parametrize("raised", ['KeyError("x")', "Unsendable(1, 2)", "noted(KeyError('x'))"])
def test_a_bug_in_a_worker_is_told_with_its_place(toy: Toy, raised: str) -> None:
    with pytest.raises(Exception, match=r"x|Unsendable: cannot be sent") as bug:
        toy.run(toy.step("buggy", f"raise {raised}"))
    assert last_place(bug.value).endswith("in act")
    assert "toy_buggy.py" in last_place(bug.value)
    assert any("Traceback" in note for note in bug.value.__notes__)


def test_a_note_of_a_library_is_no_place() -> None:
    problem = KeyError("x")
    problem.add_note("a note of a library, which may quote a person")
    assert last_place(problem) == "unknown"


def test_a_run_without_workers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        run("demo", out=tmp_path / "run", workers=0)
    assert not (tmp_path / "run").exists()


def test_what_a_worker_prints_is_printed_here(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    toy.run(toy.step("talks", 'print("out"); print("err", file=sys.stderr)'))
    assert capsys.readouterr().err == "out\nerr\n"


SPACE = """
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Space:
    folder: Path
"""
SCRIPT = """
import sys
from pathlib import Path
import toy_sleeps
from space import Space
from mgrisk.pipeline.workers import started

def main():
    with started(2, Path(sys.argv[1])) as workers:
        workers.start(toy_sleeps.STEP, Space(Path(sys.argv[1])))
        list(workers.finished())

if __name__ == "__main__":
    main()
"""


def script(toy: Toy, text: str = SCRIPT) -> subprocess.Popen[str]:
    """Start a script that lets a worker perform a step that sleeps."""
    toy.step("sleeps", 'temporary(folder / "x").write_text("a person"); time.sleep(600)')
    (toy.modules / "space.py").write_text(SPACE)
    (toy.modules / "main.py").write_text(text)
    return subprocess.Popen(
        [sys.executable, str(toy.modules / "main.py"), str(toy.folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def sleeping(toy: Toy, run: subprocess.Popen[str]) -> int:
    """Wait until the step sleeps, and return the process of its worker."""
    until = time.monotonic() + 60
    while not list(toy.folder.glob(".x.*.part")):
        assert time.monotonic() < until
        assert run.poll() is None
        time.sleep(0.05)
    return toy.process_of("sleeps")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_worker_ends_when_the_run_is_killed(toy: Toy) -> None:
    run = script(toy)
    sleeping(toy, run)
    run.kill()
    # The worker writes to the same pipe, whose end comes when both have ended.
    run.communicate(timeout=30)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
@pytest.mark.parametrize("whom", ["run", "all"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_stops_its_workers_and_leaves_no_cell(
    toy: Toy, whom: str, number: signal.Signals
) -> None:
    stops = SCRIPT.replace(
        "    main()\n", "    from mgrisk.cli.main import _stop_by_exception\n    _stop_by_exception()\n    main()\n"
    )
    run = script(toy, stops)
    worker = sleeping(toy, run)
    # Ctrl-C in a terminal reaches all processes, `kill` one.
    (os.killpg if whom == "all" else os.kill)(run.pid, number)
    # Sooner than a worker that does not react would be killed.
    _, printed = run.communicate(timeout=PATIENCE - 1)
    assert ("Terminated" if number == signal.SIGTERM else "KeyboardInterrupt") in printed.splitlines()[-1]
    assert not is_running(worker)
    assert list(toy.folder.glob(".*")) == []


def test_a_script_without_a_guard_is_told_so(toy: Toy) -> None:
    run = script(toy, SCRIPT.replace('if __name__ == "__main__":\n    main()', "main()"))
    _, printed = run.communicate(timeout=60)
    assert 'under `if __name__ == "__main__":`' in printed
    assert run.returncode == 1


def test_every_step_can_be_found_by_a_worker_and_stands_after_those_that_write_its_inputs() -> None:
    written = set[str]()
    for step in STEPS:
        assert importlib.import_module(step.action.__module__).STEP is step
        assert written.issuperset(step.inputs), step.name
        written.update(step.outputs)
