"""An estimator passed in Python is a candidate of a run, and leaves no files in a later run without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.integration.conftest import DEMO

import mgrisk
from mgrisk.pipeline.finished import Run
from mgrisk.report.blocks import find_section
from mgrisk.report.content import report_content
from mgrisk.run_folder.folder import RunFolder


def logistic(c: float) -> object:
    return make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression(C=c))


@pytest.fixture(scope="module")
def settings(small_settings: tuple[str, ...]) -> tuple[str, ...]:
    return small_settings


def run(folder: Path, settings: tuple[str, ...], c: float | None, until: str = "explain") -> tuple[Run, list[str]]:
    said: list[str] = []
    candidates = {} if c is None else {"mine": logistic(c)}
    found = mgrisk.run(DEMO, overrides=settings, out=folder, until=until, candidates=candidates, progress=said.append)
    return found, said


def test_it_competes_and_a_rerun_does_what_changed(run_copy: Path, settings: tuple[str, ...]) -> None:
    before = RunFolder(run_copy)
    alone, trained = before.evaluation.frame(), before.path("trained").stat().st_mtime_ns
    first, said = run(run_copy, settings, 0.01)
    assert first.steps == ("candidates", "evaluate")
    (place,) = [place for place, line in enumerate(said) if "] candidates: " in line]
    assert f"a bundle can hold none of these, and holds {first.chosen}" in said[place + 1]
    assert run(run_copy, settings, 0.01)[0].steps == ()

    # Evaluated as the others, whose numbers stay as they were.
    evaluation = first.evaluation.frame()
    others = evaluation[evaluation["model"] != "mine"].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, alone)
    for set_name in ("2017-2018", "cross-validated"):
        mine = first.evaluation.one(model="mine", set=set_name, metric="auroc")
        chosen = first.evaluation.one(model=first.chosen, set=set_name, metric="auroc")
        assert (mine.n, mine.events) == (chosen.n, chosen.events)
        assert first.differences.one(model=first.chosen, reference="mine", set=set_name, metric="auroc").low is not None
    predictions = first.predictions
    assert predictions["mine"].between(0, 1).all()
    assert np.corrcoef(predictions["mine"], predictions[first.chosen])[0, 1] > 0.3

    # Explained, and told of in the report; in no bundle.
    (record,) = RunFolder(run_copy).candidates
    assert record.explained == 100
    assert {each.feature for each in record.features} == {each.name for each in RunFolder(run_copy).features}
    assert 0 < record.agreement.same_first <= 1
    assert sorted(path.name for path in (run_copy / "trained").iterdir() if path.is_dir()) == [
        "spline_logistic",
        "xgboost",
    ]
    assert RunFolder(run_copy).path("trained").stat().st_mtime_ns == trained
    content = report_content(run_copy)
    assert find_section(content, "drivers-candidates")["status"] == "made"
    told = [block["text"] for block in find_section(content, "performance")["blocks"] if block["kind"] == "callout"]
    assert any("A bundle cannot hold them" in text for text in told)

    # Another setting of it, then none.
    assert run(run_copy, settings, 0.1)[0].steps == ("candidates", "evaluate")
    without, _ = run(run_copy, settings, None)
    assert without.steps == ("evaluate",)
    pd.testing.assert_frame_equal(without.evaluation.frame(), alone)
    assert not list(run_copy.glob("candidates.*"))
    assert "drivers-candidates" not in str(report_content(run_copy))


def test_it_learns_nothing_from_held_out_people(run_copy: Path, settings: tuple[str, ...]) -> None:
    run(run_copy, settings, 0.01, until="candidates")
    before = pd.read_parquet(run_copy / "candidates.parquet")
    cohort = pd.read_parquet(run_copy / "cohort.parquet")
    held_out = cohort["set"] == "held-out"
    cohort.loc[held_out & cohort["outcome"].notna(), "outcome"] = 1.0 - cohort["outcome"]
    cohort.to_parquet(run_copy / "cohort.parquet")
    from mgrisk.config.pipeline_file import load
    from mgrisk.pipeline.candidates import accepted, compete
    from mgrisk.pipeline.workspace import Workspace

    pipeline = load(run_copy / "resolved.toml")
    compete(Workspace(pipeline, run_copy, candidates=accepted({"mine": logistic(0.01)}, pipeline.model)))
    pd.testing.assert_frame_equal(pd.read_parquet(run_copy / "candidates.parquet"), before)
