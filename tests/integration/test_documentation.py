"""Every command and snippet of the documentation is valid, runs, and prints the output on its page.

Commands of a page run one after the other, as a reader would type them, in a folder that looks like a clone with a
finished demo run. Commands that cannot run here are listed with the reason and the test that covers them.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

import mgrisk
from mgrisk.cli.main import command_line, main
from mgrisk.pipeline.finished import Run

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("[md]*/README.md"))
    if path.parent.name != "decisions" and path.name != "CHANGELOG.md"
)
# Programs that are not mgrisk's.
OTHERS = {
    "python3": "a virtual environment: `.ci/run` makes one",
    "pip": "installs: `.ci/run` does",
    "pytest": "runs tests",
    "just": "tests/architecture/test_project_files.py",
    "mlflow": "a server or a page that goes on running: tests/integration/test_served.py",
    "curl": "asks that server",
    "dask": "machines of a cluster: tests/integration/test_cluster.py",
    "export": "is set for the commands after it",
}
# Commands of mgrisk that take hours, other machines or the network.
ELSEWHERE = {
    r"fetch ": "the CDC site: tests/unit/nhanes/test_download.py",
    r"run pipelines/(?!demo|own-cohort)": "real NHANES: tests/integration/test_nhanes_run.py",
    r".*--cluster ": "a Dask scheduler: tests/integration/test_cluster.py",
    r"benchmark ": "a run on NHANES: tests/integration/test_benchmark.py",
}

# Commands of which the page says that their exit status is another than 0.
STATUSES = {"mgrisk validate people.csv --model undiagnosed": 3}
# Pages whose commands need what is not here, or are run by a test of their own.
PAGES_ELSEWHERE = {
    "docs/how-to/add-a-feature.md": "a changed copy of the source: tests/integration/test_add_a_feature.py",
    "docs/how-to/mlflow-server.md": "a PostgreSQL server: tests/integration/test_postgres.py",
    "docs/how-to/map-an-export.md": "three exports that the test makes: tests/integration/test_mapped_extracts.py",
    "docs/how-to/monitor.md": "a history of its own: tests/unit/cli/test_monitor.py",
    "docs/how-to/ask-nhanes.md": "every answer is compared: tests/integration/test_ask_nhanes.py",
}
# Pages whose TOML has a test of its own.
TOML_ELSEWHERE = {
    "docs/how-to/add-a-feature.md": "tests/integration/test_add_a_feature.py",
    "docs/how-to/map-an-export.md": "tests/integration/test_mapped_extracts.py",
    "docs/how-to/monitor.md": "tests/unit/cli/test_monitor.py",
}
# Snippets of Python: by the first words.
SNIPPETS_ELSEWHERE = {
    "import mlflow": "Spark: below",
    "entered = mgrisk.benchmark": "a run on NHANES: tests/integration/test_benchmark.py",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    output: str | None
    line: int

    def commands(self) -> list[list[str]]:
        """Return the words of each command; on a console these are the lines that begin with a dollar sign."""
        joined = re.sub(r" *\\\n *", " ", self.text)
        if self.language == "console":
            joined = "\n".join(re.findall(r"^\$ (.*)$", joined, re.MULTILINE))
        lines = [each for line in joined.splitlines() for each in re.split(r"\s+&&\s+", line)]
        split = [shlex.split(line, comments=True) for line in lines]
        return [[words[0].removeprefix(".venv/bin/"), *words[1:]] for words in split if words]


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = list(re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE))
    result = []
    for block, after in zip_longest(found, found[1:]):
        follows = after is not None and after[2] == "text" and not text[block.end() : after.start()].strip()
        line = text[: block.start()].count("\n") + 1
        result.append(Block(block[2], block[3], after[3] if follows and after else None, line))
    return result


def commands(page: Path) -> list[list[str]]:
    return [words for block in blocks(page) if block.language in {"sh", "console"} for words in block.commands()]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return dict(subparsers.choices)


def test_every_page_is_looked_at_and_no_command_hides_outside_of_a_block() -> None:
    assert len(PAGES) > 25
    hidden = {
        named(page): lines
        for page in PAGES
        if (lines := re.findall(r"^    (?:\.venv/bin/)?(?:mgrisk|python|pip|mlflow) .*", page.read_text("utf-8"), re.M))
    }
    assert hidden == {}
    languages = {block.language for page in PAGES for block in blocks(page)}
    assert languages <= {"sh", "console", "python", "text", "toml"}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_is_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = command_line()
    for words in commands(page):
        if words[0] == "mgrisk":
            try:
                parser.parse_args(words[1:])
            except SystemExit:
                pytest.fail(f"{shlex.join(words)}: {capsys.readouterr().err}")
        else:
            assert words[0] in OTHERS, f"{words[0]} runs nowhere: {shlex.join(words)}"
    known = options_of(parser)
    for text in re.findall(r"`mgrisk ([a-z][^`]*)`", page.read_text("utf-8")):
        name, *words = text.split()
        assert name in known, f"mgrisk {text}"
        wrong = [
            word for word in words if re.match("--?[a-z]", word) and word not in known[name]._option_string_actions
        ]
        assert wrong == [], f"mgrisk {text}"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "```toml" in page.read_text("utf-8") and named(page) not in TOML_ELSEWHERE],
    ids=named,
)
def test_every_file_shown_is_part_of_one_that_the_tests_run(page: Path) -> None:
    examples = [
        tomllib.loads(path.read_text("utf-8"))
        for path in (*(ROOT / "pipelines").glob("*.toml"), *(ROOT / "data" / "examples").glob("*.toml"))
    ]
    for block in blocks(page):
        if block.language == "toml":
            shown = tomllib.loads(block.text)
            assert any(within(shown, example) for example in examples), f"{page.name}, line {block.line}"


def within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(value, whole[key]) for key, value in part.items())
    return bool(part == whole)


@pytest.fixture
def clone(small_run: Run, empty_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a clone after the demo."""
    for name in ("data", "pipelines", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(small_run.folder, tmp_path / "runs" / "demo")
    shutil.copy(empty_registry, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def people() -> None:
    assert main(["schema", "--model", "undiagnosed", "--template", "people.csv"]) == 0


def folder_of_people() -> None:
    people()
    Path("people").mkdir()
    shutil.copy("people.csv", "people/part-1.csv")


def clinic() -> None:
    """Write a file of people with an outcome, and one of people without."""
    mapping = ["--mapping", "data/examples/cohort.mapping.toml"]
    assert main(["map", "data/examples/cohort.csv.gz", *mapping, "-o", "clinic.csv"]) == 0
    frame = pd.read_csv("clinic.csv", dtype=str)
    frame.rename(columns={"diabetes_5y": "has_it"}).to_csv("clinic.csv", index=False)
    people()


# What a page takes for granted.
GIVEN: dict[str, Callable[[], None]] = {
    "docs/batch-scoring.md": folder_of_people,
    "docs/how-to/recalibrate.md": clinic,
    "docs/how-to/spark-and-dask.md": folder_of_people,
}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page) and named(page) not in PAGES_ELSEWHERE], ids=named
)
def test_the_commands_of_a_page_run_in_their_order(
    page: Path,
    clone: Path,
    small_settings: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    GIVEN.get(named(page), lambda: None)()
    before = set(clone.iterdir())
    # Estimates of NHANES are the same everywhere; what other commands say has paths and times.
    answers = {
        shlex.join(words): block.output
        for block in blocks(page)
        if block.language == "sh" and block.output is not None
        for words in block.commands()
        if words[1:2] in (["describe"], ["regress"])
    }
    for words in commands(page):
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, value.replace("$PWD", str(clone)))
        if words[0] != "mgrisk" or any(re.match(pattern, " ".join(words[1:])) for pattern in ELSEWHERE):
            continue
        if words[1] in {"describe", "regress", "features", "magnesium"} and "MGRISK_NHANES" not in os.environ:
            continue
        asked = words[1:]
        if words[1:3] in (["run", "pipelines/demo.toml"], ["run", "demo"]):
            # The run is there: every step is up to date.
            asked += [each for setting in small_settings for each in ("--set", setting)]
        elif words[1:3] == ["run", "pipelines/own-cohort.toml"]:
            asked += ["--set", "model.uncertainty.replicates=2", "--set", "model.spline_logistic.c=[0.1]"]
        capsys.readouterr()
        assert main(asked) == STATUSES.get(shlex.join(words), 0), shlex.join(words)
        if shlex.join(words) in answers:
            assert capsys.readouterr().out == answers[shlex.join(words)]
    made = [f"{path.name}/" if path.is_dir() else path.name for path in set(clone.iterdir()) - before]
    assert made == [] or ignored(made) == sorted(made), "git would list what a documented command writes"


