"""The reader and writer of a run's files: records are restored, and unreadable files give an error with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import read_json

STEP: dict[str, Any] = {"set": "development", "rule": "all", "n": 9, "excluded": 0, "events": 1}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path, data="Elsewhere")


@pytest.mark.parametrize("name", ["evaluation", "differences", "thresholds"])
def test_records_of_the_evaluation_are_those_of_the_file(finished_run: Path, name: str) -> None:
    records = getattr(RunFolder(finished_run), name)
    written = read_json(finished_run / f"{name}.json")
    assert [vars(record) for record in records] == written
    assert records.frame().shape == (len(written), len(written[0]))


def test_every_json_of_a_finished_run_is_read_without_loss_of_what_a_record_has(finished_run: Path) -> None:
    run = RunFolder(finished_run)
    for attribute, name in (
        ("table_one", names.TABLE_ONE), ("attrition", names.ATTRITION), ("tables", names.TABLES),
        ("known_answers", names.KNOWN_ANSWERS), ("checks", names.CHECKS), ("evidence", names.EVIDENCE),
        ("what_if", names.WHAT_IF), ("probast", names.PROBAST),
    ):  # fmt: skip
        records = getattr(run, attribute)
        written = read_json(finished_run / name)
        assert len(records) == len(written) > 0
        for record, row in zip(records, written, strict=True):
            as_json = json.loads(json.dumps(vars(record)))
            assert as_json == {key: row[key] for key in as_json}


def test_a_run_says_who_won_and_what_its_people_are(finished_run: Path) -> None:
    run = RunFolder(finished_run)
    assert (run.winner, run.held_out_name, run.data_label) == ("spline_logistic", "2017-2018", "SYNTHETIC")
    assert [feature.name for feature in run.features] == [
        "age_years", "sex", "magnesium_total_mg", "magnesium_food_mg", "energy_kcal",
    ]  # fmt: skip
    assert run.tuning.parts == read_json(finished_run / names.TUNING)["models"]["spline_logistic"]["parts"]


def test_records_carry_the_label_last_and_objects_first(run: RunFolder) -> None:
    run.write_records(names.ATTRITION, [STEP])
    run.write_object(names.CURVES, {"sets": {}})
    run.write_frame(names.FOLDS, pd.DataFrame({"fold": [0, 1]}))
    assert list(read_json(run.path(names.ATTRITION))[0]) == [*STEP, "data"]
    assert list(read_json(run.path(names.CURVES))) == ["data", "sets"]
    assert run.frame(names.FOLDS)["data"].tolist() == ["Elsewhere", "Elsewhere"]
    assert run.data_label == "Elsewhere"


def test_a_folder_opened_anew_sees_what_was_written_since(run: RunFolder) -> None:
    run.write_records(names.ATTRITION, [STEP])
    assert run.attrition.one(rule="all").n == 9
    run.write_records(names.ATTRITION, [{**STEP, "n": 8}])
    assert RunFolder(run.folder).attrition.one(rule="all").n == 8


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"half":', "cannot be read as JSON"),
        ("{}", "Input should be a valid tuple"),
        ('[{"set": "development"}]', "has no entry '0.rule'"),
        (json.dumps([{**STEP, "n": "many"}]), "cannot be read: 0.n Input should be a valid integer"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_the_place(run: RunFolder, content: str, said: str) -> None:
    run.path(names.ATTRITION).write_text(content, "utf-8")
    with pytest.raises(MgRiskError, match=r"attrition\.json") as caught:
        _ = run.attrition
    assert caught.value.code == "report.bad_file"
    assert said in caught.value.what()


def test_a_missing_file_is_an_error_but_for_one_that_the_pipeline_did_not_ask_for(run: RunFolder) -> None:
    assert len(run.evidence) == len(run.what_if) == 0
    with pytest.raises(MgRiskError, match=r"evaluation\.json is not in the run folder"):
        _ = run.evaluation
    with pytest.raises(MgRiskError, match=r"folds\.parquet is not in the run folder"):
        run.frame(names.FOLDS)


def test_a_parquet_file_that_is_none_is_refused(run: RunFolder) -> None:
    run.path(names.FOLDS).write_text("no table", "utf-8")
    with pytest.raises(MgRiskError, match="cannot be read as Parquet"):
        run.frame(names.FOLDS)


def test_without_any_label_nobody_knows_what_the_people_are(run: RunFolder) -> None:
    assert run.data_label == "UNKNOWN"
