"""Diet from 24-hour recalls: means over the reliable days, and which days of the week they were."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

RELIABLE = 1.0


def mean_of_reliable_days(raw: pd.DataFrame, *, day_1: str, day_2: str) -> pd.Series:
    """Return the mean of two recall columns over the days whose recall is reliable; missing where none is."""
    days = np.column_stack(
        [
            raw[day_1].where(raw["DR1DRSTZ"] == RELIABLE),
            raw[day_2].where(raw["DR2DRSTZ"] == RELIABLE),
        ]
    )
    known = np.isfinite(days)
    count = known.sum(axis=1)
    total = np.where(known, days, 0.0).sum(axis=1)
    return pd.Series(np.divide(total, count, out=np.full(len(raw), np.nan), where=count > 0), index=raw.index)


def recall_days(raw: pd.DataFrame) -> pd.Series:
    """Return the number of reliable recall days, 1 or 2; missing where there is none."""
    count = (raw["DR1DRSTZ"] == RELIABLE).astype(float) + (raw["DR2DRSTZ"] == RELIABLE).astype(float)
    return count.where(count > 0)


def energy_kcal(raw: pd.DataFrame) -> pd.Series:
    """Return mean energy intake of a recalled day in kcal."""
    return mean_of_reliable_days(raw, day_1="DR1TKCAL", day_2="DR2TKCAL")


def _mean_of(nutrient: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return the function for the mean amount of a nutrient over the reliable days."""

    def mean(raw: pd.DataFrame) -> pd.Series:
        return mean_of_reliable_days(raw, day_1=f"DR1T{nutrient}", day_2=f"DR2T{nutrient}")

    return mean


protein_g = _mean_of("PROT")
carbohydrate_g = _mean_of("CARB")
sugars_g = _mean_of("SUGR")
fiber_g = _mean_of("FIBE")
fat_g = _mean_of("TFAT")
saturated_fat_g = _mean_of("SFAT")
cholesterol_mg = _mean_of("CHOL")
vitamin_b6_mg = _mean_of("VB6")
vitamin_c_mg = _mean_of("VC")
vitamin_d_ug = _mean_of("VD")
calcium_mg = _mean_of("CALC")
phosphorus_mg = _mean_of("PHOS")
iron_mg = _mean_of("IRON")
zinc_mg = _mean_of("ZINC")
sodium_mg = _mean_of("SODI")
potassium_mg = _mean_of("POTA")
caffeine_mg = _mean_of("CAFF")
alcohol_g_day = _mean_of("ALCO")


def recall_day_1_weekend(raw: pd.DataFrame) -> pd.Series:
    """Return whether the first recalled day was Friday to Sunday; missing where it is not reliable."""
    return _weekend(raw["DR1DAY"].where(raw["DR1DRSTZ"] == RELIABLE))


def recall_day_2_weekend(raw: pd.DataFrame) -> pd.Series:
    """Return whether the second recalled day was Friday to Sunday; missing where it is not reliable."""
    return _weekend(raw["DR2DAY"].where(raw["DR2DRSTZ"] == RELIABLE))


def _weekend(day: pd.Series) -> pd.Series:
    return day.map({1.0: "yes", 2.0: "no", 3.0: "no", 4.0: "no", 5.0: "no", 6.0: "yes", 7.0: "yes"})
