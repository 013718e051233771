"""`mgrisk describe` on the SYNTHETIC demo tables and on the real ones."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from mgrisk.cli.main import main
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.synthetic import write_cohort

GOLDEN = Path(__file__).parents[1] / "golden" / "survey.json"
FIELDS = ["variable", "level", "by", "statistic", "estimate", "se", "low", "high", "n", "df", "missing"]
FIELDS += ["presentation", "data"]
ADULTS = "age_years >= 20 and (missing(RIDEXPRG) or RIDEXPRG != 1)"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_cohort(folder, people_per_cycle=600, seed=5, cycles=[cycle("2015-2016"), cycle("2017-2018")])
    return folder


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))["values"]["nhanes"]
    return values


def described(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[dict[str, Any]], str]:
    assert main(["describe", *arguments, "--format", "json"]) == 0
    captured = capsys.readouterr()
    records: list[dict[str, Any]] = json.loads(captured.out)
    return records, captured.err


def test_records_have_the_fields_of_the_interface_in_every_format(
    made_up: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = ("--of", "bmi_kg_m2", "smoking", "--by", "sex", "--cycle", "2017-2018", "--source", str(made_up))
    records, _ = described(capsys, *question, "--where", "age_years >= 20")
    assert [list(record) for record in records] == [FIELDS] * 8
    assert main(["describe", *question, "--where", "age_years >= 20", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["estimate"]) for row in rows] == pytest.approx([record["estimate"] for record in records])
    assert main(["describe", *question, "--where", "age_years >= 20"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 + len(rows)
    assert "weight WTMEC2YR (exam sample), because of bmi_kg_m2" in captured.err


def test_synthetic_people_are_said(made_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records, notes = described(capsys, "--of", "age_years", "--cycle", "2017-2018", "--source", str(made_up))
    assert {record["data"] for record in records} == {"SYNTHETIC"}
    assert notes.startswith("SYNTHETIC")


def test_options_that_are_repeated_add_up(made_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cycles = ("--cycle", "2015-2016", "--cycle", "2017-2018", "--source", str(made_up))
    records, notes = described(capsys, "--of", "sex", "--of", "RIDAGEYR", *cycles, "--by", "cycle")
    assert [record["variable"] for record in records] == ["sex"] * 4 + ["RIDAGEYR"] * 2
    assert "cycles 2015-2016, 2017-2018" in notes


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["--of", "smokin"], 2, "describe.unknown_name"),
        (["--of", "smoking", "--where", "smoking = 'never'"], 2, "condition.syntax"),
        (["--of", "smoking", "--where", "__import__('os').getcwd() == ''"], 2, "condition.syntax"),
        (["--of", "smoking", "--where", "smoking == 'nevr'"], 2, "condition.unknown_level"),
        (["--of", "smoking", "--statistic", "median"], 2, "describe.statistic"),
        (["--of", "smoking", "--by", "BMXBMI"], 2, "describe.too_many_groups"),
        (["--of", "RIDRETH3", "--cycle", "2007-2008"], 2, "describe.not_measured"),
        (["--of", "LBXGLU", "--cycle", "2013-2014", "2015-2016"], 2, "eras.not_comparable"),
        (["--of", "LBXGLU", "--cycle", "1801-1802"], 4, "cycles.unknown_cycle"),
        (["--of", "LBXGLU", "--harmonise", "glucose-2015"], 2, "describe.nothing_to_harmonise"),
        (["--of", "LBXGH", "--harmonise", "hba1c-2007"], 2, "eras.no_equation"),
        (["--of", "smoking", "--cycle", "2011-2012"], 4, "store.missing_table"),
    ],
)
def test_what_cannot_be_answered_has_its_exit_status_and_a_hint(
    arguments: list[str], status: int, code: str, made_up: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cycles = [] if "--cycle" in arguments else ["--cycle", "2017-2018"]
    assert main(["describe", *arguments, *cycles, "--source", str(made_up)]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"[{code}]" in captured.err
    assert len(captured.err.splitlines()) == 3


def test_without_of_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["describe"])
    assert stopped.value.code == 2
    assert "--of" in capsys.readouterr().err


@pytest.mark.nhanes
def test_magnesium_by_sex_is_that_of_r(
    mirror: Path, golden: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = golden["magnesium_2017"]
    question = ("--by", "RIAGENDR", "--cycle", "2017-2018", "--source", str(mirror))
    where = f"{ADULTS} and DR1DRSTZ == 1"
    records, notes = described(capsys, "--of", "DR1TMAGN", *question, "--where", where)
    assert [record["by"] for record in records] == ["RIAGENDR=Male", "RIAGENDR=Female"]
    for record, estimate, se in zip(records, theirs["estimate"], theirs["se"], strict=True):
        assert record["estimate"] == pytest.approx(estimate, rel=1e-10)
        assert record["se"] == pytest.approx(se, rel=1e-8)
        assert record["df"] == theirs["df"]
    assert sum(record["n"] for record in records) == theirs["n"]
    assert "weight WTDRD1 (recall1 sample), because of DR1TMAGN" in notes
    median = golden["magnesium_median_2017"]
    records, _ = described(capsys, "--of", "DR1TMAGN", *question, "--where", where, "--statistic", "quantile=0.5")
    assert [(each["estimate"], each["low"], each["high"]) for each in records] == list(
        zip(median["estimate"], median["low"], median["high"], strict=True)
    )


@pytest.mark.nhanes
def test_obesity_is_that_of_r_by_age_and_age_adjusted(
    mirror: Path, golden: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    question = ("--of", "BMXBMI >= 30", "--cycle", "2017-2018", "--source", str(mirror))
    theirs = golden["obesity_2017"]
    for place, ages in enumerate(("20 <= RIDAGEYR < 40", "40 <= RIDAGEYR < 60", "RIDAGEYR >= 60")):
        (record,), _ = described(capsys, *question, "--where", f"{ages} and (missing(RIDEXPRG) or RIDEXPRG != 1)")
        assert record["estimate"] == pytest.approx(theirs["estimate"][place], rel=1e-10)
        assert record["se"] == pytest.approx(theirs["se"][place], rel=1e-8)
    (record,), _ = described(capsys, *question, "--where", ADULTS, "--statistic", "age-adjusted")
    theirs = golden["obesity_2017_age_adjusted"]
    assert record["estimate"] == pytest.approx(theirs["estimate"], rel=1e-10)
    assert record["se"] == pytest.approx(theirs["se"], rel=1e-8)


def test_values_of_two_methods_are_put_on_one_scale_and_it_is_said(
    made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cohort(tmp_path, people_per_cycle=300, cycles=[cycle("2013-2014")])
    question = ("--of", "LBXGLU", "--cycle", "2013-2014", "--source", str(tmp_path))
    (before,), _ = described(capsys, *question)
    (after,), notes = described(capsys, *question, "--harmonise", "glucose-2015")
    # CDC's equation of 2015: the mean of a line is the line of the mean.
    assert after["estimate"] == pytest.approx(-0.5108 + 1.023 * before["estimate"])
    assert "before 2015-2016 is converted to the later scale (glucose-2015)" in notes


def test_tests_of_groups_have_the_fields_of_the_interface(made_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = [
        "--of",
        "bmi_kg_m2 >= 30",
        "bmi_kg_m2",
        "--by",
        "age_years=20,40,60",
        "--test",
        "--source",
        str(made_up),
    ]
    records, notes = described(capsys, *question, "--cycle", "2017-2018")
    fields = ["variable", "level", "by", "within", "test", "statistic", "numerator", "denominator", "p", "slope", "se"]
    assert [list(record) for record in records] == [[*fields, "n", "data"]] * 4
    assert notes.startswith("SYNTHETIC")
    assert main(["describe", *question, "--cycle", "2017-2018"]) == 0
    assert "Rao-Scott chi-square" in capsys.readouterr().out


@pytest.mark.nhanes
def test_obesity_rose_as_nchs_tested_it(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # NCHS Data Brief 360 (2020), figure 4: a significant linear trend from 1999-2000 through 2017-2018.
    years = [f"{year}-{year + 1}" for year in range(1999, 2019, 2)]
    question = ["--of", "BMXBMI >= 30", "--by", "cycle", "--test", "--where", ADULTS, "--source", str(mirror)]
    (_, trend), _ = described(capsys, *question, "--cycle", *years)
    assert trend["slope"] > 0
    assert trend["p"] < 0.001


@pytest.mark.nhanes
def test_without_cycles_the_latest_that_has_everything_is_taken(
    mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, notes = described(capsys, "--of", "BMXBMI", "--source", str(mirror))
    assert "cycles 2021-2023" in notes
    records, notes = described(capsys, "--of", "LBXGLU", "--source", str(mirror))
    assert "cycles 2017-2020" in notes
    assert "weight WTSAFPRP (fasting sample), because of LBXGLU" in notes
    assert records[0]["n"] > 4000
