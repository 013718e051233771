"""Changed inputs: moved by the dose where they are there, left where the dose is not known, nothing else touched."""

from __future__ import annotations

import pandas as pd

from mgrisk.evidence.response import changed
from mgrisk.evidence.what_if import OPTIONS, TOGETHER, what_if

PEOPLE = pd.DataFrame(
    {
        "age_years": [52.0, 40.0],
        "sex": ["male", "female"],
        "weight_kg": [96.0, 60.0],
        "bmi_kg_m2": [32.0, None],
        "magnesium_food_mg": [290.0, 400.0],
        "magnesium_supplement_mg": [0.0, 0.0],
        "magnesium_total_mg": [290.0, 400.0],
        "leisure_met_min_week": [0.0, 900.0],
        "dash_score": [2.0, 6.0],
        "egfr": [90.0, 90.0],
    }
)
ANSWERS = what_if(PEOPLE, [0.2, 0.05])


def test_each_option_moves_its_inputs_by_its_dose_and_no_others() -> None:
    moved = {name: changed(PEOPLE, ANSWERS, name) for name in OPTIONS}
    differing = {name: [c for c in PEOPLE if not frame[c].equals(PEOPLE[c])] for name, frame in moved.items()}
    assert differing == {
        "magnesium_food": ["magnesium_food_mg", "magnesium_total_mg"],
        "magnesium_supplement": ["magnesium_supplement_mg", "magnesium_total_mg"],
        "activity": ["leisure_met_min_week"],
        "weight": ["weight_kg", "bmi_kg_m2"],
        "diet": ["dash_score"],
    }
    assert moved["magnesium_food"]["magnesium_total_mg"].tolist() == [420.0, 400.0]
    assert moved["activity"]["leisure_met_min_week"].tolist() == [675.0, 900.0]
    assert moved["weight"]["bmi_kg_m2"].round(6).tolist()[0] == 30.4
    # Of the second person the body mass index is not known, so that there is no dose.
    assert moved["weight"]["weight_kg"].round(6).tolist() == [91.2, 60.0]
    assert moved["diet"]["dash_score"].tolist() == [4.5, 6.0]


def test_together_leaves_the_supplement_out() -> None:
    moved = changed(PEOPLE, ANSWERS, TOGETHER)
    assert moved["magnesium_supplement_mg"].tolist() == [0.0, 0.0]
    assert moved["magnesium_total_mg"].tolist() == [420.0, 400.0]
    assert moved["dash_score"].tolist() == [4.5, 6.0]
