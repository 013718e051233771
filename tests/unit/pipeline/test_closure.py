"""The code that a step depends on: modules, their TOML files and libraries, and nothing else."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from mgrisk.pipeline import closure
from mgrisk.pipeline.closure import Closure, digest, library_version
from mgrisk.pipeline.run import STEPS

METRICS = {"evaluate/metrics.py", "evaluate/intervals.py", "evaluate/checks.py", "evaluate/assess.py"}
STEP_MODULES = {step.action.__module__: step.name for step in STEPS}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package named mgrisk with the packages a and b, each empty."""
    for folder in (tmp_path, tmp_path / "a", tmp_path / "b"):
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    return tmp_path


def write(package: Path, files: dict[str, str]) -> None:
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")


def found(package: Path, module: str = "mgrisk.a.x") -> Closure:
    closure._source.cache_clear()
    closure.closure.cache_clear()
    return closure.closure(module, package)


def modules(package: Path, module: str = "mgrisk.a.x") -> set[str]:
    return {name for name in found(package, module).files if not name.endswith("__init__.py")}


def test_what_a_module_imports_counts_directly_or_not_and_nothing_else_does(package: Path) -> None:
    write(
        package, {"a/x.py": "from mgrisk.a.y import f", "a/y.py": "import mgrisk.b.z", "b/z.py": "", "a/other.py": ""}
    )
    assert modules(package) == {"a/x.py", "a/y.py", "b/z.py"}
    assert found(package).files[:2] == ("__init__.py", "a/__init__.py")
    assert modules(package, "mgrisk.b.z") == {"b/z.py"}


def test_a_circle_of_imports_has_an_end(package: Path) -> None:
    write(package, {"a/x.py": "from mgrisk.a import y", "a/y.py": "from mgrisk.a import x"})
    assert modules(package) == modules(package, "mgrisk.a.y") == {"a/x.py", "a/y.py"}


