"""The ADA risk test by hand, on its bounds and against the chart that it is printed with.

Golden values: CDC/ADA, "how your test is scored" (cdc.gov/diabetes/widgets/risktest) and the height and weight chart
of the test as printed (5y1.org, column 5'10": 174-208 lb 1 point, 209-277 lb 2 points, from 278 lb on 3 points).
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.compute import typed
from mgrisk.features.registry import features
from mgrisk.riskscores.points import Scored, load_score

ADA = load_score("ada")
NOBODY_AT_RISK: dict[str, object] = {
    "age_years": 30.0, "sex": "female", "gestational_diabetes": "no", "family_history_diabetes": "no",
    "hypertension_told": "no", "leisure_activity": "yes", "bmi_kg_m2": 22.0, "race_ethnicity": "white",
}  # fmt: skip


def score(*people: dict[str, object]) -> Scored:
    rows = pd.DataFrame([NOBODY_AT_RISK | person for person in people])
    return ADA.score(typed(rows, features(ADA.features)))


def points(**answers: object) -> float:
    return float(score(answers).points[0])


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
    assert found.points.tolist() == [3, 5, 5, 4]
    assert (found.points >= ADA.high).tolist() == [False, True, True, False]


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
        assert unanswered.points[0] == whole.points[0] - worth
        assert unanswered.missing[0] == whole.missing[0] + 1
    nothing = score(dict.fromkeys(NOBODY_AT_RISK, np.nan))
    assert (nothing.points[0], nothing.missing[0]) == (0, len(ADA.item))


def test_the_maximum_is_reached_by_somebody_and_passed_by_nobody() -> None:
    answers = {
        "age_years": [30.0, 70.0], "sex": ["female", "male"], "gestational_diabetes": ["no", "yes"],
        "family_history_diabetes": ["no", "yes"], "hypertension_told": ["no", "yes"], "leisure_activity": ["no", "yes"],
        "bmi_kg_m2": [20.0, 50.0],
    }  # fmt: skip
    everybody = [dict(zip(answers, values, strict=True)) for values in itertools.product(*answers.values())]
    # Men have not been pregnant: the eleventh point of the form cannot be had together with the man's.
    possible = [person for person in everybody if (person["sex"], person["gestational_diabetes"]) != ("male", "yes")]
    assert score(*possible).points.max() == ADA.maximum


def test_people_are_scored_one_by_one_whatever_their_order() -> None:
    people = [{"age_years": 20.0 + 5 * step, "sex": ["male", "female"][step % 2]} for step in range(12)]
    assert score(*people[::-1]).points.tolist() == score(*people).points.tolist()[::-1]


def test_a_score_names_what_it_needs_once_the_asian_cut_too() -> None:
    assert sorted(ADA.features) == sorted(NOBODY_AT_RISK)


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        load_score("../ada")
    assert caught.value.code == "riskscores.unknown"
    assert caught.value.status == ExitStatus.USAGE
