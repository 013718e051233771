"""The header of a SAS transport file, and whether the file is whole.

Version 5 does not store the number of rows: it follows from the length of the file. So a file cut exactly
behind a record at the end of a card looks whole; the store's lock file (size and sha256) is what finds that.
`xpt_layout` has the parts and the sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mgrisk.errors import bad_source
from mgrisk.nhanes.xpt_layout import (
    CARD,
    KIND_END,
    V5,
    V8,
    Layout,
    Version,
    XptHeader,
    card,
    decode_text,
    not_xport,
    read_namestrs,
    truncated,
)
from mgrisk.nhanes.xpt_v8 import read_long_labels, stated_rows

_MEMBERS: Final = tuple(card(version.member)[:KIND_END] for version in (V5, V8))
_STRIDE: Final = 3 * CARD
_HEADER_WORD: Final = int.from_bytes(b"HEAD", "little")
_SAS_WORD: Final = int.from_bytes(b"SAS ", "little")

Bytes = npt.NDArray[np.uint8]


def header(path: Path | str) -> XptHeader:
    """Read the header of a transport file and check the file for wholeness.

    Parameters
    ----------
    path
        A SAS transport file of version 5 or 8.

    Raises
    ------
    MgRiskError
        ``xpt.no_such_file``; ``xpt.html`` for a web page; ``xpt.truncated`` where bytes are missing;
        ``xpt.several_tables`` where there is more than one data set; ``xpt.not_xport`` for anything else.
        Exit status 4.
    """
    path = Path(path)
    content = map_bytes(path)
    found = parse(content, path=path)
    refuse_second_table(content[found.data_start :], path)
    return found.header()


def map_bytes(path: Path) -> Bytes:
    """Return the bytes of a file, mapped and not yet read; raises as `header` if there is none."""
    if not path.is_file():
        raise bad_source("xpt.no_such_file", "no such file", where=str(path), hint="check the path")
    if path.stat().st_size == 0:
        raise truncated(path, "an XPORT file", "an empty file")
    # As a plain array: a memmap costs much more to slice.
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))


def parse(content: Bytes, *, path: Path) -> Layout:
    """Return the layout of the bytes of a whole file; `path` is for messages.

    Raises as `header`, but for ``xpt.several_tables`` in version 5: that takes a look at all records, which
    `refuse_second_table` does, in pieces where the reader has them at hand anyway.
    """

    def part(start: int, length: int, what: str) -> bytes:
        if start + length > content.size:
            raise truncated(path, f"at least {start + length} bytes, up to {what}", f"{content.size} bytes")
        return content[start : start + length].tobytes()

    def header_card(start: int, kind: str) -> bytes:
        found = part(start, CARD, f"the {kind} header")
        if not found.startswith(card(kind)[:KIND_END]):
            raise not_xport(path, f"{found[:28].decode('latin-1')!r} in place of the {kind} header")
        return found

    version = _version(content[:512].tobytes(), path)
    header_card(0, version.library)
    size_field = header_card(3 * CARD, version.member)[74:78]
    header_card(4 * CARD, version.descriptor)
    table = decode_text(part(5 * CARD + 8, version.table_name, "the name of the table"))
    label = decode_text(part(6 * CARD + 32, 40, "the label of the table"))
    count_field = header_card(7 * CARD, version.namestr)[version.n_variables]
    if size_field not in (b"0140", b"0136") or not count_field.isdigit() or int(count_field) == 0:
        raise not_xport(path, f"{count_field!r} variables of {size_field!r} bytes each in the header")
    size, count = int(size_field), int(count_field)
    namestrs = part(8 * CARD, size * count, f"the last of {count} NAMESTR records")
    end = 8 * CARD + -(-size * count // CARD) * CARD
    labels: dict[int, str] = {}
    formats: dict[int, str] = {}
    if version is V8:
        end, labels, formats = read_long_labels(part, end, count, path)
    observations = header_card(end, version.observations)
    parts, names, record_length = read_namestrs(namestrs, size, version, path)
    data = content[end + CARD :]
    stated = stated_rows(observations, path) if version is V8 else None
    if stated is None:
        n_rows = _count_rows(data, record_length, path)
    else:
        n_rows = stated
        _check_stated(data, n_rows, record_length, path)
    return Layout(version, table, label, names, parts, record_length, n_rows, end + CARD, labels, formats)


def refuse_second_table(data: Bytes, path: Path, *, start: int = 0, stop: int | None = None) -> None:
    """Refuse a file that has another data set behind the first.

    Parameters
    ----------
    data
        The bytes behind the header.
    path
        For messages.
    start, stop
        The part of `data` to look at; all by default.

    Raises
    ------
    MgRiskError
        ``xpt.several_tables``.
    """
    whole = data.size - data.size % CARD
    stop = whole if stop is None else min(stop, whole)
    # A data set starts with the cards MEMBER, DSCRPTR and one with "SAS": looking at every third card finds
    # one of them, unless the file ends before it does, and for that the last two cards are looked at as well.
    first = -(-start // _STRIDE) * _STRIDE
    n_cards = max(-(-(stop - first) // _STRIDE), 0)
    found: list[int] = []
    if n_cards:
        words = np.ndarray((n_cards,), dtype="<u4", buffer=data.data, offset=first, strides=(_STRIDE,)).copy()
        hits = np.flatnonzero((words == _HEADER_WORD) | (words == _SAS_WORD))
        found = [first + int(hit) * _STRIDE - back for hit in hits for back in (0, CARD, 2 * CARD)]
    if whole - stop < CARD:
        found += [whole - CARD, whole - 2 * CARD]
    for at in found:
        if at >= 0 and data[at : at + KIND_END].tobytes() in _MEMBERS:
            raise not_xport(path, "more than one data set", code="xpt.several_tables")


def _version(start: bytes, path: Path) -> Version:
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
    if start.startswith(b"**COMPRESSED**"):
        raise not_xport(path, "a file of PROC CPORT")
    # A file that ends within the first card is cut short if what there is of it is right.
    for version in (V5, V8):
        if card(version.library)[:KIND_END].startswith(start[:KIND_END]):
            return version
    raise not_xport(path, f"a file that starts with {start[:28].decode('latin-1')!r}")


def _count_rows(data: Bytes, record_length: int, path: Path) -> int:
    if data.size % CARD:
        raise truncated(path, "a whole number of 80-byte cards", f"{data.size % CARD} bytes in the last one")
    # Padding is shorter than a card: of the blanks at the end at most 79 are padding, and all that can be
    # are, because blanks are not a number that occurs (6e-59).
    tail = data[max(data.size - CARD + 1, 0) :].tobytes()
    filled = data.size - (len(tail) - len(tail.rstrip(b" ")))
    n_rows = -(-filled // record_length)
    if n_rows * record_length > data.size:
        # A second data set has records of another length, and says more.
        refuse_second_table(data, path)
        got = f"{data.size - (n_rows - 1) * record_length} bytes of record {n_rows}"
        raise truncated(path, f"records of {record_length} bytes", got)
    return n_rows


def _check_stated(data: Bytes, n_rows: int, record_length: int, path: Path) -> None:
    end = n_rows * record_length
    if data.size < end:
        raise truncated(path, f"{n_rows} records of {record_length} bytes", f"{data.size} bytes")
    rest = data[end:]
    padding = -end % CARD
    if data[end + padding :][:KIND_END].tobytes() in _MEMBERS:
        raise not_xport(path, "more than one data set", code="xpt.several_tables")
    if rest.size > padding or rest.tobytes().strip(b" "):
        raise not_xport(path, f"{rest.size} bytes behind record {n_rows}, the last")
