"""Magnesium intake from food, from supplements, and together; beside energy, requirements and calcium."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.features.diet import RELIABLE, mean_of_reliable_days
from mgrisk.features.dri import reference_intakes


def magnesium_food_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food and drink of a recalled day in mg."""
    return mean_of_reliable_days(raw, day_1="DR1TMAGN", day_2="DR2TMAGN")


def magnesium_food_day_1_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food and drink of the first recalled day in mg; missing where it is not reliable."""
    return raw["DR1TMAGN"].where(raw["DR1DRSTZ"] == RELIABLE)


def magnesium_food_day_2_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food and drink of the second recalled day in mg; missing where it is not reliable."""
    return raw["DR2TMAGN"].where(raw["DR2DRSTZ"] == RELIABLE)


def magnesium_supplement_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from supplements and antacids in mg a day, over the past 30 days."""
    return _amount_taken(raw, supplements="DSD010", antacids="DSD010AN", amount="DSQTMAGN")


def magnesium_supplement_recall_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from supplements and antacids of a recalled day in mg."""
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
    # NHANES leaves the amount empty both for people who took nothing and for products without magnesium.
    # Who did not say whether they took anything is missing, not zero.
    took_none = (raw[supplements] == 2) & (raw[antacids] == 2)
    taken = np.select([took, took_none], [raw[amount].fillna(0.0), 0.0], default=np.nan)
    return pd.Series(taken, index=raw.index)


def magnesium_total_mg(raw: pd.DataFrame) -> pd.Series:
    """Return magnesium from food, drink and supplements in mg a day."""
    return magnesium_food_mg(raw) + magnesium_supplement_mg(raw)


def derive_magnesium_total_mg(given: pd.DataFrame) -> pd.Series:
    """Return food plus supplements in mg a day; missing where either is."""
    return given["magnesium_food_mg"] + given["magnesium_supplement_mg"]


def derive_usual_magnesium_total_mg(given: pd.DataFrame) -> pd.Series:
    """Return usual intake from food plus supplements in mg a day; missing where either is."""
    return given["usual_magnesium_mg"] + given["magnesium_supplement_mg"]


def derive_magnesium_density_mg_1000kcal(given: pd.DataFrame) -> pd.Series:
    """Return magnesium from food in mg for each 1,000 kcal; missing without energy."""
    energy = given["energy_kcal"]
    return 1000.0 * given["magnesium_food_mg"] / energy.where(energy > 0)


def derive_calcium_to_magnesium_ratio(given: pd.DataFrame) -> pd.Series:
    """Return calcium over magnesium from food, mg to mg; missing without magnesium."""
    magnesium = given["magnesium_food_mg"]
    return given["calcium_mg"] / magnesium.where(magnesium > 0)


def pregnant(raw: pd.DataFrame) -> pd.Series:
    """Return whether a woman was pregnant at the examination; no for men, missing where it was not made out."""
    return raw["RIDEXPRG"].map({1.0: "yes", 2.0: "no"}).where(raw["RIAGENDR"] != 1, "no")


def derive_magnesium_below_ear(given: pd.DataFrame) -> pd.Series:
    """Return whether usual intake from all sources lies below the estimated average requirement.

    Notes
    -----
    For describing people. Predicted usual intakes are drawn to their mean, so that the share of people marked is not
    the share of a population below the requirement: that is `features.usual_intake.estimate_usual_intake`.
    """
    return _marked(given["usual_magnesium_total_mg"], below=_reference(given)["ear_mg"])


def derive_magnesium_rda_share(given: pd.DataFrame) -> pd.Series:
    """Return magnesium from all sources of a recalled day over the recommended dietary allowance."""
    return given["magnesium_total_mg"] / _reference(given)["rda_mg"]


def derive_magnesium_supplement_above_ul(given: pd.DataFrame) -> pd.Series:
    """Return whether supplements and antacids alone give more than the upper intake level."""
    upper = reference_intakes(given["age_years"], given["sex"])["ul_mg"]
    return _marked(upper, below=given["magnesium_supplement_mg"])


def _reference(given: pd.DataFrame) -> pd.DataFrame:
    # Lactation is not known here: its requirement is that of other women.
    expecting = (given["pregnant"] == "yes") & (given["sex"] == "female")
    return reference_intakes(given["age_years"], given["sex"], pregnant=expecting)


def _marked(amount: pd.Series, *, below: pd.Series) -> pd.Series:
    answer = pd.Series(np.where(amount < below, "yes", "no"), index=amount.index, dtype=object)
    return answer.where(amount.notna() & below.notna(), None)
