"""Rows with contradictory values are rejected, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk import load_model
from mgrisk.features.registry import FEATURES, features
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.contradictions import DERIVED, RULES, STATES, mark_contradictions
from mgrisk.score.csv.decimals import ALL_DIGITS
from mgrisk.score.eligibility import Exclusion, mark_excluded
from mgrisk.score.input_schema import check

INPUTS = features(
    [
        *("age_years", "sex", "gestational_diabetes", "large_baby", "systolic_mmhg", "diastolic_mmhg", "pregnant"),
        *("hypertension_told", "blood_pressure_medicine", "height_cm", "weight_kg", "weight_greatest_kg", "bmi_kg_m2"),
        *("activity_met_min_week", "leisure_met_min_week"),
        *("magnesium_food_mg", "magnesium_supplement_mg", "magnesium_total_mg"),
    ]
)
BODY = {"height_cm": 175, "weight_kg": 80}
MAGNESIUM = {"magnesium_food_mg": 200, "magnesium_supplement_mg": 100}


def problems(**values: object) -> str:
    people = pd.DataFrame([{"age_years": 50, "sex": "female", **values}])
    return str(mark_contradictions(check(people, INPUTS)).problems[0])


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ({"sex": "male", "gestational_diabetes": "yes"}, "contradiction:gestational_diabetes"),
        ({"sex": "male", "gestational_diabetes": "no", "large_baby": "yes"}, "contradiction:large_baby"),
        ({"sex": "female", "gestational_diabetes": "yes", "large_baby": "yes"}, ""),
        ({"sex": "", "large_baby": "yes"}, "missing:sex"),
        ({"systolic_mmhg": 80, "diastolic_mmhg": 120}, "contradiction:diastolic_mmhg"),
        ({"systolic_mmhg": 80, "diastolic_mmhg": 80}, "contradiction:diastolic_mmhg"),
        ({"systolic_mmhg": 80.5, "diastolic_mmhg": 80}, ""),
        ({"diastolic_mmhg": 120}, ""),
        ({"systolic_mmhg": 900, "diastolic_mmhg": 120}, "out_of_range:systolic_mmhg"),
        ({"hypertension_told": "no", "blood_pressure_medicine": "yes"}, "improbable:blood_pressure_medicine"),
        ({"hypertension_told": "yes", "blood_pressure_medicine": "yes"}, ""),
        ({"blood_pressure_medicine": "yes"}, ""),
        ({"weight_kg": 100, "weight_greatest_kg": 84.9}, "improbable:weight_greatest_kg"),
        ({"weight_kg": 100, "weight_greatest_kg": 85}, ""),
        ({"activity_met_min_week": 1000, "leisure_met_min_week": 1011}, "improbable:leisure_met_min_week"),
        ({"activity_met_min_week": 1000, "leisure_met_min_week": 1010}, ""),
        ({**BODY, "bmi_kg_m2": 33}, "improbable:bmi_kg_m2"),
        ({**BODY, "bmi_kg_m2": 26}, ""),
        ({"height_cm": 175, "bmi_kg_m2": 33}, ""),
        ({**BODY, "bmi_kg_m2": 900}, "out_of_range:bmi_kg_m2"),
        ({**MAGNESIUM, "magnesium_total_mg": 200}, "improbable:magnesium_total_mg"),
        ({**MAGNESIUM, "magnesium_total_mg": 310}, ""),
        (
            {"sex": "male", "large_baby": "yes", **BODY, "bmi_kg_m2": 9},
            "contradiction:large_baby;out_of_range:bmi_kg_m2",
        ),
    ],
)
def test_what_cannot_be_is_named_and_what_is_not_known_is_not(values: dict[str, object], codes: str) -> None:
    assert problems(**values) == codes


def test_a_rejected_row_has_no_risk_in_file_and_frame_alike() -> None:
    people = pd.DataFrame({"age_years": 50, "sex": ["male", "female"], "gestational_diabetes": "yes"})
    found = load_model("undiagnosed").score(people, reasons=0)
    assert found["status"].tolist() == ["rejected", "scored"]
    assert found["risk"].notna().tolist() == [False, True]


def score(**values: object) -> pd.Series:
    people = pd.DataFrame([{"age_years": 50, "sex": "male", **values}])
    found: pd.Series = load_model("undiagnosed").score(people, reasons=0).iloc[0]
    return found


def test_what_is_worked_out_holds_where_another_is_given() -> None:
    worked_out, other, rounded = score(**BODY), score(**BODY, bmi_kg_m2=33), score(**BODY, bmi_kg_m2=26)
    assert (other["status"], other["problems"]) == ("scored", "improbable:bmi_kg_m2")
    assert other["risk"] == worked_out["risk"] < score(bmi_kg_m2=33)["risk"]
    # Within what rounding does, a number is taken as it is given.
    assert rounded["risk"] != worked_out["risk"]
    assert rounded["problems"] == ""


def test_an_improbable_row_has_a_risk_and_is_told() -> None:
    found = score(hypertension_told="no", blood_pressure_medicine="yes")
    assert (found["status"], found["problems"]) == ("scored", "improbable:blood_pressure_medicine")
    assert found["risk"] > 0


def test_a_row_out_of_distribution_says_by_what() -> None:
    inside, tall = score(height_cm=175), score(height_cm=225)
    assert (inside["in_domain"], inside["problems"]) == ("yes", "")
    assert (tall["in_domain"], tall["problems"]) == ("no", "outside:height_cm")
    # What is derived is named too.
    assert score(height_cm=150, weight_kg=180)["problems"].split(";")[:1] == ["outside:bmi_kg_m2"]
    assert score(height_cm=225, smoking="x")["problems"] == "unknown_level:smoking"


def test_who_is_not_eligible_need_not_be_mended() -> None:
    people = pd.DataFrame([{"age_years": 50, "sex": "male", "large_baby": "yes", "pregnant": "yes"}])
    excluded = [Exclusion(FEATURES["pregnant"], "pregnant", level="yes")]
    checked = mark_excluded(mark_contradictions(check(people, INPUTS)), excluded)
    assert checked.problems.tolist() == ["not_eligible:pregnant"]
    assert not np.any(checked.rejected)


def test_every_rule_is_of_inputs_and_levels_of_the_registry() -> None:
    for rule in RULES:
        (key,) = rule.keys() & {"other", "below", "most", "least"}
        assert {rule["column"], rule[key]} <= FEATURES.keys()
        if key == "other":
            assert rule["level"] in FEATURES[rule["column"]].levels
            assert rule["other_level"] in FEATURES[rule["other"]].levels
    for rule in (*RULES, DERIVED):
        assert rule["code"] in STATES
        assert rule["why"]
        assert rule["source"]


def test_files_and_frames_say_the_same_of_the_same_people(tmp_path: Path) -> None:
    people = pd.DataFrame(
        {
            "age_years": [50, 60, 40, 30],
            "sex": ["male", "female", "male", "female"],
            "height_cm": [175.0, 160.0, 225.0, np.nan],
            "weight_kg": [80.0, 60.0, 90.0, 60.0],
            "bmi_kg_m2": [33.0, 23.4, 50.0, 21.0],
            "large_baby": ["no", "yes", "yes", "no"],
        }
    )
    people.to_csv(tmp_path / "people.csv", index=False)
    people.to_parquet(tmp_path / "people.parquet")
    scorer = load_model("undiagnosed")
    options = BatchOptions(reasons=3, digits=ALL_DIGITS)
    for name in ("people.csv", "people.parquet"):
        for out in ("out.csv", "out.parquet"):
            summary = score_table(scorer, str(tmp_path / name), str(tmp_path / out), options)
            assert summary.to_dict()["improbable_by"] == {"improbable:bmi_kg_m2": 2}
    scored = scorer.score(people)
    codes = ["improbable:bmi_kg_m2", "", "contradiction:large_baby;improbable:bmi_kg_m2", ""]
    assert scored["problems"].tolist() == codes
    written = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(written, scored, check_dtype=False)
    text = pd.read_csv(tmp_path / "out.csv", keep_default_na=False, dtype=str)
    assert text["problems"].tolist() == scored["problems"].tolist()
    assert text["risk"].tolist() == ["" if np.isnan(risk) else repr(risk) for risk in scored["risk"]]
