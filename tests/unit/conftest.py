"""A small survey with the results of R (tests/golden/survey.R), a folder for tables, and a finished run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
from filelock import FileLock

import mgrisk
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.cycles import LOOKUPS, cycle
from mgrisk.nhanes.store import Store
from mgrisk.run_folder.names import SYNTHETIC_TABLES
from mgrisk.storage.files import read_json, write_json
from mgrisk.survey.design import SurveyDesign, WeightLevel

GOLDEN = Path(__file__).parents[1] / "golden"
DEMO: Final = Path(__file__).parents[2] / "pipelines" / "demo.toml"
BREAKS: Final = (
    "race-2011", "sleep-2015", "glucose-2015", "insulin-2011", "insulin-2013", "creatinine-2017", "alcohol-2017",
)  # fmt: skip
SMALL: Final = (
    "synthetic.people_per_cycle=1500",
    'cohort.development=["2013-2014", "2015-2016"]',
    "cohort.folds=2",
    'model.features=["age_years", "sex", "magnesium_total_mg", "magnesium_food_mg", "energy_kcal"]',
    "model.spline_logistic.c=[0.1]",
    "model.xgboost.min_child_weight=[1.0]",
    "model.xgboost.trees=[20, 40]",
    "model.uncertainty.replicates=2",
    "model.uncertainty.draws=2",
    'evidence.outcomes=["undiagnosed", "homa_ir", "glucose_2h"]',
    f"evidence.across_breaks={json.dumps(BREAKS)}",
)


@pytest.fixture(scope="session")
def toy() -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "toy_design.csv")


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads((GOLDEN / "survey.json").read_text(encoding="utf-8"))["values"]["toy"]
    return values


@pytest.fixture(scope="session")
def in_r() -> dict[str, Any]:
    values: dict[str, Any] = json.loads((GOLDEN / "regressions.json").read_text(encoding="utf-8"))["values"]
    return values


@pytest.fixture
def full(toy: pd.DataFrame) -> SurveyDesign:
    return SurveyDesign(toy["weight"].to_numpy(), toy["stratum"].to_numpy(), toy["psu"].to_numpy(), WeightLevel.EXAM)


@pytest.fixture
def part(toy: pd.DataFrame, full: SurveyDesign) -> SurveyDesign:
    return full.where(toy["domain"].to_numpy() == 1)


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write a table into a mirror laid out like the CDC site."""

    def put(
        years: str, table: str, *, folder: int | None = None, label: str = SYNTHETIC, **columns: list[float] | list[str]
    ) -> Path:
        path = tmp_path / "mirror" / LOOKUPS.get(table, cycle(years).path(table))
        if folder is not None:
            path = path.parents[2] / str(folder) / "DataFiles" / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        xpt.write(pd.DataFrame(columns), path, table=path.stem, dataset_label=label)
        return path

    return put


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return the store that reads what was put."""
    return Store(source=str(tmp_path / "mirror"), cache=tmp_path / "cache", offline=True)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished SYNTHETIC run with a model of five features, made by the pipeline once for all workers."""
    base = tmp_path_factory.getbasetemp()
    # The workers of xdist have a folder each below one that they share.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "finished-run"
    with FileLock(shared / "finished-run.lock"):
        if not folder.exists():
            mgrisk.run(DEMO, overrides=SMALL, out=shared / "half-run", until="items")
            # No report reads the raw tables, and each test that changes anything has a copy of the rest.
            shutil.rmtree(shared / "half-run" / SYNTHETIC_TABLES)
            (shared / "half-run").rename(folder)
    return folder


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "small"))


@pytest.fixture
def edit(run_folder: Path) -> Callable[[str, Callable[[Any], Any]], None]:
    """Change a JSON file of the run folder; the function may return the new content or change it in place."""

    def change(name: str, by: Callable[[Any], Any]) -> None:
        content = read_json(run_folder / name)
        changed = by(content)
        write_json(run_folder / name, content if changed is None else changed)

    return change


@pytest.fixture
def nhanes_run(run_folder: Path) -> Path:
    """The run, were its people those of NHANES."""
    for path in run_folder.rglob("*.json"):
        path.write_text(path.read_text("utf-8").replace("SYNTHETIC", "NHANES"), "utf-8")
    return run_folder
