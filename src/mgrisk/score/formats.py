"""Files that are no table that is read here, told by their first bytes and called by their name."""

from __future__ import annotations

from typing import Final

from mgrisk.config.toml import rows
from mgrisk.errors import bad_input

FORMATS: Final = rows("mgrisk.score", "formats.toml", "format")
LONGEST: Final = 512
"""Bytes of a file that are enough to tell its format."""
CONTROL: Final = ord("\t")
"""Bytes below it are in no text."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def refuse_other_formats(head: bytes, *, where: str) -> None:
    """Refuse what begins like a format that is neither CSV nor Parquet.

    Parameters
    ----------
    head
        The first `LONGEST` bytes, unpacked.
    where
        Name of the file.

    Raises
    ------
    MgRiskError
        `input.other_format`; exit status 3.

    Examples
    --------
    >>> refuse_other_formats(b"age_years,sex", where="people.csv")
    """
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    binary = any(byte < CONTROL for byte in head)
    for row in FORMATS:
        if any(_begins(text if "text" in row else head if binary else b"", first) for first in row["first"]):
            raise bad_input(
                "input.other_format",
                f"this is {row['name']}, which is not read",
                where=where,
                hint=row["hint"],
            )


def _begins(head: bytes, first: str) -> bool:
    """Whether bytes begin so in hexadecimal, of which a last half byte may be open; ``@N:`` leaves out N bytes."""
    place, _, digits = first.rpartition(":")
    return head[int(place.removeprefix("@") or 0) :].hex().startswith(digits)
