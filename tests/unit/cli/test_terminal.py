"""Progress is redrawn on a terminal and printed as lines elsewhere, but not for each block."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.cli.main import main
from mgrisk.cli.terminal import JsonLog, ProgressLine, Shown, say
from mgrisk.errors import shown
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


@given(st.text(st.characters(exclude_characters='"\\\\')))
def test_whatever_a_line_holds_is_seen_and_can_be_read_back(line: str) -> None:
    assert shown(line).replace("\t", "").isprintable()
    assert json.loads(f'"{shown(line)}"', strict=False) == line


def test_a_stream_keeps_its_lines_and_shows_what_is_in_them() -> None:
    stream = io.StringIO()
    Shown(stream).writelines(["one\n", "two \x1b[2J\r\x9b\u202e\udcff\n"])
    assert stream.getvalue() == "one\ntwo \\u001b[2J\\r\\u009b\\u202e\\udcff\n"


def test_progress_returns_to_the_start_of_its_line_through_a_stream_that_is_shown() -> None:
    terminal = Terminal()
    clock = iter([0.0, 1.0])
    ProgressLine(Shown(terminal), clock=lambda: next(clock))(Progress(1000, 0.25))
    assert terminal.getvalue().startswith("\r1,000 rows")


HOSTILE = "\x1b]0;owned\x07\x1b[2J"
COMMANDS_OF_PEOPLE = {
    "validate": ["validate", "people.csv"],
    "score": ["score", "people.csv", "-o", "out.csv"],
    "explain": ["explain", "people.csv", "-o", "page.html"],
    "map": ["map", "people.csv", "--mapping", "mapping.toml", "-o", "mapped.csv"],
    "evaluate": ["evaluate", "people.csv", "--outcome", "known", "-o", "evaluated"],
}


@pytest.mark.parametrize("command", COMMANDS_OF_PEOPLE)
def test_a_heading_begins_no_line_of_its_own_and_is_shown_short(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{30 + place % 40},{'fe' * (place % 2)}male,{place % 5 // 4},1,1\n" for place in range(100))
    heading = f'age_years,sex,known,"visit\nerror: all is lost",{"h" * 100_000}\n'
    (tmp_path / "people.csv").write_text(heading + rows, "utf-8")
    (tmp_path / "mapping.toml").write_text('[features.age_years]\nfrom = "age_years"\n', "utf-8")
    assert main(COMMANDS_OF_PEOPLE[command]) == 0
    told = "".join(capfd.readouterr())
    assert "visit\\nerror: all is lost" in told
    assert max(map(len, told.splitlines())) < 500


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "people.csv"],
        ["validate", f"{HOSTILE}\n.csv"],
        ["score", "people.csv", "-o", "out.csv", "--model", HOSTILE],
        ["score", "scored.csv", "-o", f"{HOSTILE}.csv"],
        ["run", "pipeline.toml"],
        ["run", "demo.toml", "--until", HOSTILE],
        ["map", "people.csv", "--mapping", "mapping.toml", "-o", "out.csv"],
        ["codebook", HOSTILE],
        ["report", HOSTILE],
        ["models"],
        [HOSTILE],
        ["describe", "--of", HOSTILE, "--debug"],
        ["regress", "--of", "BMXBMI", "--on", HOSTILE],
    ],
    ids=lambda arguments: " ".join(arguments).replace("\x1b", "").replace("\x07", ""),
)
def test_no_command_lets_a_name_command_the_terminal(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    (tmp_path / "people.csv").write_text(f"sex,{HOSTILE}\nmale,1\n", "utf-8")
    (tmp_path / "scored.csv").write_text(f"age_years,sex,{HOSTILE}\n50,male,1\n", "utf-8")
    (tmp_path / "pipeline.toml").write_text('"\\u001b[2J" = 1\n', "utf-8")
    (tmp_path / "mapping.toml").write_text('["\\u001b[2J"]\n', "utf-8")
    (tmp_path / "runs" / HOSTILE / "bundle").mkdir(parents=True)
    with suppress(SystemExit):
        main(arguments)
    told = "".join(capfd.readouterr())
    assert len(told) > 20
    assert [sign for sign in told if not sign.isprintable() and sign not in "\n\t"] == []


def test_a_record_is_one_line_of_ascii_whatever_is_said() -> None:
    stream = Terminal()
    log = JsonLog(stream)
    log.write("half a ")
    assert stream.getvalue() == ""
    log.write("line \x1b[2J\u202e\n\nand another\n")
    log.record("summary", {"share": float("nan"), "parts": [1, 2]})
    text = stream.getvalue()
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    said = [json.loads(line) for line in text.splitlines()]
    assert [record.get("message") for record in said] == ["half a line \x1b[2J\u202e", "and another", None]
    assert (said[-1]["share"], said[-1]["parts"]) == (None, [1, 2])
    assert not log.isatty()
