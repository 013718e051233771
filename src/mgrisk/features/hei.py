"""Healthy Eating Index-2020: how well a diet follows the Dietary Guidelines for Americans, 0 to 100 points.

It needs food-pattern equivalents, cups and ounces of food groups, which USDA releases beside NHANES (FPED) and CDC does
not: the feature is missing where nobody has given their files (`nhanes/food_patterns.py`).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.facts import rows
from mgrisk.features.diet import RELIABLE
from mgrisk.features.summary import CycleTables, Summary
from mgrisk.nhanes.codebook import KEY

Floats = NDArray[np.float64]
ENERGY: Final = "KCAL"
TOTAL: Final = "total"


class Component(BaseModel):
    """One row of `hei.toml`; the comments at its top explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    points: float
    of: tuple[str, ...]
    kind: Literal["density", "energy", "ratio"]
    unit: str
    none: float
    full: float
    over: str = ""
    kcal: float = 0.0

    def columns(self) -> tuple[str, ...]:
        """Return the columns that it is computed from."""
        return (*self.of, self.over) if self.over else self.of

    def score(self, intake: pd.DataFrame) -> Floats:
        """Return its points for each row, shape (n,); NaN where a column of it is missing."""
        amount = intake[list(self.of)].sum(axis=1, skipna=False).to_numpy(dtype=np.float64)
        below = intake[self.over or ENERGY].to_numpy(dtype=np.float64)
        factor = {"density": 1000.0, "energy": 100.0 * self.kcal, "ratio": 1.0}[self.kind]
        # Fat without any saturated fat is the best there is; no fat at all earns nothing, nor does no energy.
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.where((amount == 0) & (below == 0), self.none, factor * amount / below)
        return np.asarray(self.points * np.clip((value - self.none) / (self.full - self.none), 0.0, 1.0))


COMPONENTS: Final[tuple[Component, ...]] = tuple(
    Component.model_validate(row) for row in rows("mgrisk.features", "hei.toml", "component")
)
"""The 13 components, in the order of the macro of NCI."""


NUTRIENTS: Final = (ENERGY, "SFAT", "MFAT", "PFAT", "SODI")
"""Columns from the nutrient totals of NHANES; the others of `COMPONENTS` are food patterns."""
PATTERNS: Final = tuple(dict.fromkeys(name for each in COMPONENTS for name in each.columns() if name not in NUTRIENTS))


def hei_2020(intake: pd.DataFrame) -> pd.DataFrame:
    """Score diets by the Healthy Eating Index-2020 for people of 2 years and over.

    Parameters
    ----------
    intake
        One row for each diet: a recalled day, the mean of a person's days, or the sum over a group. Columns of FPED and
        of the nutrient totals, without a prefix such as ``DR1T_``: F_TOTAL, F_CITMLB, F_OTHER, V_TOTAL, V_DRKGR,
        V_LEGUMES, D_TOTAL (cup equivalents), G_WHOLE, G_REFINED, PF_TOTAL, PF_SEAFD_HI, PF_SEAFD_LOW, PF_NUTSDS,
        PF_SOY, PF_LEGUMES (ounce equivalents), ADD_SUGARS (teaspoons), KCAL, SFAT, MFAT, PFAT (g), SODI (mg).

    Returns
    -------
    pandas.DataFrame
        Same index; points of each component by the names of `hei.toml`, and ``total``, 0 to 100. A component is missing
        where a column of it is, and the total then too; without any energy all points are 0.

    Raises
    ------
    MgRiskError
        ``hei.absent`` for columns that are not there; ``hei.negative``.

    Notes
    -----
    Standards: USDA/NCI, `hei.toml`; for ages of 2 years and over they are those of the HEI-2015, and the scores are
    those of its macro. Children under 2 have standards of their own. One recalled day is not a habit: a person's score
    of a day scatters, and the score of a population is that of its summed intakes, not the mean of its people's scores.

    Examples
    --------
    >>> diet = {name: 0.0 for component in COMPONENTS for name in component.columns()}
    >>> diet |= {"KCAL": 2000.0, "F_TOTAL": 0.8, "SODI": 2200.0, "SFAT": 8.0, "MFAT": 15.0, "PFAT": 5.0}
    >>> scores = hei_2020(pd.DataFrame([diet]))
    >>> scores[["total_fruits", "sodium", "fatty_acids", "total"]].round(2).iloc[0].tolist()
    [2.5, 10.0, 10.0, 52.5]
    """
    needed = dict.fromkeys([ENERGY, *(name for component in COMPONENTS for name in component.columns())])
    absent = [name for name in needed if name not in intake]
    if absent:
        raise _bad("absent", f"{len(absent)} columns are not there", got=", ".join(absent))
    amounts = intake[list(needed)].astype("float64")
    negative = [name for name in needed if (amounts[name] < 0).any()]
    if negative:
        raise _bad("negative", "an amount is negative", got=", ".join(negative))
    scores = pd.DataFrame({each.name: each.score(amounts) for each in COMPONENTS}, index=intake.index)
    scores = scores.mask(amounts[ENERGY] == 0, 0.0)
    return scores.assign(**{TOTAL: scores.sum(axis=1, skipna=False)})


def _summarise(tables: CycleTables) -> pd.DataFrame:
    """Return the score of each person's mean reliable day, indexed by SEQN; missing where a reliable day has a gap."""
    people = tables.people.set_index(KEY)
    total = pd.DataFrame(0.0, index=people.index, columns=[*PATTERNS, *NUTRIENTS])
    days = pd.Series(0.0, index=people.index)
    for day, patterns in enumerate(tables.patterns, start=1):
        nutrients = people[[f"DR{day}T{name}" for name in NUTRIENTS]].set_axis(list(NUTRIENTS), axis=1)
        eaten = patterns.set_index(KEY).reindex(people.index).join(nutrients)[total.columns]
        reliable = people[f"DR{day}DRSTZ"] == RELIABLE
        total += eaten.where(reliable, 0.0)
        days += reliable
    scores = hei_2020(total.div(days.where(days > 0), axis=0))
    return scores[[TOTAL]].set_axis(["healthy_eating_index"], axis=1)


SUMMARY: Final = Summary(records=(), function=_summarise, patterns=PATTERNS)


def _bad(code: str, message: str, *, got: str) -> MgRiskError:
    return bad_input(
        f"hei.{code}",
        message,
        where="features/hei, intake",
        hint="join FPED and the nutrient totals, and take prefixes such as DR1T_ off the names",
        got=got,
    )
