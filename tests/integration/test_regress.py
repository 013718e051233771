"""`mgrisk regress` on SYNTHETIC tables, and on the real ones compared with a separate fit."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cli.main import main
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.synthetic import write_cohort

FIELDS = ["outcome", "variable", "level", "reference", "statistic", "estimate", "low", "high", "coefficient", "se"]
FIELDS += ["p", "p_variable", "p_curve", "n", "df", "data"]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_cohort(folder, people_per_cycle=600, seed=5, cycles=[cycle("2017-2018")])
    return folder


def test_each_format_has_the_same_rows(made_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = ["regress", "--of", "bmi_kg_m2 >= 30", "--on", "age_years=20,40,60", "sex", "--source", str(made_up)]
    question += ["--cycle", "2017-2018", "--reference", "sex=male"]
    assert main([*question, "--format", "json"]) == 0
    captured = capsys.readouterr()
    records = json.loads(captured.out)
    assert [list(record) for record in records] == [FIELDS] * 6
    assert records[-1]["reference"] == "male"
    assert captured.err.startswith("SYNTHETIC")
    assert {record["data"] for record in records} == {"SYNTHETIC"}
    assert main([*question, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["estimate"]) for row in rows] == pytest.approx([record["estimate"] for record in records])
    assert main(question) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 + len(rows)
    assert "odds ratios of bmi_kg_m2 >= 30" in captured.err


def test_curves_interactions_and_averages_are_asked_for_in_words(
    made_up: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = ["regress", "--of", "bmi_kg_m2 >= 30", "--cycle", "2017-2018", "--source", str(made_up), "--on", "sex"]
    curve = "spline(age_years=30,50,70)"
    assert main([*question, curve, f"sex:{curve}"]) == 0
    captured = capsys.readouterr()
    assert "ratio of odds ratios" in captured.out
    assert "p of curve" in captured.out
    assert main([*question, curve, "--effect", "prevalence-ratio"]) == 0
    captured = capsys.readouterr()
    assert "prevalence ratios of bmi_kg_m2 >= 30" in captured.err
    assert "intercept" not in captured.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--of", "smokin", "--on", "sex"], "describe.unknown_name"),
        (["--of", "smoking", "--on", "sex"], "regress.outcome"),
        (["--of", "bmi_kg_m2", "--on", "sex", "--reference", "sex=boy"], "regress.reference"),
        (["--of", "bmi_kg_m2", "--on", "sex=1,2"], "describe.not_a_number"),
        (["--of", "bmi_kg_m2", "--on", "sex:age_years"], "regress.no_main"),
        (["--of", "bmi_kg_m2", "--on", "sex", "--effect", "prevalence-ratio"], "regress.effect"),
    ],
)
def test_what_cannot_be_fitted_is_three_lines_with_a_hint(
    arguments: list[str], code: str, made_up: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["regress", *arguments, "--cycle", "2017-2018", "--source", str(made_up)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"[{code}]" in captured.err
    assert len(captured.err.splitlines()) == 3


@pytest.mark.nhanes
def test_high_cholesterol_is_that_of_a_fit_by_hand(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Newton's method and sums over PSUs on the tables as CDC has them, without any of the package."""
    tables = mirror / "Public" / "2009" / "DataFiles"
    found = [pd.read_sas(next(tables.glob(f"{name}.[xX][pP][tT]")), format="xport") for name in ("DEMO_F", "TCHOL_F")]
    people = found[0].merge(found[1], on="SEQN", how="left")
    age = people["RIDAGEYR"]
    X = np.column_stack(
        [
            np.ones(len(people)),
            *(people["RIDRETH1"] == race for race in (1, 2, 4, 5)),
            (age >= 40) & (age < 60),
            age >= 60,
            people["RIAGENDR"] == 2,
        ]
    ).astype(float)
    inside = (people["LBXTC"].notna() & (age >= 20) & (people["WTMEC2YR"] > 0)).to_numpy()
    y, w = (people["LBXTC"] >= 240).to_numpy(dtype=float), people["WTMEC2YR"].to_numpy() * inside
    beta = np.zeros(X.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-X @ beta))
        information = (X * (w * p * (1 - p))[:, None]).T @ X
        beta = beta + np.linalg.solve(information, X.T @ (w * (y - p)))
    scores = X * (w * (y - p))[:, None]
    meat = np.zeros_like(information)
    for _, stratum in people.groupby("SDMVSTRA"):
        sums = np.array([scores[rows.index].sum(axis=0) for _, rows in stratum.groupby("SDMVPSU")])
        off = sums - sums.mean(axis=0)
        meat += len(sums) / (len(sums) - 1) * off.T @ off
    bread = np.linalg.inv(information)
    se = np.sqrt(np.diag(bread @ meat @ bread))

    question = ["regress", "--of", "LBXTC >= 240", "--on", "RIDRETH1", "RIDAGEYR=20,40,60", "RIAGENDR"]
    question += ["--reference", "RIDRETH1=Non-Hispanic White", "--cycle", "2009-2010", "--source", str(mirror)]
    assert main([*question, "--format", "json"]) == 0
    captured = capsys.readouterr()
    rows = [record for record in json.loads(captured.out) if record["se"] is not None]
    assert [row["coefficient"] for row in rows] == pytest.approx(beta.tolist(), rel=1e-8)
    assert [row["se"] for row in rows] == pytest.approx(se.tolist(), rel=1e-8)
    psus = people[["SDMVSTRA", "SDMVPSU"]].drop_duplicates()
    assert {row["df"] for row in rows} == {len(psus) - psus["SDMVSTRA"].nunique() + 1 - len(beta)}
    assert {row["n"] for row in rows} == {inside.sum()}
    assert "weight WTMEC2YR" in captured.err
