"""A small SYNTHETIC run of the whole pipeline, shared by the integration tests, and the NHANES tables if available."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

import mgrisk
from mgrisk.pipeline.finished import Run
from mgrisk.report.blocks import section
from mgrisk.report.people_table import PeopleShown, explorer
from mgrisk.report.render import render

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "pipelines" / "demo.toml"
SMALL = (
    "synthetic.people_per_cycle=1500",
    "cohort.folds=3",
    "model.spline_logistic.c=[0.1]",
    "model.xgboost.trees=[30, 60]",
    "model.uncertainty.replicates=4",
    "model.uncertainty.draws=2",
    "sensitivity.imputations=2",
    # So few people calibrate to no better than this; what the gate refuses is tested in test_promotion.
    "tracking.gate.calibration_slope=[0.1, 10.0]",
    "tracking.gate.observed_expected=[0.1, 10.0]",
)


# No run of a test may land in the registry of whoever starts the tests.
os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what MLflow's `set_tracking_uri` in a test leaves in the environment; empty is as good as absent."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")


@pytest.fixture(scope="session")
def small_settings() -> tuple[str, ...]:
    """Overrides that make the demo small."""
    return SMALL


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Run:
    """A finished small demo run, made by the first worker that asks; tests that change anything take `run_copy`."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "small-run" / "demo"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.parent / "lock"):
        if not (folder / "tracking.json").exists():  # what the last step writes
            shutil.copy(empty_registry, folder.parent)
            mgrisk.run(DEMO, overrides=SMALL, out=folder)
    return Run(folder, ())


@pytest.fixture
def run_copy(small_run: Run, empty_registry: Path, tmp_path: Path) -> Path:
    """A copy of the small run's folder that a test may change, beside a registry without versions."""
    copy = tmp_path / "demo"
    shutil.copy(empty_registry, tmp_path)
    shutil.copytree(small_run.folder, copy)
    return copy


@pytest.fixture
def mounted() -> Callable[[Path, str], AbstractContextManager[Path]]:
    """Return what mounts a disk of its own; it skips where this process may not mount one."""

    @contextmanager
    def disk(folder: Path, options: str) -> Iterator[Path]:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this process may not mount a disk (it needs to be root on Linux)")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    return disk


@pytest.fixture
def small_disk(tmp_path: Path, mounted: Callable[[Path, str], AbstractContextManager[Path]]) -> Iterator[Path]:
    """A disk of 1 MB."""
    with mounted(tmp_path / "small", "size=1m") as folder:
        yield folder


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The real NHANES mirror."""
    folder = os.environ.get("MGRISK_NHANES")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MGRISK_NHANES names no folder with the NHANES mirror")
    return Path(folder)


# What a name must not be able to do.
HOSTILE = "<script>document.title='run'</script>\"'&amp;\u202ethgir-ot-tfel" + "long" * 2500
READY = "#explorer-all[data-ready=yes]"


@dataclass
class Opened:
    """A page, what it said on its console and whom it asked for anything."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright (pip install '.[dev]')")
    chromium = os.environ.get("MGRISK_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here (apt-get install chromium)")
    with api.sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield running
        running.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Open a page with a table of people; afterwards it has fetched nothing but itself and reported no error."""
    pages: list[Opened] = []

    def visit(path: Path, *, fragment: str = "", **options: Any) -> Opened:
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        opened = Opened(page)
        page.on("console", lambda message: opened.said.append(message.text))
        page.on("pageerror", lambda problem: opened.said.append(str(problem)))
        page.on("request", lambda request: opened.asked.append(request.url))
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector(READY)
        pages.append(opened)
        return opened

    yield visit
    for opened in pages:
        assert opened.said == []
        assert all(url.startswith(("file:", "blob:")) for url in opened.asked)
        assert sum(url.startswith("file:") for url in opened.asked) == 1
        opened.page.close()


@pytest.fixture(scope="module")
def own_page(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `mgrisk explain` for some people with an outcome, one of them hostile and one rejected."""
    from mgrisk.own_data.explain import explain_people
    from mgrisk.own_data.labelled import LabelColumns
    from mgrisk.score.scorer import load_scorer
    from mgrisk.track import example_people

    folder = tmp_path_factory.mktemp("own")
    scorer = load_scorer(small_run.bundle)
    people = pd.concat([example_people(scorer)] * 20, ignore_index=True).astype({"age_years": object})
    people.insert(0, "person_id", [HOSTILE, *(f"Q{place}" for place in range(1, len(people)))])
    people.loc[5, "age_years"] = "old"
    people["ill"] = ["1" if place % 7 == 2 else "0" for place in range(len(people))]
    people.to_csv(folder / "people.csv", index=False)
    columns = LabelColumns("ill")
    explain_people(scorer, str(folder / "people.csv"), str(folder / "own.html"), columns=columns)
    return folder / "own.html"


def page_of(people: PeopleShown, path: Path) -> Path:
    """Write a page with nothing but a table of people."""
    part = section("people", "People", [explorer(people, "Made-up people.")])
    content = {"title": "SYNTHETIC people", "heading": "People", "data": "SYNTHETIC", "synthetic": True,
               "banner": "SYNTHETIC", "mgrisk": "0", "sections": [part]}  # fmt: skip
    path.write_text(render(content, {}), encoding="utf-8")
    return path
