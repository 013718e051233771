"""The chapter on magnesium as part of a whole run, on a small SYNTHETIC cohort."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import mgrisk
from mgrisk.evidence.adjustment_set import SEQUENCE
from mgrisk.pipeline.finished import Run
from mgrisk.storage.files import read_json

pytestmark = pytest.mark.slow
PIPELINE = Path(__file__).parents[2] / "pipelines" / "magnesium.toml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_settings: tuple[str, ...]) -> Run:
    overrides = (*small_settings, "synthetic.seed=7", 'evidence.outcomes=["undiagnosed", "homa_ir", "glucose_2h"]')
    return mgrisk.run(PIPELINE, overrides=overrides, out=tmp_path_factory.mktemp("runs") / "magnesium")


@pytest.fixture(scope="module")
def records(run: Run) -> pd.DataFrame:
    return pd.DataFrame(read_json(run.folder / "evidence.json"))


def test_every_analysis_is_there_and_what_failed_says_why(records: pd.DataFrame) -> None:
    assert set(records["analysis"]) == {
        "association", "e-value", "intake", "dose-response", "interaction", "cycle left out", "specification",
        "negative control", "food source", "mediation", "reverse causation", "participants", "inverse probability",
        "incremental value",
    }  # fmt: skip
    assert (records["data"] == "SYNTHETIC").all()
    undefined = records[records["estimate"].isna()]
    assert (undefined["problem"] != "").all()


def test_the_ladder_has_every_rung_for_every_outcome_asked_for(records: pd.DataFrame) -> None:
    sequence = records[(records["analysis"] == "association") & (records["contrast"] == "per 100 mg/d")]
    assert set(sequence["outcome"]) == {"undiagnosed", "homa_ir", "glucose_2h"}
    assert len(sequence) == 3 * len(SEQUENCE) * 2 * 2


def test_what_magnesium_adds_is_there_for_four_outcomes_in_both_sets(records: pd.DataFrame) -> None:
    added = records[records["analysis"] == "incremental value"]
    assert added.groupby("outcome")["contrast"].nunique().to_dict() == {
        "undiagnosed": 2, "diabetes": 2, "dysglycaemia": 2, "insulin-resistance": 2,
    }  # fmt: skip


def test_options_name_their_people_and_never_a_supplement_risk(run: Run) -> None:
    options = pd.DataFrame(read_json(run.folder / "what_if.json"))
    assert set(options["person"]) == {"woman-34", "man-52", "woman-68", "population"}
    assert options.loc[options["option"] == "magnesium_supplement", "estimate"].isna().all()
    population = options[options["person"] == "population"].set_index("option")
    assert (population["estimate"] <= population["baseline"]).all()
    assert (population["low"] <= population["estimate"]).all()


def test_the_report_says_it_under_three_headings_and_says_synthetic(run: Run) -> None:
    page = run.report.read_text("utf-8")
    for heading in (
        "Prediction: what this model does",
        "Association: magnesium and diabetes",
        "Published evidence: what",
    ):
        assert heading in page
    assert "An association is not an effect" in page
    manifest = read_json(run.folder / "manifest.json")
    assert "evidence.json" not in manifest["absent"]


def test_a_run_without_the_section_says_what_is_absent(small_run: Run) -> None:
    manifest = read_json(small_run.folder / "manifest.json")
    assert "no section [evidence]" in manifest["absent"]["evidence.json"]
