"""Training on a file instead of NHANES: the example of the how-to, and the demo cohort read from a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mgrisk
from mgrisk.pipeline.finished import Run
from mgrisk.report.content import failed_sections, report_content

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "pipelines" / "own-cohort.toml"
SMALL = (
    "model.spline_logistic.c=[0.1]",
    "model.xgboost.trees=[30, 60]",
    "model.uncertainty.replicates=4",
    "model.uncertainty.draws=2",
)


@pytest.fixture(scope="module")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The example, in clinics; the paths of the file are those of a user in the root of the repository."""
    files = [f"own.{name}={ROOT / 'data/examples' / file}" for name, file in (
        ("file", "cohort.csv.gz"), ("mapping", "cohort.mapping.toml"),
    )]  # fmt: skip
    return mgrisk.run(EXAMPLE, overrides=[*SMALL, *files], out=tmp_path_factory.mktemp("own") / "run")


def test_every_section_of_the_report_is_made_and_says_whose_people_they_are(own_run: Run) -> None:
    content = report_content(own_run.folder)
    assert failed_sections(content) == ()
    page = own_run.report.read_text("utf-8")
    for said in ("clinic", "cohort.csv.gz", "Diabetes within five years", "as confidential as the file"):
        assert said in page
    for not_theirs in ("Weighted to the population", "Adults of the United States", "SEQN", "public-use files"):
        assert not_theirs not in page
    card = (own_run.bundle / "card.md").read_text("utf-8")
    assert "told of diabetes, or treated for it, within five years" in card
    assert "no forecast" not in card


def test_nobody_is_named_in_the_run_folder(own_run: Run) -> None:
    found = [path for path in own_run.folder.rglob("*") if path.is_file() and b"made-up-0" in path.read_bytes()]
    assert found == []


def test_what_only_the_makers_of_the_file_know_is_not_answered_for_them(own_run: Run) -> None:
    items = {item["item"]: item for item in json.loads((own_run.folder / "tripod.json").read_text("utf-8"))}
    for item in ("5a", "6a", "8a", "17", "18e"):
        assert items[item]["status"] == "not done"
        assert "to be answered by the authors of cohort.csv.gz" in items[item]["answer"]
    assert not any("NHANES" in item["answer"] for item in items.values() if item["item"] != "27c")
    questions = json.loads((own_run.folder / "probast.json").read_text("utf-8"))
    assert sum(question["answer"] == "no information" for question in questions) == 16


def test_nothing_published_of_nhanes_is_asked_of_it(own_run: Run) -> None:
    known = json.loads((own_run.folder / "known_answers.json").read_text("utf-8"))
    assert known
    assert all(record["passed"] is None for record in known)
    scores = {score["name"]: score for score in json.loads((own_run.folder / "scores.json").read_text("utf-8"))}
    assert scores["uspstf"]["evaluated"]
    assert "the file has no" in scores["ada"]["problem"]


def test_the_bundle_scores_the_mapped_file_of_the_how_to(own_run: Run, tmp_path: Path) -> None:
    from mgrisk.cli.main import main

    people, scored = tmp_path / "people.csv", tmp_path / "scored.csv"
    data = ROOT / "data" / "examples"
    mapping = str(data / "cohort.mapping.toml")
    assert main(["map", str(data / "cohort.csv.gz"), "--mapping", mapping, "-o", str(people)]) == 0
    assert main(["score", str(people), "-o", str(scored), "--model", str(own_run.bundle), "--digits", "17"]) == 0
    rows = pd.read_csv(scored)
    assert len(rows) == 6000
    # What batches are compared with is the people of the file, and the risks they had.
    drift = json.loads((tmp_path / "scored.csv.summary.json").read_text("utf-8"))["drift"]
    assert "risk" in {each["name"] for each in drift}
    assert max(each["psi"] for each in drift) < 0.05
    held_out = pd.read_parquet(own_run.folder / "predictions.parquet").query("set == 'held-out'")
    learner = json.loads((own_run.folder / "tuning.json").read_text("utf-8"))["winner"]
    # The number of a row is where it stands in the file.
    np.testing.assert_allclose(rows["risk"][held_out["SEQN"] - 1], held_out[learner], rtol=1e-6)


def test_a_run_again_changes_nothing_and_another_file_changes_all(own_run: Run, tmp_path: Path) -> None:
    from mgrisk.pipeline.own_cohort import files

    resolved = own_run.folder / "resolved.toml"
    again = mgrisk.run(resolved, out=own_run.folder)
    assert again.steps == ()
    other = tmp_path / "other.csv"
    pipeline = mgrisk.pipeline.run.load(resolved)
    assert pipeline.own is not None
    pd.read_csv(files(pipeline.own)[0], dtype=str, keep_default_na=False)[:-1].to_csv(other, index=False)
    moved = mgrisk.run(resolved, overrides=[f"own.file={other}"], out=own_run.folder, until="folds")
    assert moved.steps[0] == "cohort"


def test_people_of_a_survey_from_a_file_give_what_the_survey_gives(small_run: Run, tmp_path: Path) -> None:
    """The demo cohort written to a file with its weights, strata and PSUs: the same fit and the same intervals."""
    folder = small_run.folder
    cohort = pd.read_parquet(folder / "cohort.parquet")
    features = pd.read_parquet(folder / "features.parquet").drop(columns="data")
    people = cohort.merge(features, on="SEQN")
    people["outcome"] = people["outcome"].where(people["analysis"])
    # Some numbers longer than others: units are dealt to folds in the order of numbers, not of texts.
    people["stratum"] -= people["stratum"].min() - 1
    people["prediabetes"] = people["prediabetes"].astype("int")
    people[["cycle", "stratum", "psu", "weight", "outcome", "prediabetes", *features.columns.drop("SEQN")]].to_parquet(
        tmp_path / "people.parquet"
    )
    resolved = (folder / "resolved.toml").read_text("utf-8")
    head, _, rest = resolved.partition("[synthetic]")
    pipeline = tmp_path / "file.toml"
    pipeline.write_text(
        f"""
        {head}
        [own]
        file = "{tmp_path / "people.parquet"}"
        data = "SYNTHETIC"
        outcome = "outcome"
        period = "cycle"
        weight = "weight"
        strata = "stratum"
        psu = "psu"
        prediabetes = "prediabetes"
        {rest[rest.index("[cohort]") :]}
        """
    )
    found = mgrisk.run(pipeline, overrides=["cohort.across_breaks=[]"], out=tmp_path / "run", until="evaluate")
    wanted = small_run.evaluation.frame()
    here = found.evaluation.frame()
    # FINDRISC and AUSDRISK ask what no file gives. Children, whose age the contract of a file refuses, are nobody of a
    # group without an age.
    keys = ["model", "set", "group", "level", "metric"]
    asked = wanted[~wanted["model"].str.contains("findrisc|ausdrisk")]
    both = asked.merge(here, on=keys, suffixes=("", "_here"), how="left", indicator=True)
    assert set(both["_merge"]) == {"both"}
    assert set(both["model"]) >= {"spline_logistic", "xgboost", "ada"}
    for column in ("estimate", "low", "high", "n", "events"):
        np.testing.assert_allclose(
            both[f"{column}_here"].astype(float), both[column].astype(float), rtol=1e-6, atol=1e-9
        )
