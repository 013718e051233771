"""`mgrisk score` writes the table to the file and the summary to standard error."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from mgrisk.cli.main import main

PEOPLE = Path(__file__).parents[3] / "data/examples/people.csv"


def test_what_was_scored_is_told_aside_and_options_say_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.csv"
    assert main(["score", str(PEOPLE), "-o", str(target), "--model", "undiagnosed", "--what-if", "--workers", "1"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "8 rows: 7 scored by mgrisk-undiagnosed, 1 rejected (1 × out_of_range:age_years)" in err
    assert "; what is accepted: mgrisk schema --model undiagnosed" in err
    assert "inputs: 28 of 32 given; absent: large_baby, upper_leg_length_cm, weight_change_since_25_kg" in err
    assert "not a prediction of the model" in err
    with target.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    # One gave age and sex alone, one was rejected.
    assert sum(bool(row["what_if_together_risk"]) for row in rows) == 6


def test_the_summary_is_short_and_says_what_matters_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["score", str(PEOPLE), "-o", str(tmp_path / "out.csv"), "--model", "undiagnosed", "--reasons", "0"]
    assert main(command) == 0
    # After the line that says how far the batch is.
    lines = capsys.readouterr().err.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("8 rows: "))
    told = [line.split(" ")[0] for line in lines[first:] if not line.startswith("  ")]
    assert told == ["8", "not", "inputs:", "columns", "distribution", "expected", "A"]
    assert len(lines[first:]) <= 14


def rows_with(rejected: int, folder: Path) -> str:
    people = folder / "people.csv"
    people.write_text("age_years,sex\n" + "50,neither\n" * rejected + "50,male\n" * (10 - rejected), "utf-8")
    return str(people)


@pytest.mark.parametrize(
    ("rejected", "most", "status"),
    [
        (9, [], 0),
        (10, [], 6),
        (10, ["--max-rejected", "1"], 0),
        (1, ["--max-rejected", "0.1"], 0),
        (2, ["--max-rejected", "0.1"], 6),
        (0, ["--max-rejected", "0"], 0),
        (1, ["--max-rejected", "0"], 6),
    ],
)
def test_a_batch_with_too_many_rejected_rows_has_a_status_of_its_own_and_its_output(
    rejected: int, most: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert main(["score", rows_with(rejected, tmp_path), "-o", str(out), "--reasons", "0", *most]) == status
    assert out.read_text("utf-8").count(",rejected,") == rejected
    assert out.with_name("out.csv.summary.json").is_file()
    assert ("[score.too_many_rejected]" in capsys.readouterr().err) is (status == 6)


def test_a_folder_with_rejected_rows_alone_fails_too(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    rows_with(10, tmp_path / "people")
    command = ["score", str(tmp_path / "people"), "-o", str(tmp_path / "out"), "--reasons", "0", "--workers", "1"]
    assert main(command) == 6
    assert (tmp_path / "out" / "people.csv").is_file()


def test_a_share_is_between_0_and_1(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["score", rows_with(0, tmp_path), "-o", str(tmp_path / "out.csv"), "--max-rejected", "5"])
    assert stopped.value.code == 2


def test_codes_that_are_not_known_are_named_where_they_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("age_years,sex,smoking\n" + "50,male,Ex-smoker\n" * 20 + "50,male,never\n", "utf-8")
    told = "  not accepted: smoking: 'Ex-smoker' 20"
    assert main(["score", str(people), "-o", str(tmp_path / "out.csv"), "--reasons", "0"]) == 0
    assert told in capsys.readouterr().err.splitlines()
    assert json.loads((tmp_path / "out.csv.summary.json").read_text("utf-8"))["not_accepted"] == {
        "smoking": {"Ex-smoker": 20}
    }
    assert main(["validate", str(people)]) == 3
    assert told in capsys.readouterr().out.splitlines()
    columns = "".join(f'[features.{name}]\nfrom = "{name}"\n' for name in ("age_years", "sex"))
    levels = '[features.smoking]\nfrom = "smoking"\n[features.smoking.levels]\nnever = "never"\n'
    (tmp_path / "mapping.toml").write_text(columns + levels, "utf-8")
    mapping = ["--mapping", str(tmp_path / "mapping.toml"), "-o", str(tmp_path / "mapped.jsonl")]
    assert main(["map", str(people), *mapping]) == 0
    assert told in capsys.readouterr().out.splitlines()
    assert len((tmp_path / "mapped.jsonl").read_text("utf-8").splitlines()) == 21


def test_of_no_rows_it_is_said_that_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.csv").write_text("age_years,sex\n", "utf-8")
    assert main(["score", str(tmp_path / "people.csv"), "-o", str(tmp_path / "out.csv")]) == 0
    assert capsys.readouterr().err.startswith("0 rows: the input has")
    assert main(["validate", str(tmp_path / "people.csv")]) == 0
    assert capsys.readouterr().out.startswith("0 rows: the input has")


def test_a_machine_gets_a_record_on_each_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert main(["score", rows_with(10, tmp_path), "-o", str(out), "--reasons", "0", "--log-json"]) == 6
    printed, told = capsys.readouterr()
    assert printed == ""
    records = [json.loads(line) for line in told.splitlines()]
    *messages, summary, error = records
    assert {record["event"] for record in messages} == {"message"}
    assert summary.pop("event") == "summary"
    assert summary.pop("time")
    assert summary == json.loads(out.with_name("out.csv.summary.json").read_text("utf-8"))
    assert (error["event"], error["code"], error["status"]) == ("error", "score.too_many_rejected", 6)


@pytest.mark.parametrize("folder", [False, True])
def test_the_digest_stands_in_each_row_where_it_is_asked_for(folder: bool, tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    people = rows_with(1, tmp_path / "people")
    source, out = (str(tmp_path / "people"), tmp_path / "out") if folder else (people, tmp_path / "out.csv")
    assert main(["score", source, "-o", str(out), "--reasons", "0", "--workers", "1", "--model-digest"]) == 0
    digest = json.loads(Path(f"{out}.summary.json").read_text("utf-8"))["bundle"]["sha256"]
    with (out / "people.csv" if folder else out).open(encoding="utf-8") as stream:
        assert {row["model"] for row in csv.DictReader(stream)} == {f"mgrisk-undiagnosed=={digest[:12]}"}
