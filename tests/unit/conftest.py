"""The toy survey, with a risk column, and what R says about it (tests/golden/survey.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

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
