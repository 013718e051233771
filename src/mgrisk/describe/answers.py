"""Results of a question with their context (weight, cycles, exclusions), and formatting of records as a table."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.eras import Break
from mgrisk.survey.design import WeightLevel


@dataclass(frozen=True)
class Answer:
    """Records of estimates, with the context needed to interpret them.

    Attributes
    ----------
    records
        One for each estimate; `data` is NHANES or SYNTHETIC.
    level, weight, forced_by
        Weight level, names of the weights, and the variable that determined the level, or ``--weight``.
    cycles
        Cycles described.
    undecided
        Weighted share of all people who are in no group because a value is missing.
    synthetic
        Whether the people are synthetic.
    crossed
        Breaks in question or method across which values were pooled on request.
    harmonised
        Breaks before which values were converted to the later scale.
    not_harmonised
        Breaks after some of the cycles across which values are pooled by default.
    warnings
        Warnings about who is counted, in sentences.
    """

    LEFT_OUT: ClassVar[str] = "a value of --where or --by is missing"

    records: tuple[dict[str, Any], ...]
    level: WeightLevel
    weight: tuple[str, ...]
    forced_by: str
    cycles: tuple[str, ...]
    undecided: float
    synthetic: bool
    crossed: tuple[Break, ...] = ()
    harmonised: tuple[Break, ...] = ()
    not_harmonised: tuple[Break, ...] = ()
    warnings: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Return the records as a table."""
        return pd.DataFrame(list(self.records))

    def to_dict(self) -> dict[str, Any]:
        """Return the records and their context as a plain dict."""
        about = {"weight_level": str(self.level), "weight": list(self.weight), "forced_by": self.forced_by}
        about["harmonised"] = [each.name for each in self.harmonised]
        return {**about, "cycles": list(self.cycles), "undecided": self.undecided, "records": list(self.records)}

    def plain_records(self) -> list[dict[str, Any]]:
        """Return the records for JSON, with None in place of NaN."""
        return [
            {key: None if isinstance(value, float) and value != value else value for key, value in record.items()}
            for record in self.records
        ]

    def notes(self) -> list[str]:
        """Return the context of the records in sentences."""
        first = f"{SYNTHETIC}: these people are simulated; no number describes a real population"
        notes = [first] if self.synthetic else []
        notes.append(f"cycles {', '.join(self.cycles)}")
        notes.append(f"weight {', '.join(self.weight)} ({self.level} sample), because of {self.forced_by}")
        notes += self.warnings
        notes += [f"pooled across the break at {each.after} ({each.name}): {each.reason}" for each in self.crossed]
        notes += [
            f"{', '.join(each.converts)} before {each.after} is converted to the later scale ({each.name}): "
            f"{each.reason}"
            for each in self.harmonised
        ]
        notes += [
            f"{', '.join(each.converts)} before {each.after} is as released: {each.reason}; to convert it to the later "
            f"scale add --harmonise {each.name}"
            for each in self.not_harmonised
        ]
        if self.undecided > 0:
            notes.append(f"{100 * self.undecided:.1f} % (weighted) are excluded: {self.LEFT_OUT}")
        return notes


def table(rows: Sequence[Sequence[str]], *, texts: Set[str]) -> list[str]:
    """Return rows as aligned lines.

    Parameters
    ----------
    rows
        The first row is the header. A column that is empty in all other rows is omitted.
    texts
        Headers of the left-aligned columns; the others are right-aligned.

    Examples
    --------
    >>> table([("name", "note", "n"), ("a", "", "10"), ("bcdef", "", "9")], texts={"name", "note"})
    ['name    n', 'a      10', 'bcdef   9']
    """
    kept = [cells for cells in zip(*rows, strict=True) if any(cells[1:])]
    widths = [max(map(len, cells)) for cells in kept]
    left = [cells[0] in texts for cells in kept]
    return [
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in zip(*kept, strict=True)
    ]


def digits(value: float, se: float) -> str:
    """Format a number with the decimals of two significant digits of its standard error.

    Examples
    --------
    >>> digits(28.123456, 0.1234), digits(float("nan"), 1.0)
    ('28.12', '-')
    """
    if value != value:
        return "-"
    places = 4 if not se > 0 else max(0, 1 - int(np.floor(np.log10(se))))
    return f"{value:,.{min(places, 6)}f}"


def p_value(value: float) -> str:
    """Format a p value.

    Examples
    --------
    >>> p_value(0.03456), p_value(1e-9), p_value(float("nan"))
    ('0.0346', '<0.0001', '-')
    """
    if value != value:
        return "-"
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
