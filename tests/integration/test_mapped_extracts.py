"""Mapping SYNTHETIC extracts of a hospital, an insurer and a nutrition study gives the true values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_extracts import EXTRACTS, NOT_KNOWN, Extract, hospital

from mgrisk.cli.main import main

PEOPLE = 400


@pytest.fixture(scope="module", params=sorted(EXTRACTS))
def extract(request: pytest.FixtureRequest) -> Extract:
    return EXTRACTS[request.param](PEOPLE)


def wrong_cells(people: pd.DataFrame, truth: pd.DataFrame) -> dict[str, int]:
    """Count the cells that are not the truth: numbers to the last digits, texts and missing ones exactly."""
    assert (list(people.columns), len(people)) == (list(truth.columns), len(truth))
    wrong = {}
    for name in truth:
        if pd.api.types.is_numeric_dtype(truth[name]):
            told = pd.to_numeric(people[name].replace("", np.nan))
            right = np.isclose(told, truth[name], rtol=1e-12, atol=0, equal_nan=True)
        else:
            right = people[name].fillna("") == truth[name].fillna("")
        wrong[name] = int((~np.asarray(right)).sum())
    return {name: count for name, count in wrong.items() if count}


@pytest.mark.parametrize("target", ["people.csv", "people.parquet"])
def test_every_value_is_the_truth(
    extract: Extract, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = extract.write(tmp_path)
    assert main(["map", str(path), "--mapping", str(extract.mapping), "-o", str(tmp_path / target)]) == 0
    read = pd.read_parquet if target.endswith("parquet") else pd.read_csv
    options = {} if target.endswith("parquet") else {"dtype": str, "keep_default_na": False}
    people = read(tmp_path / target, **options)
    assert wrong_cells(people, extract.people) == {}
    told = capsys.readouterr().out
    assert f"{PEOPLE} rows in" in told
    assert f"{extract.excluded:,} of {extract.rows:,} rows" in told
    assert "not understood" not in told


def test_a_wrong_value_is_noticed(extract: Extract) -> None:
    people = extract.people.copy()
    people.loc[3, "age_years"] += 1
    people.loc[[5, 9], "sex"] = "unknown"
    assert wrong_cells(people, extract.people) == {"age_years": 1, "sex": 2}


def test_what_was_mapped_is_scored_and_evaluated(
    extract: Extract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people, model = str(tmp_path / "people.parquet"), ["--model", "undiagnosed"]
    assert main(["map", str(extract.write(tmp_path)), "--mapping", str(extract.mapping), "-o", people]) == 0
    assert main(["score", people, "-o", str(tmp_path / "scored.csv"), *model]) == 0
    scored = pd.read_csv(tmp_path / "scored.csv", dtype=str)
    assert list(scored["person_id"]) == list(extract.people["person_id"])
    told_no = [extract.people[name] == "yes" for name in ("diabetes_told", "pregnant") if name in extract.people]
    not_for = np.logical_or.reduce([np.zeros(PEOPLE, bool), *told_no])
    old_enough = extract.people["age_years"] >= 20
    assert set(scored["status"][~not_for & old_enough]) == {"scored"}
    assert not (scored["status"][not_for] == "scored").any()
    assert main(["evaluate", people, "--outcome", "diabetes", *model, "-o", str(tmp_path / "evaluated")]) == 0


def test_what_is_wrong_in_a_nightly_batch_is_named_row_by_row(
    extract: Extract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = extract.people[extract.people["age_years"] >= 20].reset_index(drop=True)
    not_for = [name for name in ("diabetes_told", "pregnant") if name in people]
    fine = people.index[(people[not_for] != "yes").all(axis=1)]
    wrong, impossible, improbable = fine[:20], fine[20:35], fine[35:45]
    people["smoking"] = "never"
    people.loc[wrong, "smoking"] = "Ex-smoker"
    people.loc[impossible, ["systolic_mmhg", "diastolic_mmhg"]] = [80, 120]
    people.loc[improbable, ["height_cm", "weight_kg"]] = [170, 70]
    people["bmi_kg_m2"] = people["weight_kg"] / (people["height_cm"] / 100) ** 2
    people.loc[improbable, "bmi_kg_m2"] = 33.0
    (tmp_path / "night").mkdir()
    half = len(people) // 2
    people[:half].to_parquet(tmp_path / "night" / "a.parquet")
    people[half:].to_json(tmp_path / "night" / "b.jsonl", orient="records", lines=True)
    assert main(["validate", str(tmp_path / "night"), "--model", "undiagnosed"]) == 3
    told = capsys.readouterr().out
    for line in ("  20 × unknown_level:smoking", "  15 × contradiction:diastolic_mmhg", "  10 × improbable:bmi_kg_m2"):
        assert line in told.splitlines()
    assert "  not accepted: smoking: 'Ex-smoker' 20" in told.splitlines()
    command = ["score", str(tmp_path / "night"), "-o", str(tmp_path / "scored"), "--model", "undiagnosed"]
    assert main([*command, "--max-rejected", "0.05"]) == 6
    first = pd.read_parquet(tmp_path / "scored" / "a.parquet")
    second = pd.read_json(tmp_path / "scored" / "b.jsonl", lines=True, dtype=False)
    scored = pd.concat([first, second], ignore_index=True)
    assert scored["person_id"].tolist() == people["person_id"].tolist()
    codes = scored["problems"].str.split(";").explode()
    for code, rows in (
        ("unknown_level:smoking", wrong),
        ("contradiction:diastolic_mmhg", impossible),
        ("improbable:bmi_kg_m2", improbable),
    ):
        assert codes.index[codes == code].tolist() == rows.tolist()
    assert set(scored["status"][[*wrong, *impossible]]) == {"rejected"}
    assert set(scored["status"][improbable]) == {"scored"}


def test_the_page_shows_the_mappings_that_are_tested() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "map-an-export.md").read_text("utf-8")
    shown = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert shown == [make(20).mapping.read_text("utf-8") for make in EXTRACTS.values()]


def test_cells_of_few_rows_that_are_not_understood_are_shown_by_explain_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract = hospital(60, not_understood=4)
    path, people = str(extract.write(tmp_path)), tmp_path / "people.csv"
    assert main(["map", path, "--mapping", str(extract.mapping), "--explain"]) == 0
    told = capsys.readouterr().out
    assert f"not understood: {NOT_KNOWN!r}" in told
    assert "age_years: completed years from Geburtsdatum to Besuchsdatum" in told
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hospital.csv"]
    assert main(["map", path, "--mapping", str(extract.mapping), "-o", str(people)]) == 0
    told = capsys.readouterr().out
    assert NOT_KNOWN not in told
    assert "smoking: " in told
    assert wrong_cells(pd.read_csv(people, dtype=str, keep_default_na=False), extract.people) == {}
    # A text of many rows is a code that the mapping lacks.
    often = str(hospital(60, not_understood=30).write(tmp_path))
    assert main(["map", often, "--mapping", str(extract.mapping), "-o", str(people), "--overwrite"]) == 0
    assert f"  not accepted: smoking: {NOT_KNOWN!r} " in capsys.readouterr().out
