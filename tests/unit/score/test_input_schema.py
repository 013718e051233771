"""Codes of rows: their order and counts.

The input schema: valid and invalid cells, independent of other rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import FEATURES, Feature, features, with_ancestors
from mgrisk.score.cells import EMPTY_CELLS
from mgrisk.score.csv.decimals import BAD, EMPTY, GOOD, OUTSIDE
from mgrisk.score.input_schema import (
    RESULTS,
    Codes,
    check,
    check_columns,
    reason_columns,
    schema,
)

INPUTS = features(["age_years", "sex", "bmi_kg_m2"])
CODES = Codes(INPUTS)


def test_codes_stand_in_the_order_of_the_contract_and_an_optional_input_that_is_absent_is_no_problem() -> None:
    state = np.array([[GOOD, OUTSIDE, EMPTY, GOOD], [GOOD, BAD, GOOD, GOOD], [EMPTY, BAD, EMPTY, GOOD]], dtype=np.uint8)
    problems = CODES.join(state, {3: 7})
    assert problems.texts().tolist() == [
        "",
        "out_of_range:age_years;unknown_level:sex;not_a_number:bmi_kg_m2",
        "missing:age_years",
        "wrong_field_count:7",
    ]
    assert problems.counts == {
        "out_of_range:age_years": 1,
        "unknown_level:sex": 1,
        "not_a_number:bmi_kg_m2": 1,
        "missing:age_years": 1,
        "wrong_field_count:7": 1,
    }


def test_no_rows_have_no_problems() -> None:
    problems = CODES.join(np.empty((3, 0), dtype=np.uint8), {})
    assert problems.texts().tolist() == []


INPUTS_CONTRACT = with_ancestors(features(["age_years", "sex", "smoking", "bmi_kg_m2", "magnesium_total_mg"]))


def verdicts(**columns: list[object]) -> list[str]:
    """Problems of people with the given columns; age and sex are filled in where they are not given."""
    n = len(next(iter(columns.values())))
    people = pd.DataFrame({"age_years": ["50"] * n, "sex": ["male"] * n} | columns, dtype=object)
    return [str(codes) for codes in check(people, INPUTS_CONTRACT).problems]


def test_text_numbers_and_numbers_mean_the_same() -> None:
    as_text = check(pd.DataFrame({"age_years": ["50", " 61.5 "], "sex": ["male", "female"]}), INPUTS_CONTRACT)
    as_numbers = check(pd.DataFrame({"age_years": [50, 61.5], "sex": ["male", "female"]}), INPUTS_CONTRACT)
    pd.testing.assert_frame_equal(as_text.values, as_numbers.values)
    assert not as_text.rejected.any()


@pytest.mark.parametrize("cell", ["abc", "1,5", "inf", "-Infinity", "12 kg", "0x1F", "--3"])
def test_what_is_no_finite_number_rejects_the_row(cell: str) -> None:
    assert verdicts(bmi_kg_m2=[cell, "25"]) == ["not_a_number:bmi_kg_m2", ""]


@pytest.mark.parametrize(
    ("cell", "code"), [("9.99", "out_of_range:bmi_kg_m2"), ("10", ""), ("150", ""), ("150.1", "out_of_range:bmi_kg_m2")]
)
def test_the_range_is_closed(cell: str, code: str) -> None:
    assert verdicts(bmi_kg_m2=[cell]) == [code]


@pytest.mark.parametrize("cell", sorted(EMPTY_CELLS))
def test_an_empty_cell_is_missing_and_no_problem_of_the_contract(cell: str) -> None:
    people = pd.DataFrame({"age_years": ["50"], "sex": ["male"], "bmi_kg_m2": [cell], "smoking": [cell]})
    checked = check(people, INPUTS_CONTRACT)
    assert checked.problems.tolist() == [""]
    assert checked.values[["bmi_kg_m2", "smoking"]].isna().all(axis=None)


def test_a_level_is_read_whatever_its_case_and_spaces() -> None:
    people = pd.DataFrame({"age_years": ["50"] * 2, "sex": [" Male ", "FEMALE"], "smoking": ["Former", "never "]})
    assert check(people, INPUTS_CONTRACT).values["smoking"].tolist() == ["former", "never"]


@pytest.mark.parametrize("kind", ["bool", "boolean", object, "string", "category"])
def test_booleans_of_a_frame_are_yes_and_no(kind: str) -> None:
    told = pd.Series([True, False], dtype="bool").astype(kind)
    people = pd.DataFrame({"age_years": [50, 50], "hypertension_told": told})
    checked = check(people, features(["age_years", "hypertension_told"]))
    assert checked.values["hypertension_told"].tolist() == ["yes", "no"]


def test_several_problems_of_a_row_are_all_named() -> None:
    people = pd.DataFrame({"age_years": ["430"], "sex": ["x"], "bmi_kg_m2": ["y"]})
    assert check(people, INPUTS_CONTRACT).problems.tolist() == [
        "out_of_range:age_years;unknown_level:sex;not_a_number:bmi_kg_m2"
    ]


def test_a_required_value_that_is_missing_rejects_the_row() -> None:
    checked = check(pd.DataFrame({"age_years": ["", "50"], "sex": ["male", None]}), INPUTS_CONTRACT)
    assert checked.rejected.tolist() == [True, True]
    assert checked.problems.tolist() == ["missing:age_years", "missing:sex"]


@given(st.lists(st.text(max_size=8), min_size=1, max_size=20))
def test_a_verdict_does_not_depend_on_the_other_rows(cells: list[str]) -> None:
    together = verdicts(bmi_kg_m2=list(cells), smoking=list(cells))
    assert together == [verdicts(bmi_kg_m2=[cell], smoking=[cell])[0] for cell in cells]


@given(st.lists(st.text(max_size=8), min_size=1, max_size=20))
def test_what_is_not_rejected_is_missing_or_within_the_contract(cells: list[str]) -> None:
    people = pd.DataFrame({"age_years": ["50"] * len(cells), "sex": ["male"] * len(cells), "bmi_kg_m2": cells})
    checked = check(people, INPUTS_CONTRACT)
    kept = checked.values.loc[~checked.rejected, "bmi_kg_m2"]
    assert (kept.isna() | kept.between(10, 150)).all()
    assert checked.values.loc[checked.rejected, "bmi_kg_m2"].isna().all()


def test_missing_required_column_duplicates_and_taken_names_refuse_the_file() -> None:
    for columns, code in [
        (["sex"], "input.missing_column"),
        (["age_years", "sex", "age_years"], "input.duplicate_column"),
        (["age_years", "sex", "risk"], "input.column_taken"),
        (["age_years", "sex", "reason_2_effect"], "input.column_taken"),
    ]:
        with pytest.raises(MgRiskError) as caught:
            check_columns(columns, INPUTS_CONTRACT, where="people.csv", added=[*RESULTS, *reason_columns(3)])
        assert caught.value.code == code
        assert int(caught.value.status) == 3
    check_columns(
        ["age_years", "sex", "reason_2_effect", "note"],
        INPUTS_CONTRACT,
        where="people.csv",
        added=[*RESULTS, *reason_columns(1)],
    )


def test_a_refused_file_is_told_which_column_may_be_the_missing_one() -> None:
    with pytest.raises(MgRiskError) as caught:
        check_columns(["Age", "sex"], INPUTS_CONTRACT, where="people.csv")
    assert caught.value.hint.startswith("rename Age if it is meant, or add age_years (years)")
    with pytest.raises(MgRiskError) as caught:
        check_columns(["sex"], INPUTS_CONTRACT, where="people.csv")
    assert caught.value.hint.startswith("add age_years (years)")


def test_schema_says_unit_range_and_levels_as_the_registry_does() -> None:
    rows = {row["name"]: row for row in schema(INPUTS_CONTRACT)}
    assert rows["bmi_kg_m2"]["unit"] == FEATURES["bmi_kg_m2"].unit
    assert (rows["age_years"]["minimum"], rows["age_years"]["maximum"]) == (20, 120)
    assert rows["sex"]["levels"] == ["female", "male"]
    # What a feature derives from may be given in its place.
    assert {"height_cm", "weight_kg", "magnesium_food_mg", "magnesium_supplement_mg"} <= set(rows)


def test_reason_columns_come_in_threes() -> None:
    assert reason_columns(1) == ["reason_1", "reason_1_value", "reason_1_effect"]
    assert len(reason_columns(5)) == 15


def test_every_feature_of_the_registry_can_stand_in_a_contract() -> None:
    everything: tuple[Feature, ...] = with_ancestors(FEATURES.values())
    checked = check(pd.DataFrame({"age_years": ["50"], "sex": ["male"]}), everything)
    assert not checked.rejected.any()
    assert list(checked.values.columns) == [feature.name for feature in everything]


def test_a_first_line_of_values_is_not_taken_for_names() -> None:
    for line in (["Jane Doe", "50", "female"], ["1950-02-03", "male"], ["7", "7"]):
        with pytest.raises(MgRiskError) as caught:
            check_columns(line, INPUTS, where="people.csv")
        assert caught.value.code == "input.no_header"
        assert not any(cell in str(caught.value) for cell in line)
    # A heading that begins with a digit is one beside the names of inputs.
    check_columns(["2h_glucose", "age_years", "sex"], INPUTS, where="people.csv")
