"""Items of scores: bounds, categories, units, conditions, and missing answers.

Published scores against golden vectors, hand-computed values at their bounds, and printed charts.

Golden values: tests/golden/riskscores.json, with the source of each. The ADA test: CDC/ADA, "how your test is scored"
(cdc.gov/diabetes/widgets/risktest) and the height and weight chart of the test as printed (column 5'10":
174-208 lb 1 point, 209-277 lb 2 points, from 278 lb on 3 points).

Recalibration of published scores: the numbers of R survey, its defining equations, and cross-fitting.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.special import logit

from mgrisk.cohort.outcomes import OUTCOMES, outcome
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.compute import typed
from mgrisk.features.registry import features
from mgrisk.riskscores.scores import (
    KNOWN,
    Condition,
    Item,
    Method,
    Recalibration,
    RiskScore,
    Scored,
    cross_fitted,
    load_score,
    recalibrate,
)
from mgrisk.survey.design import SurveyDesign, WeightLevel


def people(**answers: list[Any]) -> pd.DataFrame:
    return typed(pd.DataFrame(answers), features(answers))


def gained(item: Item, **answers: list[Any]) -> list[float]:
    return item.gained(people(**answers)).tolist()


def unanswered(item: Item, **answers: list[Any]) -> list[bool]:
    return item.unanswered(people(**answers)).tolist()


def test_the_highest_bound_passed_counts_from_it_on_or_above_it() -> None:
    item = Item(feature="bmi_kg_m2", bands=((25, 1),), above=((30, 3),))
    assert gained(item, bmi_kg_m2=[24.9, 25.0, 30.0, 30.1, 50.0, None]) == [0, 1, 1, 3, 3, 0]
    assert unanswered(item, bmi_kg_m2=[25.0, None]) == [False, True]


def test_a_band_may_take_back_what_the_one_before_gave() -> None:
    item = Item(feature="activity_met_min_week", bands=((0, 2), (600, 0)))
    assert gained(item, activity_met_min_week=[0.0, 599.0, 600.0, None]) == [2, 2, 0, 0]


def test_a_category_gains_what_is_said_and_others_nothing() -> None:
    item = Item(feature="smoking", levels={"former": -0.218, "current": 0.855})
    assert gained(item, smoking=["never", "former", "current", None]) == [0, -0.218, 0.855, 0]
    assert unanswered(item, smoking=["never", None]) == [False, True]


def test_a_number_gains_by_its_units() -> None:
    item = Item(feature="age_years", per_unit=0.063)
    assert gained(item, age_years=[50.0, None]) == [pytest.approx(3.15), 0]


def test_an_item_counts_only_for_those_it_is_for() -> None:
    item = Item(feature="waist_cm", bands=((94, 3),), when=(Condition(feature="sex", level="male"),))
    assert gained(item, waist_cm=[95.0, 95.0, None], sex=["male", "female", "male"]) == [3, 0, 0]
    assert unanswered(item, waist_cm=[None, None], sex=["male", "female"]) == [True, False]


def test_all_conditions_or_any_of_them() -> None:
    at_risk = (Condition(feature="age_years", at_least=35), Condition(feature="age_years", below=71))
    both = Item(all=at_risk, worth=1)
    assert gained(both, age_years=[34.0, 35.0, 70.9, 71.0]) == [0, 1, 1, 0]
    either = Item(
        any=(Condition(feature="systolic_mmhg", above=130), Condition(feature="hypertension_told", level="yes")),
        worth=2,
    )
    answers = {"systolic_mmhg": [130.0, 131.0, None, 120.0], "hypertension_told": ["no", None, "yes", "yes"]}
    assert gained(either, **answers) == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ("age", "bmi", "is_open"),
    [(50.0, None, True), (30.0, None, False), (None, 22.0, False), (50.0, 30.0, False), (50.0, 22.0, False)],
)
def test_an_answer_is_missed_only_where_it_could_have_decided(
    age: float | None, bmi: float | None, is_open: bool
) -> None:
    rule = Item(all=(Condition(feature="age_years", at_least=35), Condition(feature="bmi_kg_m2", at_least=25)), worth=1)
    assert unanswered(rule, age_years=[age], bmi_kg_m2=[bmi]) == [is_open]
    either = Item(any=(Condition(feature="age_years", below=35), Condition(feature="bmi_kg_m2", below=25)), worth=1)
    assert unanswered(either, age_years=[age], bmi_kg_m2=[bmi]) == [is_open]


def test_who_is_of_unknown_origin_is_not_of_the_one_that_is_named() -> None:
    item = Item(all=(Condition(feature="race_ethnicity", not_level="white"),), worth=6)
    assert gained(item, race_ethnicity=["white", "asian", None]) == [0, 6, 6]
    assert unanswered(item, race_ethnicity=["white", None]) == [False, False]


@pytest.mark.parametrize(
    "wrong",
    [
        {"feature": "sex"},
        {"feature": "sex", "levels": {"male": 1}, "per_unit": 1},
        {"levels": {"male": 1}},
        {"feature": "sex", "all": [{"feature": "sex", "level": "male"}]},
        {"all": [{"feature": "sex"}]},
        {"all": [{"feature": "age_years", "at_least": 1, "below": 2}]},
        {"feature": "sex", "levels": {"male": 1}, "points": 3},
    ],
)
def test_an_item_that_says_too_little_or_too_much_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Item.model_validate(wrong)


GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "riskscores.json").read_text("utf-8"))
SCORES = [load_score(name) for name in KNOWN]
ADA = load_score("ada")
NOBODY_AT_RISK: dict[str, object] = {
    "age_years": 30.0, "sex": "female", "gestational_diabetes": "no", "family_history_diabetes": "no",
    "hypertension_told": "no", "leisure_activity": "yes", "bmi_kg_m2": 22.0, "race_ethnicity": "white",
}  # fmt: skip
NOBODY_AT_ANY_RISK: dict[str, object] = NOBODY_AT_RISK | {
    "large_baby": "no", "waist_cm": 70.0, "activity_met_min_week": 3000.0, "blood_pressure_medicine": "no",
    "high_glucose_told": "no", "smoking": "never", "glucocorticoid_use": "no", "born_in_us": "yes",
    "systolic_mmhg": 110.0, "diastolic_mmhg": 70.0, "hdl_cholesterol_mg_dl": 60.0, "triglycerides_mg_dl": 90.0,
    "glucose_mg_dl": 85.0,
}  # fmt: skip


def by(risk_score: RiskScore, *people: dict[str, object]) -> Scored:
    rows = pd.DataFrame([NOBODY_AT_ANY_RISK | person for person in people])
    return risk_score.score(typed(rows, features(risk_score.features)))


def value(name: str, **answers: object) -> float:
    return float(by(load_score(name), answers).value[0])


def score(*people: dict[str, object]) -> Scored:
    return by(ADA, *people)


def points(**answers: object) -> float:
    return float(score(answers).value[0])


@pytest.mark.parametrize("row", GOLDEN["people"], ids=lambda row: f"{row['score']}: {row['how']}")
def test_a_score_gives_what_its_form_or_formula_gives(row: dict[str, Any]) -> None:
    assert value(row["score"], **row["person"]) == pytest.approx(row["value"], rel=1e-7)


@pytest.mark.parametrize("row", GOLDEN["wrong"], ids=lambda row: f"{row['score']}: {row['fault']}")
def test_a_score_does_not_repeat_the_faults_of_public_code(row: dict[str, Any]) -> None:
    found, nobody = value(row["score"], **row["person"]), value(row["score"])
    assert found == pytest.approx(row["value"], rel=1e-7)
    assert found != pytest.approx(row["wrong"], rel=1e-3)
    assert nobody in (0, pytest.approx(0.0040018047))


@pytest.mark.parametrize("name", [each.name for each in SCORES if each.kind == "points"])
def test_nobody_at_risk_has_no_points_in_any_score(name: str) -> None:
    assert value(name) == 0


@pytest.mark.parametrize(
    ("inches", "pounds"), [(58, 129), (60, 138), (64, 157), (67, 172), (70, 188), (72, 199), (76, 221)]
)
def test_the_printed_weight_chart_of_the_cdc_test_begins_at_a_body_mass_index_of_27(inches: int, pounds: int) -> None:
    def bmi(weight_lb: float) -> float:
        return weight_lb * 0.45359237 / (inches * 0.0254) ** 2

    assert bmi(pounds) == pytest.approx(27, abs=0.15)
    assert (value("cdc", bmi_kg_m2=bmi(pounds + 1)), value("cdc", bmi_kg_m2=bmi(pounds - 1))) == (5, 0)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        (
            "findrisc",
            {0: 0.01, 6: 0.01, 7: 0.04, 11: 0.04, 12: 1 / 6, 14: 1 / 6, 15: 1 / 3, 20: 1 / 3, 21: 0.5, 26: 0.5},
        ),
        ("ausdrisk", {5: 0.01, 6: 0.02, 8: 0.02, 9: 1 / 30, 11: 1 / 30, 12: 1 / 14, 15: 1 / 14, 16: 1 / 7, 20: 1 / 3}),
        ("leicester", {6: 1 / 200, 7: 1 / 50, 15: 1 / 50, 16: 1 / 33, 24: 1 / 33, 25: 1 / 14, 47: 1 / 14}),
    ],
)
def test_the_published_risk_is_that_of_the_band_on_the_form(name: str, table: dict[int, float]) -> None:
    found = load_score(name).published_risk(np.array(list(table), dtype=float))
    assert found is not None
    np.testing.assert_allclose(found, list(table.values()), rtol=2e-3)


def test_points_without_a_published_risk_have_none_and_a_formula_gives_its_own() -> None:
    assert score({}).risk is None
    formula = by(load_score("cambridge"), {"smoking": "current"})
    assert formula.risk is formula.value
    assert 0 < formula.value[0] < 1


def test_a_formula_without_a_blood_value_scores_nobody_and_a_form_counts_a_blank_as_nothing() -> None:
    assert np.isnan(value("framingham", glucose_mg_dl=None))
    assert value("findrisc", high_glucose_told=None, age_years=70) == 4


@pytest.mark.parametrize("risk_score", SCORES, ids=KNOWN)
def test_people_without_any_answer_are_scored_as_the_rule_says(risk_score: RiskScore) -> None:
    nothing = by(risk_score, dict.fromkeys(NOBODY_AT_ANY_RISK))
    assert nothing.unanswered.any()
    assert np.isnan(nothing.value[0]) == (risk_score.unanswered == "not scored")


@pytest.mark.parametrize("risk_score", [each for each in SCORES if each.kind == "points"], ids=lambda each: each.name)
def test_no_person_has_more_than_the_maximum_and_one_has_it(risk_score: RiskScore) -> None:
    worst: dict[str, list[object]] = {
        "age_years": [30, 70], "sex": ["female", "male"], "gestational_diabetes": ["no", "yes"],
        "family_history_diabetes": ["yes"], "hypertension_told": ["yes"], "leisure_activity": ["no"],
        "bmi_kg_m2": [22, 45], "race_ethnicity": ["white", "asian"], "large_baby": ["no", "yes"], "waist_cm": [150],
        "activity_met_min_week": [0], "blood_pressure_medicine": ["yes"], "high_glucose_told": ["yes"],
        "smoking": ["current"], "born_in_us": ["no"],
    }  # fmt: skip
    everybody = [dict(zip(worst, answers, strict=True)) for answers in itertools.product(*worst.values())]
    pregnant = [person for person in everybody if "yes" in (person["gestational_diabetes"], person["large_baby"])]
    possible = [person for person in everybody if person["sex"] == "female" or person not in pregnant]
    ages = [person | {"age_years": 64} for person in possible]
    assert by(risk_score, *possible, *ages).value.max() == risk_score.maximum


def test_a_score_that_reads_what_defines_the_outcome_is_not_evaluated() -> None:
    fasting = WeightLevel.FASTING
    refused = {(each.name, name) for each in SCORES for name, row in OUTCOMES.items() if each.why_not(row, fasting)}
    assert refused == {
        ("findrisc", "diabetes"), ("ausdrisk", "diabetes"), ("framingham", "undiagnosed"), ("framingham", "diabetes"),
        ("framingham", "dysglycaemia"), ("framingham", "insulin-resistance"),
    }  # fmt: skip
    assert "LBXGLU, which defines the outcome" in load_score("framingham").why_not(outcome("undiagnosed"), fasting)


def test_a_formula_of_fasting_values_needs_a_fasting_weight() -> None:
    framingham, by_hba1c = load_score("framingham"), outcome("undiagnosed-hba1c")
    assert framingham.why_not(by_hba1c, WeightLevel.FASTING) == ""
    assert "smaller sample" in framingham.why_not(by_hba1c, WeightLevel.RECALL1)


@pytest.mark.parametrize("risk_score", SCORES, ids=KNOWN)
def test_published_figures_are_shares_with_their_cut_first_the_one_of_high_risk(risk_score: RiskScore) -> None:
    for row in risk_score.published:
        assert all(
            0 < float(figure.split(" ")[0].split("-")[0]) < 1 for figure in (row.auroc, row.sensitivity) if figure
        )
        assert (row.cut is None) == (row.sensitivity == "")
    assert risk_score.cuts[:1] == (() if risk_score.high is None else (risk_score.high,))


@pytest.mark.parametrize(
    "wrong", [{"kind": "points", "intercept": -1.0}, {"kind": "logistic", "risk": [[0, 0.1]]}, {"kind": "rule"}]
)
def test_a_file_that_mixes_points_and_formula_is_refused(wrong: dict[str, Any]) -> None:
    whole = {**ADA.model_dump(), **wrong}
    with pytest.raises(ValidationError):
        RiskScore.model_validate(whole)


def test_nobody_at_risk_has_no_points() -> None:
    assert points() == 0


@pytest.mark.parametrize(("age", "worth"), [(39, 0), (39.9, 0), (40, 1), (49, 1), (50, 2), (59, 2), (60, 3), (120, 3)])
def test_age_gains_a_point_with_each_decade_from_forty_on(age: float, worth: int) -> None:
    assert points(age_years=age) == worth


@pytest.mark.parametrize(
    "answer",
    [
        {"sex": "male"},
        {"gestational_diabetes": "yes"},
        {"family_history_diabetes": "yes"},
        {"hypertension_told": "yes"},
        {"leisure_activity": "no"},
    ],
    ids=str,
)
def test_a_yes_is_a_point_and_so_is_no_activity(answer: dict[str, object]) -> None:
    assert points(**answer) == 1


@pytest.mark.parametrize("origin", ["white", "black", "mexican_american", "other_hispanic", "other", None])
@pytest.mark.parametrize(("bmi", "worth"), [(24.9, 0), (25, 1), (29.9, 1), (30, 2), (39.9, 2), (40, 3), (60, 3)])
def test_body_mass_index_gains_points_from_25_30_and_40_on(bmi: float, worth: int, origin: str | None) -> None:
    assert points(bmi_kg_m2=bmi, race_ethnicity=origin) == worth


@pytest.mark.parametrize(("bmi", "worth"), [(22.9, 0), (23, 1), (27.4, 1), (27.5, 2), (30, 2), (39.9, 2), (40, 3)])
def test_asian_people_gain_points_from_23_and_27_5_on(bmi: float, worth: int) -> None:
    assert points(bmi_kg_m2=bmi, race_ethnicity="asian") == worth


@pytest.mark.parametrize(("pounds", "worth"), [(174, 1), (209, 2), (278, 3)])
def test_the_printed_chart_of_5_feet_10_begins_at_the_same_pound(pounds: int, worth: int) -> None:
    # The chart cuts the pounds of body mass index 25, 30 and 40 off: 174.2, 209.1 and 278.8.
    def bmi(weight_lb: float) -> float:
        return weight_lb * 0.45359237 / (70 * 0.0254) ** 2

    lower = next(
        band for band, gained in next(item for item in ADA.item if item.feature == "bmi_kg_m2").bands if gained == worth
    )
    assert int(lower / bmi(1)) == pounds
    assert points(bmi_kg_m2=bmi(pounds - 1)) == worth - 1
    assert points(bmi_kg_m2=bmi(pounds + 1)) == worth


def test_worked_people_have_the_points_of_the_paper_form() -> None:
    found = score(
        {"age_years": 45.0, "sex": "male", "bmi_kg_m2": 27.0},
        {"age_years": 45.0, "sex": "male", "bmi_kg_m2": 27.0, "leisure_activity": "no", "hypertension_told": "yes"},
        {"age_years": 62.0, "gestational_diabetes": "yes", "bmi_kg_m2": 24.0, "race_ethnicity": "asian"},
        {"age_years": 62.0, "gestational_diabetes": "yes", "bmi_kg_m2": 24.0, "race_ethnicity": "white"},
    )
    assert found.value.tolist() == [3, 5, 5, 4]
    assert (found.value >= ADA.high).tolist() == [False, True, True, False]


def test_a_question_without_an_answer_counts_nothing_and_is_counted_as_missing() -> None:
    everything_at_risk = {
        "age_years": 70.0, "sex": "male", "family_history_diabetes": "yes", "hypertension_told": "yes",
        "leisure_activity": "no", "bmi_kg_m2": 45.0,
    }  # fmt: skip
    whole = score(everything_at_risk)
    for name, worth in {
        "age_years": 3,
        "sex": 1,
        "family_history_diabetes": 1,
        "leisure_activity": 1,
        "bmi_kg_m2": 3,
    }.items():
        unanswered = score({**everything_at_risk, name: np.nan})
        assert unanswered.value[0] == whole.value[0] - worth
        assert unanswered.unanswered.sum() == whole.unanswered.sum() + 1
    nothing = score(dict.fromkeys(NOBODY_AT_RISK, np.nan))
    # Body mass index is asked once: its two items are for two groups of people.
    assert (nothing.value[0], nothing.unanswered.sum()) == (0, len(ADA.item) - 1)


def test_the_maximum_is_reached_by_somebody_and_passed_by_nobody() -> None:
    answers = {
        "age_years": [30.0, 70.0], "sex": ["female", "male"], "gestational_diabetes": ["no", "yes"],
        "family_history_diabetes": ["no", "yes"], "hypertension_told": ["no", "yes"], "leisure_activity": ["no", "yes"],
        "bmi_kg_m2": [20.0, 50.0],
    }  # fmt: skip
    everybody = [dict(zip(answers, values, strict=True)) for values in itertools.product(*answers.values())]
    # Men have not been pregnant: the eleventh point of the form cannot be scored together with the man's.
    possible = [person for person in everybody if (person["sex"], person["gestational_diabetes"]) != ("male", "yes")]
    assert score(*possible).value.max() == ADA.maximum


def test_people_are_scored_one_by_one_whatever_their_order() -> None:
    people = [{"age_years": 20.0 + 5 * step, "sex": ["male", "female"][step % 2]} for step in range(12)]
    assert score(*people[::-1]).value.tolist() == score(*people).value.tolist()[::-1]


def test_a_score_names_what_it_needs_once_the_asian_cut_too() -> None:
    assert sorted(ADA.features) == sorted(NOBODY_AT_RISK)


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        load_score("../ada")
    assert caught.value.code == "riskscores.unknown"
    assert caught.value.status == ExitStatus.USAGE


def test_the_intercept_alone_is_the_calibration_in_the_large_of_r(
    toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    found = recalibrate(Method.INTERCEPT, logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float), part)
    assert found.intercept == pytest.approx(golden["calibration_intercept"]["estimate"], rel=1e-6)
    assert found.slope == 1.0


def test_the_slope_is_the_calibration_slope_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    found = recalibrate(Method.LOGISTIC, logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float), part)
    assert found.slope == pytest.approx(golden["calibration_slope"]["estimate"], rel=1e-6)


@pytest.mark.parametrize("method", list(Method))
def test_recalibrated_risks_add_up_to_the_cases(method: Method, toy: pd.DataFrame, part: SurveyDesign) -> None:
    margin, y = logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float)
    risk = recalibrate(method, margin, y, part).risk(margin)
    weight = part.analysis_weight
    assert weight @ risk == pytest.approx(weight @ y, rel=1e-9)


def test_points_take_intercept_and_slope(toy: pd.DataFrame, part: SurveyDesign) -> None:
    points, y = np.round(10 * toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float)
    found = recalibrate(Method.LOGISTIC, points, y, part)
    assert found.slope > 0
    assert (np.diff(found.risk(np.arange(11.0))) > 0).all()


def test_a_fold_is_recalibrated_by_the_others_alone(toy: pd.DataFrame, part: SurveyDesign) -> None:
    margin, y = logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float)
    fold = toy["psu"].to_numpy() % 2
    risk = cross_fitted(Method.LOGISTIC, margin, y, part, fold)
    other = recalibrate(Method.LOGISTIC, margin, y, part.where(fold == 1)).risk(margin)
    np.testing.assert_allclose(risk[fold == 0], other[fold == 0], rtol=1e-12)
    turned = np.where(fold == 0, 1.0 - y, y)
    np.testing.assert_array_equal(cross_fitted(Method.LOGISTIC, margin, turned, part, fold)[fold == 0], risk[fold == 0])


def test_the_record_names_method_and_coefficients() -> None:
    assert Recalibration(Method.LOGISTIC, -2.0, 0.5).to_dict() == {
        "method": "logistic",
        "intercept": -2.0,
        "slope": 0.5,
    }
