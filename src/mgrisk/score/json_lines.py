"""Read JSON lines, one object per row, as CSV; and write them.

Numbers keep their digits. A missing key and null are empty cells; lists and objects stay JSON. The rows are then read,
checked and scored like those of a CSV file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from mgrisk.errors import MgRiskError, bad_input, few
from mgrisk.score.formats import BYTE_ORDER_MARK
from mgrisk.score.formulas import csv_line, escape_formula

AT_ONCE: Final = 1 << 20
LONGEST_LINE: Final = 64 * 2**20
FIRST_SIGNS: Final = (b'{"', b'{ "', b"{}")
"""How a line of JSON begins; an object printed over several lines is not JSON lines."""
HALF_A_CHARACTER: Final = "half a UTF-16 character"


def is_json_lines(first: bytes) -> bool:
    r"""Return whether bytes begin like JSON lines.

    Examples
    --------
    >>> is_json_lines(b'{"age_years": 50}'), is_json_lines(b'{\n "age_years": 50'), is_json_lines(b"age_years,sex")
    (True, False, False)
    """
    return first.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(FIRST_SIGNS)


def json_columns(stream: BinaryIO, *, where: str) -> list[str]:
    """Return all keys in a stream of JSON lines, in order of first occurrence.

    Raises
    ------
    MgRiskError
        `input.not_json_lines`.
    """
    columns: dict[str, None] = {}
    for number, row in _rows(stream, where=where):
        try:
            "".join(row.keys() - columns.keys()).encode()
        except UnicodeEncodeError:
            raise _refused(HALF_A_CHARACTER, number, where) from None
        columns.update(dict.fromkeys(row))
    return list(columns)


class JsonLinesAsCsv(io.RawIOBase):
    """A stream of JSON lines as CSV with a header.

    Parameters
    ----------
    stream
        The lines in UTF-8.
    columns
        The keys.
    where
        The stream's name.

    Raises
    ------
    MgRiskError
        While it is read: `input.not_json_lines` for a line that is not an object, and `input.other_columns` for a key
        that is not a column.
    """

    def __init__(self, stream: BinaryIO, columns: Sequence[str], *, where: str) -> None:
        self._columns = list(columns)
        self._lines = self._csv(_rows(stream, where=where), where)
        self._ready = csv_line([escape_formula(name) for name in columns])

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, into: Any) -> int:
        """Fill a buffer."""
        while len(self._ready) < len(into) and (lines := next(self._lines, b"")):
            self._ready += lines
        part, self._ready = self._ready[: len(into)], self._ready[len(into) :]
        into[: len(part)] = part
        return len(part)

    def _csv(self, rows: Iterator[tuple[int, dict[str, Any]]], where: str) -> Iterator[bytes]:
        lines: list[bytes] = []
        size = 0
        for number, row in rows:
            if strange := row.keys() - self._columns:
                raise bad_input(
                    "input.other_columns",
                    f"line {number} has a key that the first lines do not have",
                    where=where,
                    got=few(sorted(strange)),
                    hint="score a file instead of a stream, so that all keys are known from the start",
                )
            try:
                lines.append(csv_line([escape_formula(_cell(row.get(name))) for name in self._columns]))
            except UnicodeEncodeError:
                raise _refused(HALF_A_CHARACTER, number, where) from None
            except RecursionError:
                raise _refused("nested too deeply", number, where) from None
            size += len(lines[-1])
            if size >= AT_ONCE:
                yield b"".join(lines)
                lines, size = [], 0
        yield b"".join(lines)


def json_line(row: dict[str, Any]) -> bytes:
    r"""Return a row as a line of JSON; NaN becomes null.

    Examples
    --------
    >>> json_line({"sex": "male", "risk": float("nan")})
    b'{"sex": "male", "risk": null}\n'
    """
    known = {name: None if value != value else value for name, value in row.items()}
    # Values without a JSON type, such as dates, are written as text; a text may contain a lone surrogate.
    return json.dumps(known, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def _rows(stream: BinaryIO, *, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects with their line numbers; numbers keep their digits."""
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_float=_Digits, parse_int=_Digits, parse_constant=_Digits)
    for number, line in enumerate(_lines(stream, where=where), start=1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line.decode())
        except (ValueError, RecursionError):
            raise _refused("not a JSON object", number, where) from None
        if not isinstance(row, dict):
            raise _refused("not a JSON object", number, where)
        yield number, row


class _Digits(str):
    """The digits of a number."""

    __slots__ = ()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _lines(stream: BinaryIO, *, where: str) -> Iterator[bytes]:
    rest = b""
    first = True
    number = 1
    while part := stream.read(AT_ONCE):
        *lines, rest = (rest + part).split(b"\n")
        if first and lines:
            lines[0], first = lines[0].removeprefix(BYTE_ORDER_MARK), False
        yield from lines
        number += len(lines)
        if len(rest) > LONGEST_LINE:
            raise _refused(f"longer than {LONGEST_LINE:,} bytes", number, where)
    yield rest.removeprefix(BYTE_ORDER_MARK) if first else rest


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    """Return a value as JSON; numbers keep their digits."""
    if isinstance(value, _Digits):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_json(name)}: {_json(each)}' for name, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _refused(what: str, number: int, where: str) -> MgRiskError:
    return bad_input(
        "input.not_json_lines",
        f"line {number} is {what}",
        where=where,
        expected="one object per line, without duplicate keys, in UTF-8",
        hint="write one object per person and line, for example with jq -c '.[]' array.json > lines.jsonl",
    )
