"""What a terminal gets: text in which nothing commands it, lines aside on standard error, and how far a batch is."""

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

DISCLAIMER: Final = "A research tool: no medical device, and nothing it prints is medical advice."
PAUSE_ON_TERMINAL: Final = 0.5
PAUSE_ELSEWHERE: Final = 10.0
WIDTH: Final = 60


class Shown:
    """A stream of text, line by line as `shown` writes it: put in place of standard output and standard error.

    Bytes, such as the table of `score -o -`, go to the stream's own `buffer` as they are.

    Parameters
    ----------
    raw
        The stream that is written to; everything but texts is asked of it.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        """Write a text; its line ends stay."""
        return self.raw.write("\n".join(map(shown, text.split("\n"))))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class JsonLog:
    """Standard error for a machine (`--log-json`): each line of text is a line of JSON, beside records of their own.

    A record has `time`, in UTC, and `event`: a ``message`` is what a person would read, in `message`; an ``error`` has
    `code`, `message`, `where`, `hint` and `status`; a ``summary`` what the summary file of a batch has.

    Parameters
    ----------
    raw
        The stream that is written to.
    """

    def __init__(self, raw: TextIO) -> None:
        self._raw = raw
        self._begun = ""

    def write(self, text: str) -> int:
        """Write a text; what does not end in a line end waits for the rest of its line."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            self.record("message", {"message": line})
        return len(text)

    def record(self, event: str, content: Mapping[str, Any]) -> None:
        """Write a record."""
        from mgrisk.storage.files import to_json  # loads numpy, which `--help` does without

        record = json.loads(to_json({"time": now(), "event": event, **content}))
        # In ASCII, so that no sign of it commands a terminal.
        self._raw.write(json.dumps(record) + "\n")
        self._raw.flush()

    def isatty(self) -> bool:
        """Return that it is no terminal, so that no line is renewed or broken for one."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def log(event: str, content: Mapping[str, Any]) -> bool:
    """Write a record where standard error is for a machine, and return whether it is."""
    if isinstance(sys.stderr, JsonLog):
        sys.stderr.record(event, content)
        return True
    return False


def say(line: str) -> None:
    """Say a line on standard error; a terminal that is narrower gets it in several, broken between words."""
    lines = [line := shown(line)]
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = textwrap.wrap(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    print("\n".join(lines), file=sys.stderr, flush=True)


def tell(*lines: str, output: str = "") -> None:
    """Print what came of a command, or say it on standard error where standard output has the output itself."""
    for line in lines:
        if is_standard_output(output):
            say(line)
        else:
            print(shown(line))


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines, with columns of one width.

    Examples
    --------
    >>> aligned([["model", "AUROC"], ["ada", "0.771"]])
    ['model  AUROC', 'ada    0.771']
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


class ProgressLine:
    """Tells rows, rows a second and time left: a line that renews itself on a terminal, a line now and then elsewhere.

    Parameters
    ----------
    stream
        Where the line goes.
    clock
        Seconds.
    """

    def __init__(self, stream: TextIO | Shown, *, clock: Callable[[], float] = time.monotonic) -> None:
        # Only numbers are written, and the return to the start of the line is meant.
        self._stream = stream.raw if isinstance(stream, Shown) else stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._pause = PAUSE_ON_TERMINAL if self._terminal else PAUSE_ELSEWHERE
        self._started = self._told = clock()

    def __call__(self, progress: Progress) -> None:
        """Tell it, unless it was told just now."""
        now = self._clock()
        if now - self._told < self._pause:
            return
        self._told = now
        seconds = now - self._started
        left = f", {seconds / progress.share - seconds:,.0f} s left" if progress.share else ""
        line = f"{progress.rows:,} rows, {progress.rows / seconds:,.0f} rows/s{left}"
        self._stream.write(f"\r{line:<{WIDTH}}" if self._terminal else f"{line}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._terminal and self._told > self._started:
            self._stream.write("\n")
