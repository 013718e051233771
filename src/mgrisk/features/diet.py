"""Diet from 24-hour recalls: nutrients, two diet quality scores, alcohol and energy requirements.

Nutrients are means over the reliable recall days.

- DASH nutrient score: similarity of a diet to that of the Dietary Approaches to Stop Hypertension trial. It uses the
  goals of Mellen et al. (2008) but gives lower scores (`dash.toml`).
- Healthy Eating Index-2020: adherence to the Dietary Guidelines for Americans, 0 to 100 points. It needs food-pattern
  equivalents (cups and ounces of food groups, FPED), which USDA releases and CDC does not; the feature is missing if
  these files are not given (`nhanes/food_patterns.py`).
- Alcohol: drinks a day, from frequency and number of drinks, and heavy drinking.
- Basal metabolic rate, and the plausibility of the reported energy intake (Goldberg limits).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from mgrisk.config.toml import rows
from mgrisk.errors import MgRiskError, bad_input
from mgrisk.features.summary import CycleTables, Summary
from mgrisk.nhanes.codebook import KEY
from mgrisk.types import Floats

RELIABLE = 1.0


def mean_of_reliable_days(raw: pd.DataFrame, *, day_1: str, day_2: str) -> pd.Series:
    """Return the mean of two recall columns over the reliable recall days; missing if there is none."""
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
    """Return the number of reliable recall days, 1 or 2; missing if there is none."""
    count = (raw["DR1DRSTZ"] == RELIABLE).astype(float) + (raw["DR2DRSTZ"] == RELIABLE).astype(float)
    return count.where(count > 0)


def energy_kcal(raw: pd.DataFrame) -> pd.Series:
    """Return mean energy intake over the reliable recall days, kcal/d."""
    return mean_of_reliable_days(raw, day_1="DR1TKCAL", day_2="DR2TKCAL")


def _mean_of(nutrient: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return a function that computes the mean amount of a nutrient over the reliable recall days."""

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
    """Return whether the first recall day was Friday to Sunday; missing if the recall is not reliable."""
    return _weekend(raw["DR1DAY"].where(raw["DR1DRSTZ"] == RELIABLE))


def recall_day_2_weekend(raw: pd.DataFrame) -> pd.Series:
    """Return whether the second recall day was Friday to Sunday; missing if the recall is not reliable."""
    return _weekend(raw["DR2DAY"].where(raw["DR2DRSTZ"] == RELIABLE))


def _weekend(day: pd.Series) -> pd.Series:
    return day.map({1.0: "yes", 2.0: "no", 3.0: "no", 4.0: "no", 5.0: "no", 6.0: "yes", 7.0: "yes"})


class Target(BaseModel):
    """One row of `dash.toml`; the comments at its top explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    better: Literal["higher", "lower"]
    goal: float
    intermediate: float
    kcal_per_unit: float | None = None
    source: str
    halfway: str

    def points(self, amount: pd.Series, energy_kcal: pd.Series) -> pd.Series:
        """Return 1, 0.5 or 0 points for daily amounts at an energy intake; missing without an amount or energy.

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
    """Return the DASH score over nine nutrients, 0 to 9 points; missing if one of them is."""
    return _score(given, TARGETS)


def derive_dash_score_without_magnesium(given: pd.DataFrame) -> pd.Series:
    """Return the DASH score over eight nutrients, 0 to 8 points; missing if one of them is."""
    return _score(given, tuple(target for target in TARGETS if target.feature != "magnesium_food_mg"))


def _score(given: pd.DataFrame, targets: tuple[Target, ...]) -> pd.Series:
    points = [target.points(given[target.feature], given["energy_kcal"]) for target in targets]
    return pd.Series(np.sum(points, axis=0), index=given.index)


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
        """Return the columns from which the component is computed."""
        return (*self.of, self.over) if self.over else self.of

    def score(self, intake: pd.DataFrame) -> Floats:
        """Return the points of each row, shape (n,); NaN if a column is missing."""
        amount = intake[list(self.of)].sum(axis=1, skipna=False).to_numpy(dtype=np.float64)
        below = intake[self.over or ENERGY].to_numpy(dtype=np.float64)
        factor = {"density": 1000.0, "energy": 100.0 * self.kcal, "ratio": 1.0}[self.kind]
        # Fat without saturated fat has all points; no fat at all, or no energy, has none.
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.where((amount == 0) & (below == 0), self.none, factor * amount / below)
        return np.asarray(self.points * np.clip((value - self.none) / (self.full - self.none), 0.0, 1.0))


COMPONENTS: Final[tuple[Component, ...]] = tuple(
    Component.model_validate(row) for row in rows("mgrisk.features", "hei.toml", "component")
)
"""The 13 components, in the order of the NCI macro."""


NUTRIENTS: Final = (ENERGY, "SFAT", "MFAT", "PFAT", "SODI")
"""Columns from the nutrient totals of NHANES; the others of `COMPONENTS` are food patterns."""
PATTERNS: Final = tuple(dict.fromkeys(name for each in COMPONENTS for name in each.columns() if name not in NUTRIENTS))