def ignored(names: list[str]) -> list[str]:
    found = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode > 1:
        pytest.skip("this is no clone")
    return sorted(found.stdout.split())


def snippets(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


def of_nhanes(page: Path) -> bool:
    return "load_nhanes(" in page.read_text("utf-8")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.nhanes, pytest.mark.slow] if of_nhanes(page) else [])
        for page in PAGES
        if snippets(page) and named(page) not in PAGES_ELSEWHERE
    ],
    ids=named,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_snippets_of_a_page_run_and_print_what_it_shows(
    page: Path,
    clone: Path,
    small_settings: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if of_nhanes(page):
        request.getfixturevalue("mirror")
    mpl.use("Agg")
    shutil.copytree(clone / "runs" / "demo", clone / "runs" / "other")
    # The small run has too few held-out people for a calibration curve.
    settings = [*small_settings, "synthetic.people_per_cycle=4000"]
    monkeypatch.setattr(mgrisk, "run", partial(mgrisk.run, overrides=settings), raising=False)
    space: dict[str, Any] = {}
    for block in snippets(page):
        if block.text.startswith(tuple(SNIPPETS_ELSEWHERE)):
            continue
        capsys.readouterr()
        exec(compile(block.text, f"{page.name}, line {block.line}", "exec"), space)
        printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert printed == ([] if block.output is None else block.output.splitlines())


@pytest.mark.spark
def test_the_snippet_for_spark_scores_a_file_with_the_model_that_was_registered(clone: Path) -> None:
    if find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("pyspark (extra `spark`) or Java is not installed")
    people()
    assert main(["register", "undiagnosed"]) == 0
    (block,) = snippets(ROOT / "docs" / "how-to" / "spark-and-dask.md")
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{clone}/runs/mlflow.db",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    subprocess.run([sys.executable, "-c", block.text], env=os.environ | environment, check=True, cwd=clone)
    scored = pd.concat(map(pd.read_csv, (clone / "scored-by-spark").glob("*.csv")))
    assert len(scored) == len(pd.read_csv("people.csv"))
    assert scored["status"].eq("scored").all()


def test_what_runs_elsewhere_is_on_a_page() -> None:
    every = [" ".join(words[1:]) for page in PAGES for words in commands(page) if words[0] == "mgrisk"]
    assert [pattern for pattern in ELSEWHERE if not any(re.match(pattern, each) for each in every)] == []
    programs = {words[0] for page in PAGES for words in commands(page)}
    assert [name for name in OTHERS if name not in programs] == []
    assert [name for name in {**GIVEN, **PAGES_ELSEWHERE, **TOML_ELSEWHERE} if not (ROOT / name).is_file()] == []


def test_the_readme_reads_well_in_a_terminal() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert [line for line in lines if len(line) >= 120] == []


def rows(text: str, label: str) -> list[list[str]]:
    """Return the cells of the table rows that begin with a label."""
    found = re.findall(rf"^\| {re.escape(label)}[^|]*\|(.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in found]


def test_the_figures_of_the_readme_are_those_of_the_cards() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.partition("| predicts |")[2].partition("\n\n")[0].splitlines()[2:]
    names = ["undiagnosed", "diabetes", "dysglycaemia", "insulin-resistance"]
    for name, line in zip(names, table, strict=True):
        _, auroc, gain, calibration = (cell.strip() for cell in line.strip("| ").split("|"))
        card = (ROOT / "models" / name / "card.md").read_text("utf-8")
        assert rows(card, "AUROC ")[0][0] == auroc
        assert rows(card, "Observed / expected cases")[0][0] == calibration
        (difference,) = (cells for label, *cells in differences(card) if label.endswith(" ADA risk test"))
        assert difference[:2] == ["AUROC", gain]  # held out; behind it cross-validated


def differences(card: str) -> list[list[str]]:
    table = card.partition("**Paired differences")[2].partition("\n\nThe published")[0]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return [cells for cells in lines if cells[1] == "AUROC"]
