"""Counts of the summary equal those of the scored file, for any division into blocks."""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ToyPeople

from mgrisk.model.bundle import Bundle
from mgrisk.model.reference import RISK, describe_numbers
from mgrisk.score import sources
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.csv.decimals import ALL_DIGITS
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.expected_performance import RiskCounts
from mgrisk.score.scorer import Scorer, load_scorer
from mgrisk.score.summary import NO_ROWS, Summary, Tally
from mgrisk.storage.files import sha256

# Scored, out of distribution, rejected for its age and out of distribution, rejected for a text, scored.
ROWS = ["50,male,28", "50,male,14", "430,male,120", "60,female,x", "33,female,25", "70,neither,15", "71,male,31"]


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"])


@pytest.fixture
def scored(
    request: pytest.FixtureRequest, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Summary, pd.DataFrame]:
    """The summary and the scored file of a batch in blocks of so many bytes."""
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=request.param))
    (tmp_path / "people.csv").write_text("\n".join(["age_years,sex,bmi_kg_m2", *ROWS, ""]), "utf-8")
    out = tmp_path / "out.csv"
    summary = score_table(scorer, str(tmp_path / "people.csv"), str(out), BatchOptions(reasons=1))
    return summary, pd.read_csv(out, keep_default_na=False, dtype=str)


@pytest.mark.parametrize("scored", [10_000, 25], indirect=True)
def test_the_summary_counts_what_stands_in_the_scored_file(
    scored: tuple[Summary, pd.DataFrame], scorer: Scorer
) -> None:
    summary, rows = scored
    told = summary.to_dict()
    there = rows[rows["status"] == "scored"]
    assert (told["rows"], told["scored"], told["rejected"]) == (7, 4, 3)
    assert told["outside_domain"] == (there["in_domain"] == "no").sum() == 1
    assert told["mean_risk"] == pytest.approx(there["risk"].astype(float).mean())
    codes = Counter(problem.partition(":")[0] for cell in rows["problems"] for problem in cell.split(";") if problem)
    counted: Counter[str] = Counter()
    for problem, count in {**told["rejected_by"], **told["outside_by"]}.items():
        counted[problem.partition(":")[0]] += count
    assert told["outside_by"] == {"outside:bmi_kg_m2": 1}
    assert counted == codes
    assert list(told["rejected_by"].values()) == sorted(told["rejected_by"].values(), reverse=True)
    assert told["base_value"] == scorer.explainer.base_value != 0.0


@pytest.mark.parametrize("scored", [25], indirect=True)
def test_rows_in_many_blocks_count_as_in_one(
    scored: tuple[Summary, pd.DataFrame], scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CsvSource", CsvSource)
    whole = score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / "whole.csv"), BatchOptions(reasons=1))
    assert scored[0].tally.to_dict() == whole.tally.to_dict()
    assert (tmp_path / "out.csv.summary.json").read_bytes() == (tmp_path / "whole.csv.summary.json").read_bytes()


def test_a_batch_of_nobody_has_no_mean_risk(scorer: Scorer) -> None:
    told = Summary.of(scorer, Tally(), {})
    assert told.to_dict()["mean_risk"] is None
    assert told.lines() == [NO_ROWS]


FIVE_PEOPLE = pd.DataFrame(
    {
        "person_id": list("abcde"),
        "age_years": ["50", "430", "61.5", "x", "33"],
        "sex": ["male", "female", "neither", "male", "female"],
        "height_cm": [180, 165, 170, 171, 160],
        "weight_kg": [90, 60, 70, 80, 55],
        "Smoking status": ["never"] * 5,
        "ward": range(5),
    }
)


def summed_up(scorer: Scorer, people: pd.DataFrame, folder: Path) -> Summary:
    people.to_csv(folder / "people.csv", index=False)
    return score_table(
        scorer, str(folder / "people.csv"), str(folder / "out.csv"), BatchOptions(reasons=0, digits=ALL_DIGITS)
    )


def sample(toy_people: ToyPeople, n: int) -> pd.DataFrame:
    """People drawn from the population of the toy bundles."""
    random = np.random.default_rng(3)
    places = random.choice(toy_people.inside, n, p=toy_people.weight / toy_people.weight.sum())
    return toy_people.frame.iloc[places]


