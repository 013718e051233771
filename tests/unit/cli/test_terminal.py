"""Progress for people: renewed on a terminal, plain lines elsewhere, never at each block."""

from __future__ import annotations

import io

import pytest

from mgrisk.cli.terminal import ProgressLine, say
from mgrisk.score.batch import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, times: list[float]) -> str:
    clock = iter([0.0, *times])
    with ProgressLine(stream, clock=lambda: next(clock)) as line:
        for number, _ in enumerate(times, start=1):
            line(Progress(1000 * number, 0.25 * number))
    return stream.getvalue()


def test_a_terminal_has_one_line_that_renews_itself() -> None:
    text = told(Terminal(), [1.0, 1.1, 2.0])
    assert [part.strip() for part in text.split("\r")[1:]] == [
        "1,000 rows, 1,000 rows/s, 3 s left",
        "3,000 rows, 1,500 rows/s, 1 s left",
    ]
    assert text.endswith("\n")


def test_elsewhere_there_is_a_plain_line_now_and_then() -> None:
    assert told(io.StringIO(), [1.0, 12.0, 13.0, 40.0]) == (
        "2,000 rows, 167 rows/s, 12 s left\n4,000 rows, 100 rows/s, 0 s left\n"
    )


def test_without_a_size_there_is_no_time_left() -> None:
    stream = io.StringIO()
    clock = iter([0.0, 20.0])
    ProgressLine(stream, clock=lambda: next(clock))(Progress(100, None))
    assert stream.getvalue() == "100 rows, 5 rows/s\n"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (Terminal(), "  inputs given: height_cm,\n    weight_kg\n"),
        (io.StringIO(), "  inputs given: height_cm, weight_kg\n"),
    ],
)
def test_a_line_is_broken_between_words_on_a_narrow_terminal_alone(
    stream: io.StringIO, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stderr", stream)
    say("  inputs given: height_cm, weight_kg")
    assert stream.getvalue() == expected
