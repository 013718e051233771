"""Alcohol: drinks a day, from how often and how many, and heavy drinking."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.facts import rows

UNITS = {float(row["code"]): row["each_year"] for row in rows("mgrisk.features", "alcohol.toml", "unit")}
FREQUENCIES = {float(row["code"]): row["days"] for row in rows("mgrisk.features", "alcohol.toml", "frequency")}
DAYS_A_YEAR = 365.0
NO = 2
LIMIT = {"female": 1.0, "male": 2.0}
"""Drinks a day above which drinking is heavy."""


def drinks_per_day(raw: pd.DataFrame) -> pd.Series:
    """Return drinks a day over the past 12 months; 0 for who never drank or not in these months.

    Who refused or did not know how often or how many is missing.

    Examples
    --------
    >>> asked = pd.DataFrame({"ALQ110": [1.0, 2.0], "ALQ120Q": [2.0, None], "ALQ120U": [1.0, None], "ALQ121": None})
    >>> drinks_per_day(asked.assign(ALQ111=None, ALQ130_TO_2004=None, ALQ130_FROM_2005=[7.0, None])).round(2).tolist()
    [1.99, 0.0]
    """
    told = raw["ALQ120Q"] * raw["ALQ120U"].map(UNITS).astype(float)
    days = told.where(raw["ALQ120Q"] != 0, 0.0).clip(upper=DAYS_A_YEAR)
    days = days.where(days.notna(), raw["ALQ121"].map(FREQUENCIES).astype(float))
    drinks = raw["ALQ130_FROM_2005"].where(raw["ALQ130_FROM_2005"].notna(), raw["ALQ130_TO_2004"])
    none = (days == 0) | (raw["ALQ110"] == NO) | (raw["ALQ111"] == NO)
    return (days * drinks / DAYS_A_YEAR).where(~none, 0.0)


def derive_heavy_drinking(given: pd.DataFrame) -> pd.Series:
    """Return whether drinks a day are above 1 for women and 2 for men, "yes" or "no".

    Examples
    --------
    >>> derive_heavy_drinking(pd.DataFrame({"drinks_per_day": [1.5, 1.5], "sex": ["female", "male"]})).tolist()
    ['yes', 'no']
    """
    limit = given["sex"].map(LIMIT).astype(float)
    known = given["drinks_per_day"].notna() & limit.notna()
    heavy = np.where(given["drinks_per_day"] > limit, "yes", "no")
    return pd.Series(heavy, index=given.index, dtype=object).where(known)