def test_rejected_rows_are_told_by_code_and_optional_inputs_are_none(scorer: Scorer, tmp_path: Path) -> None:
    summary = summed_up(scorer, FIVE_PEOPLE, tmp_path)
    codes = {"out_of_range:age_years": 1, "unknown_level:sex": 1, "not_a_number:age_years": 1}
    assert summary.to_dict()["rejected_by"] == codes
    first = summary.lines()[0]
    assert first.startswith("5 rows: 2 scored by ")
    assert "3 rejected (1 × " in first
    assert all(code in first for code in codes)
    alone = summed_up(scorer, FIVE_PEOPLE.head(1), tmp_path)
    assert alone.rejected_by == {}
    assert not alone.tally.problems
    assert alone.lines()[0].endswith("0 rejected")


def test_a_missing_required_value_is_a_reason_of_rejection(scorer: Scorer, tmp_path: Path) -> None:
    summary = summed_up(scorer, FIVE_PEOPLE.assign(sex=["male", "female", None, None, None]), tmp_path)
    assert summary.rejected_by["missing:sex"] == 3


def test_inputs_are_given_where_some_scored_row_has_them_or_what_they_derive_from(
    scorer: Scorer, tmp_path: Path
) -> None:
    summary = summed_up(scorer, FIVE_PEOPLE.assign(race_ethnicity=["", "white", "", "", ""]), tmp_path)
    inputs = summary.to_dict()["inputs"]
    # Body mass index from height and weight; race/ethnicity of nobody but one who is rejected.
    assert inputs == {
        "given": ["age_years", "sex", "bmi_kg_m2"],
        "absent": ["race_ethnicity", "smoking", "magnesium_total_mg"],
    }
    (line,) = [line for line in summary.lines() if line.startswith("inputs:")]
    assert line == "inputs: 3 of 6 given; absent: race_ethnicity, smoking, magnesium_total_mg"
    fewer = summed_up(scorer, FIVE_PEOPLE[["age_years", "sex"]], tmp_path)
    assert "inputs: 2 of 6 given: age_years, sex" in fewer.lines()


def test_columns_that_were_not_used_are_named_with_what_they_may_have_meant(scorer: Scorer, tmp_path: Path) -> None:
    summary = summed_up(scorer, FIVE_PEOPLE, tmp_path)
    assert summary.to_dict()["unused_columns"] == {"Smoking status": "smoking", "ward": ""}
    assert "columns not used (2): Smoking status (smoking?), ward" in summary.lines()
    used = summed_up(scorer, FIVE_PEOPLE.drop(columns=["Smoking status", "ward"]), tmp_path)
    assert not any("not used" in line for line in used.lines())


def test_every_column_that_was_not_used_is_named_however_many(scorer: Scorer, tmp_path: Path) -> None:
    names = [f"ward_{number}" for number in range(40)]
    lines = summed_up(scorer, FIVE_PEOPLE[["age_years", "sex"]].assign(**dict.fromkeys(names, 1)), tmp_path).lines()
    assert f"columns not used (40): {', '.join(names)}" in lines


def test_an_input_that_many_rows_lack_is_told(scorer: Scorer, toy_people: ToyPeople, tmp_path: Path) -> None:
    people = sample(toy_people, 200)
    gone = people.assign(bmi_kg_m2=people["bmi_kg_m2"].where(np.arange(200) % 2 == 0))
    (line,) = [line for line in summed_up(scorer, gone, tmp_path).lines() if "missing more often" in line]
    assert line.startswith("  missing more often than in development: bmi_kg_m2 5")
    assert not any("missing more" in line for line in summed_up(scorer, people, tmp_path).lines())


def test_shifts_are_told_where_there_are_rows_enough(scorer: Scorer, toy_people: ToyPeople, tmp_path: Path) -> None:
    people = sample(toy_people, 800)
    heavier = people.assign(bmi_kg_m2=people["bmi_kg_m2"] + 6)
    told = "\n".join(summed_up(scorer, heavier, tmp_path).lines())
    assert "PSI (population stability index) ≥ 0.25 for 1 of 6 inputs (bmi_kg_m2 " in told
    assert "PSI (population stability index) ≥ 0.25 for 0 of 6 inputs, 0.1 to 0.25 for 0" in "\n".join(
        summed_up(scorer, people, tmp_path).lines()
    )
    few = "\n".join(summed_up(scorer, heavier.head(12), tmp_path).lines())
    assert "too few rows to distinguish it from chance" in few
    assert "PSI" not in few


