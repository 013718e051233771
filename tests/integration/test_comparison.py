"""Finished runs are compared on the same people with paired intervals, or refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mgrisk
from mgrisk.cli.main import main
from mgrisk.errors import MgRiskError
from mgrisk.pipeline.finished import Run
from mgrisk.run_folder.comparison import Comparison, compare_runs
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import read_json, write_json


@pytest.fixture
def copied(small_run: Run, tmp_path: Path) -> Path:
    copy = tmp_path / "other"
    shutil.copytree(small_run.folder, copy)
    return copy


def other_winner(folder: Path) -> None:
    """Let a run have chosen the other of its two models."""
    tuning = read_json(folder / "tuning.json")
    (tuning["winner"],) = tuning["models"].keys() - {tuning["winner"]}
    write_json(folder / "tuning.json", tuning)


def test_differences_are_those_that_a_run_has_of_the_same_two_models(small_run: Run, copied: Path) -> None:
    other_winner(copied)
    found = compare_runs([small_run, copied])
    assert found.reference == "demo"
    assert found.not_compared.empty
    for set_name, of_run in (("held-out", "2017-2018"), ("cross-validated", "cross-validated")):
        for metric in ("auroc", "log_loss", "net_benefit@0.05"):
            ours = found.frame().set_index(["set", "metric"]).loc[(set_name, metric)]
            theirs = RunFolder(small_run.folder).differences.one(
                model=small_run.chosen, reference=found.models["other"], set=of_run, metric=metric
            )
            assert (ours["estimate"], ours["low"], ours["high"]) == pytest.approx(
                (-theirs.value, -(theirs.high or 0.0), -(theirs.low or 0.0)), abs=1e-12
            )
            assert (ours["n"], ours["events"]) == (theirs.n, theirs.events)
    assert json.loads(json.dumps(found.to_dict()))["runs"]["other"] == str(copied)


def test_only_the_people_of_both_are_compared(small_run: Run, copied: Path) -> None:
    people = pd.read_parquet(copied / "predictions.parquet")
    kept = people[people["SEQN"] % 3 != 0]
    kept.to_parquet(copied / "predictions.parquet")
    found = compare_runs([small_run, copied]).differences.groupby("set")["n"].first()
    assert found["held-out"] == (kept["set"] == "held-out").sum() < (people["set"] == "held-out").sum()
    assert found["cross-validated"] == (kept["set"] == "development").sum()


def spoil_outcome(folder: Path) -> None:
    cohort = read_json(folder / "cohort.json")
    cohort["outcome"] |= {"name": "dysglycaemia", "label": "Dysglycaemia"}
    write_json(folder / "cohort.json", cohort)


def spoil_label_of_one(folder: Path) -> None:
    people = pd.read_parquet(folder / "predictions.parquet")
    place = people.index[people["set"] == "held-out"][0]
    people.loc[place, "outcome"] = 1.0 - people.loc[place, "outcome"]
    people.to_parquet(folder / "predictions.parquet")


def spoil_tables(folder: Path) -> None:
    tables = read_json(folder / "tables.json")
    write_json(folder / "tables.json", [{**row, "sha256": "0" * 64} for row in tables])


def spoil_names_of_tables(folder: Path) -> None:
    tables = read_json(folder / "tables.json")
    write_json(folder / "tables.json", [{**row, "table": f"{row['table']}_X"} for row in tables])


def spoil_people(folder: Path) -> None:
    people = pd.read_parquet(folder / "predictions.parquet")
    people.assign(SEQN=people["SEQN"] + 10**6).to_parquet(folder / "predictions.parquet")


def spoil_data(folder: Path) -> None:
    for path in folder.glob("*.json"):
        path.write_text(path.read_text("utf-8").replace("SYNTHETIC", "clinic"), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "reason", "sets"),
    [
        (spoil_outcome, "they predict different outcomes: Undiagnosed diabetes and Dysglycaemia", 2),
        (spoil_label_of_one, "1 of 303 people have different outcomes in the two runs", 1),
        (spoil_tables, "the source table DEMO_", 2),
        (spoil_names_of_tables, "no source table in common", 2),
        (spoil_people, "no person is in this set in both runs", 2),
        (spoil_data, "they have different data: SYNTHETIC and clinic", 2),
    ],
)
def test_what_is_not_comparable_is_not_compared_and_says_why(
    spoil: Callable[[Path], None], reason: str, sets: int, small_run: Run, copied: Path
) -> None:
    spoil(copied)
    found = compare_runs([small_run, copied])
    assert len(found.not_compared) == sets
    assert found.not_compared["reason"].str.contains(reason, regex=False).all()
    assert found.differences["set"].nunique() == 2 - sets
    assert len(found.metrics) > 10  # what each run has of its own people stays


def test_settings_and_rules_that_differ_stand_beside_each_other(small_run: Run, copied: Path) -> None:
    resolved = (copied / "resolved.toml").read_text("utf-8")
    (copied / "resolved.toml").write_text(resolved.replace("folds = 3", "folds = 4"), encoding="utf-8")
    attrition = read_json(copied / "attrition.json")
    told = [{**row, "rule": row["rule"].replace("20 years", "30 years")} for row in attrition]
    write_json(copied / "attrition.json", told)
    found = compare_runs([small_run, copied])
    assert found.settings.to_dict("index") == {"cohort.folds": {"demo": "3", "other": "4"}}
    rules = found.attrition.loc["held-out"]
    assert rules.index[:3].tolist() == ["all participants", "20 years and older", "30 years and older"]
    assert rules["demo"].isna().tolist()[:3] == [False, False, True]
    assert rules["other"].isna().tolist()[:3] == [False, True, False]


def test_three_runs_are_each_compared_with_the_first_and_namesakes_are_told_apart(
    small_run: Run, copied: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    namesake = tmp_path / "elsewhere" / "demo"
    shutil.copytree(small_run.folder, namesake)
    found: Comparison = mgrisk.compare_runs([small_run, copied, namesake])
    assert found.reference == str(small_run.folder)
    assert found.differences["run"].unique().tolist() == [str(copied), str(namesake)]
    assert (found.differences["estimate"].dropna() == 0).all()
    assert "0 setting(s) differ" in repr(found)
    assert found._repr_html_().count("<table") == 1


def test_one_run_is_no_comparison(small_run: Run, tmp_path: Path) -> None:
    with pytest.raises(MgRiskError, match="few_runs"):
        compare_runs([small_run])
    with pytest.raises(MgRiskError, match="no_run"):
        compare_runs([small_run, tmp_path])


def test_the_command_says_it_and_writes_one_page_that_fetches_nothing(
    small_run: Run, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_winner(copied)
    spoil_label_of_one(copied)
    target = tmp_path / "page.html"
    assert main(["compare", str(small_run.folder), str(copied), "-o", str(target)]) == 0
    said = capsys.readouterr().out
    assert "SYNTHETIC: Runs compared: demo, other" in said
    assert "other minus demo, cross-validated, on the same 1,433 people" in said
    assert "held-out: not comparable, because 1 of 303 people have different outcomes in the two runs" in said
    page = target.read_text("utf-8")
    assert "SYNTHETIC" in page
    # Four curves of each run, held-out and cross-validated, but for the one that could not be estimated.
    assert page.count("<svg") == 15
    assert "demo: Decision curve" in page
    assert "other: ROC curve" in page
    assert "Integrated calibration index (ICI), percentage points" in page
    assert "no calibration curve, because" in page
    assert "not comparable, because 1 of 303" in page
    assert "src=" not in page
    assert "://" not in page.replace("http://www.w3.org/", "")


def test_a_page_does_not_go_over_a_file_of_a_run(small_run: Run, run_copy: Path) -> None:
    before = (run_copy / "report.html").read_bytes()
    assert main(["compare", str(small_run.folder), str(run_copy), "-o", str(run_copy / "report.html")]) != 0
    assert (run_copy / "report.html").read_bytes() == before
