"""Determine the format of a file from its name: CSV, JSON lines or Parquet; the first two may be compressed.

The name of an output determines what is written, and names in a folder determine which files are parts of a table. An
input is recognised by its first bytes instead (`mgrisk.score.sources`). Case is ignored.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Final

from mgrisk.errors import usage
from mgrisk.storage.destinations import output_file

COMPRESSED: Final = (".gz", ".zst", ".zstd")


class Format(Enum):
    """A table format, with its file name endings."""

    CSV = (".csv",)
    JSON_LINES = (".jsonl", ".ndjson")
    PARQUET = (".parquet", ".pq", ".parq")

    @property
    def endings(self) -> tuple[str, ...]:
        """File name endings; only text formats can be compressed."""
        suffixes = () if self is Format.PARQUET else COMPRESSED
        return (*self.value, *(f"{ending}{suffix}" for ending in self.value for suffix in suffixes))


ENDINGS: Final = tuple(ending for each in Format for ending in each.endings)
"""All file name endings of tables."""


def format_of(name: str) -> Format | None:
    """Return the format of a file by its name; None for any other ending.

    Examples
    --------
    >>> format_of("people.CSV.gz").name, format_of("people.ndjson").name, format_of("people.xlsx")
    ('CSV', 'JSON_LINES', None)
    """
    return next((each for each in Format if name.lower().endswith(each.endings)), None)


def output_format(name: str, *, of: tuple[Format, ...] = tuple(Format)) -> Format:
    """Return the format to write under a name; CSV for a stream, or for a name without an ending.

    Parameters
    ----------
    name
        Name given by the user.
    of
        Formats that can be written.

    Raises
    ------
    MgRiskError
        `output.unknown_format`; exit status 2.

    Examples
    --------
    >>> output_format("scored.jsonl").name, output_format("scored").name, output_format("-").name
    ('JSON_LINES', 'CSV', 'CSV')
    """
    found = format_of(name)
    if found is None and not (Path(name).suffix and output_file(name)):
        found = Format.CSV
    if found not in of:
        endings = [ending for each in of for ending in each.endings]
        raise usage(
            "output.unknown_format",
            f"files that end in {Path(name).suffix} cannot be written",
            where=name,
            expected=f"a name that ends in {', '.join(endings)}",
            hint="change the name; spreadsheets open CSV" if found is None else "change the name",
        )
    return found
