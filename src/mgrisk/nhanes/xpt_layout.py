"""What the parts of a SAS transport file look like, in version 5 and version 8.

Both are cards of 80 bytes: headers of the library and of the data set, a NAMESTR of 140 bytes for each
variable, then the records without a gap, filled up with blanks to a whole card. Version 8 has longer names and
texts, a section for labels of more than 40 bytes, and says how many records there are.

Sources: SAS Technical Support document TS-140, "The Record Layout of a Data Set in SAS Transport (XPORT)
Format"; "Record Layout of a SAS Version 8 or 9 Data Set in SAS Transport Format" with SAS's own macros loc2xpt
and xpt2loc, which say where the counts stand.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mgrisk.errors import MgRiskError, bad_source
from mgrisk.types import Integers

CARD: Final = 80
"""Bytes of a card, the unit that every part of the file is filled up to."""

KIND_END: Final = 48
"""Bytes of a header card that say its kind; numbers follow."""

NAMESTR: Final = struct.Struct(">hhhh8s40s8shhh2s8shhl52s")
"""The 140 bytes about a variable, for writing; a file from VMS leaves out the last four."""

# The parts of a NAMESTR that are read; the long name is there in version 8 only.
_PARTS: Final = {
    "type": (">i2", 0),
    "length": (">i2", 4),
    "name": ("S8", 8),
    "label": ("S40", 16),
    "format": ("S8", 56),
    "width": (">i2", 64),
    "decimals": (">i2", 66),
    "position": (">i4", 84),
    "long_name": ("S32", 88),
}


def card(kind: str, *, numbers: str = "0" * 30) -> bytes:
    """Return the header card of a kind: ``LIBRARY``, ``MEMBER``, ``DSCRPTR``, ``NAMESTR``, ``OBS`` and others."""
    return f"HEADER RECORD*******{kind:<8}HEADER RECORD!!!!!!!{numbers}".ljust(CARD).encode("ascii")


@dataclass(frozen=True)
class Version:
    """Where the versions of the format differ.

    Attributes
    ----------
    number
        5 or 8.
    library, member, descriptor, namestr, observations
        Kinds of the header cards.
    name
        The part of a NAMESTR that is the name of the variable.
    table_name
        Bytes of the name of the table.
    n_variables
        Where the NAMESTR card has the number of variables.
    """

    number: int
    library: str
    member: str
    descriptor: str
    namestr: str
    observations: str
    name: str
    table_name: int
    n_variables: slice


V5: Final = Version(5, "LIBRARY", "MEMBER", "DSCRPTR", "NAMESTR", "OBS", "name", 8, slice(54, 58))
V8: Final = Version(8, "LIBV8", "MEMBV8", "DSCPTV8", "NAMSTV8", "OBSV8", "long_name", 32, slice(52, 58))


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
        Rows: as stated by version 8, else from the length of the file. Blanks at its end that can be padding
        are padding.
    data_start
        Bytes before the first record.
    version
        Of the format, 5 or 8.
    """

    table: str
    label: str
    variables: tuple[XptVariable, ...]
    record_length: int
    n_rows: int
    data_start: int
    version: int = 5


