"""Escape cells that a spreadsheet would run as formulas with an apostrophe, and remove it when reading.

Text such as ``=HYPERLINK(...)`` that somebody typed into a register must not run as a formula when the scored file is
opened. Numbers are not escaped, whatever their sign. The two directions are inverse: a cell that begins with
apostrophes before such a character gets one more, so that reading restores the original.

Source: OWASP, CSV Injection.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.compiled import compiled_later, inner
from mgrisk.score.csv.decimals import COMMA, CR, LF, MINUS, NINE, PLUS, POINT, QUOTE, ZERO
from mgrisk.types import Integers

_DANGEROUS: Final = re.compile(r"'*[\t\r\n]*[=+\-@]")
_INERT: Final = re.compile(r"'+[\t\r\n]*[=+\-@]")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
AT_ONCE: Final = 64
EQUALS, AT, TAB, APOSTROPHE = (ord(sign) for sign in "=@\t'")


def escape_formula(cell: str) -> str:
    """Return a cell with formulas escaped.

    Examples
    --------
    >>> [escape_formula(cell) for cell in ["=1+1", "-1.5", "-1+2", "@x", "'=x", "it's"]]
    ["'=1+1", '-1.5', "'-1+2", "'@x", "''=x", "it's"]
    """
    return f"'{cell}" if _DANGEROUS.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unescape_formula(cell: str) -> str:
    """Return the original of a cell that `escape_formula` wrote.

    Examples
    --------
    >>> [unescape_formula(cell) for cell in ["'=1+1", "-1.5", "''=x", "it's"]]
    ['=1+1', '-1.5', "'=x", "it's"]
    """
    return cell[1:] if _INERT.match(cell) else cell


def inert_rows(
    data: NDArray[np.uint8],
    start: Integers,
    end: Integers,
    cells: Callable[[int], list[str]],
    *,
    changed: Mapping[int, list[str]] = MappingProxyType({}),
    meant: Callable[[str], str] = str,
) -> tuple[NDArray[np.uint8], Integers, Integers]:
    """Escape formulas in rows; rows without any keep their bytes.

    Parameters
    ----------
    data, start, end
        Row ``r`` is ``data[start[r]:end[r]]``, as read by `score.csv.read.read_rows`.
    cells
        Returns the cells of a row by its number.
    changed
        Rows that must be rewritten anyway, with their cells.
    meant
        Returns the original text of a cell; `unescape_formula` for rows from a file that may have escaped formulas.

    Returns
    -------
    tuple
        `data`, `start` and `end`, with the rewritten rows at the end of `data`.
    """
    suspects = np.empty(len(start), dtype=np.int64)
    rewritten = dict(changed)
    for place in suspects[: suspect_rows(data, start, suspects)].tolist():
        before = rewritten[place] if place in rewritten else cells(place)
        after = [escape_formula(meant(cell)) for cell in before]
        if after != before:
            rewritten[place] = after
    if not rewritten:
        return data, start, end
    lines = [csv_line(row).removesuffix(b"\n") for row in rewritten.values()]
    edges = np.cumsum([len(data), *map(len, lines)])
    start, end, places = start.copy(), end.copy(), list(rewritten)
    start[places], end[places] = edges[:-1], edges[1:]
    return np.concatenate([data, np.frombuffer(b"".join(lines), np.uint8)]), start, end


def csv_line(cells: list[str]) -> bytes:
    """Return a line of CSV, quoted where needed."""
    line = io.StringIO()
    # With "\n" as its line end, Python's writer would not quote a "\r", which readers take for a line end.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n").encode() + b"\n"


@inner
def _ends_number(data: NDArray[np.uint8], at: int) -> bool:
    """Whether the rest of the cell from `at` on is digits, a point and an exponent."""
    n, digits, points, powers = len(data), 0, 0, 0
    while at < n and (ZERO <= data[at] <= NINE or data[at] == POINT):
        points += data[at] == POINT
        digits += data[at] != POINT
        at += 1
    exponent = at < n and (data[at] == ord("e") or data[at] == ord("E"))
    if exponent:
        at += 1
        at += at < n and (data[at] == PLUS or data[at] == MINUS)
        while at < n and ZERO <= data[at] <= NINE:
            powers += 1
            at += 1
    ends = at == n or data[at] == COMMA or data[at] == LF or data[at] == CR
    return ends and digits > 0 and points < 2 and (powers > 0 or not exponent)


@compiled_later
def suspect_rows(data: NDArray[np.uint8], start: Integers, rows: Integers) -> int:
    """Find the rows that may have a cell to escape or unescape, and return their number; none is missed.

    Parameters
    ----------
    data, start
        As in `inert_rows`.
    rows
        Written, shape (n,).
    """
    count, row, n = 0, 0, len(data)
    begin = 0
    while begin < n:
        stop = min(begin + AT_ONCE, n)
        # Scan many bytes at once for the few relevant characters; this compiles to a few instructions. A quote at the
        # end of the previous bytes opens the first cell here.
        hit = np.uint8(begin > 0 and data[begin - 1] == QUOTE)
        for sign in data[begin:stop]:
            hit |= np.uint8((sign == EQUALS) | (sign == AT) | (sign == PLUS) | (sign == MINUS))
            hit |= np.uint8((sign == TAB) | (sign == APOSTROPHE) | (sign == QUOTE))
        for at in range(begin, stop if hit else begin):
            sign = data[at]
            if sign > AT or ZERO <= sign <= NINE or sign in (COMMA, POINT):
                continue
            before = data[at - 1] if at else LF
            if before == QUOTE:
                opening = at == 1 or data[at - 2] in (COMMA, LF, CR)
                suspect = opening and sign in (EQUALS, AT, PLUS, MINUS, TAB, APOSTROPHE, CR, LF)
            elif before in (COMMA, LF, CR):
                suspect = sign in (EQUALS, AT, TAB, APOSTROPHE)
                if sign in (PLUS, MINUS):
                    suspect = not _ends_number(data, at + 1)
            else:
                suspect = False
            if suspect:
                while row + 1 < len(start) and start[row + 1] <= at:
                    row += 1
                if count == 0 or rows[count - 1] != row:
                    rows[count] = row
                    count += 1
        begin = stop
    return count
