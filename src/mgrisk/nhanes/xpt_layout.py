"""Layout of SAS transport files, version 5 and version 8.

Both consist of cards of 80 bytes: headers of the library and of the data set, a NAMESTR of 140 bytes for each
variable, then the records without gaps, padded with blanks to a whole card. Version 8 has longer names and texts,
a section for labels of more than 40 bytes, and the number of records.

Sources: SAS Technical Support document TS-140, "The Record Layout of a Data Set in SAS Transport (XPORT)
Format"; "Record Layout of a SAS Version 8 or 9 Data Set in SAS Transport Format"; for the positions of the counts,
SAS's own macros loc2xpt and xpt2loc.
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
"""Bytes of a card; every part of the file is padded to a multiple of it."""

KIND_END: Final = 48
"""Bytes of a header card that state its kind; numbers follow."""

NAMESTR: Final = struct.Struct(">hhhh8s40s8shhh2s8shhl52s")
"""The 140 bytes that describe a variable, for writing; a file from VMS lacks the last four."""

# The fields of a NAMESTR that are read; only version 8 has the long name.
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
    """Differences between the versions of the format.

    Attributes
    ----------
    number
        5 or 8.
    library, member, descriptor, namestr, observations
        Kinds of the header cards.
    name
        Field of a NAMESTR with the name of the variable.
    table_name
        Bytes of the table's name.
    n_variables
        Position of the number of variables on the NAMESTR card.
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
        Bytes of one value: 2 to 8 for a number, 1 or more for a text.
    position
        Bytes from the start of the record.
    format
        SAS display format, for example ``"DATE9."``; empty if there is none.
    """

    name: str
    label: str
    kind: Literal["number", "text"]
    length: int
    position: int
    format: str


@dataclass(frozen=True)
class XptHeader:
    """Header of a transport file, and its number of rows.

    Attributes
    ----------
    table, label
        Name and label of the data set.
    variables
        The columns, in the order of the file.
    record_length
        Bytes of one row.
    n_rows
        Number of rows: as stated in version 8, else computed from the length of the file, where blanks at the
        end count as padding if they can be.
    data_start
        Bytes before the first record.
    version
        Version of the format, 5 or 8.
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
    """Content of `XptHeader`, with the variables still undecoded.

    A table has up to 400 variables, of which a reader usually needs a dozen: all are checked at once, but only
    those needed become objects.

    Attributes
    ----------
    version, table, label, record_length, n_rows, data_start
        As in `XptHeader`.
    names
        Names of the variables, in the order of the file.
    parts
        NAMESTR records of the variables.
    long_labels, long_formats
        Labels and formats too long for a NAMESTR, by the number of the variable from 0.
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
        """Return a variable by its number, from 0."""
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
        """Return the layout as an `XptHeader`."""
        variables = tuple(self.variable(number) for number in range(len(self.names)))
        return XptHeader(
            self.table, self.label, variables, self.record_length, self.n_rows, self.data_start, self.version.number
        )


def read_namestrs(raw: bytes, size: int, version: Version, path: Path) -> tuple[npt.NDArray[Any], tuple[str, ...], int]:
    """Return the NAMESTR records, the variables' names and the record length; raise ``xpt.not_xport`` if invalid."""
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
    """Return NAMESTRs of version 8 with the positions of their fields in the record.

    The fields are in the order of the NAMESTRs, as xpt2loc and ReadStat read them. The position stored in a NAMESTR is
    not used: loc2xpt writes the position in SAS's own data set there, with numbers before texts.
    """
    if int(length.sum()) > np.iinfo(np.int32).max:
        raise not_xport(path, f"records of {length.sum()} bytes")
    placed = parts.copy()
    placed["position"] = np.cumsum(length) - length
    return placed


def decode_text(raw: bytes) -> str:
    """Return a text without padding, decoded as UTF-8 if valid, else as Windows code page 1252 (as CDC writes)."""
    raw = raw.rstrip(b" \0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def truncated(path: Path, expected: str, got: str) -> MgRiskError:
    """Return the error for a file that lacks bytes at its end."""
    return bad_source(
        "xpt.truncated",
        "this SAS transport file is truncated",
        where=str(path),
        hint="fetch the table again",
        expected=expected,
        got=got,
    )


def not_xport(path: Path, got: str, *, code: str = "xpt.not_xport") -> MgRiskError:
    """Return the error for a file that is not a supported transport file."""
    return bad_source(
        code,
        "this is not a SAS transport file that mgrisk reads",
        where=str(path),
        hint="fetch the table again; if that does not help, check the source",
        expected="one data set in XPORT version 5 or 8",
        got=got,
    )
