"""Absent inputs: number of known inputs, remaining uncertainty, no contribution, and the next question.

The results are the same for CSV, Parquet and frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ToyPeople

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score.answers import NEXT_QUESTION, RISKS, option_columns
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.csv.decimals import ALL_DIGITS
from mgrisk.score.input_schema import RESULTS, reason_columns
from mgrisk.score.scorer import Scorer

COLUMNS = ["age_years", "sex", "race_ethnicity", "smoking", "bmi_kg_m2", "magnesium_total_mg"]
# Nothing is absent; all but the required is; some; rejected; a feature is derived from what is given in its place.
ROWS = """person_id,age_years,sex,race_ethnicity,smoking,bmi_kg_m2,magnesium_total_mg,height_cm,weight_kg
a,50,male,mexican american,never,28,300,,
b,50,male,,,,,,
c,61,female,,former,31.5,,,
d,430,male,mexican american,never,,300,,
e,44,female,mexican american,current,,250,170,90
"""


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"], next_question=True)


@pytest.fixture
def people(toy_people: ToyPeople, tmp_path: Path) -> Path:
    level = toy_people.features[2].levels[0]
    (tmp_path / "people.csv").write_text(ROWS.replace("mexican american", level), "utf-8")
    return tmp_path / "people.csv"


def scored(scorer: Scorer, people: Path, *, reasons: int = 6) -> pd.DataFrame:
    frame = pd.read_csv(people, dtype=str, keep_default_na=False)
    return scorer.score(frame, reasons=reasons).set_index("person_id")


def test_how_many_of_the_model_s_features_are_known_is_counted(scorer: Scorer, people: Path) -> None:
    used = scored(scorer, people)["inputs_used"]
    np.testing.assert_array_equal(used, [6.0, 2.0, 4.0, np.nan, 6.0])


def test_a_count_is_a_float_in_a_frame_whatever_rows_are_rejected(scorer: Scorer, toy_people: ToyPeople) -> None:
    people = toy_people.frame.iloc[:3]
    for frame in (people, people.assign(age_years=430)):
        assert scorer.score(frame)["inputs_used"].dtype == np.float64


def test_with_nothing_absent_the_interval_of_inputs_is_the_risk_itself(scorer: Scorer, people: Path) -> None:
    found = scored(scorer, people)
    whole = found["inputs_used"] == len(COLUMNS)
    for name in ("risk_low_inputs", "risk_high_inputs"):
        np.testing.assert_array_equal(found.loc[whole, name], found.loc[whole, "risk"])
    lacking = found.loc[["b", "c"]]
    assert (lacking["risk_low_inputs"] < lacking["risk"]).all()
    assert (lacking["risk"] < lacking["risk_high_inputs"]).all()
    # About the expected log-odds, which the log-odds of the expected risk are not.
    frame = pd.read_csv(people).set_index("person_id").loc[["b", "c"], COLUMNS]
    said = scorer.bundle.predict(scorer.bundle.encode(frame.astype({"race_ethnicity": object}))[1])
    low, high = (np.log(lacking[name] / (1 - lacking[name])) for name in ("risk_low_inputs", "risk_high_inputs"))
    np.testing.assert_allclose((low + high) / 2, said.expected, atol=1e-9)
    assert np.abs(said.expected - said.log_odds).min() > 1e-4


def test_the_interval_of_inputs_holds_nine_in_ten_of_the_risks_that_are_found_once_they_are_known(
    scorer: Scorer, toy_people: ToyPeople
) -> None:
    people = toy_people.frame[toy_people.frame.notna().all(axis=1)]
    known = scorer.score(people)["risk"]
    found = scorer.score(people.assign(bmi_kg_m2=np.nan, magnesium_total_mg=np.nan))
    share = ((found["risk_low_inputs"] <= known) & (known <= found["risk_high_inputs"])).mean()
    assert 0.85 < share < 0.95
    assert found["risk"].mean() == pytest.approx(known.mean(), abs=0.01)


def test_no_reason_names_an_input_that_is_absent_and_there_are_as_many_as_are_known(
    scorer: Scorer, toy_people: ToyPeople
) -> None:
    people = toy_people.frame
    found = scorer.score(people, reasons=len(COLUMNS))
    names = found[[f"reason_{k}" for k in range(1, 1 + len(COLUMNS))]].to_numpy()
    values = found[[f"reason_{k}_value" for k in range(1, 1 + len(COLUMNS))]].to_numpy()
    effects = found[[f"reason_{k}_effect" for k in range(1, 1 + len(COLUMNS))]].to_numpy(dtype=float)
    assert people[COLUMNS].isna().any(axis=1).sum() > 100
    for row, reasons in zip(people[COLUMNS].notna().to_numpy(), names, strict=True):
        assert sorted(name for name in reasons if name) == sorted(np.array(COLUMNS)[row])
    assert ((names == "") == (values == "")).all()
    assert ((names == "") == np.isnan(effects)).all()


def test_reasons_and_the_person_s_own_base_add_up_to_the_logit_of_the_risk(
    scorer: Scorer, toy_people: ToyPeople
) -> None:
    found = scorer.score(toy_people.frame, reasons=len(COLUMNS))
    effects = found[[f"reason_{k}_effect" for k in range(1, 1 + len(COLUMNS))]].sum(axis=1)
    base = scorer.explain(toy_people.frame).base_values
    assert len(np.unique(base)) > 3
    np.testing.assert_allclose(base + effects, np.log(found["risk"] / (1 - found["risk"])), atol=1e-9)


def test_of_a_rejected_row_nothing_is_explained(scorer: Scorer) -> None:
    explanation = scorer.explain(pd.DataFrame({"age_years": [50, 430], "sex": ["male", "male"]}))
    assert np.isfinite(explanation.values[0]).all()
    assert np.isfinite(explanation.base_values[0])
    assert np.isnan(explanation.values[1]).all()
    assert np.isnan(explanation.base_values[1])


def test_the_next_question_is_the_absent_input_whose_answer_would_leave_least_open(
    scorer: Scorer, toy_people: ToyPeople
) -> None:
    bundle, people = scorer.bundle, toy_people.frame.iloc[:200]
    asked = scorer.score(people)[NEXT_QUESTION]
    # Whatever the answer is, it leaves the same open: any will do.
    answer = toy_people.frame.dropna().iloc[0]
    absent = people[COLUMNS].isna().to_numpy()
    left = np.full(absent.shape, np.inf)
    for place, name in enumerate(COLUMNS):
        filled = people.assign(**{name: people[name].fillna(answer[name])})
        left[absent[:, place], place] = bundle.predict(bundle.encode(filled)[1]).unknown[absent[:, place]]
    best = np.where(absent.any(axis=1), np.array(COLUMNS)[left.argmin(axis=1)], "")
    assert asked.tolist() == best.tolist()
    assert set(asked) >= {"", "bmi_kg_m2", "magnesium_total_mg"}


def test_a_rejected_row_is_asked_nothing_and_so_is_a_row_that_lacks_nothing(scorer: Scorer, people: Path) -> None:
    asked = scored(scorer, people)[NEXT_QUESTION]
    assert asked[["a", "d", "e"]].tolist() == ["", "", ""]
    assert asked["b"] in COLUMNS
    assert asked["c"] in {"race_ethnicity", "magnesium_total_mg"}


def test_without_being_asked_for_there_is_no_such_column(toy_bundles: dict[str, Bundle], people: Path) -> None:
    found = scored(Scorer(toy_bundles["spline_logistic"]), people)
    assert NEXT_QUESTION not in found


@pytest.mark.parametrize("learner", ["xgboost", "shapes", "blend"])
def test_a_model_with_trees_or_shapes_cannot_tell_what_to_ask_next(
    learner: str, toy_bundles: dict[str, Bundle]
) -> None:
    with pytest.raises(MgRiskError) as caught:
        Scorer(toy_bundles[learner], next_question=True)
    assert (caught.value.code, caught.value.status) == ("bundle.no_next_question", ExitStatus.BUNDLE)


def test_a_model_with_trees_leaves_the_interval_of_inputs_empty(
    toy_bundles: dict[str, Bundle], people: Path, tmp_path: Path
) -> None:
    scorer = Scorer(toy_bundles["xgboost"])
    assert scored(scorer, people)[["risk_low_inputs", "risk_high_inputs"]].isna().all(axis=None)
    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0))
    table = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert (table[["risk_low_inputs", "risk_high_inputs"]] == "").all(axis=None)
    assert table["inputs_used"].tolist() == ["6", "2", "4", "", "6"]


@pytest.mark.parametrize("what_if", [False, True])
def test_csv_parquet_and_frame_have_the_same_columns_with_the_same_answers(
    what_if: bool, toy_bundles: dict[str, Bundle], people: Path, tmp_path: Path
) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"], what_if=what_if, next_question=True)
    for name in ("out.csv", "out.parquet"):
        score_table(scorer, str(people), str(tmp_path / name), BatchOptions(reasons=2, digits=ALL_DIGITS))
    csv = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    parquet, frame = pd.read_parquet(tmp_path / "out.parquet"), scored(scorer, people, reasons=2)
    added = [*RESULTS, *reason_columns(2), NEXT_QUESTION, *(option_columns() if what_if else ())]
    assert list(csv)[-len(added) :] == list(parquet)[-len(added) :] == list(frame)[-len(added) :] == added
    for name in added:
        if frame[name].dtype == np.float64:
            numbers = pd.to_numeric(csv[name].replace("", None))
            np.testing.assert_array_equal(numbers, frame[name], err_msg=name)
            np.testing.assert_array_equal(parquet[name].astype(float), frame[name], err_msg=name)
        else:
            assert csv[name].tolist() == parquet[name].tolist() == frame[name].tolist(), name
    assert csv["inputs_used"].tolist() == ["6", "2", "4", "", "6"]
    assert csv["problems"].tolist() == ["", "", "", "out_of_range:age_years", ""]


def test_a_row_has_the_same_digits_among_few_rows_and_among_many(scorer: Scorer, toy_people: ToyPeople) -> None:
    together = scorer.score(toy_people.frame)
    assert len(together) > 512
    few = pd.concat([scorer.score(toy_people.frame.iloc[first : first + 100]) for first in range(0, 600, 100)])
    columns = [*RISKS, *reason_columns(3), NEXT_QUESTION, "inputs_used"]
    pd.testing.assert_frame_equal(few[columns], together[columns], check_exact=True)