@dataclass(frozen=True)
class Layout:
    """What `XptHeader` says, with the variables still as they are in the file.

    A table has up to 400 variables and a reader wants a dozen: the others are checked, all at once, but not
    made into objects.

    Attributes
    ----------
    version, table, label, record_length, n_rows, data_start
        As in `XptHeader`.
    names
        Of the variables, in the order of the file.
    parts
        Their NAMESTR records.
    long_labels, long_formats
        Those too long for a NAMESTR, by the number of the variable from 0.
    """

    version: Version
    table: str
    label: str
    names: tuple[str, ...]
    parts: npt.NDArray[Any]
    record_length: int
    n_rows: int
    data_start: int
    long_labels: Mapping[int, str] = field(default_factory=dict)
    long_formats: Mapping[int, str] = field(default_factory=dict)

    def variable(self, number: int) -> XptVariable:
        """Return the variable of a number, from 0."""
        # As plain Python numbers and bytes, in the order of _PARTS.
        kind, length, _, label, form, width, decimals, position, _ = self.parts[number].item()
        shown = f"{decode_text(form)}{width or ''}"
        return XptVariable(
            name=self.names[number],
            label=self.long_labels.get(number) or decode_text(label),
            kind="number" if kind == 1 else "text",
            length=length,
            position=position,
            format=self.long_formats.get(number) or (f"{shown}.{decimals or ''}" if shown else ""),
        )

    def header(self) -> XptHeader:
        """Return all of it as a header."""
        variables = tuple(self.variable(number) for number in range(len(self.names)))
        return XptHeader(
            self.table, self.label, variables, self.record_length, self.n_rows, self.data_start, self.version.number
        )


def read_namestrs(raw: bytes, size: int, version: Version, path: Path) -> tuple[npt.NDArray[Any], tuple[str, ...], int]:
    """Return the NAMESTR records, the names in them and the length of a record, or refuse them."""
    dtype = np.dtype(
        {
            "names": list(_PARTS),
            "formats": [form for form, _ in _PARTS.values()],
            "offsets": [offset for _, offset in _PARTS.values()],
            "itemsize": size,
        }
    )
    parts = np.frombuffer(raw, dtype=dtype)
    names = tuple(decode_text(each) for each in parts[version.name].tolist())
    kind, length = parts["type"].astype(np.int64), parts["length"].astype(np.int64)
    sound = ((kind == 1) & (length >= 2) & (length <= 8)) | ((kind == 2) & (length >= 1))
    if not sound.all():
        bad = int(np.argmin(sound))
        raise not_xport(path, f"variable {names[bad]!r} of type {kind[bad]} with {length[bad]} bytes")
    if len(set(names)) < len(names):
        raise not_xport(path, "two variables of the same name")
    if version is V8:
        return _in_order(parts, length, path), names, int(length.sum())
    order = np.argsort(parts["position"], kind="stable")
    ends = np.cumsum(length[order])
    gap = parts["position"][order] != ends - length[order]
    if gap.any():
        bad = int(order[np.argmax(gap)])
        reached = int((ends - length[order])[np.argmax(gap)])
        raise not_xport(path, f"variable {names[bad]!r} at byte {parts['position'][bad]}, not {reached}")
    return parts, names, int(ends[-1])


def _in_order(parts: npt.NDArray[Any], length: Integers, path: Path) -> npt.NDArray[Any]:
    """Return NAMESTRs of version 8 with the places of their fields.

    The fields lie in the order of the NAMESTRs: xpt2loc reads them so, and so does ReadStat. The position in a NAMESTR
    is another one: loc2xpt writes that of SAS's own data set there, numbers before texts.
    """
    if int(length.sum()) > np.iinfo(np.int32).max:
        raise not_xport(path, f"records of {length.sum()} bytes")
    placed = parts.copy()
    placed["position"] = np.cumsum(length) - length
    return placed


def decode_text(raw: bytes) -> str:
    """Return a text without its padding: UTF-8 where it is valid, else the code page of Windows (CDC)."""
    raw = raw.rstrip(b" \0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def truncated(path: Path, expected: str, got: str) -> MgRiskError:
    """Return the error about a file that lacks bytes at its end."""
    return bad_source(
        "xpt.truncated",
        "this SAS transport file is cut short",
        where=str(path),
        hint="fetch the table again",
        expected=expected,
        got=got,
    )


def not_xport(path: Path, got: str, *, code: str = "xpt.not_xport") -> MgRiskError:
    """Return the error about a file of another kind, or of a kind that is not read."""
    return bad_source(
        code,
        "this is not a SAS transport file that mgrisk reads",
        where=str(path),
        hint="fetch the table again; if that does not help, look at the source",
        expected="one data set in XPORT version 5 or 8",
        got=got,
    )
