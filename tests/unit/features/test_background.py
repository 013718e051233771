"""Background features from answer codes, including codes for no answer."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.features import background
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, features
from mgrisk.features.summary import gather
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

NAN = float("nan")


def answers(values: pd.Series) -> list[object]:
    return [None if pd.isna(value) else value for value in values]


@pytest.mark.parametrize("name", ["age_years:RIDAGEYR", "income_poverty_ratio:INDFMPIR", "sleep_hours:SLD012"])
def test_a_measured_number_is_taken_as_it_is(name: str) -> None:
    feature, variable = name.split(":")
    raw = pd.DataFrame({variable: [0.0, 4.5, NAN], "cycle": "2017-2018"})
    values = from_nhanes(raw, features([feature]))[feature]
    assert answers(values) == [0.0, 4.5, None]


def test_one_is_male_and_two_is_female() -> None:
    assert answers(background.sex(pd.DataFrame({"RIAGENDR": [1.0, 2.0, NAN]}))) == ["male", "female", None]


def test_food_security_has_four_levels_from_none_affirmed_to_six_and_more() -> None:
    values = background.food_security(pd.DataFrame({"FSDAD": [1.0, 2.0, 3.0, 4.0, NAN]}))
    assert answers(values) == ["full", "marginal", "low", "very_low", None]


@pytest.mark.parametrize("name", ["hypertension_told:BPQ020", "born_in_us:DMDBORN4"])
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


def frame(name: str, rows: list[dict[str, float]]) -> pd.DataFrame:
    """Answers to the sources of a feature; those that are not given were not asked."""
    return pd.DataFrame(rows, columns=list(FEATURES[name].sources), dtype=float)


def test_a_close_relative_is_asked_directly_from_2005_on() -> None:
    raw = frame("family_history_diabetes", [{"MCQ300C": 1}, {"MCQ300C": 2}, {}])
    assert answers(background.family_history_diabetes(raw)) == ["yes", "no", None]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"MCQ250A": 2}, "no"),
        ({"MCQ250A": 1, "MCQ260AA": 1}, "yes"),
        ({"MCQ250A": 1, "MCQ260AB": 2, "MCQ260AC": 3}, "yes"),
        ({"MCQ250A": 1, "MCQ260AG": 7}, "yes"),
        ({"MCQ250A": 1, "MCQ260AH": 8}, "yes"),
        ({"MCQ250A": 1, "MCQ260AC": 3}, "no"),
        ({"MCQ250A": 1, "MCQ260AI": 9}, "no"),
        ({"MCQ250A": 1}, None),
        ({}, None),
    ],
)
def test_before_2005_the_relatives_named_decide_and_grandparents_are_not_close(
    told: dict[str, float], expected: str | None
) -> None:
    assert answers(background.family_history_diabetes(frame("family_history_diabetes", [told]))) == [expected]


def test_schools_finished_stand_in_order() -> None:
    raw = frame("education", [{"DMDEDUC2": code} for code in range(1, 6)])
    assert answers(background.education(raw)) == list(FEATURES["education"].levels)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"BPQ020": 2}, "no"),
        ({"BPQ020": 1, "BPQ040A": 2}, "no"),
        ({"BPQ020": 1, "BPQ040A": 1, "BPQ050A": 2}, "no"),
        ({"BPQ020": 1, "BPQ040A": 1, "BPQ050A": 1}, "yes"),
        ({"BPQ020": 1, "BPQ150": 1}, "yes"),
        ({"BPQ020": 1, "BPQ150": 2}, "no"),
        ({"BPQ020": 1, "BPQ040A": 1}, None),
        ({"BPQ020": 1}, None),
        ({}, None),
    ],
)
def test_medicine_for_pressure_is_asked_of_those_told_to_take_it(told: dict[str, float], expected: str | None) -> None:
    assert answers(background.blood_pressure_medicine(frame("blood_pressure_medicine", [told]))) == [expected]


MAN, WOMAN = {"RIAGENDR": 1.0}, {"RIAGENDR": 2.0}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (MAN, "no"),
        (WOMAN | {"RHQ131": 2}, "no"),
        (WOMAN | {"RHQ131": 1, "RHQ162": 1}, "yes"),
        (WOMAN | {"RHQ131": 1, "RHQ162": 2}, "no"),
        (WOMAN | {"RHQ131": 1, "RHQ162": 3}, "no"),
        (WOMAN | {"RHQ162": 1}, "yes"),
        (WOMAN | {"RHQ131": 2, "RHQ162": 1}, "yes"),
        (WOMAN | {"RHQ131": 1}, None),
        (WOMAN, None),
    ],
)
def test_borderline_in_pregnancy_is_not_diabetes_and_only_who_was_never_pregnant_is_no_without_an_answer(
    told: dict[str, float], expected: str | None
) -> None:
    assert answers(background.gestational_diabetes(frame("gestational_diabetes", [told]))) == [expected]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (MAN, "no"),
        (WOMAN | {"RHQ131": 2}, "no"),
        (WOMAN | {"RHQ131": 1, "RHQ162": 2, "RHQ172": 1, "RHQ171": 1}, "yes"),
        (WOMAN | {"RHQ131": 1, "RHQ162": 2, "RHQ172": 2, "RHQ171": 0}, "no"),
        (WOMAN | {"RHQ131": 1, "RHQ162": 2}, "no"),
        (WOMAN | {"RHQ131": 1, "RHQ162": 2, "RHQ171": 3}, None),
        (WOMAN | {"RHQ131": 1}, None),
        (WOMAN, None),
    ],
)
def test_a_large_baby_needs_a_delivery_and_a_refused_answer_is_missing(
    told: dict[str, float], expected: str | None
) -> None:
    assert answers(background.large_baby(frame("large_baby", [told]))) == [expected]


def test_ages_above_the_top_code_of_today_are_80_as_they_would_be_today() -> None:
    """NHANES 1999-2006 coded everyone older as 85, later cycles as 80."""
    raw = pd.DataFrame({"RIDAGEYR": [0.0, 79.0, 80.0, 85.0]})
    assert background.age_years(raw).tolist() == [0.0, 79.0, 80.0, 80.0]


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("name", "years", "counts"),
    [
        # CDC's codebook pages: RHQ162 = 1 of RHQ_H, RHQ172 = 1 of RHQ_E, DMDEDUC2 = 5 of DEMO_J, BPQ050A = 1 of BPQ_D.
        ("gestational_diabetes", "2013-2014", {"yes": 196}),
        ("large_baby", "2007-2008", {"yes": 369}),
        ("education", "2017-2018", {"college": 1336}),
        ("blood_pressure_medicine", "2005-2006", {"yes": 1160}),
        ("family_history_diabetes", "2009-2010", {"yes": 2348, "no": 3723}),
        ("born_in_us", "1999-2000", {"yes": 8069, "no": 1883}),
    ],
)
def test_answers_are_counted_as_cdc_counted_them(tmp_path: Path, name: str, years: str, counts: dict[str, int]) -> None:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    chosen = features([name])
    found = from_nhanes(gather(store, cycles=[cycle(years)], chosen=chosen).frame, chosen)[name].value_counts()
    assert {level: int(found[level]) for level in counts} == counts


@pytest.mark.nhanes
def test_close_relatives_of_1999_2000_are_less_than_any_relatives(tmp_path: Path) -> None:
    """CDC's codebook page of MCQ: 2,269 named any blood relative, 2,522 none; some of the first did not say which."""
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    chosen = features(["family_history_diabetes"])
    raw = gather(store, cycles=[cycle("1999-2000")], chosen=chosen).frame
    found = from_nhanes(raw, chosen)["family_history_diabetes"]
    any_relative = raw["MCQ250A"] == 1
    assert (int(any_relative.sum()), int((raw["MCQ250A"] == 2).sum())) == (2269, 2522)
    assert (found[raw["MCQ250A"] == 2] == "no").all()
    assert found[any_relative].isna().sum() <= 4
    assert (found == "yes").sum() < any_relative.sum()
