"""Check the conventions of docs/architecture.md on the source code."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from mgrisk.run_folder import names as run_files

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "mgrisk"
MODULES = sorted(PACKAGE.rglob("*.py"))
FACTS = sorted(PACKAGE.rglob("*.toml"))
# Names that say nothing about what is inside.
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}
# The command turns whatever is left into "a bug of ours" and exit status 1.
MAY_CATCH_EVERYTHING = {"cli/main.py", "pipeline/workers.py"}
# Test modules without a source module of the same name, each with its reason; keep it short.
NO_MIRROR: dict[str, str] = {}

# Modules without a test module of the same name, each with the tests that hold it and the reason; keep it short.
HELD_ELSEWHERE: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "a command parses its options and calls one function that has tests; what it prints is tested as the command",
        tuple(
            f"cli/{name}.py"
            for name in (
                "codebook", "completion", "describe", "explain", "features", "fetch", "magnesium", "map",
                "pipelines", "promote", "recalibrate", "register", "regress", "run", "schema", "validate",
            )
        ),
        ("tests/unit/cli/test_main.py", "tests/integration/test_faults.py", "tests/integration/test_scoring.py"),
    ),
    (
        "a step hands the files of a run to functions that have tests: what it hands over is read off a run",
        tuple(
            f"pipeline/{name}.py"
            for name in (
                "added", "audit", "bundle", "calibration", "checks", "evaluate", "imputation", "items",
                "report", "run", "stability", "temporal", "train", "trained",
            )
        ),
        (
            "tests/integration/test_wiring.py", "tests/integration/test_pipeline.py",
            "tests/integration/test_isolation.py",
        ),
    ),
    (
        "the steps of a pipeline with a chapter on magnesium",
        ("pipeline/evidence.py", "pipeline/options.py", "pipeline/raw_tables.py", "evidence/chapter.py"),
        ("tests/integration/test_evidence_run.py", "tests/statistical/test_chapter_recovers.py"),
    ),
    (
        "MLflow is not imitated: what it holds is read back from its store",
        ("track/bundle.py", "track/registry.py", "track/run.py", "track/store.py", "pipeline/track.py"),
        (
            "tests/integration/test_promotion.py", "tests/integration/test_pipeline.py",
            "tests/integration/test_register.py", "tests/integration/test_served.py",
            "tests/integration/test_tracking.py", "tests/integration/test_tracking_killed.py",
        ),
    ),
    (
        "a compiled loop gives the bytes of the plain code beside it",
        ("model/additive_loop.py",),
        ("tests/unit/model/test_additive.py",),
    ),
    (
        "sections and their parts are read off the content of a whole report",
        (
            *(
                f"report/sections/{name}.py"
                for name in ("candidates", "cohort", "importance", "magnesium", "methods")
            ),
            "report/sections/__init__.py", "report/blocks.py", "report/evaluated.py", "report/explained.py",
            "report/formats.py",
            "run_folder/records.py",
        ),
        (
            "tests/unit/own_data/test_explain.py", "tests/unit/report/test_content.py",
            "tests/unit/report/test_render.py",
        ),
    ),
    ("an entry of the benchmark is evaluated on the people of a run",
     ("cli/benchmark.py", "pipeline/benchmark.py", "report/leaderboard.py", "run_folder/benchmark.py"),
     ("tests/integration/test_benchmark.py",)),
    ("a run that is there for all tests of what it holds",
     (
         "pipeline/finished.py", "report/plots.py", "report/panels.py", "run_folder/comparison.py",
         "report/compared.py", "cli/compare.py",
     ),
     (
         "tests/integration/test_finished.py", "tests/integration/test_comparison.py",
         "tests/unit/report/test_render.py",
     )),
    ("one family of files, read and written in turn", ("nhanes/xpt_layout.py", "nhanes/xpt_write.py"),
     ("tests/unit/nhanes/test_xpt.py",)),
    ("compiled loops of the module that has the tests", ("explain/tree_kernels.py",),
     ("tests/unit/explain/test_trees.py",)),
    ("fits the model of the module that has the tests", ("features/mixed_model.py",),
     ("tests/unit/features/test_usual_intake_model.py",)),
    (
        "parts of one cohort, which is tested as a whole",
        tuple(f"nhanes/synthetic/{name}.py" for name in ("health", "parameters", "people", "recalls", "tables")),
        ("tests/unit/nhanes/test_synthetic.py", "tests/statistical/test_synthetic_truth.py"),
    ),
    ("records, held by their examples and by what writes them",
     ("evaluate/predictions.py", "evidence/records.py"),
     ("tests/unit/evaluate/test_assess.py", "tests/unit/evidence/test_regression.py")),
    ("the files of the bundle, whose tests damage each of them", ("model/bundle_files.py",),
     ("tests/unit/model/test_bundle.py",)),
    ("what a question and its answer are made of", ("describe/answers.py", "describe/question.py"),
     ("tests/unit/describe/test_query.py",)),
    ("what a batch writes, byte for byte", ("score/outputs.py",), ("tests/unit/score/test_batch.py",)),
    ("names and nothing else",
     ("__init__.py", "__main__.py", "run_folder/names.py", "survey/__init__.py", "types.py"), ()),
)  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def offenders(found: Callable[[Path], object], *, but: Collection[str] = ()) -> dict[str, object]:
    """Return what a rule finds in each module that breaks it."""
    assert len(MODULES) > 50, "the modules were not found"
    return {name_of(path): what for path in MODULES if name_of(path) not in but and (what := found(path))}


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Yield public functions, classes and the public methods of public classes."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}{node.name}.")


def test_everything_public_says_what_it_is() -> None:
    def silent(path: Path) -> list[str]:
        module = tree(path)
        names = [name for name, node in public(module.body) if not ast.get_docstring(node)]
        return names if ast.get_docstring(module) else ["the module", *names]

    assert offenders(silent) == {}


def test_public_functions_are_fully_annotated() -> None:
    def unannotated(path: Path) -> list[str]:
        missing = []
        for name, node in public(tree(path).body):
            if isinstance(node, ast.ClassDef):
                continue
            given = node.args
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            bare = [each.arg for each in named if each is not None and each.annotation is None]
            missing += [f"{name}({argument})" for argument in bare if argument not in {"self", "cls"}]
            missing += [f"{name} -> ?"] if node.returns is None else []
        return missing

    assert offenders(unannotated) == {}


def test_a_module_is_named_after_what_is_in_it() -> None:
    assert offenders(lambda path: EMPTY_NAMES & set(path.relative_to(PACKAGE).with_suffix("").parts)) == {}


def test_library_code_never_prints() -> None:
    def prints(path: Path) -> list[int]:
        calls = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
        return [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]

    assert {name.partition("/")[0] for name in offenders(prints)} == {"cli"}


def test_nothing_is_caught_blindly() -> None:
    def blind(path: Path) -> list[int]:
        lines = []
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            everything = {kind.id if isinstance(kind, ast.Name) else kind for kind in kinds}
            passed_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if everything & {None, "Exception", "BaseException"} and not passed_on:
                lines.append(node.lineno)
        return lines

    assert offenders(blind, but=MAY_CATCH_EVERYTHING) == {}


def test_mlflow_is_imported_in_track_alone() -> None:
    def imports_mlflow(path: Path) -> list[int]:
        lines = []
        for node in ast.walk(tree(path)):
            names: list[object] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            lines += [node.lineno for name in names if str(name).partition(".")[0] == "mlflow"]
        return lines

    assert {name.partition("/")[0] for name in offenders(imports_mlflow)} == {"track"}


RUN_FILES = {
    value for name, value in vars(run_files).items() if name.isupper() and isinstance(value, str) and "." in value
}
# What a bundle holds under the same name is named where bundles are, and taken from there.
NAMES_OF_ITS_OWN = {"model/bundle_files.py": {"card.md"}, "features/compute.py": {"fitted_features.json"}}


def texts(path: Path) -> Iterator[str]:
    """Yield the string literals of a module that are no docstrings."""
    module = tree(path)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(module) if isinstance(node, documented) and node.body
                  and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_files_of_a_run_are_named_in_run_folder_alone() -> None:
    assert len(RUN_FILES) > 30, "the names were not found"

    def spelled(path: Path) -> set[str]:
        found = {name for text in texts(path) for name in RUN_FILES if re.search(rf"(?<![\w.]){re.escape(name)}", text)}
        return found - NAMES_OF_ITS_OWN.get(name_of(path), set())

    assert offenders(spelled, but={"run_folder/names.py"}) == {}


def test_packages_import_only_from_packages_below_them() -> None:
    check = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    found = subprocess.run(
        [sys.executable, "-c", check],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Contracts: 2 kept, 0 broken" in found.stdout, found.stdout


UNIT_TESTS = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.relative_to(ROOT / "tests" / "unit").as_posix())
def test_a_test_module_mirrors_a_module(path: Path) -> None:
    relative = path.relative_to(ROOT / "tests" / "unit")
    if relative.as_posix() in NO_MIRROR:
        return
    # One module may have several test modules: test_diet.py and test_diet_hei.py.
    words = path.stem.removeprefix("test_").split("_")
    stems = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    places = [PACKAGE / relative.parent / stem for stem in stems]
    assert any(place.with_suffix(".py").is_file() or (place / "__init__.py").is_file() for place in places), places[-1]


def test_every_exception_to_mirroring_is_still_one() -> None:
    assert NO_MIRROR.keys() <= {path.relative_to(ROOT / "tests" / "unit").as_posix() for path in UNIT_TESTS}


def own_tests(path: Path) -> list[Path]:
    """Return the test modules of a module or, for an `__init__.py`, of its package."""
    place = path.parent if path.stem == "__init__" else path.with_suffix("")
    folder = ROOT.joinpath("tests", "unit", *place.relative_to(PACKAGE.parent).parts[1:-1])
    return [*folder.glob(f"test_{place.name}.py"), *folder.glob(f"test_{place.name}_*.py")]


def test_a_module_has_tests_of_its_name_or_a_reason_why_not() -> None:
    elsewhere = {name for _, names, _ in HELD_ELSEWHERE for name in names}

    def untested(path: Path) -> bool:
        # An `__init__.py` that defines nothing has nothing to test.
        defines = any(isinstance(node, Function | ast.ClassDef) for node in tree(path).body)
        return not own_tests(path) and (defines or path.stem != "__init__")

    assert offenders(untested).keys() == elsewhere


def test_the_tests_that_hold_a_module_elsewhere_are_there() -> None:
    held = [name for _, names, _ in HELD_ELSEWHERE for name in names]
    assert len(held) == len(set(held))
    assert [test for _, _, tests in HELD_ELSEWHERE for test in tests if not (ROOT / test).is_file()] == []


def tables(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of each array of tables on the first level, or else the file itself."""
    rows = [row for value in content.values() if isinstance(value, list) for row in value if isinstance(row, dict)]
    yield from rows if rows and not {"citation", "source"} & content.keys() else [content]


