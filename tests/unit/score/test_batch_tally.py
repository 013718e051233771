"""Counts of a batch: what the summary says is what a reader of the scored file counts, however the rows were cut."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score import sources
from mgrisk.score.batch import BatchOptions, Summary, Tally, score_table
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.scorer import Scorer

# Scored, out of distribution, rejected for its age and out of distribution, rejected for a text, scored.
ROWS = ["50,male,28", "50,male,14", "430,male,120", "60,female,x", "33,female,25", "70,neither,15", "71,male,31"]


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"])


@pytest.fixture
def scored(
    request: pytest.FixtureRequest, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Summary, pd.DataFrame]:
    """The summary and the scored file of a batch in blocks of so many bytes."""
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=request.param))
    (tmp_path / "people.csv").write_text("\n".join(["age_years,sex,bmi_kg_m2", *ROWS, ""]), "utf-8")
    out = tmp_path / "out.csv"
    summary = score_table(scorer, str(tmp_path / "people.csv"), str(out), BatchOptions(reasons=1))
    return summary, pd.read_csv(out, keep_default_na=False, dtype=str)


@pytest.mark.parametrize("scored", [10_000, 25], indirect=True)
def test_the_summary_counts_what_stands_in_the_scored_file(
    scored: tuple[Summary, pd.DataFrame], scorer: Scorer
) -> None:
    summary, rows = scored
    told = summary.to_dict()
    there = rows[rows["status"] == "scored"]
    assert (told["rows"], told["scored"], told["rejected"]) == (7, 4, 3)
    assert told["outside_domain"] == (there["in_domain"] == "no").sum() == 1
    assert told["mean_risk"] == pytest.approx(there["risk"].astype(float).mean())
    codes = Counter(problem.partition(":")[0] for cell in rows["problems"] for problem in cell.split(";") if problem)
    counted: Counter[str] = Counter()
    for problem, count in told["problems"].items():
        counted[problem.partition(":")[0]] += count
    assert counted == codes
    assert list(told["problems"].values()) == sorted(told["problems"].values(), reverse=True)
    assert told["base_value"] == scorer.explainer.base_value != 0.0


@pytest.mark.parametrize("scored", [25], indirect=True)
def test_rows_in_many_blocks_count_as_in_one(
    scored: tuple[Summary, pd.DataFrame], scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CsvSource", CsvSource)
    whole = score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / "whole.csv"), BatchOptions(reasons=1))
    parts = scored[0]
    assert parts.tally.risk_sum == pytest.approx(whole.tally.risk_sum)
    assert parts.tally.spread is not None
    assert replace(parts.tally, risk_sum=0.0).to_dict() == replace(whole.tally, risk_sum=0.0).to_dict()


def test_a_batch_of_nobody_has_no_mean_risk() -> None:
    assert Tally().summary()["mean_risk"] is None


def test_strict_names_the_row_by_its_place_in_the_file_and_not_in_its_block(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=25))
    (tmp_path / "people.csv").write_text("\n".join(["age_years,sex,bmi_kg_m2", *ROWS, ""]), "utf-8")
    rejects = tmp_path / "rejects.csv"
    score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / "out.csv"), BatchOptions(0, rejects=str(rejects)))
    assert pd.read_csv(rejects)["row"].tolist() == [3, 4, 6]
    with pytest.raises(MgRiskError, match=r"row 3 is rejected"):
        score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / "strict.csv"), BatchOptions(0, strict=True))
