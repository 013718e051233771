"""Interpret cells that mean missing, true or false, or a code, in any column.

One list of words for "missing" (`missing.toml`) is used for CSV, Parquet, frames, MLflow requests and `mgrisk map`.
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
"""The words that mean missing by default."""
BOOLEANS: Final[Mapping[str, str]] = MappingProxyType({"true": "yes", "false": "no"})
"""Levels for booleans, in lower case, in a column of yes and no."""
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Missing:
    """Words and codes that mean missing in a file.

    Attributes
    ----------
    words
        Texts, compared exactly after stripping blanks.
    numbers
        Codes such as -9, compared as numbers.
    """

    words: frozenset[str] = EMPTY_CELLS
    numbers: tuple[float, ...] = ()

    @classmethod
    def also(cls, words: Iterable[str]) -> Missing:
        """Return the default words and the given ones.

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
    """Return a code for comparison: as a number if it is one, else as text; true and false in lower case.

    Examples
    --------
    >>> [as_code(cell) for cell in ["-9.0", " 01", "True", "A"]]
    [-9.0, 1.0, 'true', 'A']
    """
    text = cell.strip()
    if NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text.lower() if text.lower() in BOOLEANS else text
