"""Bounds of numeric options, and `--missing` in every command that reads people."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mgrisk.cli.main import command_line, main
from mgrisk.cli.options import missing_of, one_or_more, whole_number
from mgrisk.score.cells import Missing


def test_counts_are_read_and_bounded() -> None:
    assert (whole_number("0"), whole_number("100"), one_or_more("7")) == (0, 100, 7)
    for refused in ("-1", "101"):
        with pytest.raises(argparse.ArgumentTypeError, match="between 0 and 100"):
            whole_number(refused)
    with pytest.raises(argparse.ArgumentTypeError, match="1 or more"):
        one_or_more("0")


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "in", "-o", "out"],
        ["validate", "in"],
        ["explain", "in", "-o", "out"],
        ["map", "in", "-o", "out", "--mapping", "m"],
        ["evaluate", "in", "-o", "out", "--outcome", "y"],
        ["recalibrate", "in", "-o", "out", "--outcome", "y", "--method", "intercept"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_each_command_that_reads_people_takes_words_for_missing(arguments: list[str]) -> None:
    asked = command_line().parse_args([*arguments, "--missing", "-9", "--missing", "unknown"])
    assert missing_of(asked) == Missing.also(["unknown", "-9"])


def test_a_named_word_is_missing_for_score_and_validate_alike(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age_years,sex,bmi_kg_m2\n50,male,-9.0\n50,male,unknown\n", "utf-8")
    read = [str(tmp_path / "people.csv"), "--model", "undiagnosed", "--missing", "-9"]
    assert main(["validate", *read]) == 3
    assert main(["validate", *read, "--missing", "unknown"]) == 0
    assert main(["score", *read, "--missing", "unknown", "-o", str(tmp_path / "out.csv"), "--strict"]) == 0
    for part in ("a", "b"):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / f"{part}.csv").write_bytes((tmp_path / "people.csv").read_bytes())
    folder = [str(tmp_path / "parts"), *read[1:], "--missing", "unknown"]
    assert main(["score", *folder, "-o", str(tmp_path / "scored"), "--strict"]) == 0
    assert (tmp_path / "scored" / "b.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
