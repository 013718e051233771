"""What a file is by its name: CSV, JSON lines or Parquet, the first two perhaps packed. Case does not matter.

The name of an output says what is written, and the names in a folder say which files are parts of a table. What is read
is told by its bytes (`mgrisk.score.sources`).
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Final

from mgrisk.errors import usage
from mgrisk.storage.destinations import output_file

PACKED: Final = (".gz", ".zst", ".zstd")


class Format(Enum):
    """A format of tables, with the endings of its files."""

    CSV = (".csv",)
    JSON_LINES = (".jsonl", ".ndjson")
    PARQUET = (".parquet", ".pq", ".parq")

    @property
    def endings(self) -> tuple[str, ...]:
        """How the names of its files end; only lines of text are packed."""
        packs = () if self is Format.PARQUET else PACKED
        return (*self.value, *(f"{ending}{pack}" for ending in self.value for pack in packs))


ENDINGS: Final = tuple(ending for each in Format for ending in each.endings)
"""How the names of parts of a table end."""


def format_of(name: str) -> Format | None:
    """Return what a file is by its name, None where its ending is none of these.

    Examples
    --------
    >>> format_of("people.CSV.gz").name, format_of("people.ndjson").name, format_of("people.xlsx")
    ('CSV', 'JSON_LINES', None)
    """
    return next((each for each in Format if name.lower().endswith(each.endings)), None)


def output_format(name: str, *, of: tuple[Format, ...] = tuple(Format)) -> Format:
    """Return what is to be written under a name; CSV into a stream, or where the name has no ending.

    Parameters
    ----------
    name
        As the user gave it.
    of
        What can be written.

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
            f"what ends in {Path(name).suffix} is not written here",
            where=name,
            expected=f"a name that ends in {', '.join(endings)}",
            hint="name the output so; a spreadsheet opens CSV" if found is None else "name the output so",
        )
    return found
