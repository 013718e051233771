"""Magnesium intake from food, from supplements, and together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.features.diet import mean_of_reliable_days


def magnesium_food_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food and drink of a recalled day in mg."""
    return mean_of_reliable_days(raw, day_1="DR1TMAGN", day_2="DR2TMAGN")


def magnesium_supplement_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from supplements and antacids in mg a day, over the past 30 days."""
    took = (raw["DSD010"] == 1) | (raw["DSD010AN"] == 1)
    # NHANES leaves the amount empty both for people who took nothing and for products without magnesium.
    # Who did not say whether they took anything is missing, not zero.
    took_none = (raw["DSD010"] == 2) & (raw["DSD010AN"] == 2)
    amount = np.select([took, took_none], [raw["DSQTMAGN"].fillna(0.0), 0.0], default=np.nan)
    return pd.Series(amount, index=raw.index)


def magnesium_total_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food, drink and supplements in mg a day."""
    return magnesium_food_mg(raw) + magnesium_supplement_mg(raw)


def derive_magnesium_total_mg(given: pd.DataFrame) -> pd.Series:
    """Return food plus supplements in mg a day; missing where either is."""
    return given["magnesium_food_mg"] + given["magnesium_supplement_mg"]
