"""Recognise unsupported file formats by their first bytes, and name them in the error."""

from __future__ import annotations

from typing import Final

from mgrisk.config.toml import rows
from mgrisk.errors import bad_input

FORMATS: Final = rows("mgrisk.score", "formats.toml", "format")
LONGEST: Final = 512
"""Bytes of a file that are needed to recognise its format."""
CONTROL: Final = ord("\t")
"""Smaller bytes do not occur in text."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def refuse_other_formats(head: bytes, *, where: str) -> None:
    """Refuse a file that begins like a format that is neither CSV nor Parquet.

    Parameters
    ----------
    head
        The first `LONGEST` bytes, decompressed.
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
                f"this is {row['name']}, which cannot be read",
                where=where,
                hint=row["hint"],
            )


def _begins(head: bytes, first: str) -> bool:
    """Whether bytes begin with a pattern in hexadecimal; it may end in half a byte, and ``@N:`` skips N bytes."""
    place, _, digits = first.rpartition(":")
    return head[int(place.removeprefix("@") or 0) :].hex().startswith(digits)
