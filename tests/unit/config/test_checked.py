"""Content from outside is checked for valid numbers and JSON, with errors of one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import Field

from mgrisk.config.checked import (
    LARGEST,
    Checked,
    Count,
    Finite,
    Increasing,
    Knots,
    NotNegative,
    Numbers,
    Positive,
    Share,
    Text,
    brief,
    parse,
    same_length,
)


class Inner(Checked):
    knots: Knots = Field(default_factory=list)
    grid: Increasing = Field(default=[0.0], min_length=1)


class Everything(Checked):
    finite: Finite = 0.0
    level: NotNegative = 0.0
    divisor: Positive = 1.0
    share: Share = 0.0
    count: Count = 0
    text: Text = ""
    numbers: Numbers = Field(default_factory=list)
    inner: dict[str, Inner] = Field(default_factory=dict)


@pytest.mark.parametrize(
    "content",
    [
        {"finite": 2, "level": 0, "divisor": 1e-15, "share": 1.0 + 1e-10, "count": 0},
        {"finite": -LARGEST, "numbers": [1, 2.5, LARGEST]},
        {"inner": {"a": {"knots": [1, 2, 3]}, "b": {"knots": []}}},
        {"another": "is not looked at"},
    ],
)
def test_what_a_file_of_ours_has_is_taken(content: dict[str, Any]) -> None:
    found = Everything.of(parse(json.dumps(content).encode()))
    assert all(getattr(found, name, value) == value for name, value in content.items() if name != "inner")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ({"finite": "2"}, "finite"),
        ({"finite": True}, "finite"),
        ({"finite": None}, "finite"),
        ({"finite": 1.1 * LARGEST}, "finite"),
        ({"finite": 10**400}, "finite"),
        ({"finite": float("inf")}, "finite"),
        ({"level": -1e-300}, "level"),
        ({"divisor": 1e-16}, "divisor"),
        ({"share": 1.001}, "share"),
        ({"count": 1.5}, "count"),
        ({"count": -1}, "count"),
        ({"text": 1}, "text"),
        ({"text": "a" * 10_001}, "text"),
        ({"numbers": [1.0, [2.0]]}, "numbers.1"),
        ({"numbers": {}}, "numbers"),
        ({"inner": {"a": {"knots": [1, 3, 2]}}}, "inner.a.knots"),
        ({"inner": {"a": {"knots": [0, 1e-9, 100]}}}, "inner.a.knots"),
        ({"inner": {"a": {"knots": list(range(51))}}}, "inner.a.knots"),
        ({"inner": {"a": {"grid": []}}}, "inner.a.grid"),
        ({"inner": {"a" * 1000: 1}}, r"inner\.a{60}: "),
        ([], "Input should be a valid dictionary"),
    ],
)
def test_what_is_wrong_is_named_by_its_field_in_one_line(content: Any, where: str) -> None:
    with pytest.raises(ValueError, match=rf"^{where}") as caught:
        Everything.of(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": Infinity}', b"[" * 100_000, b'"\\ud800"', b"1" * 5000]
)
def test_what_is_no_json_or_nested_too_deep_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 1|end"):
        parse(content)


def test_numbers_are_read_to_the_last_bit() -> None:
    numbers = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2**53 + 1.0, -0.0]
    assert parse(json.dumps(numbers).encode()) == numbers


def test_lists_of_one_length_pass_and_others_are_named() -> None:
    same_length(one=[1], other=[2])
    with pytest.raises(ValueError, match="one and other"):
        same_length(one=[1], other=[])


def test_a_name_is_shown_short() -> None:
    assert len(brief("x" * 10**6)) == 60
