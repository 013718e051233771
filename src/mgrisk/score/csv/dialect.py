"""Convert delimited text in another encoding or with another separator to comma-separated UTF-8."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.score.formulas import csv_line

LONGEST_LINE: Final = 16 * 2**20
"""Maximum characters of a line; a longer one is not of a table."""
LONGEST_RECORD: Final = 64 * 2**20
"""Maximum characters of a record, which may have line ends in quotes."""
UTF_8: Final = "utf-8"


@dataclass(frozen=True)
class Dialect:
    """Format of delimited text.

    Attributes
    ----------
    encoding
        Python name of the encoding: utf-8, cp1252, utf-16.
    separator
        Character between cells.
    """

    encoding: str = UTF_8
    separator: str = ","

    @property
    def usual(self) -> bool:
        """Whether it is the default dialect."""
        return self.separator == "," and codecs.lookup(self.encoding).name == UTF_8


def usual_csv(stream: BinaryIO, dialect: Dialect, *, where: str) -> BinaryIO:
    r"""Return a stream as comma-separated UTF-8, converted while it is read; unchanged if it has the default dialect.

    Parameters
    ----------
    stream
        Bytes.
    dialect
        Their format.
    where
        The stream's name.

    Raises
    ------
    MgRiskError
        `input.not_csv` while it is read, for bytes that cannot be decoded, an open quote, or a record without an end.

    Examples
    --------
    >>> stream = io.BytesIO("Größe;Gewicht\r\n172,5;80".encode("cp1252"))
    >>> usual_csv(stream, Dialect("cp1252", ";"), where="visits.csv").read().decode()
    'Größe,Gewicht\n"172,5",80\n'
    """
    return stream if dialect.usual else cast(BinaryIO, _Converted(stream, dialect, where))


class _Converted(io.RawIOBase):
    """A stream of converted records."""

    def __init__(self, stream: BinaryIO, dialect: Dialect, where: str) -> None:
        self._records = _records(stream, dialect, where)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._rest and (record := next(self._records, None)) is not None:
            self._rest = csv_line(record)
        part = self._rest[: len(into)]
        self._rest = self._rest[len(part) :]
        into[: len(part)] = part
        return len(part)


class _Borrowed(io.RawIOBase):
    """A stream that stays open when its reader is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        part = self._stream.read(len(into))
        into[: len(part)] = part
        return len(part)


def _records(stream: BinaryIO, dialect: Dialect, where: str) -> Iterator[list[str]]:
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        # Remove the byte order mark of UTF-16 and UTF-8 under either name of the encoding.
        mark = "\ufeff"
        while line := text.readline(LONGEST_LINE):
            read += len(line)
            if read > LONGEST_RECORD or len(line) == LONGEST_LINE:
                raise _unreadable(f"a record has {read:,} characters or more; is a quote open?", dialect, where)
            yield line.removeprefix(mark)
            mark = ""

    try:
        text = io.TextIOWrapper(cast(BinaryIO, _Borrowed(stream)), encoding=dialect.encoding, newline="")
        for record in csv.reader(lines(), delimiter=dialect.separator, strict=True):
            yield record
            read = 0
    except csv.Error as problem:
        raise _unreadable(str(problem), dialect, where) from None
    except UnicodeDecodeError as problem:
        byte = bytes(problem.object[problem.start : problem.start + 1])
        raise _unreadable(f"byte 0x{byte.hex()}: {problem.reason}", dialect, where) from None
    except UnicodeError:
        # Error messages of rarer codecs quote the input.
        raise _unreadable("its bytes cannot be decoded", dialect, where) from None


def _unreadable(what: str, dialect: Dialect, where: str) -> MgRiskError:
    return bad_input(
        "input.not_csv",
        f"this cannot be read as delimited text in {dialect.encoding}: {what}",
        where=where,
        hint="check encoding and separator under [file]",
    )