@pytest.mark.parametrize("path", FACTS, ids=name_of)
def test_a_fact_has_its_source(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rows = list(tables(tomllib.loads(text)))
    if any({"citation", "source"} & row.keys() for row in rows):
        unsaid = [
            row.get("name", row) for row in rows if not str(row.get("citation") or row.get("source") or "").strip()
        ]
        assert unsaid == []
    else:
        comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
        assert re.search(r"^# Source: \S|CDC/NCHS", comments, re.MULTILINE), "no row and no comment names a source"


def test_the_page_on_data_names_every_table() -> None:
    """data/README.md is what a reader cites from: each table that a variable is read from stands there."""
    from mgrisk.nhanes.codebook import VARIABLES

    page = (ROOT / "data" / "README.md").read_text("utf-8")
    named = set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", page))
    tables = {variable.table for variable in VARIABLES.values()}
    assert len(tables) > 30, "the variables name no tables"
    assert sorted(tables - named) == []


TOLD = sorted(
    path
    for place in ("src", "docs", "tools", "benchmarks", "pipelines", "README.md", "CONTRIBUTING.md", "data/README.md")
    for path in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*"))
    if path.suffix in {".py", ".toml", ".md"}
)
# A path with a folder in it; pages under reference/ and the lists of decisions and notebooks are made with the site,
# and a bundle has files of its own.
CITED = re.compile(
    r"(?<![\w./~<>-])(?!reference/|bundle/|(?:decisions|notebooks)/index)(?:[\w-]+/)+[\w-]+\.(?:py|toml|md|js|svg|png|ipynb)\b"
)


def test_a_file_that_is_cited_exists() -> None:
    assert len(TOLD) > 200, "the files were not found"
    lost = {}
    for path in TOLD:
        places = (ROOT, PACKAGE, PACKAGE / "features", ROOT / "docs", ROOT / "tests" / "unit", path.parent)
        found = set(CITED.findall(path.read_text(encoding="utf-8")))
        gone = sorted(name for name in found if not any((place / name).exists() for place in places))
        if gone:
            lost[path.relative_to(ROOT).as_posix()] = gone
    assert lost == {}


def test_nothing_outside_the_repository_is_cited_as_if_a_reader_had_it() -> None:
    outside = re.compile(r"interface\.md|unpack\.py|\bissue \d+\b(?!, open since)")
    assert {path.name: found for path in TOLD if (found := outside.findall(path.read_text(encoding="utf-8")))} == {}


def members(package: str) -> dict[str, Any]:
    """Return the modules of a package by name."""
    home = import_module(f"mgrisk.{package}")
    return {each.name: import_module(f"mgrisk.{package}.{each.name}") for each in iter_modules(home.__path__)}


def test_every_command_step_and_section_is_named_where_they_are_listed() -> None:
    from mgrisk.cli.main import COMMANDS
    from mgrisk.pipeline.run import STEPS
    from mgrisk.report.content import SECTIONS
    from mgrisk.report.sections import ReportSection

    commands = [module for module in members("cli").values() if hasattr(module, "HELP")]
    steps = [module.STEP for module in members("pipeline").values() if hasattr(module, "STEP")]
    sections = {
        value.name
        for module in members("report.sections").values()
        for value in vars(module).values()
        if isinstance(value, ReportSection)
    }
    assert len(commands) > 10
    assert {each.__name__ for each in commands} == {each.__name__ for each in COMMANDS}
    assert len(steps) > 10
    assert {id(each) for each in steps} == {id(each) for each in STEPS}
    assert len(sections) > 10
    listed = {each.name for each in SECTIONS}
    # Parts of a section carry its name.
    assert {name for name in sections if not name.startswith(tuple(f"{each}-" for each in listed))} == listed
