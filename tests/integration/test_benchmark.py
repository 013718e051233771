"""Entries of a benchmark reproduce the figures of the run, and each planted flaw is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

import mgrisk
from mgrisk.cli.main import main
from mgrisk.config.toml import rows
from mgrisk.errors import MgRiskError
from mgrisk.pipeline.benchmark import open_task, risks_of
from mgrisk.pipeline.run import Run
from mgrisk.run_folder.benchmark import Task, enter

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def task(small_run: Run) -> Task:
    return open_task("undiagnosed", run=small_run.folder)


@pytest.fixture(scope="module")
def own(task: Task) -> pd.DataFrame:
    """What the run's own model gives as an entry: cross-validated risks, and those of the held-out people."""
    people = task.run.predictions
    return pd.DataFrame({"SEQN": people["SEQN"], "risk": people[task.run.winner]})


def people_of(task: Task, own: pd.DataFrame) -> pd.DataFrame:
    cohort = task.run.frame("cohort.parquet")
    return own.merge(cohort[["SEQN", "set", "outcome", "prediabetes", "weight"]], on="SEQN", validate="one_to_one")


def test_an_entry_with_the_risks_of_the_run_has_the_figures_of_its_evaluation(task: Task, own: pd.DataFrame) -> None:
    entered = enter(task, "same", own)
    assert {finding.code for finding in entered.findings} <= {"not_probabilities"}
    found = entered.metrics[entered.metrics["model"] == "same"]
    assert set(found["set"]) == {"cross-validated", "2017-2018"}
    for record in found.to_dict("records"):
        wanted = task.run.evaluation.one(model=task.run.winner, set=record["set"], metric=record["metric"])
        for name in ("estimate", "low", "high"):
            assert record[name] == pytest.approx(
                np.nan if (value := getattr(wanted, name)) is None else value, nan_ok=True
            ), (record["metric"], name)
        assert (record["n"], record["events"]) == (wanted.n, wanted.events)
    from_winner = entered.differences[entered.differences["reference"] == task.run.winner]
    assert from_winner["estimate"].abs().max() < 1e-12


def test_a_classifier_is_fitted_on_the_folds_of_the_task(task: Task, own: pd.DataFrame) -> None:
    trees = HistGradientBoostingClassifier(max_iter=20, random_state=1)
    entered = mgrisk.benchmark("undiagnosed", {"trees": trees, "own": own}, run=task.run.folder)
    risk = risks_of(task, "trees", trees).merge(task.people, on="SEQN", validate="one_to_one")
    assert len(risk) == len(task.people)
    auroc = entered["trees"].metrics.query("model == 'trees' and metric == 'auroc'").set_index("set")["estimate"]
    for set_name, label in (("development", "cross-validated"), ("held-out", "2017-2018")):
        of_set = risk[risk["set"] == set_name]
        wanted = roc_auc_score(of_set["outcome"], of_set["risk"], sample_weight=of_set["weight"])
        assert auroc[label] == pytest.approx(wanted)
    assert entered["own"].metrics.equals(enter(task, "own", own).metrics)
    assert "trees" in repr(entered["trees"])
    assert entered["trees"]._repr_html_().startswith("<table")


def test_differences_are_those_of_the_entry_from_the_others(task: Task, own: pd.DataFrame) -> None:
    entered = enter(task, "same", own)
    by = entered.metrics.set_index(["set", "model", "metric"])["estimate"]
    assert set(entered.differences["reference"]) >= {"ada:logistic", "findrisc:logistic", "ausdrisk:logistic"}
    for record in entered.differences.dropna(subset=["low"]).to_dict("records"):
        mine, theirs = (by[record["set"], name, record["metric"]] for name in ("same", record["reference"]))
        assert record["estimate"] == pytest.approx(mine - theirs)
        assert record["low"] <= record["estimate"] <= record["high"]


def test_people_who_were_left_out_are_counted_and_named_as_what_they_are(task: Task, own: pd.DataFrame) -> None:
    people = people_of(task, own)
    kept = people[~people["prediabetes"] | (people["outcome"] == 1)]
    entered = enter(task, "spectrum", kept[["SEQN", "risk"]])
    found = {finding.set: finding.sentence for finding in entered.findings if finding.code == "people_left_out"}
    for set_name, label in (("development", "cross-validated"), ("held-out", "2017-2018")):
        of_set = people[people["set"] == set_name]
        gone = of_set["prediabetes"] & (of_set["outcome"] == 0)
        controls = of_set["outcome"] == 0
        share = 100 * of_set.loc[gone, "weight"].sum() / of_set.loc[controls, "weight"].sum()
        assert (
            f"{gone.sum():,} of {len(of_set):,} people have no risk: 0 % of cases, {share:.0f} % of non-cases"
            in found[label]
        )
        assert "100 % of the excluded non-cases have prediabetes, and 0 % of the remaining ones" in found[label]
    auroc = entered.metrics.query("metric == 'auroc' and set == 'cross-validated'").set_index("model")["estimate"]
    whole = task.run.evaluation.one(model=task.run.winner, set="cross-validated", metric="auroc").estimate
    assert f"from {whole:.3f} to {auroc[task.run.winner]:.3f}" in found["cross-validated"]
    # The run's own evaluation of the same, by another way.
    fewer = task.run.evaluation.where(model=task.run.winner, set="cross-validated", group="controls").rows
    assert [auroc[task.run.winner]] == pytest.approx([record.estimate for record in fewer])


