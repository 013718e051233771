"""The cache of compiled loops: its place, when it is renewed, and running without it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from mgrisk import machine_code

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/mgrisk"
PEOPLE = ROOT / "data/examples/people.csv"
NOWHERE = "/dev/null/nowhere"
TREES = Path(__file__).parents[1] / "golden" / "format_1" / "undiagnosed"
SCRIPT = """
import sys
from pathlib import Path
import pandas as pd
from mgrisk import compiled
from mgrisk.model.released import released
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.scorer import load_scorer

compiled.FEW_BYTES = -1
people, folder = sys.argv[1], Path(sys.argv[2])
frame = pd.read_csv(people)
frame.to_parquet(folder / "people.parquet")
# An additive model, and one of splines and trees.
for model in (released("undiagnosed"), sys.argv[3]):
    scorer = load_scorer(model)
    scorer.score(frame), scorer.attributions(frame)
    for source in (people, folder / "people.parquet"):
        for target in ("out.csv", "out.parquet"):
            score_table(scorer, str(source), str(folder / target), BatchOptions(reasons=2), workers=2)
"""
SOURCES = {
    path: path.read_text("utf-8")
    for path in PACKAGE.rglob("*.py")
    if "from mgrisk.compiled import" in path.read_text("utf-8")
}
DECORATORS = {"compiled", "compiled_later", "inner", "copied"}
# A package of two modules, in which a loop calls a function of the other module; it says what it gives and whence.
CALLEE = """
from mgrisk.compiled import inner

@inner
def step(x):
    return x + 1
"""
CALLER = """
import sys
from mgrisk.callee import step
from mgrisk.compiled import compiled

@compiled
def loop(x):
    return step(x)

if __name__ == "__main__":
    if "full-disk" in sys.argv:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    print(loop(1), "kept" if loop.machine_code.stats.cache_hits else "compiled")
"""

ONE_CELL = """
import numpy as np
from mgrisk import compiled
from mgrisk.features.registry import features
from mgrisk.score.csv.read import StringTable, read_cells
from mgrisk.score.input_schema import Given, compile_schema

