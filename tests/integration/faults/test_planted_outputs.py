"""No command changes a file planted at the path of its output, and a failing command leaves no files.

The tables `FILES` and `FOLDERS` hold all of them; an option of the parser that is in neither fails.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mgrisk.cli.main import command_line, main
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.synthetic import write_cohort

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are others there")
ROOT = Path(__file__).parents[3]
MODEL = ROOT / "models" / "undiagnosed"
PEOPLE = "person_id,age_years,sex,ill\n" + "".join(
    f"p{row},{30 + row % 50},{'male' if row % 3 else 'female'},{int(row % 50 > 20 + 17 * (row % 2))}\n"
    for row in range(300)
)
MAPPING = '[keep]\nperson_id = "person_id"\n[features]\nage_years = { from = "age_years" }\nsex = { from = "sex" }\n'
OWN = """
name = "own"
title = "Own"
[own]
file = "PEOPLE"
data = "SYNTHETIC"
outcome = "ill"
period = "sex"
[cohort]
outcome = "diabetes"
development = ["female"]
held_out = ["male"]
[model]
features = ["age_years"]
[model.spline_logistic]
c = [0.1]
"""
THESIS = "three years of work"


@dataclass(frozen=True)
class Command:
    """A command that writes: its words, with the names of files in braces, and the option that is tried.

    Attributes
    ----------
    words
        The command line; {out} is the output, {new} another one, all others are inputs.
    option
        The option that names the output, as the parser has it.
    reads
        The file that must not be the output.
    replaces
        Whether a file that is there already is replaced.
    """

    words: str
    option: str
    reads: str = "{people}"
    replaces: bool = True

    @property
    def name(self) -> str:
        return self.words.split()[0]


FILES = (
    Command("score {people} -o {out} --model {model}", "--output"),
    Command("score {people} -o {new} --rejects {out} --model {model}", "--rejects"),
    Command("explain {people} -o {out} --model {model}", "--output"),
    Command("map {people} --mapping {mapping} -o {out}", "--output", replaces=False),
    Command("map {people} --mapping {mapping} -o {out}", "--output", reads="{mapping}", replaces=False),
    Command("map {people} --mapping {mapping} -o {out} --overwrite", "--output"),
    Command("schema --template {out} --model {model}", "--template", reads="{model}/card.md", replaces=False),
    Command("schema --template {out} --model {model} --overwrite", "--template", reads="{model}/card.md"),
    Command("features --cycle 2017-2018 --source {tables} -o {out}", "--output", reads="{tables}/SYNTHETIC.txt"),
    Command("pipelines demo -o {out}", "--output", replaces=False),
    Command("monitor {history} -o {out}", "--output", reads="{history}"),
)
OF_RUNS = (
    Command("compare {run} {folder} -o {out}", "--output", reads="{run}/evaluation.json"),
    Command("benchmark undiagnosed --run {run} -o {out}", "--output", reads="{run}/evaluation.json"),
    Command("benchmark undiagnosed --run {run} --entry {people} --people {out}", "--people"),
)
"""What finished runs are asked for; it is refused before a run is looked at."""
FOLDERS = (
    Command("evaluate {people} --outcome ill --model {model} -o {out}", "--output"),
    Command("recalibrate {people} --outcome ill --method intercept --model {model} -o {out}", "--output"),
    Command("run {demo} --out {out}", "--out", reads=""),
    Command("run {own} --out {out}", "--out"),
    Command("score {folder} -o {out} --model {model}", "--output", reads="{folder}/a.csv"),
    Command("report {out}", "run", reads=""),
)
READ_ONLY = {("map", "--mapping"), ("benchmark", "--entry"), ("benchmark", "--run"), ("monitor", "--limits")} | {
    (name, "--model") for name in ("score", "explain", "evaluate", "recalibrate", "validate", "schema")
}
"""Options that name a file or folder, and write none."""
APPENDED = {("score", "--history"), ("evaluate", "--history")}
"""A history is appended to, and never replaced: tests/unit/score/test_history.py."""


def test_every_option_that_names_a_file_is_tried() -> None:
    (commands,) = (action for action in command_line()._actions if isinstance(action, argparse._SubParsersAction))
    naming = {
        (name, action.option_strings[-1])
        for name, parser in commands.choices.items()
        for action in parser._actions
        if action.option_strings and re.search("FILE|FOLDER|DIR|OUTPUT|PAGE|PATH", str(action.metavar))
    }
    tried = {(each.name, each.option) for each in (*FILES, *OF_RUNS, *FOLDERS) if each.option.startswith("-")}
    assert naming - READ_ONLY - APPENDED == tried


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_cohort(folder, people_per_cycle=200, cycles=[cycle("2017-2018")])
    return folder


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("history")
    (folder / "people.csv").write_text(PEOPLE)
    words = ["-o", str(folder / "out.csv"), "--model", str(MODEL), "--history", str(folder / "history.jsonl")]
    assert main(["score", str(folder / "people.csv"), *words]) == 0
    return (folder / "history.jsonl").read_bytes()


@pytest.fixture
def world(tmp_path: Path, tables: Path, history: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """All that commands read, and a current folder, each in a folder that also holds what is nobody's business."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    for name in ("in", "parts", "here", "place", "elsewhere", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "_thesis.txt").write_text(THESIS)
    (tmp_path / "in" / "people.csv").write_text(PEOPLE)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "evaluation.json").write_text("[]")
    (tmp_path / "parts" / "a.csv").write_text(PEOPLE)
    (tmp_path / "in" / "mapping.toml").write_text(MAPPING)
    (tmp_path / "in" / "history.jsonl").write_bytes(history)
    (tmp_path / "in" / "own.toml").write_text(OWN.replace("PEOPLE", str(tmp_path / "in" / "people.csv")))
    model = tmp_path / "model"
    model.mkdir()
    for file in MODEL.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path / "here")
    return {
        "root": tmp_path,
        "people": tmp_path / "in" / "people.csv",
        "history": tmp_path / "in" / "history.jsonl",
        "mapping": tmp_path / "in" / "mapping.toml",
        "own": tmp_path / "in" / "own.toml",
        "folder": tmp_path / "parts",
        "model": model,
        "tables": tables,
        "run": tmp_path / "run",
        "demo": ROOT / "pipelines" / "demo.toml",
        "new": tmp_path / "new" / "other.csv",
    }


