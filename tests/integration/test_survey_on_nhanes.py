"""Estimates on the real files against R survey on the same files (tests/golden/survey.R)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.nhanes import xpt
from mgrisk.survey import frames
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import Estimate, proportion

GOLDEN = Path(__file__).parents[1] / "golden" / "survey.json"
DESIGN = ["SEQN", "SDMVSTRA", "SDMVPSU", "RIDAGEYR", "RIAGENDR", "RIDEXPRG"]
pytestmark = pytest.mark.nhanes


@pytest.fixture(scope="module")
def mirror() -> Path:
    folder = os.environ.get("MGRISK_NHANES")
    if not folder:
        pytest.skip("MGRISK_NHANES does not name a mirror of NHANES")
    return Path(folder)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))["values"]["nhanes"]
    return values


def people(mirror: Path, year: int, letter: str, tables: dict[str, list[str]], weight: str) -> pd.DataFrame:
    def table(name: str, columns: list[str]) -> pd.DataFrame:
        path = mirror / "Public" / str(year) / "DataFiles" / f"{name}_{letter}.xpt"
        return xpt.read(path, columns=columns).set_index("SEQN")

    of_demo = [weight] if weight == "WTMEC2YR" else []
    parts = [
        table("DEMO", DESIGN + of_demo),
        *(table(name, ["SEQN", *columns]) for name, columns in tables.items()),
    ]
    joined = parts[0].join(parts[1:], how="left")
    joined["w"] = joined[weight].fillna(0.0)
    return joined


def design_of(rows: pd.DataFrame, level: WeightLevel) -> SurveyDesign:
    design = SurveyDesign(rows["w"], rows["SDMVSTRA"], rows["SDMVPSU"], level)
    return design.where((rows["RIDAGEYR"] >= 20) & (rows["RIDEXPRG"] != 1))


def agrees(ours: Estimate, theirs: dict[str, Any]) -> None:
    assert ours.estimate == pytest.approx(theirs["estimate"], rel=1e-10)
    assert ours.se == pytest.approx(theirs["se"], rel=1e-8)
    assert (ours.low, ours.high) == pytest.approx((theirs["low"], theirs["high"]), rel=1e-8)
    assert (ours.n, ours.df) == (theirs["n"], theirs["df"])


def undiagnosed(mirror: Path, cycles: dict[int, str]) -> Estimate:
    tables = {"DIQ": ["DIQ010"], "GHB": ["LBXGH"], "GLU": ["LBXGLU", "WTSAF2YR"]}
    rows = pd.concat([people(mirror, year, letter, tables, "WTSAF2YR") for year, letter in cycles.items()])
    rows["w"] /= len(cycles)
    measured = rows["LBXGH"].notna() & rows["LBXGLU"].notna()
    hidden = (rows["DIQ010"] != 1) & ((rows["LBXGH"] >= 6.5) | (rows["LBXGLU"] >= 126))
    return proportion(hidden, design_of(rows, WeightLevel.FASTING).where(measured))


def test_diagnosed_diabetes_2017_2018_is_that_of_r(mirror: Path, golden: dict[str, Any]) -> None:
    rows = people(mirror, 2017, "J", {"DIQ": ["DIQ010"]}, "WTMEC2YR")
    agrees(proportion(rows["DIQ010"] == 1, design_of(rows, WeightLevel.EXAM)), golden["diagnosed_2017"])


def test_undiagnosed_diabetes_2017_2018_is_that_of_r(mirror: Path, golden: dict[str, Any]) -> None:
    agrees(undiagnosed(mirror, {2017: "J"}), golden["undiagnosed_2017"])


def test_undiagnosed_diabetes_2011_2018_is_that_of_r_and_of_the_notes(mirror: Path, golden: dict[str, Any]) -> None:
    ours = undiagnosed(mirror, {2011: "G", 2013: "H", 2015: "I", 2017: "J"})
    agrees(ours, golden["undiagnosed_2011_2018"])
    assert (round(100 * ours.estimate, 1), round(100 * ours.se, 2), ours.n) == (4.2, 0.27, 9178)


def test_magnesium_by_sex_2017_2018_is_that_of_r(mirror: Path, golden: dict[str, Any]) -> None:
    rows = people(mirror, 2017, "J", {"DR1TOT": ["DR1TMAGN", "DR1DRSTZ", "WTDRD1"]}, "WTDRD1")
    design = design_of(rows, WeightLevel.RECALL1).where(rows["DR1DRSTZ"] == 1)
    table = frames.mean(rows["DR1TMAGN"], design, by=rows["RIAGENDR"])
    theirs = golden["magnesium_2017"]
    assert table.index.tolist() == theirs["sex"]
    np.testing.assert_allclose(table["estimate"], theirs["estimate"], rtol=1e-10)
    np.testing.assert_allclose(table["se"], theirs["se"], rtol=1e-8)
    assert table["n"].sum() == theirs["n"]
    assert table["df"].tolist() == [theirs["df"]] * 2
