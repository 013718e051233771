"""Diet from 24-hour recalls: means over the reliable days."""

from __future__ import annotations

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
