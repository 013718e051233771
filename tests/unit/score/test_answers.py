"""What-if columns equal those of evidence.what_if in every format, and other columns do not change."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evidence.what_if import ADVICE, ASK, UNLESS, what_if
from mgrisk.features import usual_magnesium
from mgrisk.features.usual_magnesium import MODEL
from mgrisk.model.bundle import Bundle
from mgrisk.score import sources
from mgrisk.score.answers import option_columns
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.csv.decimals import ALL_DIGITS
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.scorer import Scorer
from mgrisk.survey.design import SurveyDesign, WeightLevel

PEOPLE = """person_id,age_years,sex,usual_magnesium_mg,weight_kg,height_cm,egfr,ppi_use
a,50,male,300,90,170,95,no
b,50,female,200,60,170,25,no
c,61,male,,,,,
d,300,male,300,90,170,95,no
e,44,female,500,70,160,80,yes
f,44,female,250,70,160,,no
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    return tmp_path / "people.csv"


@pytest.fixture(scope="module")
def bundle(toy_bundles: dict[str, Bundle]) -> Bundle:
    return toy_bundles["xgboost"]


@pytest.fixture(scope="module")
def scorer(bundle: Bundle) -> Scorer:
    return Scorer(bundle, what_if=True)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_the_rest_of_the_file_is_as_without(scorer: Scorer, bundle: Bundle, people: Path, tmp_path: Path) -> None:
    score_table(scorer, str(people), str(tmp_path / "with.csv"), BatchOptions(reasons=2))
    score_table(Scorer(bundle), str(people), str(tmp_path / "without.csv"), BatchOptions(reasons=2))
    with_options, without = read(tmp_path / "with.csv"), read(tmp_path / "without.csv")
    assert list(with_options.columns) == [*without.columns, *option_columns()]
    pd.testing.assert_frame_equal(with_options[without.columns], without)


def test_each_row_has_the_published_relative_risks_on_its_own_risk(
    scorer: Scorer, people: Path, tmp_path: Path
) -> None:
    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0, digits=ALL_DIGITS))
    found = read(tmp_path / "out.csv").set_index("person_id")
    given = (
        pd.read_csv(people).set_index("person_id").assign(bmi_kg_m2=lambda x: x.weight_kg / (x.height_cm / 100) ** 2)
    )
    scored = [name for name in found.index if name != "d"]
    expected = what_if(given.loc[scored], found.loc[scored, "risk"].astype(float))
    for name in option_columns():
        if name.endswith("advice"):
            assert found.loc[scored, name].tolist() == expected[name].tolist()
        else:
            numbers = pd.to_numeric(found.loc[scored, name])
            np.testing.assert_allclose(numbers, expected[name].astype(float), rtol=1e-12)
    assert (found.loc["d", list(option_columns())] == "").all()
    advice = found["what_if_magnesium_supplement_advice"]
    assert advice[["a", "b", "e", "f"]].tolist() == ["", ASK, ASK, UNLESS]
    assert found.loc["b", "what_if_magnesium_supplement_dose"] == ""


def test_frame_and_parquet_say_the_same_whatever_the_blocks(
    scorer: Scorer, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=1, digits=ALL_DIGITS))
    score_table(scorer, str(people), str(tmp_path / "out.parquet"), BatchOptions(reasons=1, digits=ALL_DIGITS))
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=60))
    score_table(scorer, str(people), str(tmp_path / "small.csv"), BatchOptions(reasons=1, digits=ALL_DIGITS), workers=3)
    assert (tmp_path / "small.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    # Every digit: pandas 2 reads a number to a unit in the last place.
    from_csv = pd.read_csv(tmp_path / "out.csv", dtype=str).astype(object)
    from_parquet = pd.read_parquet(tmp_path / "out.parquet")
    from_frame = scorer.score(pd.read_csv(people, dtype=str, keep_default_na=False), reasons=1)
    for name in option_columns()[:-1]:
        np.testing.assert_array_equal(from_csv[name].astype(float), from_parquet[name].astype(float))
        np.testing.assert_array_equal(from_csv[name].astype(float), from_frame[name].astype(float))
    assert from_frame[option_columns()[-1]].tolist() == from_parquet[option_columns()[-1]].tolist()


def test_the_summary_says_what_the_columns_are(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    about = score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0)).to_dict()["what_if"]
    assert "not a prediction of the model" in about["what_it_is"]
    assert "80 % interval" in about["usual_magnesium"]
    assert any("Transport" in each for each in about["assumptions"])
    assert all(option["study"] for option in about["options"] if option["name"] != "magnesium_supplement")


