"""Formats of other programs are recognised and named; a heading that begins like one is not."""

from __future__ import annotations

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.score.formats import FORMATS, refuse_other_formats


@pytest.mark.parametrize("row", FORMATS, ids=[row["name"] for row in FORMATS])
def test_each_format_is_told_by_each_of_its_beginnings_and_what_to_do_is_said(row: dict[str, object]) -> None:
    first = row["first"]
    assert isinstance(first, list)
    for each in first:
        place, _, digits = each.rpartition(":")
        head = bytes(int(place.removeprefix("@") or 0)) + bytes.fromhex(digits + "9" * (len(digits) % 2))
        with pytest.raises(MgRiskError) as caught:
            refuse_other_formats(head + (b"" if "text" in row else bytes(9)), where="people.csv")
        assert caught.value.what() == f"this is {row['name']}, which cannot be read"
        assert caught.value.hint == row["hint"]


@pytest.mark.parametrize(
    "head",
    [b"", b"PARENT,age_years", b"ORCHARD,sex", b"BZh9,sex", b"[age],[sex]", b"a,b\n{1},2", b"PK,\xc3\xa4"],
)
def test_a_text_that_begins_like_a_format_is_none(head: bytes) -> None:
    refuse_other_formats(head, where="people.csv")