def test_risks_of_other_people_are_found_by_observed_over_expected(task: Task, own: pd.DataFrame) -> None:
    odds = 10 * own["risk"] / (1 - own["risk"])
    found = enter(task, "balanced", own.assign(risk=odds / (1 + odds))).findings
    assert [finding.set for finding in found if finding.code == "not_probabilities"] == ["cross-validated", "2017-2018"]


def test_a_model_that_knows_the_label_and_one_that_learned_from_whom_it_is_evaluated_on_are_found(
    task: Task, own: pd.DataFrame
) -> None:
    people = people_of(task, own)
    known = people.assign(risk=0.05 + 0.9 * people["outcome"])[["SEQN", "risk"]]
    codes = [(finding.code, finding.set) for finding in enter(task, "known", known).findings]
    assert ("label_known", "cross-validated") in codes
    assert ("label_known", "2017-2018") in codes
    leaked = people["risk"].where(people["set"] == "held-out", known["risk"])
    codes = [finding.code for finding in enter(task, "leaked", known.assign(risk=leaked)).findings]
    assert "learned_from_evaluated" in codes


def test_risks_of_people_who_are_not_in_the_task_are_counted_and_not_used(task: Task, own: pd.DataFrame) -> None:
    more = pd.concat([own, pd.DataFrame({"SEQN": [1, 2], "risk": [0.1, 0.2]})])
    entered = enter(task, "more", more)
    assert [finding.sentence for finding in entered.findings if finding.code == "others"] == [
        "2 risks are for people who are not in the task: not used"
    ]
    assert entered.metrics.drop(columns="model").equals(enter(task, "own", own).metrics.drop(columns="model"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda entry: entry.rename(columns={"risk": "probability"}), "benchmark.missing_column"),
        (lambda entry: pd.concat([entry, entry.head(1)]), "benchmark.person_twice"),
        (lambda entry: entry.assign(risk=entry["risk"] * 100), "benchmark.bad_risk"),
        (lambda entry: entry.assign(risk="high"), "benchmark.bad_risk"),
        (lambda entry: entry.assign(SEQN=entry["SEQN"] + 10**9), "benchmark.nobody"),
    ],
)
def test_what_is_no_entry_is_refused(task: Task, own: pd.DataFrame, change, code: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MgRiskError) as caught:
        enter(task, "entry", change(own))
    assert caught.value.code == code


def test_the_digest_is_of_people_folds_design_and_outcome(task: Task, run_copy: Path) -> None:
    assert len(task.people) == len(task.run.predictions)
    assert set(task.people.loc[task.people["set"] == "held-out", "fold"]) == {-1}
    assert not task.is_frozen
    folds = pd.read_parquet(run_copy / "folds.parquet")
    folds["fold"] = (folds["fold"] + 1) % 3
    folds.to_parquet(run_copy / "folds.parquet")
    assert open_task("undiagnosed", run=run_copy).digest != task.digest


@pytest.mark.slow
def test_the_frozen_task_is_made_again_of_the_public_tables(mirror: Path, tmp_path: Path) -> None:
    pipeline = ROOT / "pipelines" / "undiagnosed.toml"
    made = mgrisk.run(pipeline, overrides=[f"source={mirror}"], out=tmp_path / "run", until="folds")
    task = open_task("undiagnosed", run=made.folder)
    assert task.is_frozen
    (row,) = (
        each for each in rows("mgrisk.run_folder", "benchmark_tasks.toml", "task") if each["sha256"] == task.digest
    )
    for set_name, counts in (("development", row["development"]), ("held-out", row["held_out"])):
        of_set = task.people[task.people["set"] == set_name]
        assert counts == {"people": len(of_set), "cases": int(of_set["outcome"].sum())}


def test_the_command_writes_a_page_and_the_people_and_prints_findings(
    task: Task, own: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, page, people = tmp_path / "mine.csv", tmp_path / "page.html", tmp_path / "people.csv"
    own.iloc[: len(own) - 50].to_csv(entry, index=False)
    command = ["benchmark", "undiagnosed", "--run", str(task.run.folder), "--entry", str(entry)]
    assert main([*command, "-o", str(page), "--people", str(people)]) == 0
    said = capsys.readouterr().out
    assert "mine" in said
    assert "not the task of the published leaderboard" in said
    assert "! 2017-2018: 50 of" in said
    shown = page.read_text("utf-8")
    assert "SYNTHETIC" in shown
    assert "50 of" in shown
    assert pd.read_csv(people).equals(task.people.astype({"outcome": "float64"}))
    assert main([*command, "--format", "json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["entry"] == "mine"
    assert np.isfinite(record["metrics"][0]["estimate"])


def test_an_entry_that_is_not_there_or_no_csv_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["benchmark", "undiagnosed", "--entry", "no.csv"]) == 3
    assert "[benchmark.not_csv]" in capsys.readouterr().err
    assert main(["benchmark", "height"]) == 2
    assert "[benchmark.no_pipeline]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