def test_a_file_that_has_such_a_column_is_refused(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    people.write_text(PEOPLE.replace("person_id", "what_if_diet_risk", 1), encoding="utf-8")
    with pytest.raises(MgRiskError, match="what_if_diet_risk"):
        score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0))


def test_advice_needs_no_quotes() -> None:
    assert not any(sign in text for text in ADVICE for sign in ',"\r\n')


RECALLED = """person_id,age_years,sex,magnesium_food_mg,recall_days,magnesium_supplement_mg
a,50,male,200,1,0
b,50,male,200,2,0
c,50,female,600,2,0
d,300,male,200,1,0
e,50,male,,,0
f,50,male,200,1,100
"""
HABIT = ["usual_magnesium_mg", "usual_magnesium_mg_low", "usual_magnesium_mg_high"]


@pytest.fixture(scope="module")
def carrying(bundle: Bundle) -> Scorer:
    """Return a scorer whose bundle carries a model of usual magnesium that its risk does not need."""
    random, n = np.random.default_rng(5), 1200
    days = np.exp(random.normal(5.65, 0.3, (n, 1)) + random.normal(0.0, 0.35, (n, 2)))
    people = pd.DataFrame({"sex": random.choice(["female", "male"], n), "age_years": random.uniform(20, 80, n)})
    for day in (1, 2):
        people[f"magnesium_food_day_{day}_mg"] = days[:, day - 1]
        people[f"recall_day_{day}_weekend"] = random.choice(["no", "yes"], n)
    design = SurveyDesign(np.ones(n), np.zeros(n), np.arange(n), WeightLevel.RECALL1)
    return Scorer(replace(bundle, models={MODEL: usual_magnesium.fit(people, design)}), what_if=True)


def test_the_dose_goes_by_the_habit_that_the_recalls_tell_of_and_its_band_stands_before_the_options(
    carrying: Scorer, bundle: Bundle, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text(RECALLED, encoding="utf-8")
    for name in ("out.csv", "out.parquet"):
        score_table(carrying, str(people), str(tmp_path / name), BatchOptions(reasons=1, digits=ALL_DIGITS))
    score_table(
        Scorer(bundle, what_if=True),
        str(people),
        str(tmp_path / "days.csv"),
        BatchOptions(reasons=1, digits=ALL_DIGITS),
    )
    found, by_days = (pd.read_csv(tmp_path / name).set_index("person_id") for name in ("out.csv", "days.csv"))
    options = list(option_columns())
    assert list(found) == [*(name for name in by_days if name not in options), *HABIT, *options]
    rest = by_days.drop(columns=options)
    pd.testing.assert_frame_equal(found[list(rest)], rest)
    middle, low, high = (found[name] for name in HABIT)
    known = ["a", "b", "c", "f"]
    assert ((low < middle) & (middle < high))[known].all()
    assert found.loc[["d", "e"], HABIT].isna().all(axis=None)
    # A low day is drawn to the mean of all, two low days less so; and less is unknown after two.
    assert 200 < middle["b"] < middle["a"] < by_days.loc["c", "magnesium_food_mg"]
    assert (high - low)["b"] / middle["b"] < (high - low)["a"] / middle["a"]
    dose, dose_by_days = (each["what_if_magnesium_food_dose"] for each in (found, by_days))
    assert dose_by_days[["a", "b", "c"]].tolist() == [220.0, 220.0, 0.0]
    # The expected intake lies a little above the median.
    assert ((420.0 - middle["a"]) * 0.95 < dose["a"]) & (dose["a"] < 420.0 - middle["a"])
    assert dose["a"] - dose["f"] == pytest.approx(100.0)
    assert np.isnan(dose[["d", "e"]]).all()
    parquet = pd.read_parquet(tmp_path / "out.parquet").set_index("person_id")
    frame = carrying.score(pd.read_csv(people, dtype=str, keep_default_na=False)).set_index("person_id")
    for name in HABIT:
        np.testing.assert_array_equal(parquet[name].astype(float), frame[name])
        np.testing.assert_allclose(found[name], frame[name], rtol=1e-15)


def test_only_the_what_if_of_a_bundle_that_carries_the_model_says_what_is_usual(
    carrying: Scorer, scorer: Scorer
) -> None:
    assert set(HABIT) <= set(carrying.columns(reasons=0))
    assert set(HABIT).isdisjoint(scorer.columns(reasons=0))
    assert set(HABIT).isdisjoint(Scorer(carrying.bundle).columns(reasons=0))


def test_a_file_that_has_a_usual_intake_already_is_refused_by_its_name(
    carrying: Scorer, people: Path, tmp_path: Path
) -> None:
    with pytest.raises(MgRiskError, match="usual_magnesium_mg") as refused:
        score_table(carrying, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0))
    assert refused.value.code == "input.column_taken"
