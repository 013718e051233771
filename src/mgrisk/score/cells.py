"""What a cell says in whatever column it stands: that a value is missing, true or false, or a code.

One list of words for "missing" (`missing.toml`) holds for CSV, for texts in Parquet and frames, for requests to MLflow
and for `mgrisk map`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mgrisk.config.toml import rows

EMPTY_CELLS: Final = frozenset(word for row in rows("mgrisk.score", "missing.toml", "word") for word in row["words"])
"""The words for "missing" that need not be named."""
BOOLEANS: Final[Mapping[str, str]] = MappingProxyType({"true": "yes", "false": "no"})
"""What a boolean is in a column of yes and no, in lower case."""
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Missing:
    """What means missing in a file.

    Attributes
    ----------
    words
        Texts, compared sign by sign without the blanks around them.
    numbers
        Codes such as -9, compared as numbers.
    """

    words: frozenset[str] = EMPTY_CELLS
    numbers: tuple[float, ...] = ()

    @classmethod
    def also(cls, words: Iterable[str]) -> Missing:
        """Return the words of the list and some more.

        Examples
        --------
        >>> missing = Missing.also(["-9", "unknown"])
        >>> [missing.holds(cell) for cell in ["NA", " .A", "-9.0", "unknown", "9"]]
        [True, True, True, True, False]
        """
        named = {word.strip() for word in words}
        codes = {code for code in map(as_code, named) if isinstance(code, float)}
        return cls(EMPTY_CELLS | named, tuple(sorted(codes)))

    def holds(self, cell: str) -> bool:
        """Return whether a cell means missing."""
        return cell.strip() in self.words or (bool(self.numbers) and as_code(cell) in self.numbers)


MISSING: Final = Missing()


def as_code(cell: str) -> float | str:
    """Return what codes are compared by: a number where it is one, else the text; true and false in lower case.

    Examples
    --------
    >>> [as_code(cell) for cell in ["-9.0", " 01", "True", "A"]]
    [-9.0, 1.0, 'true', 'A']
    """
    text = cell.strip()
    if NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text.lower() if text.lower() in BOOLEANS else text
