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
    assert "8 rows: 7 scored, 1 rejected; model mgrisk-undiagnosed" in err
    assert "not the model's answer to changed inputs" in err
    with target.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    # One gave age and sex alone, one was rejected.
    assert sum(bool(row["what_if_together_risk"]) for row in rows) == 6
