"""The toy survey with what R says about it (tests/golden/survey.R), and a mirror to put tables into."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.cycles import LOOKUPS, cycle
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def toy() -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "toy_design.csv")


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads((GOLDEN / "survey.json").read_text(encoding="utf-8"))["values"]["toy"]
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
