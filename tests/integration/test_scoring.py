"""`mgrisk score` gives one output row for each input row, independent of the other rows."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk import load_model
from mgrisk.cli.main import main
from mgrisk.pipeline.finished import Run
from mgrisk.score import sources
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.scorer import Scorer

CYCLE = "2017-2018"


@pytest.fixture(scope="module")
def people(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scoring file of SYNTHETIC participants, written by the command."""
    target = tmp_path_factory.mktemp("people") / "people.csv"
    source = small_run.folder / "synthetic"
    assert main(["features", "--cycle", CYCLE, "--source", str(source), "-o", str(target)]) == 0
    return target


@pytest.fixture(scope="module", params=["spline_logistic", "xgboost"])
def model(request: pytest.FixtureRequest, small_run: Run) -> Path:
    """The bundle of each learner: what holds must hold for both."""
    return small_run.folder / "trained" / str(request.param)


def scored(people: Path, model: Path, target: Path, *options: str) -> pd.DataFrame:
    assert main(["score", str(people), "-o", str(target), "--model", str(model), *options]) == 0
    return pd.read_csv(target, dtype={"person_id": str})


def test_scored_synthetic_people_say_so(people: Path, model: Path, tmp_path: Path) -> None:
    table = scored(people, model, tmp_path / "out.csv")
    assert set(table["data"]) == {"SYNTHETIC"}
    assert table["model"].str.contains("SYNTHETIC").all()


def test_every_row_comes_back_in_order_with_its_own_columns(people: Path, model: Path, tmp_path: Path) -> None:
    before = pd.read_csv(people, dtype=str, keep_default_na=False)
    assert main(["score", str(people), "-o", str(tmp_path / "out.csv"), "--model", str(model)]) == 0
    after = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert len(before) > 500
    pd.testing.assert_frame_equal(after[before.columns], before)
    assert list(after.columns[len(before.columns) :][:10]) == [
        "status", "problems", "risk", "risk_low", "risk_high", "risk_low_inputs", "risk_high_inputs", "inputs_used",
        "in_domain", "model",
    ]  # fmt: skip


def test_all_reasons_and_the_base_add_up_to_the_logit_of_the_risk(people: Path, model: Path, tmp_path: Path) -> None:
    table = scored(people, model, tmp_path / "out.csv", "--reasons", "15")
    summary = json.loads((tmp_path / "out.csv.summary.json").read_text("utf-8"))
    effects = table[[f"reason_{k}_effect" for k in range(1, 16)]].sum(axis=1)
    # The base is that of the summary where nothing is absent, and in a model with trees always.
    base = np.log(table["risk"] / (1 - table["risk"])) - effects
    whole = table["inputs_used"] == table["inputs_used"].max()
    assert 0 < whole.sum() < len(table)
    np.testing.assert_allclose(base[whole], summary["base_value"], atol=1e-5, rtol=0)
    explained = load_model(model).explain(pd.read_csv(people, dtype={"person_id": str}))
    np.testing.assert_allclose(base, explained.base_values, atol=1e-5, rtol=0)
    assert (np.ptp(explained.base_values[table["status"] == "scored"]) == 0) == (model.name == "xgboost")
    assert summary["rows"] == len(table)
    assert summary["data"] == "SYNTHETIC"


def test_every_participant_of_nhanes_shape_can_be_scored(people: Path, model: Path, tmp_path: Path) -> None:
    table = scored(people, model, tmp_path / "out.csv")
    # All but those whom the model is not for.
    assert set(table["status"]) == {"scored", "not_eligible"}
    assert (table["status"] == "not_eligible").equals(table["pregnant"] == "yes")
    table = table[table["status"] == "scored"]
    assert table["risk"].between(0, 1).all()
    assert ((table["risk_low"] <= table["risk"]) & (table["risk"] <= table["risk_high"])).all()


def test_moving_a_chunk_boundary_does_not_change_scores(
    people: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(people, model, tmp_path / "whole.csv")
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=5_000))
    scored(people, model, tmp_path / "chunks.csv")
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "chunks.csv").read_bytes()


def test_a_row_scores_the_same_alone_and_in_any_order(people: Path, model: Path) -> None:
    scorer: Scorer = load_model(model)
    frame = pd.read_csv(people, dtype={"person_id": str}).head(40)
    together = scorer.score(frame)
    alone = pd.concat([scorer.score(frame.iloc[[row]]) for row in range(len(frame))])
    shuffled = scorer.score(frame.sample(frac=1, random_state=3)).loc[frame.index]
    for other in (alone, shuffled):
        np.testing.assert_array_equal(together["risk"], other["risk"])
        np.testing.assert_array_equal(together["reason_1_effect"], other["reason_1_effect"])


