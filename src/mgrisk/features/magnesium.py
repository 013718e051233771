"""Magnesium intake from food, supplements and in total, relative to energy, reference intakes and calcium.

Reference intakes by age, sex, pregnancy and lactation are in `dri.toml`.

The magnesium depletion score counts risk factors for losing magnesium through the kidney and the gut. It does not
measure magnesium: its components also reflect hypertension, kidney disease, age and alcohol use, so that an association
of the score with diabetes is not evidence of an association with magnesium.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from mgrisk.config.toml import rows
from mgrisk.errors import MgRiskError, bad_input
from mgrisk.features.diet import RELIABLE, mean_of_reliable_days
from mgrisk.types import Booleans, Floats

Stage = Literal["general", "pregnancy", "lactation"]


class ReferenceIntake(BaseModel):
    """One row of `dri.toml`; the comments at its top explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    sex: Literal["female", "male"]
    first: int
    last: int
    ear: float
    rda: float
    ul: float
    source: str
    checked: str


def _load() -> tuple[ReferenceIntake, ...]:
    return tuple(ReferenceIntake.model_validate(row) for row in rows("mgrisk.features", "dri.toml", "row"))


MAGNESIUM: tuple[ReferenceIntake, ...] = _load()


def reference_intakes(
    age_years: ArrayLike,
    sex: ArrayLike,
    *,
    pregnant: ArrayLike | None = None,
    lactating: ArrayLike | None = None,
) -> pd.DataFrame:
    """Look up the magnesium reference intakes by age, sex, pregnancy and lactation.

    Parameters
    ----------
    age_years
        Age in years, shape (n,), rounded down to completed years (30.9 counts as 30).
    sex
        ``"female"``, ``"male"`` or missing, shape (n,).
    pregnant, lactating
        True, False or missing, shape (n,); missing counts as no. If both are true, pregnancy is used.

    Returns
    -------
    pandas.DataFrame
        ``ear_mg``, ``rda_mg``, ``ul_mg`` (mg/d), one row for each person; NaN if there is no reference intake: under 1
        year, above 50 years in pregnancy and lactation, or with age or sex missing. The EAR is for usual intake from
        all sources; the UL is for supplements and medicines alone.

    Raises
    ------
    MgRiskError
        ``dri.bad_sex`` for another value; ``dri.bad_length`` if the lengths differ; ``dri.bad_age`` for ages that are
        negative or not numbers; ``dri.pregnant_man`` for a man marked as pregnant or lactating.

    Notes
    -----
    Institute of Medicine (1997), Dietary Reference Intakes, chapter 6.

    Examples
    --------
    >>> reference_intakes([30, 31, 31], ["male", "male", "female"])["ear_mg"].tolist()
    [330.0, 350.0, 265.0]
    """
    age = _ages(age_years)
    word = _sexes(sex, age.size)
    expecting, nursing = _yes(pregnant, age.size, "pregnant"), _yes(lactating, age.size, "lactating")
    if ((word == "male") & (expecting | nursing)).any():
        raise _bad("pregnant_man", "a man is marked as pregnant or lactating", hint="check sex and pregnancy")
    stage = np.select([expecting, nursing], ["pregnancy", "lactation"], "general")
    found = np.full((age.size, 3), np.nan)
    for row in MAGNESIUM:
        here = (stage == row.stage) & (word == row.sex) & (age >= row.first) & (age < row.last + 1)
        found[here] = row.ear, row.rda, row.ul
    index = age_years.index if isinstance(age_years, pd.Series) else None
    return pd.DataFrame(found, columns=["ear_mg", "rda_mg", "ul_mg"], index=index)


def _ages(values: ArrayLike) -> Floats:
    try:
        age = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _bad("bad_age", "an age is not a number", hint="give ages in years, NaN where unknown") from error
    if age.ndim != 1 or (age < 0).any() or np.isinf(age).any():
        raise _bad(
            "bad_age", "ages are negative, infinite or not a column", hint="give ages in years, NaN where unknown"
        )
    return age


def _sexes(values: ArrayLike, size: int) -> NDArray[Any]:
    series = pd.Series(values, dtype=object).reset_index(drop=True)
    _same_length("sex", len(series), size)
    odd = sorted({str(each) for each in series[series.notna()]} - {"female", "male"})
    if odd:
        raise _bad("bad_sex", "sex has an unknown value", hint="use female, male or missing", got=odd[0])
    return np.asarray(series.where(series.notna(), ""), dtype=str)


def _yes(values: ArrayLike | None, size: int, name: str) -> Booleans:
    if values is None:
        return np.zeros(size, dtype=np.bool_)
    series = pd.Series(values, dtype=object).reset_index(drop=True)
    _same_length(name, len(series), size)
    return np.asarray([each is not None and not pd.isna(each) and bool(each) for each in series], dtype=np.bool_)


def _same_length(name: str, got: int, size: int) -> None:
    if got != size:
        raise _bad("bad_length", f"{name} has another length than age", expected=str(size), got=str(got))


def _bad(code: str, message: str, *, hint: str = "give one value for each person", **found: str) -> MgRiskError:
    return bad_input(f"dri.{code}", message, where="reference intakes", hint=hint, **found)


