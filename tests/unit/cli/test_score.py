"""`mgrisk score` as a user sees it: the table in the file, what it came to on standard error."""

from __future__ import annotations

import csv
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
    assert "inputs: 28 of 32 given; absent: large_baby, upper_leg_length_cm, weight_change_since_25_kg" in err
    assert "not the model's answer to changed inputs" in err
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
