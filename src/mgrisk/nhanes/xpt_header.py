"""The layout of a SAS transport file, version 5: its header, and whether the file is whole.

Cards of 80 bytes, a NAMESTR of 140 bytes for each variable, then the records without a gap, filled up with
blanks to a whole card. The number of rows is not stored: it follows from the length of the file. So a file
cut exactly behind a record at the end of a card looks whole; the store's lock file (size and sha256) is what
finds that. Source: SAS Technical Support document TS-140, "The Record Layout of a Data Set in SAS Transport
(XPORT) Format".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from mgrisk.errors import MgRiskError, bad_source

CARD: Final = 80
"""Bytes of a card, the unit that every part of the file is filled up to."""

NAMESTR: Final = struct.Struct(">hhhh8s40s8shhh2s8shhl52s")
"""The 140 bytes about a variable; a file from VMS leaves out the last four."""


def card(kind: str, *, numbers: str = "0" * 30) -> bytes:
    """Return the header card of a kind: ``LIBRARY``, ``MEMBER``, ``DSCRPTR``, ``NAMESTR`` or ``OBS``."""
    return f"HEADER RECORD*******{kind:<8}HEADER RECORD!!!!!!!{numbers}  ".encode("ascii")


_NAMED: Final = 48  # bytes of a header card that say its kind; numbers follow
_MEMBER: Final = card("MEMBER")[:_NAMED]


@dataclass(frozen=True)
class XptVariable:
    """One column of a transport file.

    Attributes
    ----------
    name, label
        As in the file, without trailing blanks.
    kind
        ``"number"`` or ``"text"``.
    length
        Bytes of one value: 2 to 8 of a number, 1 or more of a text.
    position
        Bytes from the start of the record.
    format
        SAS display format, for example ``"DATE9."``; empty where there is none.
    """

    name: str
    label: str
    kind: Literal["number", "text"]
    length: int
    position: int
    format: str


@dataclass(frozen=True)
class XptHeader:
    """What a transport file says of itself, and its number of rows.

    Attributes
    ----------
    table, label
        Name and label of the data set.
    variables
        The columns, in the order of the file.
    record_length
        Bytes of one row.
    n_rows
        Rows, from the length of the file. Blanks at its end that can be padding are padding.
    data_start
        Bytes before the first record.
    """

    table: str
    label: str
    variables: tuple[XptVariable, ...]
    record_length: int
    n_rows: int
    data_start: int


def header(path: Path | str) -> XptHeader:
    """Read the header of a transport file and check the file for wholeness.

    Parameters
    ----------
    path
        A SAS transport file of version 5.

    Raises
    ------
    MgRiskError
        ``xpt.no_such_file``; ``xpt.html`` for a web page; ``xpt.version`` for version 8; ``xpt.truncated``
        where bytes are missing; ``xpt.several_tables`` where there is more than one data set;
        ``xpt.not_xport`` for anything else. Exit status 4.
    """
    return parse(map_bytes(Path(path)), path=Path(path))


def map_bytes(path: Path) -> npt.NDArray[np.uint8]:
    """Return the bytes of a file, mapped and not yet read; raises as `header` if there is none."""
    if not path.is_file():
        raise bad_source("xpt.no_such_file", "no such file", where=str(path), hint="check the path")
    if path.stat().st_size == 0:
        raise _truncated(path, "an XPORT file", "an empty file")
    return np.memmap(path, dtype=np.uint8, mode="r")


def parse(content: npt.NDArray[np.uint8], *, path: Path) -> XptHeader:
    """Return the header in the bytes of a whole file; `path` is for messages. Raises as `header`."""

    def part(start: int, length: int, what: str) -> bytes:
        if start + length > content.size:
            raise _truncated(path, f"at least {start + length} bytes, up to {what}", f"{content.size} bytes")
        return content[start : start + length].tobytes()

    def header_card(start: int, kind: str) -> bytes:
        found = part(start, CARD, f"the {kind} header")
        if not found.startswith(card(kind)[:_NAMED]):
            raise _not_xport(path, f"{found[:28].decode('latin-1')!r} in place of the {kind} header")
        return found

    _check_first_card(content[:512].tobytes(), path)
    header_card(0, "LIBRARY")
    size_field = header_card(3 * CARD, "MEMBER")[74:78]
    header_card(4 * CARD, "DSCRPTR")
    table = decode_text(part(5 * CARD + 8, 8, "the name of the table"))
    label = decode_text(part(6 * CARD + 32, 40, "the label of the table"))
    count_field = header_card(7 * CARD, "NAMESTR")[54:58]
    if size_field not in (b"0140", b"0136") or not count_field.isdigit() or int(count_field) == 0:
        raise _not_xport(path, f"{count_field!r} variables of {size_field!r} bytes each in the header")
    size, count = int(size_field), int(count_field)
    namestrs = part(8 * CARD, size * count, f"the last of {count} NAMESTR records")
    end = 8 * CARD + -(-size * count // CARD) * CARD
    header_card(end, "OBS")
    variables = tuple(_variable(namestrs[at : at + size], path) for at in range(0, size * count, size))
    record_length = _record_length(variables, path)
    return XptHeader(
        table=table,
        label=label,
        variables=variables,
        record_length=record_length,
        n_rows=_count_rows(content[end + CARD :], record_length, path),
        data_start=end + CARD,
    )


def decode_text(raw: bytes) -> str:
    """Return a text without its padding: UTF-8 where it is valid, else the code page of Windows (CDC)."""
    raw = raw.rstrip(b" \0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _check_first_card(start: bytes, path: Path) -> None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:14].lower()
    if text.startswith((b"<!doctype", b"<html")):
        raise bad_source(
            "xpt.html",
            "this is a web page, not a SAS transport file",
            where=str(path),
            hint="the site has moved the file or has trouble: try later, or name another --source",
            expected="an XPORT header",
            got=repr(text.decode("latin-1")),
        )
    if start.startswith(card("LIBV8")[:28]):
        raise _not_xport(path, "XPORT version 8", code="xpt.version")
    if start.startswith(b"**COMPRESSED**"):
        raise _not_xport(path, "a file of PROC CPORT")
    # A file that ends within the first card is cut short if what there is of it is right.
    if not card("LIBRARY")[:_NAMED].startswith(start[:_NAMED]):
        raise _not_xport(path, f"a file that starts with {start[:28].decode('latin-1')!r}")


def _variable(namestr: bytes, path: Path) -> XptVariable:
    fields = NAMESTR.unpack(namestr.ljust(NAMESTR.size))
    kind, _, length, _, name, label, form, width, decimals, *_, position, _ = fields
    if kind not in (1, 2) or length < 1 or (kind == 1 and not 2 <= length <= 8):
        raise _not_xport(path, f"variable {decode_text(name)!r} of type {kind} with {length} bytes")
    shown = f"{decode_text(form)}{width or ''}"
    return XptVariable(
        name=decode_text(name),
        label=decode_text(label),
        kind="number" if kind == 1 else "text",
        length=length,
        position=position,
        format=f"{shown}.{decimals or ''}" if shown else "",
    )


def _record_length(variables: tuple[XptVariable, ...], path: Path) -> int:
    reached = 0
    for variable in sorted(variables, key=lambda each: each.position):
        if variable.position != reached:
            raise _not_xport(path, f"variable {variable.name!r} at byte {variable.position}, not {reached}")
        reached += variable.length
    if len({variable.name for variable in variables}) < len(variables):
        raise _not_xport(path, "two variables of the same name")
    return reached


def _count_rows(data: npt.NDArray[np.uint8], record_length: int, path: Path) -> int:
    if data.size % CARD:
        raise _truncated(path, "a whole number of 80-byte cards", f"{data.size % CARD} bytes in the last one")
    # A header card among the records starts another data set. Comparing one byte of each card costs next to
    # nothing; the rare hits are compared in full.
    for at in np.flatnonzero(data[::CARD] == _MEMBER[0]) * CARD:
        if data[at : at + _NAMED].tobytes() == _MEMBER:
            raise _not_xport(path, "more than one data set", code="xpt.several_tables")
    # Padding is shorter than a card: of the blanks at the end at most 79 are padding, and all that can be
    # are, because blanks are not a number that occurs (6e-59).
    tail = data[max(data.size - CARD + 1, 0) :].tobytes()
    filled = data.size - (len(tail) - len(tail.rstrip(b" ")))
    n_rows = -(-filled // record_length)
    if n_rows * record_length > data.size:
        got = f"{data.size - (n_rows - 1) * record_length} bytes of record {n_rows}"
        raise _truncated(path, f"records of {record_length} bytes", got)
    return n_rows


def _truncated(path: Path, expected: str, got: str) -> MgRiskError:
    return bad_source(
        "xpt.truncated",
        "this SAS transport file is cut short",
        where=str(path),
        hint="fetch the table again",
        expected=expected,
        got=got,
    )


def _not_xport(path: Path, got: str, *, code: str = "xpt.not_xport") -> MgRiskError:
    return bad_source(
        code,
        "this is not a SAS transport file that mgrisk reads",
        where=str(path),
        hint="fetch the table again; if that does not help, look at the source",
        expected="one data set in XPORT version 5",
        got=got,
    )
