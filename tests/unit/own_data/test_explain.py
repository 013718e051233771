"""The page of `mgrisk explain` has the risks of the scored file, accounts for every row, and escapes text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.records import Interval
from mgrisk.own_data.explain import _scored, explain_people
from mgrisk.own_data.external import evaluate_file
from mgrisk.own_data.labelled import LabelColumns
from mgrisk.report.formats import interval, percent
from mgrisk.score.cells import Missing
from mgrisk.score.scorer import Scorer, load_scorer

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

ABOUT = {
    "name": "toy", "title": "Toy people", "learner": "xgboost", "synthetic": False, "data": "NHANES", "mgrisk": "0.1.0",
    "outcome": {"label": "Undiagnosed diabetes", "definition": "HbA1c ≥ 6.5 %", "warning": "One visit."},
    "cycles": ["2015-2016"], "people": 486, "prevalence": 0.2,
}  # fmt: skip
HOSTILE = "</script><script>document.title='run'</script>"


@pytest.fixture
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(replace(toy_bundles["xgboost"], about=ABOUT))


@pytest.fixture
def source(toy_people: ToyPeople, tmp_path: Path) -> Path:
    people = toy_people.frame.iloc[:40].copy().astype({"age_years": object})
    people.insert(0, "person_id", [HOSTILE, *(f"P{place}" for place in range(1, 40))])
    people.loc[people.index[3], "age_years"] = "old"
    path = tmp_path / "people.csv"
    people.to_csv(path, index=False)
    return path


def held(page: Path) -> dict[str, Any]:
    (text,) = re.findall(r'id="explorer-data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    content: dict[str, Any] = json.loads(text)
    return content


def test_the_page_holds_the_risks_of_the_scored_file_for_everybody_who_could_be_scored(
    scorer: Scorer, source: Path, toy_people: ToyPeople, tmp_path: Path
) -> None:
    found = explain_people(scorer, str(source), str(tmp_path / "report.html"))
    assert (found.rows, found.scored, found.rejected) == (40, 39, 1)
    data = held(tmp_path / "report.html")
    scored = scorer.score(toy_people.frame.iloc[:40].drop(toy_people.frame.index[3]))
    np.testing.assert_allclose(data["risk"], scored["risk"], rtol=1e-3)
    np.testing.assert_allclose(data["low"], scored["risk_low"], rtol=1e-3)
    assert data["ids"] == [HOSTILE, "P1", "P2", *(f"P{place}" for place in range(4, 40))]
    assert found.outside == (scored["in_domain"] == "no").sum()
    assert found.size == (tmp_path / "report.html").stat().st_size


def test_rejected_rows_and_for_how_many_each_input_is_absent_are_counted_on_the_page(
    scorer: Scorer, source: Path, toy_people: ToyPeople, tmp_path: Path
) -> None:
    explain_people(scorer, str(source), str(tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text("utf-8")
    scored = toy_people.frame.iloc[:40].drop(toy_people.frame.index[3])
    absent = int(scored["magnesium_total_mg"].isna().sum())
    assert absent > 0
    assert "39 scored, 1 rejected" in text
    assert "not_a_number:age_years" in text
    assert "missing:magnesium_total_mg" not in text
    assert f"{absent} ({percent(absent / 39)})" in text


def test_each_person_s_base_and_contributions_give_the_reported_risk_back_whatever_is_absent(
    toy_bundles: dict[str, Bundle], source: Path, tmp_path: Path
) -> None:
    scorer = Scorer(replace(toy_bundles["spline_logistic"], about=ABOUT))
    explain_people(scorer, str(source), str(tmp_path / "report.html"))
    data = held(tmp_path / "report.html")
    assert len(set(data["base"])) > 2
    contributions = np.array(data["contributions"])
    log_odds = data["base"] + contributions.sum(axis=0) / data["scale"]
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), data["risk"], atol=1e-4)
    absent = np.array([[value is None for value in values] for values in data["values"]])
    assert absent.any()
    assert (contributions[absent] == 0).all()


def with_outcome(frame: pd.DataFrame, path: Path) -> Path:
    """People with an outcome that one of them does not tell, and a weight; the first is rejected."""
    random = np.random.default_rng(4)
    ill = np.where(random.random(len(frame)) < 0.3, "1", "0").astype(object)
    ill[1] = ""
    frame = frame.assign(ill=ill, w=random.uniform(1, 3, len(frame))).astype({"age_years": object})
    frame.iloc[0, frame.columns.get_loc("age_years")] = "old"
    frame.to_csv(path, index=False)
    return path


def test_an_outcome_is_evaluated_on_the_page_with_the_numbers_of_mgrisk_evaluate(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, tmp_path: Path
) -> None:
    bundle = toy_bundles["spline_logistic"]
    performance = {"set": "2017-2018", "auroc": [0.8, 0.7, 0.9], "observed_expected": [1.0, None, None]}
    replace(bundle, about={**bundle.about, "performance": performance}).write(tmp_path / "model")
    path = with_outcome(toy_people.frame, tmp_path / "people.csv")
    columns = LabelColumns("ill", weight="w")
    evaluate_file(tmp_path / "model", str(path), columns, folder=tmp_path / "out")
    records = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    whole = {each["metric"]: Interval.of(each) for each in records if each["group"] == "all"}
    found = explain_people(load_scorer(tmp_path / "model"), str(path), str(tmp_path / "page.html"), columns=columns)
    page = (tmp_path / "page.html").read_text("utf-8")
    for metric, digits, share in (("auroc", 3, False), ("brier", 4, False), ("ici", 2, True)):
        assert interval(whole[metric], digits=digits, share=share) in page
    for figure in ("own-roc", "own-precision-recall", "own-calibration", "own-decision", "own-groups-figure"):
        assert f'<figure id="{figure}"' in page
    assert 'class="threshold"' in page
    thresholds = json.loads((tmp_path / "out" / "thresholds.json").read_text("utf-8"))
    (ppv,) = (Interval.of(each) for each in thresholds if (each["metric"], each["threshold"]) == ("ppv", 0.1))
    assert interval(ppv, digits=1, share=True) in page
    assert found.evaluation[0].startswith(f"{len(toy_people.frame) - 2:,} people")
    assert any(line.startswith("AUROC: ") for line in found.evaluation)
    assert {"ill", "w"}.isdisjoint(found.unused)
    # Whoever does not tell the outcome is explained all the same.
    told = next(each for each in held(tmp_path / "page.html")["told"] if each["label"] == "Outcome")
    assert found.explained == len(toy_people.frame) - 1 == len(told["of"])
    assert told["of"][0] is None
    assert "95 % band over refits" in page
    assert sum(each == 1 for each in told["of"]) == whole_events(records)


def whole_events(records: list[dict[str, Any]]) -> int:
    return next(int(each["events"]) for each in records if each["group"] == "all")


def test_an_outcome_in_standard_input_is_refused_before_anything_is_read(scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(MgRiskError) as caught:
        explain_people(scorer, "-", str(tmp_path / "page.html"), columns=LabelColumns("ill"))
    assert caught.value.code == "explain.outcome_of_a_stream"


def test_of_many_people_some_are_drawn_in_the_order_of_the_file_with_their_own_answers(
    scorer: Scorer, source: Path, tmp_path: Path
) -> None:
    explain_people(scorer, str(source), str(tmp_path / "all.html"))
    found = explain_people(scorer, str(source), str(tmp_path / "some.html"), most=15)
    assert (found.scored, found.explained, found.rows) == (39, 15, 40)
    every, some = held(tmp_path / "all.html"), held(tmp_path / "some.html")
    places = [every["ids"].index(each) for each in some["ids"]]
    assert len(places) == 15
    assert places == sorted(set(places))
    assert places != list(range(15))
    for name in ("risk", "low", "base"):
        assert some[name] == [every[name][place] for place in places]
    page = (tmp_path / "some.html").read_text("utf-8")
    assert "15 of 39 people, drawn at random" in page
    assert "39 scored, 1 rejected" in page


def test_a_draw_takes_each_row_at_its_place_whatever_the_blocks(scorer: Scorer, tmp_path: Path) -> None:
    n = 50_000
    ages = np.where(np.arange(n) % 3 == 0, 200, 20 + np.arange(n) % 60)  # every third is rejected
    pd.DataFrame({"age_years": ages, "sex": "male"}).to_csv(tmp_path / "many.csv", index=False)
    drawn = _scored(scorer, str(tmp_path / "many.csv"), 500)
    assert len(drawn.risk) == drawn.summary.tally.scored == n - len(range(0, n, 3))
    assert len(drawn.rows) == drawn.people.num_rows == 500
    assert (drawn.rows % 3 != 0).all()
    assert (np.diff(drawn.rows) > 0).all()
    assert drawn.rows[-1] > 45_000
    np.testing.assert_array_equal(drawn.people.column("age_years").to_pandas().astype(int), ages[drawn.rows])
    assert drawn.ids == [str(row + 1) for row in drawn.rows]


def test_without_a_person_id_people_are_found_by_their_row(
    scorer: Scorer, toy_people: ToyPeople, tmp_path: Path
) -> None:
    path = tmp_path / "people.parquet"
    toy_people.frame.iloc[:5].to_parquet(path)
    explain_people(scorer, str(path), str(tmp_path / "report.html"))
    data = held(tmp_path / "report.html")
    assert (data["id"], data["ids"]) == ("row", ["1", "2", "3", "4", "5"])


def test_a_file_of_nobody_gives_a_page_that_says_so(scorer: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("person_id,age_years,sex\n")
    found = explain_people(scorer, str(path), str(tmp_path / "report.html"))
    assert found.rows == found.scored == found.outside == 0
    assert "0 rows of people.csv" in (tmp_path / "report.html").read_text("utf-8")


def test_a_synthetic_model_marks_the_page(scorer: Scorer, source: Path, tmp_path: Path) -> None:
    synthetic = Scorer(replace(scorer.bundle, about={**ABOUT, "synthetic": True}))
    explain_people(synthetic, str(source), str(tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<title>SYNTHETIC" in text
    assert "SYNTHETIC model" in text


def test_a_file_that_lacks_what_is_required_is_refused_and_no_page_is_written(scorer: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("person_id,sex\na,male\n")
    with pytest.raises(MgRiskError) as caught:
        explain_people(scorer, str(path), str(tmp_path / "report.html"))
    assert caught.value.code == "input.missing_column"
    assert not (tmp_path / "report.html").exists()


def test_people_without_an_id_are_called_by_their_row_and_long_ids_keep_their_digits(
    scorer: Scorer, toy_people: ToyPeople, tmp_path: Path
) -> None:
    people = toy_people.frame.iloc[:3].copy()
    for ids, expected in (
        (pd.array([2**53 + 1, None, 2**53], dtype="Int64"), ["9007199254740993", "row 2", "9007199254740992"]),
        (np.array(["007", None, ""], dtype=object), ["007", "row 2", "row 3"]),
    ):
        people["person_id"] = ids
        people.to_parquet(tmp_path / "people.parquet")
        explain_people(scorer, str(tmp_path / "people.parquet"), str(tmp_path / "report.html"))
        assert held(tmp_path / "report.html")["ids"] == expected


def test_words_for_missing_hold_in_the_explanation_too(toy_bundles: dict[str, Bundle], tmp_path: Path) -> None:
    told = Scorer(replace(toy_bundles["xgboost"], about=ABOUT), missing=Missing.also(["-9"]))
    name = next(feature.name for feature in told.inputs if feature.kind == "number" and not feature.required)
    for file, cell in (("a", "-9.0"), ("b", "")):
        (tmp_path / f"{file}.csv").write_text(f"age_years,sex,{name}\n50,male,{cell}\n", "utf-8")
        explain_people(told, str(tmp_path / f"{file}.csv"), str(tmp_path / f"{file}.html"))
    one, other = (held(tmp_path / f"{file}.html") for file in "ab")
    assert one["contributions"] == other["contributions"] if "contributions" in one else one["risk"] == other["risk"]