def hei_2020(intake: pd.DataFrame) -> pd.DataFrame:
    """Compute the Healthy Eating Index-2020 for people of 2 years and older.

    Parameters
    ----------
    intake
        One row for each diet: a recall day, the mean of a person's days, or the sum over a group. Columns of FPED and
        of the nutrient totals, without a prefix such as ``DR1T_``: F_TOTAL, F_CITMLB, F_OTHER, V_TOTAL, V_DRKGR,
        V_LEGUMES, D_TOTAL (cup equivalents), G_WHOLE, G_REFINED, PF_TOTAL, PF_SEAFD_HI, PF_SEAFD_LOW, PF_NUTSDS,
        PF_SOY, PF_LEGUMES (ounce equivalents), ADD_SUGARS (teaspoons), KCAL, SFAT, MFAT, PFAT (g), SODI (mg).

    Returns
    -------
    pandas.DataFrame
        Same index; points of each component by its name in `hei.toml`, and ``total``, 0 to 100. A component, and with
        it the total, is missing if one of its columns is; without energy intake all points are 0.

    Raises
    ------
    MgRiskError
        ``hei.absent`` for missing columns; ``hei.negative`` for negative amounts.

    Notes
    -----
    Standards: USDA/NCI, `hei.toml`; from 2 years of age they are those of the HEI-2015, and the scores agree with its
    macro. Children under 2 have other standards. A single day does not represent a person's usual diet, and the score
    of a population is computed from its summed intakes, not as the mean of individual scores.

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
        raise _bad("absent", f"{len(absent)} columns are missing", got=", ".join(absent))
    amounts = intake[list(needed)].astype("float64")
    negative = [name for name in needed if (amounts[name] < 0).any()]
    if negative:
        raise _bad("negative", "an amount is negative", got=", ".join(negative))
    scores = pd.DataFrame({each.name: each.score(amounts) for each in COMPONENTS}, index=intake.index)
    scores = scores.mask(amounts[ENERGY] == 0, 0.0)
    return scores.assign(**{TOTAL: scores.sum(axis=1, skipna=False)})


def _summarise(tables: CycleTables) -> pd.DataFrame:
    """Return the score of each person's mean over the reliable days, by SEQN; missing if such a day lacks an amount."""
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
        hint="join FPED and the nutrient totals, and remove prefixes such as DR1T_ from the names",
        got=got,
    )


UNITS = {float(row["code"]): row["each_year"] for row in rows("mgrisk.features", "alcohol.toml", "unit")}
FREQUENCIES = {float(row["code"]): row["days"] for row in rows("mgrisk.features", "alcohol.toml", "frequency")}
DAYS_A_YEAR = 365.0
NO = 2
LIMIT = {"female": 1.0, "male": 2.0}
"""Drinks a day above which drinking is heavy."""


def drinks_per_day(raw: pd.DataFrame) -> pd.Series:
    """Return mean drinks a day over the past 12 months; 0 for people who did not drink in that time.

    Missing for people who refused or did not know the frequency or the number of drinks.

    Examples
    --------
    >>> asked = pd.DataFrame({"ALQ110": [1.0, 2.0], "ALQ120Q": [2.0, None], "ALQ120U": [1.0, None], "ALQ121": None})
    >>> drinks_per_day(asked.assign(ALQ111=None, ALQ130_TO_2004=None, ALQ130_FROM_2005=[7.0, None])).round(2).tolist()
    [1.99, 0.0]
    """
    reported = raw["ALQ120Q"] * raw["ALQ120U"].map(UNITS).astype(float)
    days = reported.where(raw["ALQ120Q"] != 0, 0.0).clip(upper=DAYS_A_YEAR)
    days = days.where(days.notna(), raw["ALQ121"].map(FREQUENCIES).astype(float))
    drinks = raw["ALQ130_FROM_2005"].where(raw["ALQ130_FROM_2005"].notna(), raw["ALQ130_TO_2004"])
    none = (days == 0) | (raw["ALQ110"] == NO) | (raw["ALQ111"] == NO)
    return (days * drinks / DAYS_A_YEAR).where(~none, 0.0)


def derive_heavy_drinking(given: pd.DataFrame) -> pd.Series:
    """Return whether drinks a day exceed 1 for women or 2 for men, "yes" or "no".

    Examples
    --------
    >>> derive_heavy_drinking(pd.DataFrame({"drinks_per_day": [1.5, 1.5], "sex": ["female", "male"]})).tolist()
    ['yes', 'no']
    """
    limit = given["sex"].map(LIMIT).astype(float)
    known = given["drinks_per_day"].notna() & limit.notna()
    heavy = np.where(given["drinks_per_day"] > limit, "yes", "no")
    return pd.Series(heavy, index=given.index, dtype=object).where(known)


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

    def bounds(self, days: ArrayLike) -> tuple[Floats, Floats]:
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
    """Return the basal metabolic rate by Schofield's equations, kcal/d; missing under 18 years."""
    age, weight = given["age_years"].to_numpy(), given["weight_kg"].to_numpy()
    rate = np.full(len(given), np.nan)
    for row in RATES:
        here = (given["sex"] == row.sex).to_numpy(dtype=bool) & (age >= row.first) & (age < row.below)
        rate[here] = (row.slope * weight[here] + row.constant) / KJ_PER_KCAL
    return pd.Series(rate, index=given.index)


def derive_energy_report(given: pd.DataFrame) -> pd.Series:
    """Classify reported energy intake as under, plausible or over; an unknown number of recall days counts as one.

    Notes
    -----
    Intakes outside the limits are implausible as the habitual intake of a sedentary person in energy balance. Besides
    misreporting, this may be a day of fasting or feasting, or a weight-loss diet.
    """
    ratio = given["energy_kcal"] / given["basal_metabolic_rate_kcal"]
    low, high = GOLDBERG.bounds(given["recall_days"].fillna(1.0))
    report = np.select([ratio < low, ratio > high], ["under", "over"], default="plausible")
    return pd.Series(report, index=given.index, dtype=object).where(ratio.notna(), None)
