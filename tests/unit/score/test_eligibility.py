"""People for whom a model does not hold get no risk but a reason, in every kind of input."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import FEATURES
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.released import released_bundles
from mgrisk.score import sources
from mgrisk.score.batch import BatchOptions, score_table, validate_table
from mgrisk.score.csv.decimals import ALL_DIGITS
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.eligibility import exclusions, unidentified_exclusions
from mgrisk.score.scorer import Scorer
from mgrisk.score.summary import Summary

TOLD = {"variable": "DIQ010", "equals": 2}
PEOPLE = """age_years,sex,bmi_kg_m2,diabetes_told,Pregnant,type_1_diabetes
50,male,28,no,no,no
61,female,33,yes,no,no
30,female,25,,TRUE,yes
430,male,x,"yes",,
430,male,25,no,,
40,male,25,perhaps,,
40,male,,,NA,
40,male,25,yes
"""
STATUS = ["scored", "not_eligible", "not_eligible", "not_eligible", "rejected", "rejected", "scored", "rejected"]
PROBLEMS = [
    "",
    "not_eligible:diabetes_told",
    "not_eligible:likely_type_1;not_eligible:pregnant",
    "not_eligible:diabetes_told",
    "out_of_range:age_years",
    "unknown_level:diabetes_told",
    "",
    "wrong_field_count:4",
]


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    """A model of people of NHANES who were never told of diabetes."""
    return Scorer(about(toy_bundles["spline_logistic"], eligible=[TOLD]))


def about(bundle: Bundle, *, eligible: list[dict[str, Any]], **different: Any) -> Bundle:
    outcome = {**bundle.about["outcome"], "eligible": eligible, "exclude": []}
    return replace(bundle, about=MappingProxyType({**bundle.about, "data": "NHANES", "outcome": outcome, **different}))


def scored(scorer: Scorer, people: str, folder: Path, *, workers: int = 1) -> tuple[Summary, pd.DataFrame, bytes]:
    (folder / "people.csv").write_text(people, "utf-8")
    out, rejects = folder / "out.csv", folder / "rejects.csv"
    asked = BatchOptions(reasons=1, rejects=str(rejects), digits=ALL_DIGITS)
    summary = score_table(scorer, str(folder / "people.csv"), str(out), asked, workers=workers)
    return summary, pd.read_csv(out, keep_default_na=False, dtype=str), out.read_bytes()


@pytest.mark.usefixtures("both_ways")
def test_who_is_not_eligible_has_no_risk_and_a_reason(scorer: Scorer, tmp_path: Path) -> None:
    summary, rows, _ = scored(scorer, PEOPLE, tmp_path)
    assert rows["status"].tolist() == STATUS
    assert rows["problems"].tolist() == PROBLEMS
    answered = rows.columns[rows.columns.get_loc("risk") : rows.columns.get_loc("model")]
    assert ((rows[answered] != "").any(axis=1) == (rows["status"] == "scored")).all()
    told = summary.to_dict()
    assert (told["rows"], told["scored"], told["rejected"], told["not_eligible"]) == (8, 2, 3, 3)
    assert told["not_eligible_by"] == {
        "not_eligible:diabetes_told": 2,
        "not_eligible:likely_type_1": 1,
        "not_eligible:pregnant": 1,
    }
    assert set(told["rejected_by"]) == {code for code in PROBLEMS if code} - {
        code for code in PROBLEMS if code.startswith("not_")
    }
    assert "3 not eligible (2 × diabetes_told, 1 × likely_type_1, 1 × pregnant)" in summary.lines()[0]
    # There is nothing to mend in their rows.
    assert pd.read_csv(tmp_path / "rejects.csv")["row"].tolist() == [5, 6, 8]
    written = json.loads((tmp_path / "out.csv.summary.json").read_text("utf-8"))
    assert written["not_for"] == told["not_for"]
    assert [each["given"] for each in written["not_for"]] == [True] * 3


@pytest.mark.usefixtures("both_ways")
def test_blocks_workers_frames_and_parquet_give_the_same_answer(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, rows, content = scored(scorer, PEOPLE, tmp_path)
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=30))
    cut, _, other = scored(scorer, PEOPLE, tmp_path, workers=2)
    assert other == content
    assert cut.tally.to_dict() == whole.tally.to_dict()
    assert cut.tally.not_eligible == 3
    people = pd.read_csv(tmp_path / "people.csv", dtype=str, keep_default_na=False).iloc[:-1]
    by_frame = scorer.score(people, reasons=1)
    assert by_frame["status"].tolist() == STATUS[:-1]
    assert by_frame["problems"].tolist() == PROBLEMS[:-1]
    risk = pd.to_numeric(rows["risk"]).to_numpy()[:-1]
    np.testing.assert_array_equal(by_frame["risk"].to_numpy(), risk)
    people.to_parquet(tmp_path / "people.parquet")
    score_table(
        scorer,
        str(tmp_path / "people.parquet"),
        str(tmp_path / "parquet.csv"),
        BatchOptions(reasons=1, digits=ALL_DIGITS),
    )
    by_parquet = pd.read_csv(tmp_path / "parquet.csv", keep_default_na=False, dtype=str)
    pd.testing.assert_frame_equal(by_parquet, rows.iloc[:-1])


def test_a_file_without_the_columns_is_answered_as_before_and_told_whom_it_is_not_for(
    scorer: Scorer, toy_bundles: dict[str, Bundle], tmp_path: Path
) -> None:
    people = "age_years,sex,bmi_kg_m2\n50,male,28\n430,male,25\n"
    summary, _, content = scored(scorer, people, tmp_path)
    for_everybody = Scorer(about(toy_bundles["spline_logistic"], eligible=[], data="a clinic"))
    other, _, content_of_other = scored(for_everybody, people, tmp_path)
    assert content == content_of_other
    line = (
        "not for people with diagnosed diabetes (diabetes_told), with type 1 diabetes (likely_type_1), "
        "pregnant (pregnant); "
        "the file has no column to identify them"
    )
    assert line in summary.lines()
    assert not [each for each in other.lines() if each.startswith("not for")]
    assert validate_table(scorer, str(tmp_path / "people.csv")).exclusions == summary.exclusions


def test_no_probability_or_explanation_is_given_of_somebody_not_eligible(scorer: Scorer) -> None:
    people = pd.DataFrame({"age_years": [50, 50], "sex": "male", "bmi_kg_m2": 28.0, "diabetes_told": [False, True]})
    with pytest.raises(MgRiskError) as caught:
        scorer.predict_proba(people)
    assert caught.value.code == "input.rejected_rows"
    assert "1: not_eligible:diabetes_told" in str(caught.value)
    assert np.isnan(scorer.explain(people).values).all(axis=1).tolist() == [False, True]
    assert scorer.uncertainty(people)["se_log_odds"].isna().tolist() == [False, True]


def test_the_schema_names_the_columns(scorer: Scorer) -> None:
    rows = {row["name"]: row["not_eligible"] for row in scorer.schema()}
    assert rows["age_years"] is None
    assert rows["pregnant"] == {"column": "pregnant", "level": "yes", "says": "pregnant"}


def test_ages_below_those_of_the_model_are_not_eligible(toy_bundles: dict[str, Bundle]) -> None:
    scorer = Scorer(about(toy_bundles["spline_logistic"], eligible=[], data="a clinic", minimum_age=40))
    people = pd.DataFrame({"age_years": [39.5, 40.0, 19.0], "sex": "male", "bmi_kg_m2": 28.0})
    found = scorer.score(people, reasons=0)
    # The contract of age begins at 20.
    assert found["problems"].tolist() == ["not_eligible:age_years", "", "out_of_range:age_years"]
    assert found["risk"].notna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("undiagnosed", ["diabetes_told", "likely_type_1", "pregnant"]),
        ("dysglycaemia", ["diabetes_told", "likely_type_1", "pregnant"]),
        ("insulin-resistance", ["diabetes_told", "likely_type_1", "pregnant"]),
        # Whoever was told of diabetes is a case.
        ("diabetes", ["likely_type_1", "pregnant"]),
    ],
)
def test_what_the_released_bundles_say(name: str, columns: list[str]) -> None:
    found = exclusions(read_bundle(released_bundles()[name]).about)
    assert [each.feature.name for each in found] == columns
    assert all(each.feature == FEATURES[each.feature.name] for each in found)
    assert unidentified_exclusions(found, columns) == []
    assert "pregnant (pregnant)" in unidentified_exclusions(found, columns[:-1])[0]
