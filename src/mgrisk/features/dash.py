"""The DASH score from nutrients: how near a diet is to that of the Dietary Approaches to Stop Hypertension trial."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from mgrisk.facts import rows


class Target(BaseModel):
    """One row of `dash.toml`; the comments at its top explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    better: Literal["higher", "lower"]
    goal: float
    intermediate: float
    kcal_per_unit: float | None = None
    source: str
    checked: str

    def points(self, amount: pd.Series, energy_kcal: pd.Series) -> pd.Series:
        """Return 1, 0.5 or 0 points for amounts a day at an energy intake; missing without either, or without energy.

        Examples
        --------
        >>> magnesium = next(target for target in TARGETS if target.feature == "magnesium_food_mg")
        >>> magnesium.points(pd.Series([476.0, 475.0, 316.0, 315.0]), pd.Series([2000.0] * 4)).tolist()
        [1.0, 0.5, 0.5, 0.0]
        """
        per = 1000.0 if self.kcal_per_unit is None else 100.0 * self.kcal_per_unit
        density = per * amount / energy_kcal.where(energy_kcal > 0)
        sign = 1.0 if self.better == "higher" else -1.0
        points = 0.5 * (sign * density >= sign * self.goal) + 0.5 * (sign * density >= sign * self.intermediate)
        return points.where(density.notna())


TARGETS: tuple[Target, ...] = tuple(
    Target.model_validate(row) for row in rows("mgrisk.features", "dash.toml", "target")
)


def derive_dash_score(given: pd.DataFrame) -> pd.Series:
    """Return the sum over nine nutrients, 0 to 9 points; missing where one of them is."""
    return _score(given, TARGETS)


def derive_dash_score_without_magnesium(given: pd.DataFrame) -> pd.Series:
    """Return the sum over eight nutrients, 0 to 8 points; missing where one of them is."""
    return _score(given, tuple(target for target in TARGETS if target.feature != "magnesium_food_mg"))


def _score(given: pd.DataFrame, targets: tuple[Target, ...]) -> pd.Series:
    points = [target.points(given[target.feature], given["energy_kcal"]) for target in targets]
    return pd.Series(np.sum(points, axis=0), index=given.index)
