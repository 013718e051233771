"""`mgrisk score --history`, `evaluate --history` and `monitor` in sequence."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mgrisk import load_model
from mgrisk.cli.main import main
from mgrisk.errors import ExitStatus
from mgrisk.score.monitor import read_limits

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def job(toy_bundles: dict[str, Bundle], toy_people: ToyPeople, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights, in the third of which the north sends pounds per square metre; one with its outcomes."""
    folder = tmp_path_factory.mktemp("job")
    toy_bundles["spline_logistic"].write(folder / "model")
    weight = toy_people.weight / toy_people.weight.sum()
    for night in (1, 2, 3):
        random = np.random.default_rng(night)
        frame = toy_people.frame.iloc[random.choice(toy_people.inside, 1500, p=weight)].reset_index(drop=True)
        frame["site"] = random.choice(["north", "south", ""], len(frame), p=[0.4, 0.5, 0.1])
        if night == 3:
            frame.loc[frame["site"] == "north", "bmi_kg_m2"] *= 2.2046
        frame.to_csv(folder / f"{night}.csv", index=False)
        if night == 1:
            risk = load_model(folder / "model").score(frame.drop(columns="site"), reasons=0)["risk"]
            frame.assign(ill=(random.random(len(frame)) < 2 * risk).astype(int)).to_csv(folder / "ill.csv", index=False)
    for night in (1, 2, 3):
        asked = ("--history", folder / "history.jsonl", "--batch", f"night {night}", "--by", "site")
        assert run("score", folder / f"{night}.csv", "-o", folder / f"{night}.out.csv", *model(folder), *asked) == 0
    asked = ("--outcome", "ill", "--history", folder / "history.jsonl", "--batch", "night 1", "--by", "site")
    assert run("evaluate", folder / "ill.csv", "-o", folder / "evaluated", *model(folder), *asked) == 0
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def model(folder: Path) -> tuple[object, ...]:
    return ("--model", folder / "model")


