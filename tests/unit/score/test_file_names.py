"""The extension of an output determines its format, and an unknown one is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mgrisk.cli.main import main
from mgrisk.errors import MgRiskError
from mgrisk.score.file_names import ENDINGS, Format, format_of, output_format


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_ending_says_its_format_in_any_case(ending: str) -> None:
    found = format_of(f"people{ending.upper()}")
    assert found is not None
    assert ending in found.endings
    assert output_format(f"people{ending}") is found


@pytest.mark.parametrize("name", ["people.xlsx", "people.tsv", "people.parquet.gz", "people.csv.bz2", "people.gz"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        output_format(name)
    assert (caught.value.code, caught.value.status) == ("output.unknown_format", 2)
    assert caught.value.where == name


@pytest.mark.parametrize("name", ["-", "people", "folder.d/people", os.devnull, "/dev/stdout"])
def test_a_stream_and_a_name_without_ending_are_csv(name: str) -> None:
    assert output_format(name) is Format.CSV


def test_a_pipe_is_csv_whatever_it_is_called(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "people.pipe")
    assert output_format(str(tmp_path / "people.pipe")) is Format.CSV


@pytest.mark.parametrize(
    ("output", "folder"),
    [
        (["-o", "OUT.xlsx"], False),
        (["-o", "OUT.csv", "--rejects", "OUT.parquet"], False),
        (["-o", "OUT.csv", "--rejects", "OUT.parquet"], True),
    ],
)
def test_nothing_is_written_where_a_name_is_refused(
    output: list[str], folder: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people" / "people.csv"
    people.parent.mkdir()
    people.write_text("age_years,sex\n50,male\n", "utf-8")
    asked = [part.replace("OUT", str(tmp_path / "out")) for part in output]
    assert main(["score", str(people.parent if folder else people), *asked]) == 2
    assert "[output.unknown_format]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["people"]
