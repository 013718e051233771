"""What-if columns: the numbers of evidence.what_if on every row, in every format; the rest of a row as without."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evidence.what_if import ADVICE, ASK, UNLESS, what_if
from mgrisk.model.bundle import Bundle
from mgrisk.score import sources
from mgrisk.score.answers import option_columns
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.scorer import Scorer

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
    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0))
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
    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=1))
    score_table(scorer, str(people), str(tmp_path / "out.parquet"), BatchOptions(reasons=1))
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=60))
    score_table(scorer, str(people), str(tmp_path / "small.csv"), BatchOptions(reasons=1), workers=3)
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
    assert "not the model's answer" in about["what_it_is"]
    assert any("Transport" in each for each in about["assumptions"])
    assert all(option["study"] for option in about["options"] if option["name"] != "magnesium_supplement")


def test_a_file_that_has_such_a_column_is_refused(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    people.write_text(PEOPLE.replace("person_id", "what_if_diet_risk", 1), encoding="utf-8")
    with pytest.raises(MgRiskError, match="what_if_diet_risk"):
        score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0))


def test_advice_needs_no_quotes() -> None:
    assert not any(sign in text for text in ADVICE for sign in ',"\r\n')
