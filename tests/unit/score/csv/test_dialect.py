"""Other delimited text is converted to comma-separated UTF-8, or refused without showing its content."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.score.csv import dialect
from mgrisk.score.csv.dialect import Dialect, usual_csv

CELLS = st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]) | st.sampled_from(';,"\n\t|'), max_size=8)
TABLES = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1))


def converted(content: bytes, of: Dialect) -> bytes:
    return usual_csv(io.BytesIO(content), of, where="people.txt").read()


@given(TABLES, st.sampled_from(";,\t|"), st.sampled_from(["cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"]))
def test_the_cells_stay_what_they_are(table: list[list[str]], separator: str, encoding: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(table)
    found = converted(text.getvalue().encode(encoding), Dialect(encoding, separator)).decode()
    assert list(csv.reader(io.StringIO(found, newline=""))) == table


def test_what_is_usual_is_handed_on_as_it_is() -> None:
    stream = io.BytesIO(b"a,b\n")
    assert usual_csv(stream, Dialect("UTF8"), where="a") is stream


def test_a_mark_before_a_quoted_heading_is_no_part_of_it() -> None:
    assert converted(b'\xef\xbb\xbf"a";b\n', Dialect("utf-8", ";")) == b"a,b\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"a;b\nZz\xff;1\n", "utf-8"),
        (b"a;b\nZz\x81;1\n", "cp1252"),
        (b"a;b\nZz;1", "utf-16"),
        (b'a;b\n"Zz;1\n', "utf-8"),
        (b'a;b\n"Zz"Zz;1\n', "utf-8"),
        (b"a;b\nxn--Zz\xff;1\n", "punycode"),
    ],
)
def test_what_cannot_be_read_is_refused_and_not_shown(content: bytes, encoding: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        converted(content, Dialect(encoding, ";"))
    assert refused.value.code == "input.not_csv"
    assert "Zz" not in str(refused.value)


def test_a_record_without_an_end_is_not_read_to_the_end_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "LONGEST_RECORD", 100)
    assert converted(b"a;b\n" * 100, Dialect("utf-8", ";")) == b"a,b\n" * 100
    stream = io.BytesIO(b'a;b\n"' + b"1;2\n" * 100_000)
    with pytest.raises(MgRiskError, match="characters or more"):
        usual_csv(stream, Dialect("utf-8", ";"), where="a").read()
    assert stream.tell() < 100_000
    monkeypatch.setattr(dialect, "LONGEST_LINE", 50)
    with pytest.raises(MgRiskError, match="characters or more"):
        converted(b"a;b\n" + b"1" * 60, Dialect("utf-8", ";"))
