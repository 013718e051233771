"""Names and units in a header are used, converted if known, and refused if ambiguous."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import FEATURES, features
from mgrisk.score.column_names import Given, check_names, given_columns, unused_columns
from mgrisk.score.input_schema import check

INPUTS_UNITS = features(
    [
        "age_years", "height_cm", "weight_kg", "bmi_kg_m2", "magnesium_food_mg", "energy_kcal", "sleep_hours",
        "pulse_bpm", "upper_leg_length_cm",
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("column", "feature", "value", "expected"),
    [
        ("height_in", "height_cm", "70", 177.8),
        ("height_m", "height_cm", "1.78", 178.0),
        ("weight_lb", "weight_kg", "100", 45.359237),
        ("magnesium_food_g", "magnesium_food_mg", "0.3", 300.0),
        ("energy_kj", "energy_kcal", "8368", 2000.0),
        ("sleep_min", "sleep_hours", "450", 7.5),
        ("bmi", "bmi_kg_m2", "25", 25.0),
        ("heart_rate_bpm", "pulse_bpm", "64", 64.0),
        ("upper_leg_length_in", "upper_leg_length_cm", "16", 40.64),
    ],
)
def test_declared_units_and_synonyms_are_converted(column: str, feature: str, value: str, expected: float) -> None:
    for cell in (value, float(value)):
        checked = check(pd.DataFrame({"age_years": ["50"], column: [cell]}), INPUTS_UNITS)
        assert checked.values[feature].tolist() == pytest.approx([expected])
        assert checked.problems.tolist() == [""]


def test_the_range_is_that_of_the_feature_and_not_of_the_column() -> None:
    checked = check(pd.DataFrame({"age_years": ["50"], "height_in": ["178"]}), INPUTS_UNITS)
    assert checked.problems.tolist() == ["out_of_range:height_cm"]


@pytest.mark.parametrize(("name", "value"), [("pulse_bpm", "0"), ("pulse_bpm", "999"), ("upper_leg_length_cm", "16")])
def test_no_pulse_and_a_leg_in_inches_are_out_of_range(name: str, value: str) -> None:
    checked = check(pd.DataFrame({"age_years": ["50"], name: [value]}), INPUTS_UNITS)
    assert checked.problems.tolist() == [f"out_of_range:{name}"]


@pytest.mark.parametrize(
    "column", ["height_yd", "weight_oz", "age_months", "magnesium_food_mmol", "energy_mj", "pulse_min"]
)
def test_a_unit_that_nobody_declared_is_refused(column: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        check_names([column], INPUTS_UNITS, where="people.csv")
    assert caught.value.code == "input.unknown_unit"
    assert column in caught.value.what()


def test_two_columns_for_one_feature_are_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        check_names(["height_cm", "height_in"], INPUTS_UNITS, where="people.csv")
    assert caught.value.code == "input.duplicate_column"


def test_other_columns_pass() -> None:
    check_names(["note", "sleep_quality", "heights", "visit_date", "weight_kg"], INPUTS_UNITS, where="people.csv")


def test_every_name_of_the_registry_means_itself_alone() -> None:
    everything = tuple(FEATURES.values())
    assert given_columns(list(FEATURES), everything) == {name: Given(name) for name in FEATURES}
    check_names(list(FEATURES), everything, where="the registry")


@pytest.mark.parametrize(
    ("column", "way"),
    [
        ("Weight_kg", Given("Weight_kg")),
        ("WEIGHT_KG", Given("WEIGHT_KG")),
        (" weight kg ", Given(" weight kg ")),
        ("Weight\u00a0kg", Given("Weight\u00a0kg")),
        ("weight_LB", Given("weight_LB", 0.45359237)),
        ("weight_pound", Given("weight_pound", 0.45359237)),
        ("Weight kilograms", Given("Weight kilograms")),
    ],
)
def test_case_and_blanks_of_a_name_do_not_count(column: str, way: Given) -> None:
    check_names([column], INPUTS_UNITS, where="people.csv")
    assert given_columns([column], INPUTS_UNITS) == {"weight_kg": way}
    assert unused_columns([column], INPUTS_UNITS) == {}


@given(st.sampled_from(sorted(FEATURES)), st.randoms(use_true_random=False))
def test_every_input_is_found_by_its_name_in_any_case(name: str, random: object) -> None:
    typed = "".join(random.choice([sign.upper(), sign]) for sign in name)  # type: ignore[attr-defined]
    assert given_columns([f" {typed} "], features([name])) == {name: Given(f" {typed} ")}


@pytest.mark.parametrize("columns", [["weight_kg", "Weight_kg"], ["BMI", "bmi_kg_m2"], ["bmi ", "bmi"]])
def test_two_columns_that_differ_by_case_or_blanks_are_refused(columns: list[str]) -> None:
    with pytest.raises(MgRiskError) as caught:
        check_names(columns, INPUTS_UNITS, where="people.csv")
    assert caught.value.code == "input.duplicate_column"


UNCLEAR = [
    ("weight (kg)", "weight_kg"),
    ("weight.kg", "weight_kg"),
    ("WeightKg", "weight_kg"),
    ("weight (lbs)", "weight_kg"),
    ("BMI (kg/m2)", "bmi_kg_m2"),
    ("Body mass index (kg/m2)", "bmi_kg_m2"),
    ("Age (years)", "age_years"),
    ("RIDAGEYR", "age_years"),
    ("bmxbmi", "bmi_kg_m2"),
    ("BMXWT", "weight_kg"),
]


@pytest.mark.parametrize(("column", "meant"), UNCLEAR)
def test_an_input_under_another_name_is_refused_with_its_name(column: str, meant: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        check_names([column], INPUTS_UNITS, where="people.csv")
    assert caught.value.code == "input.unclear_name"
    assert caught.value.hint.startswith(f"rename it to {meant} if it is that (")


@pytest.mark.parametrize(("column", "meant"), UNCLEAR)
def test_it_is_not_refused_where_another_column_gives_the_input(column: str, meant: str) -> None:
    check_names([column, meant], INPUTS_UNITS, where="people.csv")
    assert set(unused_columns([column, meant], INPUTS_UNITS)) == {column}


@pytest.mark.parametrize("column", ["Weight (oz)", "Height (yd)", "Age (months)", "Energy intake (MJ)"])
def test_a_label_with_a_unit_that_nobody_declared_is_refused(column: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        check_names([column], INPUTS_UNITS, where="people.csv")
    assert caught.value.code == "input.unknown_unit"


def test_a_category_in_other_signs_is_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        check_names(["Race/ethnicity"], features(["race_ethnicity"]), where="people.csv")
    assert caught.value.hint.startswith("rename it to race_ethnicity if it is that (mexican_american or ")


def test_a_name_of_the_registry_is_never_taken_for_another_input() -> None:
    check_names(["weight_greatest_kg", "magnesium_total_mg"], features(["weight_kg", "magnesium_food_mg"]), where="x")


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        ("WAIST", "waist_cm"),
        ("Waist circumference", "waist_cm"),
        ("waist_baseline", "waist_cm"),
        ("BMXWAIST", "waist_cm"),
        ("BPXSY1", "systolic_mmhg"),
        ("SBP", "systolic_mmhg"),
        ("systolic", "systolic_mmhg"),
        ("Body mass index", "bmi_kg_m2"),
        ("race", "race_ethnicity"),
        ("race_etnicity", "race_ethnicity"),
        ("visit", ""),
        ("hba1c", ""),
        ("--", ""),
    ],
)
def test_a_column_that_gives_nothing_is_told_with_what_it_may_have_meant(column: str, meant: str) -> None:
    inputs = features(["age_years", "bmi_kg_m2", "waist_cm", "systolic_mmhg", "race_ethnicity"])
    assert unused_columns(["age_years", column], inputs) == {column: meant}


def test_what_a_column_gives_no_other_was_meant_for() -> None:
    inputs = features(["age_years", "bmi_kg_m2", "waist_cm"])
    found = unused_columns(["age_years", "bmi", "waist_in", "Body mass index", "Waist"], inputs)
    assert found == {"Body mass index": "", "Waist": ""}