def test_parquet_gives_the_same_answers_as_csv(people: Path, model: Path, tmp_path: Path) -> None:
    from_csv = scored(people, model, tmp_path / "out.csv", "--digits", "17")
    frame = pd.read_csv(people, dtype={"person_id": str})
    frame.to_parquet(tmp_path / "people.parquet")
    target = tmp_path / "out.parquet"
    assert main(["score", str(tmp_path / "people.parquet"), "-o", str(target), "--model", str(model)]) == 0
    from_parquet = pd.read_parquet(target)
    np.testing.assert_array_equal(from_csv["risk"], from_parquet["risk"])
    assert from_csv["status"].tolist() == from_parquet["status"].tolist()


def test_bad_rows_are_marked_and_the_others_scored(model: Path, tmp_path: Path) -> None:
    lines = [
        "person_id,age_years,sex,bmi_kg_m2,note",
        'a,50,male,30,"kept, as it is"',
        "b,430,female,20,",
        "c,45,female,heavy,",
        "d,60,unheard-of,25,",
        "e,60",
        "f,61,male,25,note,surplus",
        "g,,male,25,",
        "h,inf,male,25,",
        "i, 47 ,FEMALE,,",
    ]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = scored(tmp_path / "people.csv", model, tmp_path / "out.csv", "--rejects", str(tmp_path / "rejects.csv"))
    assert table["person_id"].tolist() == list("abcdefghi")
    problems = table.set_index("person_id")["problems"]
    assert table["status"].tolist() == ["scored", *["rejected"] * 7, "scored"]
    assert problems["b"] == "out_of_range:age_years"
    assert problems["c"] == "not_a_number:bmi_kg_m2"
    assert problems["d"] == "unknown_level:sex"
    assert problems["e"] == "wrong_field_count:2"
    assert problems["f"] == "wrong_field_count:6"
    assert problems["g"] == "missing:age_years"
    assert problems["h"] == "not_a_number:age_years"
    # What is optional and absent is no problem; the last gave nothing but age and sex.
    assert problems[["a", "i"]].isna().all()
    used = table.set_index("person_id")["inputs_used"]
    assert used["i"] == 2
    assert used["a"] == 3
    assert used.isna().tolist() == [False, *[True] * 7, False]
    assert table["note"].iloc[0] == "kept, as it is"
    assert table.loc[table["status"] == "rejected", "risk"].isna().all()
    rejects = pd.read_csv(tmp_path / "rejects.csv")
    assert rejects["row"].tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert json.loads(rejects["original"].iloc[4]) == ["f", "61", "male", "25", "note", "surplus"]


def test_strict_stops_at_the_first_bad_row_and_leaves_no_output(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "people.csv").write_text("age_years,sex\n50,male\n430,female\n", encoding="utf-8")
    target = tmp_path / "out.csv"
    status = main(["score", str(tmp_path / "people.csv"), "-o", str(target), "--model", str(model), "--strict"])
    assert status == 3
    assert "row 2" in capsys.readouterr().err
    assert not target.exists()


def test_a_file_without_rows_gives_the_header_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age_years,sex\n", encoding="utf-8")
    table = scored(tmp_path / "people.csv", model, tmp_path / "out.csv")
    assert len(table) == 0
    assert "risk" in table.columns


def test_standard_input_and_output(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stdin:
        buffer = io.BytesIO("\ufeffage_years,sex\n50,male\n".encode())

    monkeypatch.setattr("sys.stdin", Stdin())
    assert main(["score", "-", "-o", "-", "--model", str(model)]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert table["status"].tolist() == ["scored"]
    assert table.columns[0] == "age_years"


def test_the_template_scores_without_a_change(model: Path, tmp_path: Path) -> None:
    template = tmp_path / "template.csv"
    assert main(["schema", "--template", str(template), "--model", str(model)]) == 0
    assert set(scored(template, model, tmp_path / "out.csv")["status"]) == {"scored"}


def test_validate_says_what_score_would_reject(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.csv").write_text("age_years,sex\n50,male\n430,female\n", encoding="utf-8")
    assert main(["validate", str(tmp_path / "people.csv"), "--model", str(model)]) == 3
    printed = capsys.readouterr().out
    assert "1 would be rejected" in printed
    assert "out_of_range:age_years" in printed


def test_the_schema_is_the_contract_of_the_interface(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--json", "--model", str(model)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[0]) == {
        "name", "type", "unit", "required", "minimum", "maximum", "levels", "description", "auroc_without",
        "not_eligible",
    }  # fmt: skip
    assert [row["name"] for row in rows if row["required"]] == ["age_years", "sex"]


def test_python_gives_the_same_numbers_and_keeps_the_index(model: Path, people: Path) -> None:
    frame = pd.read_csv(people, dtype={"person_id": str}).head(25).set_index("person_id")
    bundle = load_model(model)
    answer, explanation = bundle.score(frame), bundle.explain(frame)
    assert answer.index.tolist() == frame.index.tolist()
    risk = answer["risk"].to_numpy()
    np.testing.assert_allclose(explanation.log_odds, np.log(risk / (1 - risk)), atol=1e-5, rtol=0)
    assert explanation.frame().index.tolist() == frame.index.tolist()
