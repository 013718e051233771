"""The magnesium depletion score: what makes the kidney and the gut lose magnesium, counted in points.

It measures no magnesium. Its parts stand for hypertension, kidney disease, age and drinking, so that an association of
it with diabetes is not one of magnesium.
"""

from __future__ import annotations

import pandas as pd

REDUCED, LOW = 90.0, 60.0
"""Filtration rates, mL/min/1.73 m2, below which there are 1 and 2 points."""


def derive_magnesium_depletion_score(given: pd.DataFrame) -> pd.Series:
    """Return the score, 0 to 5 points; missing where a part is missing.

    Examples
    --------
    >>> one = {"diuretic_use": ["yes"], "ppi_use": ["no"], "heavy_drinking": ["no"], "egfr": [59.9]}
    >>> derive_magnesium_depletion_score(pd.DataFrame(one)).tolist()
    [3.0]
    """
    habits = given[["diuretic_use", "ppi_use", "heavy_drinking"]].astype(object)
    kidney = (given["egfr"] < REDUCED).astype(float) + (given["egfr"] < LOW)
    known = habits.notna().all(axis=1) & given["egfr"].notna()
    return ((habits == "yes").sum(axis=1) + kidney).where(known)
