"""Energy needs at rest, and whether a told energy intake can be the whole of what was eaten."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from mgrisk.facts import rows

KJ_PER_KCAL = 4.184


class Rate(BaseModel):
    """One row of `energy_needs.toml`, an equation for the basal metabolic rate; its comments explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sex: Literal["female", "male"]
    first: float
    below: float
    slope: float
    constant: float
    source: str
    checked: str


class Limit(BaseModel):
    """The row of `energy_limits.toml`, terms of Goldberg's equation; its comments explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float
    intake: float
    rate: float
    activity: float
    deviations: float
    source: str
    checked: str

    def bounds(self, days: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest and highest credible ratio of energy intake to basal metabolic rate for recalled days.

        Examples
        --------
        >>> low, high = GOLDBERG.bounds([1.0, 2.0])
        >>> low.round(2).tolist(), high.round(2).tolist()
        ([0.87, 0.96], [2.75, 2.49])
        """
        variance = self.intake**2 / np.asarray(days, dtype=np.float64) + self.rate**2 + self.activity**2
        half = self.deviations * np.sqrt(variance)
        return np.asarray(self.level * np.exp(-half)), np.asarray(self.level * np.exp(half))


RATES: tuple[Rate, ...] = tuple(
    Rate.model_validate(row) for row in rows("mgrisk.features", "energy_needs.toml", "rate")
)
(GOLDBERG,) = (Limit.model_validate(row) for row in rows("mgrisk.features", "energy_limits.toml", "limit"))


def derive_basal_metabolic_rate_kcal(given: pd.DataFrame) -> pd.Series:
    """Return the basal metabolic rate by Schofield's equations in kcal a day; missing under 18 years."""
    age, weight = given["age_years"].to_numpy(), given["weight_kg"].to_numpy()
    rate = np.full(len(given), np.nan)
    for row in RATES:
        here = (given["sex"] == row.sex).to_numpy(dtype=bool) & (age >= row.first) & (age < row.below)
        rate[here] = (row.slope * weight[here] + row.constant) / KJ_PER_KCAL
    return pd.Series(rate, index=given.index)


def derive_energy_report(given: pd.DataFrame) -> pd.Series:
    """Return under, plausible or over for a told energy intake; an unknown number of recalled days counts as one.

    Notes
    -----
    It marks what cannot be habitual intake of a sedentary person in energy balance: a day of fasting or of a feast as
    well as a story with gaps. Whoever is dieting is marked too.
    """
    ratio = given["energy_kcal"] / given["basal_metabolic_rate_kcal"]
    low, high = GOLDBERG.bounds(given["recall_days"].fillna(1.0))
    said = np.select([ratio < low, ratio > high], ["under", "over"], default="plausible")
    return pd.Series(said, index=given.index, dtype=object).where(ratio.notna(), None)