def test_an_import_counts_wherever_it_stands_but_not_for_the_type_checker_alone(package: Path) -> None:
    write(
        package,
        {
            "a/x.py": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from mgrisk.a.typed import T
else:
    from mgrisk.a.other import T
def f():
    from mgrisk.a.late import g
""",
            "a/typed.py": "",
            "a/other.py": "",
            "a/late.py": "",
        },
    )
    assert modules(package) == {"a/x.py", "a/other.py", "a/late.py"}


def test_a_package_that_is_imported_brings_what_its_init_imports_but_not_what_it_offers_lazily(package: Path) -> None:
    write(
        package,
        {
            "a/x.py": "from mgrisk.b.z import f",
            "b/__init__.py": "from mgrisk.b.always import g\ndef __getattr__(name):\n    from mgrisk.b.lazy import h",
            "b/z.py": "",
            "b/always.py": "",
            "b/lazy.py": "",
        },
    )
    assert modules(package) == {"a/x.py", "b/z.py", "b/always.py"}


def test_modules_that_are_imported_by_name_count_all(package: Path) -> None:
    write(package, {"a/x.py": 'def f(name):\n    return import_module(f"mgrisk.b.{name}")', "b/y.py": "", "b/z.py": ""})
    assert modules(package) == {"a/x.py", "b/y.py", "b/z.py"}


def test_libraries_are_those_outside_python_by_their_first_name(package: Path) -> None:
    write(
        package,
        {
            "a/x.py": "import json, numpy as np\nfrom mgrisk.a.y import f",
            "a/y.py": "import scipy.special\nimport pandas",
        },
    )
    # pandas reads and writes Parquet by pyarrow, which no module needs to import for it.
    assert found(package).libraries == ("numpy", "pandas", "pyarrow", "scipy")


def test_a_fact_counts_where_a_module_reads_it_by_its_file_name_or_its_stem(package: Path) -> None:
    write(
        package,
        {"a/x.py": 'rows("mgrisk.a", "one.toml")', "a/y.py": 'KNOWN = ("two",)', "a/one.toml": "", "a/two.toml": ""},
    )
    assert modules(package) == {"a/x.py", "a/one.toml"}
    assert modules(package, "mgrisk.a.y") == {"a/y.py", "a/two.toml"}


def test_a_folder_of_facts_counts_as_a_whole_where_a_module_reads_it(package: Path) -> None:
    write(
        package,
        {"a/x.py": 'rows("mgrisk.a", "sheets")', "a/y.py": "", "a/sheets/page.css": "", "a/sheets/deep/page.html": ""},
    )
    assert modules(package) == {"a/x.py", "a/sheets/page.css", "a/sheets/deep/page.html"}
    assert modules(package, "mgrisk.a.y") == {"a/y.py"}


def test_a_fact_that_no_module_names_counts_for_all_of_its_package(package: Path) -> None:
    write(package, {"a/x.py": 'read(f"{name}.toml")', "a/y.py": "", "b/z.py": "", "a/one.toml": ""})
    assert "a/one.toml" in modules(package) & modules(package, "mgrisk.a.y")
    assert "a/one.toml" not in modules(package, "mgrisk.b.z")


def test_a_fact_belongs_to_the_package_that_it_lies_in(package: Path) -> None:
    write(package, {"a/x.py": '"one.toml"', "a/inner/y.py": '"one.toml"', "a/inner/one.toml": ""})
    (package / "a/inner/__init__.py").touch()
    assert modules(package) == {"a/x.py"}
    assert modules(package, "mgrisk.a.inner.y") == {"a/inner/y.py", "a/inner/one.toml"}


def digest_of(package: Path) -> str:
    found(package)
    digest.cache_clear()
    return digest("mgrisk.a.x", package)


def test_the_digest_follows_the_files_and_the_versions_of_libraries_that_count(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        package,
        {
            "a/x.py": 'import numpy\nfrom mgrisk.a.y import f\n"one.toml"',
            "a/y.py": "",
            "a/other.py": "",
            "a/one.toml": "",
        },
    )
    seen = [digest_of(package)]
    write(package, {"a/other.py": "import pandas", "b/z.py": "x = 1"})
    assert digest_of(package) == seen[0]
    for changed in ({"a/y.py": "# a word"}, {"a/one.toml": "x = 1"}):
        write(package, changed)
        seen.append(digest_of(package))
    monkeypatch.setattr(closure, "version", lambda name: f"another {name}")
    seen.append(digest_of(package))
    assert len(set(seen)) == 4


def test_the_version_of_every_library_of_every_step_is_known() -> None:
    libraries = {library for module in STEP_MODULES for library in closure.closure(module).libraries}
    assert {"numpy", "sklearn", "xgboost", "mlflow", "numba"} <= libraries
    assert [each for each in libraries if find_spec(each) and library_version(each) == "absent"] == []


@pytest.mark.parametrize("module", STEP_MODULES)
def test_no_step_depends_on_a_command_on_the_list_of_steps_or_on_what_scores_files(module: str) -> None:
    files = set(closure.closure(module).files)
    assert module.replace("mgrisk.", "").replace(".", "/") + ".py" in files
    assert not {name for name in files if name.startswith("cli/")} | (files & {"pipeline/run.py", "__main__.py"})
    if module not in {f"mgrisk.pipeline.{name}" for name in ("own_cohort", "options", "track")}:
        assert not files & {"score/mapping.py", "score/batch.py", "score/csv/read.py"}


@pytest.mark.parametrize(
    ("step", "later"),
    [
        ("cohort", {"model/trees/", *METRICS, "explain/", "report/", "track/", "score/"}),
        ("folds", {"model/trees/", *METRICS, "explain/", "report/", "track/", "score/"}),
        ("train", {*METRICS, "report/", "track/", "score/"}),
        ("evaluate", {"report/", "explain/", "track/", "score/"}),
        ("explain", {*METRICS, "report/", "track/", "score/"}),
        ("report", {"track/"}),
    ],
)
def test_a_step_does_not_depend_on_what_comes_after_it(step: str, later: set[str]) -> None:
    files = closure.closure(f"mgrisk.pipeline.{step}").files
    assert [name for name in files if name.startswith(tuple(later))] == []
