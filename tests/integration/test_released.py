"""A new clone scores with the released bundles, as described in the README."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from mgrisk.cli.main import main
from mgrisk.model.bundle import read_bundle
from mgrisk.model.released import released_bundles
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.scorer import Scorer

FORMAT_1 = Path(__file__).parents[1] / "golden" / "format_1"
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "released.json").read_text("utf-8"))
PEOPLE = Path(__file__).parents[2] / "data" / "examples" / "people.csv"


@pytest.mark.parametrize("name", sorted(released_bundles()))
def test_the_example_people_are_scored_with_reasons_that_add_up(name: str, tmp_path: Path) -> None:
    scored = tmp_path / "scored.csv"
    assert main(["score", str(PEOPLE), "-o", str(scored), "--model", name, "--reasons", "40"]) == 0
    given, found = pd.read_csv(PEOPLE), pd.read_csv(scored)
    assert found["person_id"].tolist() == given["person_id"].tolist()
    rejected = found["status"] == "rejected"
    assert found.loc[rejected, "person_id"].tolist() == ["made-up-8"]  # 430 years old
    assert found.loc[rejected, "risk"].isna().all()
    usable = found[~rejected]
    assert usable["risk"].between(0.0005, 0.98).all()
    assert (usable["risk_low"] < usable["risk"]).all()
    assert (usable["risk"] < usable["risk_high"]).all()
    effects = usable[[column for column in usable if column.endswith("_effect")]].sum(axis=1)
    # What is left of the log-odds when all reasons are taken off is the base of those who lack the same.
    base = np.log(usable["risk"] / (1 - usable["risk"])) - effects
    scorer = Scorer(read_bundle(released_bundles()[name]))
    np.testing.assert_allclose(base, scorer.explain(given).base_values[~rejected], atol=1e-5)
    assert expit(base).between(0.001, 0.7).all()


def test_an_older_heavier_person_with_diabetes_in_the_family_has_the_higher_risk_of_the_two(tmp_path: Path) -> None:
    scored = tmp_path / "scored.csv"
    assert main(["score", str(PEOPLE), "-o", str(scored), "--model", "undiagnosed"]) == 0
    risk = pd.read_csv(scored).set_index("person_id")["risk"]
    assert risk["made-up-3"] > 5 * risk["made-up-1"]


@pytest.mark.parametrize(
    ("format_", "name"), [(golden["format"], name) for golden in GOLDEN for name in sorted(golden["bundles"])]
)
def test_bundles_of_every_released_format_score_as_they_did(format_: int, name: str) -> None:
    """Format 1: bundles that mgrisk once came with, which must load and score the same for ever."""
    (golden,) = (each for each in GOLDEN if each["format"] == format_)
    folder = FORMAT_1 / name if format_ == 1 else released_bundles()[name]
    people = pd.read_csv(PEOPLE, dtype=str, keep_default_na=False)
    found = Scorer(read_bundle(folder)).score(people, reasons=3)
    for column, expected in golden["bundles"][name].items():
        if column.startswith("risk") or column.endswith("_effect") or column == "inputs_used":
            # Another processor may round the last digits of a sum otherwise.
            np.testing.assert_allclose(found[column].astype(float), np.array(expected, dtype=float), rtol=1e-9)
        else:
            assert [None if value != value else value for value in found[column].tolist()] == expected


def test_what_is_known_without_being_given_is_no_distribution_of_the_file(tmp_path: Path) -> None:
    """Nobody asks men about pregnancies; that half of the file is "no" is no shift to be told of."""
    rows = "".join(f"{20 + i % 60},{'male' if i % 2 else 'female'}\n" for i in range(300))
    (tmp_path / "people.csv").write_text("age_years,sex\n" + rows, "utf-8")
    scorer = Scorer(read_bundle(released_bundles()["undiagnosed"]))
    source, target = str(tmp_path / "people.csv"), str(tmp_path / "o.csv")
    summary = score_table(scorer, source, target, BatchOptions(reasons=0))
    counted = {shift["name"] for shift in summary.counted()["drift"]}
    assert {shift.name for shift in summary.shifts} - counted == {"gestational_diabetes", "large_baby"}
    assert {"age_years", "waist_cm", "risk"} <= counted