compiled.FEW_BYTES = -1
values, state, cells = np.empty(1), np.empty(1, dtype=np.uint8), StringTable.of(["12.5"])
wanted = compile_schema((), features(["bmi_kg_m2"]), {"bmi_kg_m2": Given("bmi_kg_m2", 1.0)})
read_cells(cells.content, cells.start, wanted, 0, values, state)
print(values[0])
"""


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a process that is told of no folder but by the changes."""
    told = {name: value for name, value in os.environ.items() if name not in {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME"}}
    return {**told, **changes}


class TwoModules:
    """A package of two modules with our `compiled`, run with its machine code kept in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.package, self.cache = folder / "mgrisk", folder / "cache"
        self.package.mkdir()
        (self.package / "__init__.py").touch()
        for name in machine_code.COMPILERS:
            shutil.copy(PACKAGE / name, self.package)
        self.write("callee", CALLEE)
        self.write("caller", CALLER)

    def write(self, module: str, source: str) -> None:
        (self.package / f"{module}.py").write_text(source, "utf-8")

    def run(self, *arguments: str, **changes: str) -> str:
        told = {"NUMBA_CACHE_DIR": str(self.cache), "PYTHONPATH": str(self.package.parent), **changes}
        command = [sys.executable, "-B", "-m", "mgrisk.caller", *arguments]
        done = subprocess.run(command, env=environment(**told), capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr

    def kept(self) -> list[Path]:
        return sorted(self.cache.rglob("*.nb[ic]"))


@pytest.fixture
def two_modules(tmp_path: Path) -> TwoModules:
    return TwoModules(tmp_path)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let nothing be told of a cache but by the test."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    return monkeypatch


def folder() -> Path | None:
    """Return the folder as a process that starts now would find it."""
    return machine_code.cache_folder.__wrapped__()


def test_machine_code_is_kept_from_one_process_to_the_next(two_modules: TwoModules) -> None:
    assert two_modules.run() == "2 compiled"
    assert two_modules.run() == "2 kept"


def test_a_change_in_a_function_of_another_module_is_noticed(two_modules: TwoModules) -> None:
    two_modules.run()
    two_modules.write("callee", CALLEE.replace("x + 1", "x + 2"))
    assert two_modules.run() == "3 compiled"
    two_modules.write("callee", CALLEE)
    assert two_modules.run() == "2 kept"


def test_a_module_that_compiles_nothing_changes_nothing(two_modules: TwoModules) -> None:
    two_modules.run()
    two_modules.write("another", "x = 1")
    assert two_modules.run() == "2 kept"


def test_a_change_in_the_reading_of_numbers_is_noticed_by_the_reading_of_cells(tmp_path: Path) -> None:
    copy = tmp_path / "mgrisk"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    told = environment(NUMBA_CACHE_DIR=str(tmp_path / "cache"), PYTHONPATH=str(tmp_path))

    def read() -> str:
        command = [sys.executable, "-B", "-c", ONE_CELL]
        return subprocess.run(command, env=told, capture_output=True, text=True, check=True).stdout.strip()

    assert read() == "12.5"
    decimals = copy / "score/csv/decimals.py"
    source = decimals.read_text("utf-8")
    assert source.count("return True, (x * ") == 1
    decimals.write_text(source.replace("return True, (x * ", "return True, 2 * (x * "), "utf-8")
    assert read() == "25.0"


@pytest.mark.parametrize("there", ["home", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"])
def test_a_loop_runs_where_no_folder_can_be_made(two_modules: TwoModules, there: str) -> None:
    # What numba would fall back on is no folder either, as in a package that cannot be written.
    (two_modules.package / "__pycache__").touch()
    changes = {"NUMBA_CACHE_DIR": "", "HOME": NOWHERE}
    if there != "home":
        changes[there] = NOWHERE
    assert two_modules.run(**changes) == "2 compiled"


def test_a_loop_never_keeps_its_code_beside_its_source(two_modules: TwoModules) -> None:
    assert two_modules.run(NUMBA_CACHE_DIR=NOWHERE, HOME=NOWHERE) == "2 compiled"
    assert list(two_modules.package.rglob("*.nb*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_loop_runs_where_the_disk_is_full(two_modules: TwoModules) -> None:
    assert two_modules.run("full-disk") == "2 compiled"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_code_that_is_there_is_used_where_nothing_can_be_written(two_modules: TwoModules) -> None:
    two_modules.run()
    assert two_modules.run("full-disk") == "2 kept"


@pytest.mark.parametrize(("suffix", "left"), [(".nbi", 0), (".nbi", 20), (".nbc", 0), (".nbc", 20)])
def test_code_that_was_cut_short_is_compiled_again(two_modules: TwoModules, suffix: str, left: int) -> None:
    two_modules.run()
    (cut,) = (path for path in two_modules.kept() if path.suffix == suffix)
    cut.write_bytes(cut.read_bytes()[:left])
    assert [two_modules.run(), two_modules.run()] == ["2 compiled", "2 kept"]


@pytest.mark.skipif(sys.platform == "win32", reason="the permissions of POSIX")
@pytest.mark.parametrize(
    ("which", "mode"), [("itself", 0o770), ("itself", 0o1777), ("above", 0o702), ("far above", 0o720)]
)
def test_a_folder_that_others_can_write_or_replace_is_not_used(
    place: pytest.MonkeyPatch, tmp_path: Path, which: str, mode: int
) -> None:
    place.setattr(numba.config, "CACHE_DIR", str(tmp_path / "far" / "cache"))
    made = folder()
    assert made is not None
    {"itself": made, "above": made.parent, "far above": tmp_path / "far"}[which].chmod(mode)
    assert folder() is None


@pytest.mark.skipif(sys.platform == "win32", reason="the permissions of POSIX")
def test_a_folder_of_somebody_else_is_not_used(place: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert folder() is not None
    place.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    if tmp_path.stat().st_uid:
        assert folder() is None
    else:  # what is root's is trusted
        assert folder() is not None
        os.chown(tmp_path, 12345, -1)
        assert folder() is None


@pytest.mark.skipif(sys.platform == "win32", reason="the permissions of POSIX")
def test_a_folder_in_one_where_all_may_write_their_own_is_used(place: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    place.setattr(numba.config, "CACHE_DIR", str(shared))
    made = folder()
    assert made is not None
    assert made.is_relative_to(shared)
    assert made.stat().st_mode & 0o777 == made.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_is_followed_before_its_way_is_judged(place: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "mine").mkdir(parents=True)
    (tmp_path / "cache").symlink_to(shared / "mine")
    place.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    assert folder() is not None
    shared.chmod(0o777)
    assert folder() is None


@pytest.mark.parametrize(
    ("platform", "variables", "below"),
    [
        ("linux", {}, ".cache"),
        ("linux", {"XDG_CACHE_HOME": "TMP/xdg"}, "xdg"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, ".cache"),
        ("darwin", {}, "Library/Caches"),
        ("win32", {}, "AppData/Local"),
        ("win32", {"LOCALAPPDATA": "TMP/local", "XDG_CACHE_HOME": "TMP/xdg"}, "local"),
    ],
)
def test_the_folder_lies_where_the_platform_keeps_caches(
    place: pytest.MonkeyPatch, tmp_path: Path, platform: str, variables: dict[str, str], below: str
) -> None:
    place.setattr(sys, "platform", platform)
    place.setenv("HOME", str(tmp_path))
    place.setenv("USERPROFILE", str(tmp_path))
    for name, value in variables.items():
        place.setenv(name, value.replace("TMP", str(tmp_path)))
    made = folder()
    assert made is not None
    assert made.parent == tmp_path.resolve() / below / "mgrisk"
    assert made.name.startswith("compiled-")


def test_a_new_folder_removes_the_oldest_and_nothing_else(place: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    root = tmp_path / "mgrisk"
    for age in range(machine_code.KEPT + 3):
        old = root / f"compiled-{age}"
        (old / "inside").mkdir(parents=True)
        os.utime(old, (1e9 - age, 1e9 - age))
    (root / "nhanes").mkdir()
    made = folder()
    assert made is not None
    kept = {f"compiled-{age}" for age in range(machine_code.KEPT)}
    assert {each.name for each in root.iterdir()} == {"nhanes", made.name, *kept}
    more = {f"compiled-more-{number}" for number in range(machine_code.KEPT)}
    for name in more:
        (root / name).mkdir()
    assert folder() == made
    assert {each.name for each in root.iterdir()} == {"nhanes", made.name, *kept, *more}


def test_another_processor_or_numba_has_another_folder(place: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    found = [folder()]
    place.setattr(numba, "__version__", "0.0")
    found.append(folder())
    place.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another")
    found.append(folder())
    assert len(set(found)) == 3


def test_a_constant_of_a_compiled_loop_comes_from_a_module_that_the_folder_is_named_after() -> None:
    ours = {".".join(("mgrisk", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in SOURCES}
    strange = []
    for path, source in SOURCES.items():
        tree = ast.parse(source)
        imported = {
            alias.asname or alias.name: node.module
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mgrisk.")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                used = {each.id for part in node.body for each in ast.walk(part) if isinstance(each, ast.Name)}
                if {ast.unparse(each) for each in node.decorator_list} & {
                    "compiled",
                    "compiled_later",
                    "inner",
                    "copied",
                }:
                    strange += [(path.stem, name) for name in used & set(imported) if imported[name] not in ours]
    assert strange == []


@pytest.mark.slow
def test_each_loop_is_compiled_for_one_kind_of_arguments_only(tmp_path: Path) -> None:
    # Of two processes that compile a loop for two kinds at once, one would run the other's code.
    cache = tmp_path / "cache"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(PEOPLE), str(tmp_path), str(TREES)],
        check=True,
        env=environment(NUMBA_CACHE_DIR=str(cache)),
    )
    kept = [each.name for each in cache.rglob("*.nbc")]
    assert {"read.read_rows", "tree_kernels.explain", "additive_loop.many"} <= {name.partition("-")[0] for name in kept}
    assert [name for name in kept if not re.search(r"\.1\.nbc$", name)] == []


@pytest.mark.slow
def test_scoring_answers_the_same_where_nothing_can_be_kept() -> None:
    people = b"age_years,sex\n50,male\n"
    command = [sys.executable, "-m", "mgrisk", "score", "-", "-o", "-", "--model", "undiagnosed"]
    scored = [
        subprocess.run(command, input=people, env=told, capture_output=True, check=True).stdout
        for told in (environment(HOME=NOWHERE, NUMBA_CACHE_DIR=NOWHERE), dict(os.environ))
    ]
    assert scored[0].count(b"\n") == 2
    assert scored[0] == scored[1]
