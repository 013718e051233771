"""Magnesium and energy of the foods in swaps.toml equal those computed from the tables of 2017-2018."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mgrisk.evidence.what_if import SWAPS, Swap
from mgrisk.nhanes import xpt

pytestmark = pytest.mark.nhanes


@pytest.fixture(scope="module")
def eaten(mirror: Path) -> pd.DataFrame:
    path = mirror / "Public" / "2017" / "DataFiles" / "DR1IFF_J.xpt"
    table = xpt.read(path, columns=["DR1IFDCD", "DR1IGRMS", "DR1IKCAL", "DR1IMAGN"])
    return table[table["DR1IGRMS"] > 0]


@pytest.mark.parametrize("swap", SWAPS, ids=lambda swap: swap.name)
def test_a_swap_is_what_the_tables_say(eaten: pd.DataFrame, swap: Swap) -> None:
    for food in (swap.out, swap.into):
        rows = eaten[eaten["DR1IFDCD"] == food.code]
        sums = 100.0 * rows[["DR1IMAGN", "DR1IKCAL"]].sum() / rows["DR1IGRMS"].sum()
        assert sums["DR1IMAGN"] == pytest.approx(food.mg, abs=0.051)
        assert sums["DR1IKCAL"] == pytest.approx(food.kcal, abs=0.051)
    today = eaten.loc[eaten["DR1IFDCD"] == swap.out.code, "DR1IGRMS"].median()
    assert today == pytest.approx(swap.grams, abs=0.51)