def test_the_table_names_site_and_feature_and_what_outcomes_showed(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("monitor", job / "history.jsonl", "--by", "site") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == ["batch", "night 1", "night 2", "night 3"]
    place = lines.index(next(line for line in lines if line.startswith("night 3: ")))
    assert lines[place + 1].startswith("  site north: bmi_kg_m2")
    ratio = json.loads((job / "evaluated" / "evaluation.json").read_text("utf-8"))
    (observed,) = [
        each["estimate"] for each in ratio if (each["metric"], each["group"]) == ("observed_expected", "all")
    ]
    assert f"{observed:.2f}" in lines[1]


def test_a_job_that_asks_for_it_fails_where_the_latest_batch_has_alerts_and_not_where_an_earlier_one_has(
    job: Path, tmp_path: Path
) -> None:
    assert run("monitor", job / "history.jsonl", "--by", "site", "--fail-on-alerts") == ExitStatus.ALERTS == 7
    quiet = tmp_path / "quiet.jsonl"
    assert run("score", job / "2.csv", "-o", tmp_path / "2.csv", *model(job), "--history", quiet, "--batch", "2") == 0
    assert run("monitor", quiet, "--fail-on-alerts") == 0
    lines = (job / "history.jsonl").read_text("utf-8").splitlines(keepends=True)
    earlier = [*lines, quiet.read_text("utf-8")]
    quiet.write_text("".join(earlier), "utf-8")
    assert run("monitor", quiet) == 0
    assert run("monitor", quiet, "--fail-on-alerts") == 0


def test_json_has_all_tables_and_sites_add_up(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("monitor", job / "history.jsonl", "--by", "site", "--format", "json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    batches = pd.DataFrame(found["batches"])
    sites = batches[batches["group"] != ""].groupby("batch")["rows"].sum()
    assert sites.tolist() == batches[batches["group"] == ""]["rows"].tolist() == [1500] * 3
    assert set(batches["group"]) == {"", "north", "south", "(not given)"}
    summary = json.loads((job / "3.out.csv.summary.json").read_text("utf-8"))
    last = batches[batches["batch"] == "night 3"].set_index("group")
    assert summary["groups"]["north"]["mean_risk"] == last.loc["north", "mean_risk"]
    scored = pd.read_csv(job / "3.out.csv")
    north = scored[scored["site"] == "north"]["risk"]
    assert last.loc["north", "mean_risk"] == pytest.approx(north.mean(), abs=1e-6)
    assert last.loc["north", "risk_50"] == pytest.approx(north.median(), rel=0.03)
    assert found["alerts"][0]["group"] == "north"
    seen = batches[batches["batch"] == "night 1"].set_index("group")["observed_n"]
    assert seen["north"] + seen["south"] + seen["(not given)"] == seen[""]
    assert found["synthetic"]


def test_the_page_is_one_file_that_fetches_nothing(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert run("monitor", job / "history.jsonl", "--by", "site", "-o", page) == 0
    html = page.read_text("utf-8")
    assert "site north: bmi_kg_m2" in html
    assert "SYNTHETIC" in html
    elsewhere = ("http://", "https://", "<script src", "@import")
    assert not [each for each in elsewhere if each in html.replace("http://www.w3.org", "")]
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert run("monitor", job / "history.jsonl", "-o", job / "history.jsonl") == 3
    assert "output.is_input" in capsys.readouterr().err


def test_limits_of_a_file_take_the_place_of_those_of_mgrisk(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("psi = 1000\nks = 1.5\noutside = 1\nobserved_expected = 100\nmissing_more = 1\n", "utf-8")
    assert run("monitor", job / "history.jsonl", "--by", "site", "--limits", limits) == 0
    assert "night 3: nothing beyond its limit" in capsys.readouterr().out


def test_half_a_line_is_told_and_costs_itself_alone(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes((job / "history.jsonl").read_bytes() + b'{"format":1,"kind":"ba')
    asked = ("--history", path, "--batch", "night 4")
    assert run("score", job / "1.csv", "-o", tmp_path / "out.csv", *model(job), *asked) == 0
    capsys.readouterr()
    assert run("monitor", path) == 0
    said = capsys.readouterr().out
    assert "night 4" in said
    assert "skipped: 1 (5)" in said


def test_a_batch_of_nobody_and_one_of_whom_nobody_is_scored_have_their_place(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, frame = tmp_path / "history.jsonl", pd.read_csv(job / "1.csv")
    path.write_bytes((job / "history.jsonl").read_bytes())
    for name, rows in (("nobody", frame.iloc[:0]), ("infants", frame.assign(age_years=-1))):
        rows.to_csv(tmp_path / "in.csv", index=False)
        asked = ("--history", path, "--batch", name, "--by", "site")
        assert run("score", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *model(job), *asked) in (0, 6), name
    capsys.readouterr()
    assert run("monitor", path, "--by", "site", "-o", tmp_path / "page.html") == 0
    said = capsys.readouterr().out
    assert re.search(r"^nobody +toy +0 +0 +- +0\.0 ", said, re.MULTILINE)
    assert re.search(r"^infants +toy +1,500 +1,500 +- +0\.0 ", said, re.MULTILINE)
    assert "1,500 of 1,500 rows are rejected (100.0 %)" in said


def test_what_a_history_needs_is_asked_before_anything_is_written(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    for command, more, status, code in (
        ("score", ("--batch", "night 4"), 2, "history.no_history"),
        ("score", ("--history", job / "1.csv"), 3, "output.is_input"),
        ("score", ("--history", out), 3, "output.twice"),
        ("score", ("--history", tmp_path / "h", "--by", "ward"), 3, "input.missing_column"),
        ("score", ("--history", tmp_path / "h", "--by", "age_months"), 3, "input.missing_column"),
        ("evaluate", ("--outcome", "site", "--history", tmp_path / "h"), 2, "history.no_batch"),
    ):
        assert run(command, job / "1.csv", "-o", out, *model(job), *more) == status, code
        assert code in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_column_that_is_no_site_is_refused(job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(job / "1.csv")
    frame.assign(ward=range(len(frame))).to_csv(tmp_path / "in.csv", index=False)
    assert run("score", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *model(job), "--by", "ward") == 2
    assert "score.many_groups" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_a_folder_counts_by_site_as_its_rows_in_one_file_do(job: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(job / "3.csv", dtype=str, keep_default_na=False)
    (tmp_path / "parts").mkdir()
    for number, part in enumerate((frame.iloc[:400], frame.iloc[400:])):
        part.to_csv(tmp_path / "parts" / f"{number}.csv", index=False)
    assert run("score", tmp_path / "parts", "-o", tmp_path / "out", *model(job), "--by", "site") == 0
    found, expected = (
        json.loads(path.read_text("utf-8"))["groups"]
        for path in (tmp_path / "out.summary.json", job / "3.out.csv.summary.json")
    )
    assert found == expected


def test_the_commands_of_the_page_run_and_its_limits_are_those_of_mgrisk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "how-to" / "monitor.md").read_text("utf-8")
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        capsys.readouterr()
        assert main(command) == 0, command
    found = json.loads(capsys.readouterr().out)
    whole = next(row for row in found["batches"] if row["group"] == "")
    assert (whole["batch"], whole["rows"]) == ("first-night", 6000)
    assert whole["observed_cases"] > 0
    (limits,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert tomllib.loads(limits) == read_limits(None).model_dump()