def test_the_shift_of_risks_has_a_ks_statistic(scorer: Scorer, toy_people: ToyPeople, tmp_path: Path) -> None:
    bundle = scorer.bundle
    risk = bundle.calibrator.risk(bundle.fitted.margin(toy_people.matrix))
    known = Scorer(replace(bundle, reference={**bundle.reference, RISK: describe_numbers(risk, toy_people.weight)}))
    people = sample(toy_people, 800)
    summary = summed_up(known, people.assign(bmi_kg_m2=people["bmi_kg_m2"] + 6), tmp_path)
    (shift,) = [shift for shift in summary.shifts if shift.name == RISK]
    (line,) = [line for line in summary.lines() if line.startswith("  risks: PSI")]
    assert f"PSI {shift.psi:.2f}, KS statistic" in line
    assert f"{shift.ks:.2f} (SE {shift.ks_se:.2f})" in line
    assert summary.to_dict()["drift"][0].keys() >= {"psi", "psi_limit", "ks", "ks_se"}


def test_expected_performance_is_that_of_the_risks_in_the_scored_file(
    scorer: Scorer, toy_people: ToyPeople, tmp_path: Path
) -> None:
    spoiled = sample(toy_people, 300).reset_index(drop=True)
    spoiled.loc[:20, "age_years"] = 430.0
    summary = summed_up(scorer, spoiled, tmp_path)
    risk = pd.read_csv(tmp_path / "out.csv")["risk"].dropna().to_numpy()
    assert len(risk) == 279
    assert summary.to_dict()["expected_performance"] == RiskCounts.of(risk).expected()
    told = summary.lines()
    assert f"{risk.sum():,.1f} cases, AUROC {RiskCounts.of(risk).expected()['auroc']:.2f}" in told[-5]
    assert told[-1].startswith(f"  risk ≥ 20%: {100 * (risk >= 0.2).mean():.0f}% screen-positive, sensitivity ")


def test_a_threshold_that_separates_nobody_is_not_shown(scorer: Scorer, tmp_path: Path) -> None:
    lines = summed_up(scorer, FIVE_PEOPLE.head(1), tmp_path).lines()
    assert not any("screen-positive" in line for line in lines)
    assert "AUROC" not in "\n".join(lines)


def test_what_absent_inputs_cost_is_told_where_the_bundle_knows(scorer: Scorer, tmp_path: Path) -> None:
    absent = ["race_ethnicity", "smoking", "magnesium_total_mg"]
    rows = [
        {"absent": names, "auroc": auroc, "calibration_slope": 1.0, "observed_expected": 1.0}
        for names, auroc in (([], 0.82), (absent, 0.7712))
    ]
    bundle = replace(scorer.bundle, parts={**scorer.bundle.parts, "patterns.json": json.dumps(rows).encode()})
    summary = summed_up(Scorer(bundle), FIVE_PEOPLE, tmp_path)
    assert "  AUROC 0.820 with all inputs, 0.771 without these, in left-out cycles" in summary.lines()
    told = summary.to_dict()["inputs"]
    assert (told["auroc_with_all"], told["auroc_without_absent"]) == (0.82, 0.7712)


def test_a_file_of_rejected_rows_says_just_that(scorer: Scorer, tmp_path: Path) -> None:
    summary = summed_up(scorer, FIVE_PEOPLE.iloc[[1, 3]].drop(columns=["Smoking status", "ward"]), tmp_path)
    assert len(summary.lines()) == 1
    assert summary.to_dict()["inputs"] == {"given": [], "absent": []}


def test_parts_with_other_columns_are_summed_up_as_one_file(scorer: Scorer, tmp_path: Path) -> None:
    first = Tally.from_dict(summed_up(scorer, FIVE_PEOPLE, tmp_path).tally.to_dict())
    other = summed_up(scorer, FIVE_PEOPLE.drop(columns="Smoking status").assign(waist_cm=90), tmp_path).tally
    assert (first + other).columns == (*FIVE_PEOPLE.columns, "waist_cm")
    assert (first + other).rows == 10


def test_the_summary_file_says_which_model_and_which_input_gave_the_numbers(
    toy_bundles: dict[str, Bundle], tmp_path: Path
) -> None:
    toy_bundles["spline_logistic"].write(tmp_path / "model")
    read = load_scorer(tmp_path / "model")
    told = summed_up(read, FIVE_PEOPLE, tmp_path).to_dict()
    assert told["bundle"]["sha256"] == sha256(tmp_path / "model/SHA256SUMS")
    assert told["bundle"]["name"] == "toy"
    assert told["input_sha256"] == sha256(tmp_path / "people.csv")
    assert told["mgrisk"] == version("mgrisk")
    with_options = Scorer(read.bundle, what_if=True)
    other = summed_up(with_options, FIVE_PEOPLE, tmp_path).to_dict()
    assert other["answer_columns_sha256"] != told["answer_columns_sha256"]
    assert other["bundle"]["sha256"] is None
