"""Output for a terminal or a log: escaped text, messages on standard error, aligned tables and progress."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from mgrisk.errors import shown
from mgrisk.storage.destinations import is_standard_output

if TYPE_CHECKING:
    from mgrisk.score.batch import Progress

DISCLAIMER: Final = "mgrisk is a research tool, not a medical device; its output is not medical advice."
PAUSE_ON_TERMINAL: Final = 0.5
PAUSE_ELSEWHERE: Final = 10.0
WIDTH: Final = 60


class Shown:
    """A text stream that escapes each line with `shown`; it replaces standard output and standard error.

    Bytes, such as the table of `score -o -`, go to the `buffer` of the stream unchanged.

    Parameters
    ----------
    raw
        The stream to write to. It has all other attributes and methods.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        """Write a text, keeping its line ends."""
        return self.raw.write("\n".join(map(shown, text.split("\n"))))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class JsonLog:
    """Standard error as JSON lines (`--log-json`): one record per line of text, and records of errors and summaries.

    A record has `time`, in UTC, and `event`: a ``message`` has the text in `message`; an ``error`` has `code`,
    `message`, `where`, `hint` and `status`; a ``summary`` has the content of the summary file of a batch.

    Parameters
    ----------
    raw
        The stream to write to.
    """

    def __init__(self, raw: TextIO) -> None:
        self._raw = raw
        self._begun = ""

    def write(self, text: str) -> int:
        """Write a text; an unfinished line waits for its end."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            self.record("message", {"message": line})
        return len(text)

    def record(self, event: str, content: Mapping[str, Any]) -> None:
        """Write a record."""
        from mgrisk.storage.files import to_json  # imports numpy, which `--help` does not need

        record = json.loads(to_json({"time": now(), "event": event, **content}))
        # In ASCII, so that it holds no control characters.
        self._raw.write(json.dumps(record) + "\n")
        self._raw.flush()

    def isatty(self) -> bool:
        """Return False, so that lines are neither redrawn nor wrapped."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def log(event: str, content: Mapping[str, Any]) -> bool:
    """Write a record if standard error is JSON lines, and return whether it is."""
    if isinstance(sys.stderr, JsonLog):
        sys.stderr.record(event, content)
        return True
    return False


def say(line: str) -> None:
    """Print a line on standard error, wrapped to the width of a terminal."""
    lines = [line := shown(line)]
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = textwrap.wrap(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    print("\n".join(lines), file=sys.stderr, flush=True)


def tell(*lines: str, output: str = "") -> None:
    """Print the result lines of a command; on standard error if standard output carries the output file."""
    for line in lines:
        if is_standard_output(output):
            say(line)
        else:
            print(shown(line))


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines, with aligned columns.

    Examples
    --------
    >>> aligned([["model", "AUROC"], ["ada", "0.771"]])
    ['model  AUROC', 'ada    0.771']
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


class ProgressLine:
    """Shows rows, rows per second and time left: one line redrawn on a terminal, or a line every 10 seconds elsewhere.

    Parameters
    ----------
    stream
        The stream to write to.
    clock
        Returns the time in seconds.
    """

    def __init__(self, stream: TextIO | Shown, *, clock: Callable[[], float] = time.monotonic) -> None:
        # Not escaped: only numbers are written, and the carriage return is intended.
        self._stream = stream.raw if isinstance(stream, Shown) else stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._pause = PAUSE_ON_TERMINAL if self._terminal else PAUSE_ELSEWHERE
        self._started = self._shown_at = clock()

    def __call__(self, progress: Progress) -> None:
        """Show the progress, unless it was shown just now."""
        now = self._clock()
        if now - self._shown_at < self._pause:
            return
        self._shown_at = now
        seconds = now - self._started
        left = f", {seconds / progress.share - seconds:,.0f} s left" if progress.share else ""
        line = f"{progress.rows:,} rows, {progress.rows / seconds:,.0f} rows/s{left}"
        self._stream.write(f"\r{line:<{WIDTH}}" if self._terminal else f"{line}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._terminal and self._shown_at > self._started:
            self._stream.write("\n")
