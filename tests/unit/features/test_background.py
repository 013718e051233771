"""Background features from answer codes: what each code means, and what no answer means."""

from __future__ import annotations

import pandas as pd
import pytest

from mgrisk.features import background

NAN = float("nan")


def answers(values: pd.Series) -> list[object]:
    return [None if pd.isna(value) else value for value in values]


@pytest.mark.parametrize("name", ["age_years:RIDAGEYR", "income_poverty_ratio:INDFMPIR", "sleep_hours:SLD012"])
def test_a_measured_number_is_taken_as_it_is(name: str) -> None:
    feature, variable = name.split(":")
    values = getattr(background, feature)(pd.DataFrame({variable: [0.0, 4.5, NAN]}))
    assert answers(values) == [0.0, 4.5, None]


def test_one_is_male_and_two_is_female() -> None:
    assert answers(background.sex(pd.DataFrame({"RIAGENDR": [1.0, 2.0, NAN]}))) == ["male", "female", None]


@pytest.mark.parametrize("name", ["family_history_diabetes:MCQ300C", "hypertension_told:BPQ020"])
def test_who_was_not_asked_or_did_not_say_is_missing_and_not_no(name: str) -> None:
    feature, variable = name.split(":")
    values = getattr(background, feature)(pd.DataFrame({variable: [1.0, 2.0, NAN]}))
    assert answers(values) == ["yes", "no", None]


def test_asian_people_are_told_apart_where_the_cycle_can_and_missing_where_it_cannot() -> None:
    raw = pd.DataFrame(
        {"RIDRETH1": [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 3.0], "RIDRETH3": [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, NAN, NAN]}
    )
    assert answers(background.race_ethnicity(raw)) == [
        "mexican_american", "other_hispanic", "white", "black", "asian", "other", None, "white",
    ]  # fmt: skip


def test_smoking_is_never_below_a_hundred_cigarettes_and_missing_where_the_second_answer_is() -> None:
    raw = pd.DataFrame({"SMQ020": [1.0, 1.0, 1.0, 1.0, 2.0, NAN, NAN], "SMQ040": [1.0, 2.0, 3.0, NAN, NAN, NAN, 1.0]})
    assert answers(background.smoking(raw)) == ["current", "current", "former", None, "never", None, None]


def test_borderline_in_pregnancy_is_not_diabetes_and_who_was_not_asked_has_not_had_it() -> None:
    raw = pd.DataFrame({"RHQ162": [1.0, 2.0, 3.0, NAN, NAN], "RIAGENDR": [2.0, 2.0, 2.0, 2.0, 1.0]})
    assert answers(background.gestational_diabetes(raw)) == ["yes", "no", "no", "no", "no"]


def test_ages_above_the_top_code_of_today_are_80_as_they_would_be_today() -> None:
    """NHANES 1999-2006 coded everyone older as 85, later cycles as 80."""
    raw = pd.DataFrame({"RIDAGEYR": [0.0, 79.0, 80.0, 85.0]})
    assert background.age_years(raw).tolist() == [0.0, 79.0, 80.0, 80.0]
