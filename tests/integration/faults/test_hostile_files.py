"""Malformed files are scored row by row or refused with what to do; no row is lost or invented."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest

from mgrisk.cli.main import main
from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import read_bundle
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.csv.source import LONGEST_RECORD, CsvSource
from mgrisk.score.scorer import Scorer

MODEL = Path(__file__).parents[3] / "models" / "undiagnosed"
HEAD = b"person_id,age_years,sex,height_cm,weight_kg,magnesium_food_mg\n"
GOOD = b"p1,50,male,175,80,300\n"
FILE = HEAD + GOOD
WIDE = b",".join([b"age_years,sex", *(b"c%d" % column for column in range(50_000))])

SCORED = {
    "a plain file": (FILE, ["scored"]),
    "no rows": (HEAD, []),
    "no line end at the end": (FILE.rstrip(), ["scored"]),
    "a byte order mark": (b"\xef\xbb\xbf" + FILE, ["scored"]),
    "Windows line ends": (FILE.replace(b"\n", b"\r\n"), ["scored"]),
    "old Macintosh line ends": (FILE.replace(b"\n", b"\r"), ["scored"]),
    "50,000 columns": (WIDE + b"\n50,male" + b",1" * 50_000 + b"\n", ["scored"]),
    "a cell of 3 MB": (HEAD + b"x" * 3_000_000 + GOOD[2:], ["scored"]),
    "too few and too many cells": (
        FILE + b"p2,50\n" + b"p3,50,male,175,80,300,9\n",
        ["scored", "wrong_field_count:2", "wrong_field_count:7"],
    ),
    "NUL bytes": (HEAD + b"p\x001,50,male,,,\np2,5\x000,male,,,\n", ["scored", "not_a_number:age_years"]),
    "a date for a number": (HEAD + b"p1,2020-01-01,male,,,\n", ["not_a_number:age_years"]),
    "a decimal comma": (HEAD + b'p1,50,male,"175,5",80,300\n', ["not_a_number:height_cm"]),
    "height in metres": (HEAD + b"p1,50,male,1.75,80,300\n", ["out_of_range:height_cm"]),
    "height in inches": (HEAD + b"p1,50,male,69,80,300\n", ["out_of_range:height_cm"]),
    "infinities": (
        HEAD + b"p1,inf,male,,,\np2,50,male,-Infinity,,\n", ["not_a_number:age_years", "not_a_number:height_cm"]
    ),
    "1e308 and more": (
        HEAD + b"p1,1e308,male,,,\np2,1e309,male,,,\n", ["out_of_range:age_years", "not_a_number:age_years"]
    ),
    "a negative intake": (HEAD + b"p1,50,male,175,80,-300\n", ["out_of_range:magnesium_food_mg"]),
    "an unseen category": (HEAD + b"p1,50,other,175,80,300\n", ["unknown_level:sex"]),
    "the same id twice": (FILE + GOOD, ["scored", "scored"]),
    "a formula for a name": (HEAD + b"=1+1,50,male,175,80,300\n", ["scored"]),
}  # fmt: skip
REFUSED = {
    "nothing": (b"", "input.empty"),
    "UTF-16": (FILE.decode().encode("utf-16"), "input.not_csv"),
    "UTF-16 without a mark": (FILE.decode().encode("utf-16-le"), "input.not_csv"),
    "Latin-1": (HEAD + b"J\xe4n,50,male,175,80,300\n", "input.not_csv"),
    "a quote never closed": (FILE + b'"p2,50,male,175,80,300\n' + GOOD, "input.not_csv"),
    "a file cut within quotes": (FILE + b'p2,50,"mal', "input.not_csv"),
    "semicolons": (FILE.replace(b",", b";"), "input.other_separator"),
    "tabs": (FILE.replace(b",", b"\t"), "input.other_separator"),
    "a heading twice": (b"age_years,sex,sex\n50,male,male\n", "input.duplicate_column"),
    "NUL in the header": (b"age_years\x00,sex\n50,male\n", "input.unclear_name"),
    "a unit that nobody declared": (b"age_years,sex,magnesium_food_kg\n50,male,1\n", "input.unknown_unit"),
    "a gzip file cut short": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "input.cannot_read"),
}


@pytest.mark.parametrize("name", SCORED)
def test_each_row_is_answered(name: str, tmp_path: Path) -> None:
    content, expected = SCORED[name]
    (tmp_path / "people.csv").write_bytes(content)
    arguments = ["score", str(tmp_path / "people.csv"), "-o", str(tmp_path / "out.csv"), "--model", str(MODEL)]
    # A file of rejected rows alone is a failure, after its output is written.
    assert main(arguments) == (6 if expected and "scored" not in expected else 0)
    csv.field_size_limit(2**31 - 1)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_bytes().decode(), newline="")))
    found = [row["problems"] if row["status"] == "rejected" else row["status"] for row in rows]
    assert found == expected
    assert all((row["risk"] == "") == (row["status"] == "rejected") for row in rows)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_understood_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, code = REFUSED[name]
    (tmp_path / "people.csv").write_bytes(content)
    arguments = ["score", str(tmp_path / "people.csv"), "-o", str(tmp_path / "out.csv"), "--model", str(MODEL)]
    assert main(arguments) == 3
    assert f"[{code}]" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv"]


@pytest.mark.parametrize(
    "arguments", [["score", "-o", "OUT", "--strict"], ["score", "-o", "OUT"], ["validate"], ["explain", "-o", "OUT"]]
)
@pytest.mark.parametrize(
    "row",
    [
        b"SECRET-1,SECRET-2,male,SECRET-3,,\n",
        b"SECRET-1,50,SECRET-2,175,80,-4711\n",
        b"SECRET-1,50\n",
        b"SECRET-1,50,male,SECRET-\xe4,,\n",
        b'"SECRET-1,50,male,175,80,300\n',
    ],
)
def test_nothing_of_a_person_is_printed(
    row: bytes, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "people.csv").write_bytes(HEAD + row)
    command, *options = (str(tmp_path / "out.html") if word == "OUT" else word for word in arguments)
    main([command, str(tmp_path / "people.csv"), *options, "--model", str(MODEL)])
    printed = capsys.readouterr()
    assert "SECRET" not in printed.out + printed.err
    assert "4711" not in printed.out + printed.err


def test_grams_for_milligrams_are_outside_the_domain(tmp_path: Path) -> None:
    """0.3 mg of magnesium a day is possible and nobody's; the range lets it pass, the domain does not."""
    (tmp_path / "people.csv").write_bytes(HEAD + b"p1,50,male,175,80,0.3\n")
    model = MODEL.with_name("undiagnosed")
    arguments = ["score", str(tmp_path / "people.csv"), "-o", str(tmp_path / "out.csv"), "--model", str(model)]
    assert main(arguments) == 0
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text("utf-8").splitlines())
    assert row["in_domain"] == "no"


class _Endless(io.RawIOBase):
    """A line of 4 GB, of which nothing is kept."""

    left = 4 << 30

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = min(max(size, 0), self.left)
        self.left -= size
        return b"x" * size


def test_a_line_of_4_gigabytes_is_refused_before_it_fills_the_memory() -> None:
    stream = _Endless()
    tracemalloc.start()
    with pytest.raises(MgRiskError, match="does not end within"):
        CsvSource(stream, where="a pipe")  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5 * LONGEST_RECORD
    assert stream.left > 3 << 30


def test_two_at_once_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_bytes(FILE)
    scorer = Scorer(read_bundle(MODEL))
    told = []

    def second(_: object) -> None:
        with pytest.raises(MgRiskError) as refused:
            score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=1))
        told.append(refused.value.code)
        score_table(scorer, str(people), str(tmp_path / "other.csv"), BatchOptions(reasons=1))

    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=1), progress=second)
    assert told == ["output.in_use"]
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
