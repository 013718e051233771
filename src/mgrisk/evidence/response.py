"""The same people with an option's change in their inputs: what a model then answers is its response, and no effect.

A model that saw people once, on one day, has learned who has diabetes; asked about a person with other inputs it says
how often people with those inputs had it. That number stands apart from the options at published relative risks
(`what_if`), under the name of what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.evidence.what_if import ACCORDANT, OPTIONS, TOGETHER, Floats

Move = Callable[[pd.DataFrame, Floats], Floats]
MEANING: Final = (
    "how often people with such inputs had the outcome on the day they were seen; not what would become of a person "
    "who changes"
)


def changed(people: pd.DataFrame, answers: pd.DataFrame, option: str) -> pd.DataFrame:
    """Return people with the inputs that an option would change moved by its dose.

    Parameters
    ----------
    people
        Features, a row for each person; only columns that are there are moved, and nothing that would have to be
        guessed, such as the waist that goes with less weight.
    answers
        What `what_if` said of them: the doses; whose dose is missing is left as is.
    option
        One of `OPTIONS`, or `TOGETHER` for all that have a published relative risk.

    Examples
    --------
    >>> people = pd.DataFrame({"magnesium_food_mg": [200.0]})
    >>> dose = pd.DataFrame({"what_if_magnesium_food_dose": [110.0]})
    >>> changed(people, dose, "magnesium_food")["magnesium_food_mg"].tolist()
    [310.0]
    """
    # A supplement is another way to the same allowance: both together would go beyond it.
    names = [name for name, row in OPTIONS.items() if row.study] if option == TOGETHER else [option]
    moved = people.copy()
    for name in names:
        dose = np.nan_to_num(answers[f"what_if_{name}_dose"].to_numpy(dtype=np.float64))
        for column, after in _MOVES[name].items():
            if column in moved:
                moved[column] = after(people, dose)
    return moved


def _all_plus(*columns: str, times: float = 1.0) -> dict[str, Move]:
    def move(column: str) -> Move:
        return lambda people, dose: _numbers(people, column) + times * dose

    return {column: move(column) for column in columns}


def _numbers(people: pd.DataFrame, column: str) -> Floats:
    found: Floats = people[column].to_numpy(dtype=np.float64)
    return found


def _bmi(people: pd.DataFrame, dose: Floats) -> Floats:
    bmi = _numbers(people, "bmi_kg_m2")
    if "weight_kg" not in people:
        return bmi
    weight = _numbers(people, "weight_kg")
    return bmi * (weight - dose) / weight


def _dash(people: pd.DataFrame, dose: Floats) -> Floats:
    score = _numbers(people, "dash_score")
    return np.where(dose > 0, np.maximum(score, ACCORDANT), score)


_MOVES: Final[Mapping[str, Mapping[str, Move]]] = MappingProxyType(
    {
        "magnesium_food": _all_plus("magnesium_food_mg", "usual_magnesium_mg", "magnesium_total_mg"),
        "magnesium_supplement": _all_plus("magnesium_supplement_mg", "magnesium_total_mg"),
        "activity": _all_plus("leisure_met_min_week", "activity_met_min_week", times=60.0),
        "weight": {**_all_plus("weight_kg", times=-1.0), "bmi_kg_m2": _bmi},
        "diet": {"dash_score": _dash},
    }
)