def magnesium_food_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food and drink, mg/d, as the mean over the reliable recall days."""
    return mean_of_reliable_days(raw, day_1="DR1TMAGN", day_2="DR2TMAGN")


def magnesium_food_day_1_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food and drink on the first recall day, mg; missing if the recall is not reliable."""
    return raw["DR1TMAGN"].where(raw["DR1DRSTZ"] == RELIABLE)


def magnesium_food_day_2_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food and drink on the second recall day, mg; missing if the recall is not reliable."""
    return raw["DR2TMAGN"].where(raw["DR2DRSTZ"] == RELIABLE)


def magnesium_supplement_mg(raw: pd.DataFrame) -> pd.Series:
    """Return mean daily magnesium from supplements and antacids over the past 30 days, mg/d."""
    return _amount_taken(raw, supplements="DSD010", antacids="DSD010AN", amount="DSQTMAGN")


def magnesium_supplement_recall_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from supplements and antacids, mg/d, as the mean over the reliable recall days."""
    days = pd.DataFrame(
        {
            f"day_{day}": _amount_taken(
                raw, supplements=f"DS{day}DS", antacids=f"DS{day}AN", amount=f"DS{day}TMAGN"
            ).where(raw[f"DR{day}DRSTZ"] == RELIABLE)
            for day in (1, 2)
        }
    )
    return days.mean(axis=1)


def _amount_taken(raw: pd.DataFrame, *, supplements: str, antacids: str, amount: str) -> pd.Series:
    took = (raw[supplements] == 1) | (raw[antacids] == 1)
    # In NHANES the amount is empty both for people who took nothing and for products without magnesium.
    # People who did not answer whether they took anything are missing, not zero.
    took_none = (raw[supplements] == 2) & (raw[antacids] == 2)
    taken = np.select([took, took_none], [raw[amount].fillna(0.0), 0.0], default=np.nan)
    return pd.Series(taken, index=raw.index)


def magnesium_total_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food, drink and supplements, mg/d."""
    return magnesium_food_mg(raw) + magnesium_supplement_mg(raw)


def derive_magnesium_total_mg(given: pd.DataFrame) -> pd.Series:
    """Return magnesium from food plus supplements, mg/d; missing if either is."""
    return given["magnesium_food_mg"] + given["magnesium_supplement_mg"]


def derive_usual_magnesium_total_mg(given: pd.DataFrame) -> pd.Series:
    """Return usual magnesium from food plus supplements, mg/d; missing if either is."""
    return given["usual_magnesium_mg"] + given["magnesium_supplement_mg"]


def derive_magnesium_density_mg_1000kcal(given: pd.DataFrame) -> pd.Series:
    """Return magnesium from food, mg per 1,000 kcal; missing without energy intake."""
    energy = given["energy_kcal"]
    return 1000.0 * given["magnesium_food_mg"] / energy.where(energy > 0)


def derive_calcium_to_magnesium_ratio(given: pd.DataFrame) -> pd.Series:
    """Return the ratio of calcium to magnesium from food, mg to mg; missing without magnesium."""
    magnesium = given["magnesium_food_mg"]
    return given["calcium_mg"] / magnesium.where(magnesium > 0)


def pregnant(raw: pd.DataFrame) -> pd.Series:
    """Return whether a woman was pregnant at the examination; no for men, missing if it could not be ascertained."""
    return raw["RIDEXPRG"].map({1.0: "yes", 2.0: "no"}).where(raw["RIAGENDR"] != 1, "no")


def derive_magnesium_below_ear(given: pd.DataFrame) -> pd.Series:
    """Return whether usual intake from all sources is below the estimated average requirement.

    Notes
    -----
    Predicted usual intakes are shrunk towards their mean, so that the share of "yes" does not estimate the prevalence
    of inadequate intake in a population; `features.usual_intake.estimate_usual_intake` does.
    """
    return _marked(given["usual_magnesium_total_mg"], below=_reference(given)["ear_mg"])


def derive_magnesium_rda_share(given: pd.DataFrame) -> pd.Series:
    """Return magnesium from all sources divided by the recommended dietary allowance."""
    return given["magnesium_total_mg"] / _reference(given)["rda_mg"]


def derive_magnesium_supplement_above_ul(given: pd.DataFrame) -> pd.Series:
    """Return whether magnesium from supplements and antacids alone exceeds the tolerable upper intake level."""
    upper = reference_intakes(given["age_years"], given["sex"])["ul_mg"]
    return _marked(upper, below=given["magnesium_supplement_mg"])


def _reference(given: pd.DataFrame) -> pd.DataFrame:
    # Lactation is not known; its requirement is the same as for other women.
    expecting = (given["pregnant"] == "yes") & (given["sex"] == "female")
    return reference_intakes(given["age_years"], given["sex"], pregnant=expecting)


def _marked(amount: pd.Series, *, below: pd.Series) -> pd.Series:
    answer = pd.Series(np.where(amount < below, "yes", "no"), index=amount.index, dtype=object)
    return answer.where(amount.notna() & below.notna(), None)


REDUCED, LOW = 90.0, 60.0
"""Glomerular filtration rates, mL/min/1.73 m2, below which the score has 1 and 2 points."""


def derive_magnesium_depletion_score(given: pd.DataFrame) -> pd.Series:
    """Return the magnesium depletion score, 0 to 5 points; missing if a component is missing.

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