def seen(*roots: Path) -> dict[str, tuple[object, ...]]:
    """Return all that stands below some folders: kind, number, links' targets, content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(each for root in roots for each in root.rglob("*")):
        told = path.lstat()
        content: object = None
        if stat.S_ISLNK(told.st_mode):
            content = str(path.readlink())
        elif stat.S_ISREG(told.st_mode):
            content = path.read_bytes()
        found[str(path)] = (told.st_mode, told.st_ino, content)
    return found


def run(command: Command, world: dict[str, Path], out: str) -> int:
    words = command.words.format(**world, out="{out}").split()
    return main([out if word == "{out}" else word for word in words])


def plain(path: Path) -> Path:
    path.write_text(THESIS)
    return path


def full(path: Path) -> Path:
    path.mkdir()
    plain(path / "thesis.txt")
    for name in ("figures", "bundle", "trained", "without"):
        (path / name).mkdir()
        plain(path / name / "mine.txt")
    return path


def with_manifest(path: Path, **more: object) -> Path:
    """Make the folder of another product, with all names that are ours."""
    full(path)
    (path / "manifest.json").write_text(json.dumps({"format": 1, "name": "a web application", "steps": [], **more}))
    for name in ("report.html", "evaluation.json", "people.json", "bundle.json", "SHA256SUMS", "card.md", "summary.md"):
        plain(path / name)
    return path


def with_sums(path: Path) -> Path:
    """Make the folder of a download with its sums."""
    import hashlib

    path.mkdir()
    plain(path / "image.iso")
    (path / "SHA256SUMS").write_text(f"{hashlib.sha256(THESIS.encode()).hexdigest()}  image.iso\n")
    return path


def link_to(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def a_socket(path: Path) -> Path:
    here = Path.cwd()
    os.chdir(path.parent)  # the whole name may be too long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)
    return path


def hard(path: Path, target: Path) -> Path:
    path.hardlink_to(target)
    return path


REFUSED_FILES: dict[str, Callable[[Path, Path], Path | str]] = {
    "folder": lambda place, _: full(place / "out"),
    "link to a folder": lambda place, _: link_to(place / "out", full(place.parent / "elsewhere" / "full")),
    "link into nowhere": lambda place, _: link_to(place / "out", place / "no-such-folder" / "out.csv"),
    "link to itself": lambda place, _: link_to(place / "out", place / "out"),
    "socket": lambda place, _: a_socket(place / "out"),
    "below a file": lambda place, _: plain(place / "file") / "out.csv",
    "current folder": lambda place, _: ".",
    "folder of the input": lambda _, read: read.parent,
    "input": lambda _, read: read,
    "input by another name": lambda place, read: f"{place}/{os.path.relpath(read, place)}",
    "link to the input": lambda place, read: link_to(place / "out.csv", read),
    "hard link to the input": lambda place, read: hard(place / "out.csv", read),
}
REFUSED_FOLDERS: dict[str, Callable[[Path, Path], Path | str]] = {
    "file": lambda place, _: plain(place / "out"),
    "pipe": lambda place, _: pipe(place / "out"),
    "socket": lambda place, _: a_socket(place / "out"),
    "link to a file": lambda place, _: link_to(place / "out", plain(place.parent / "elsewhere" / "file")),
    "link into nowhere": lambda place, _: link_to(place / "out", place / "no-such-folder"),
    "link to itself": lambda place, _: link_to(place / "out", place / "out"),
    "below a file": lambda place, _: plain(place / "file") / "out",
    "full folder": lambda place, _: full(place / "out"),
    "link to a full folder": lambda place, _: link_to(place / "out", full(place.parent / "elsewhere" / "full")),
    "folder of another product": lambda place, _: with_manifest(place / "out"),
    "manifest that is no object": lambda place, _: with_manifest(place / "out", steps={}, mgrisk=None, pipeline="x"),
    "folder of a download": lambda place, _: with_sums(place / "out"),
    "current folder": lambda place, _: ".",
    "folder above": lambda place, _: "..",
    "folder of the input": lambda _, read: read.parent,
    "bundle of the input": lambda place, _: place.parent / "model",
}


@pytest.mark.parametrize("place", REFUSED_FILES)
@pytest.mark.parametrize(
    "command", [*FILES, *OF_RUNS], ids=lambda each: f"{each.words.partition(' ')[0]} {each.reads} {each.option}"
)
def test_a_file_is_refused_and_nothing_changes(
    command: Command, place: str, world: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    read = Path(command.reads.format(**world))
    out = str(REFUSED_FILES[place](world["root"] / "place", read))
    refused_without_a_trace(command, world, out, capsys)


@pytest.mark.parametrize("place", REFUSED_FOLDERS)
@pytest.mark.parametrize("command", FOLDERS, ids=lambda each: each.words.rpartition(" -")[0] or each.words)
def test_a_folder_is_refused_and_nothing_changes(
    command: Command, place: str, world: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    read = Path(command.reads.format(**world)) if command.reads else world["root"] / "in" / "none"
    out = str(REFUSED_FOLDERS[place](world["root"] / "place", read))
    refused_without_a_trace(command, world, out, capsys)


def refused_without_a_trace(
    command: Command, world: dict[str, Path], out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = seen(world["root"], world["tables"])
    assert run(command, world, out) == 3
    said = capsys.readouterr()
    assert said.err.count("error: ") == 1
    assert "Traceback" not in said.err
    assert seen(world["root"], world["tables"]) == before


@pytest.mark.parametrize("command", [each for each in FILES if not each.replaces], ids=lambda each: each.words)
def test_a_file_that_is_there_is_not_replaced_unasked(
    command: Command, world: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = plain(world["root"] / "place" / "out.csv")
    for out in (file, link_to(world["root"] / "place" / "link", file)):
        refused_without_a_trace(command, world, str(out), capsys)


WRITING = [each for each in FILES if each.replaces]


@contextmanager
def reader(path: Path) -> Iterator[list[bytes]]:
    """Read a pipe while the block writes to it."""
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    thread.start()
    yield read
    thread.join(30)


@pytest.mark.parametrize("command", WRITING, ids=lambda each: f"{each.name} {each.option}")
def test_a_pipe_gets_what_a_file_would_get_and_stays(command: Command, world: dict[str, Path]) -> None:
    place = world["root"] / "place"
    assert run(command, world, str(place / "file.csv")) == 0
    written = (place / "file.csv").read_bytes()
    out = pipe(place / "pipe")
    before = seen(place)
    with reader(out) as read:
        assert run(command, world, str(out)) == 0
    assert read == [written]
    assert seen(place) == before


@pytest.mark.parametrize("command", WRITING, ids=lambda each: f"{each.name} {each.option}")
def test_a_device_stays_a_device(command: Command, world: dict[str, Path]) -> None:
    place = world["root"] / "place"
    try:
        os.mknod(place / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (place / "null").read_bytes()
    except OSError:
        pytest.skip("this process may not make a device (it needs to be root on Linux)")
    before = seen(place)
    assert run(command, world, str(place / "null")) == 0
    assert seen(place) == before


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("command", WRITING, ids=lambda each: f"{each.name} {each.option}")
def test_a_link_stays_and_its_target_is_written(command: Command, there: bool, world: dict[str, Path]) -> None:
    place, target = world["root"] / "place", world["root"] / "elsewhere" / "target.csv"
    if there:
        plain(target)
    out = link_to(place / "out.csv", target)
    before = seen(world["root"])
    assert run(command, world, str(out)) == 0
    after = seen(world["root"])
    own = {str(target), str(world["new"])}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed - {name for name in changed if name.endswith(".summary.json")} <= own
    assert target.read_bytes() not in (b"", THESIS.encode())


@pytest.mark.parametrize("command", WRITING, ids=lambda each: f"{each.name} {each.option}")
def test_standard_output_has_the_output_and_nothing_else(
    command: Command, world: dict[str, Path], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = world["root"] / "place" / "file.csv"
    assert run(command, world, str(file)) == 0
    capfdbinary.readouterr()
    assert run(command, world, "/dev/stdout") == 0
    said = capfdbinary.readouterr().out
    assert said == file.read_bytes()


ALL = (*(each for each in FILES if each.replaces), *FOLDERS)


@pytest.mark.parametrize("command", ALL, ids=lambda each: each.words)
def test_a_full_disk_has_one_status_names_the_output_and_gets_nothing(
    command: Command, world: dict[str, Path], small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.name == "report":
        pytest.skip("no run fits a full disk; test_machine has a run that fills one")
    with (small_disk / "full").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    before = seen(world["root"])
    out = str(small_disk / "deep" / "er" / "out.csv")
    assert run(command, world, out) == 3
    error, where, _ = capsys.readouterr().err.strip().splitlines()[-3:]
    assert "No space left on device" in error
    assert out in where
    after = seen(world["root"])
    if command.option == "--rejects":
        after = {name: told for name, told in after.items() if not name.startswith(str(world["new"]))}
    assert after == before


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
from mgrisk.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ALL, ids=lambda each: each.words)
def test_a_file_that_may_not_grow_is_as_a_full_disk(command: Command, world: dict[str, Path]) -> None:
    if command.name in ("report", "explain"):
        pytest.skip("no run can be written; `explain` writes its first file into the folder for temporary files")
    before = seen(world["root"])
    out = str(world["root"] / "place" / "deep" / "out.csv")
    words = [out if word == "{out}" else word for word in command.words.format(**world, out="{out}").split()]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "File too large" in done.stderr
    assert seen(world["root"]) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("command", ["explain - -o {out} --model {model}", "map - --mapping {mapping} -o {out}"])
def test_a_signal_leaves_no_file_with_cells_of_people(command: str, number: int, world: dict[str, Path]) -> None:
    scratch = world["root"] / "scratch"
    scratch.mkdir()
    before = seen(world["root"])
    words = command.format(**world, out=world["root"] / "place" / "deep" / "out.csv").split()
    with subprocess.Popen(
        [sys.executable, "-m", "mgrisk", *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
    ) as process:  # fmt: skip
        assert process.stdin is not None
        # More than a block of bytes, so that some rows are written, and no end.
        header, *rows = PEOPLE.splitlines()
        process.stdin.write("\n".join([f"{header},note", *(f"{row},{'x' * 30_000}" for row in rows)]).encode())
        process.stdin.flush()
        until = time.monotonic() + 60
        while seen(world["root"]).keys() == before.keys():
            assert time.monotonic() < until, "nothing was written"
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert seen(world["root"]) == before
