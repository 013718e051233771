"""What every answer says beside its numbers: weight, cycles, who is left out; and how records become a table."""

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
    """Flat records with what a reader must know beside them.

    Attributes
    ----------
    records
        A row each; `data` is NHANES or SYNTHETIC.
    level, weight, forced_by
        Weight level, the names of its weights, and the name that forced it, or ``--weight``.
    cycles
        The cycles described.
    undecided
        Weighted share of all people of whom it is missing whether, or where, they count, so that they are nowhere.
    synthetic
        Whether the people are made up.
    crossed
        Breaks in meaning between the cycles that were accepted.
    harmonised
        Breaks before which values were put on the later scale.
    not_harmonised
        Breaks after some of the cycles that are accepted without being named.
    warnings
        What is wrong with who is counted, in sentences.
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
        """Return the records and where they come from as a plain dict."""
        about = {"weight_level": str(self.level), "weight": list(self.weight), "forced_by": self.forced_by}
        about["harmonised"] = [each.name for each in self.harmonised]
        return {**about, "cycles": list(self.cycles), "undecided": self.undecided, "records": list(self.records)}

    def plain_records(self) -> list[dict[str, Any]]:
        """Return the records for JSON, which has no NaN: None stands in its place."""
        return [
            {key: None if isinstance(value, float) and value != value else value for key, value in record.items()}
            for record in self.records
        ]

    def notes(self) -> list[str]:
        """Return in words what a reader must know beside the numbers."""
        first = f"{SYNTHETIC}: these people are made up; no number is about anybody"
        notes = [first] if self.synthetic else []
        notes.append(f"cycles {', '.join(self.cycles)}")
        notes.append(f"weight {', '.join(self.weight)} ({self.level} sample), because of {self.forced_by}")
        notes += self.warnings
        notes += [f"across the break at {each.after} ({each.name}): {each.reason}" for each in self.crossed]
        notes += [
            f"{', '.join(each.converts)} before {each.after} is put on the later scale ({each.name}): {each.reason}"
            for each in self.harmonised
        ]
        notes += [
            f"{', '.join(each.converts)} before {each.after} is as released: {each.reason}; for the later scale add "
            f"--harmonise {each.name}"
            for each in self.not_harmonised
        ]
        if self.undecided > 0:
            notes.append(f"{100 * self.undecided:.1f} % (weighted) are left out: {self.LEFT_OUT}")
        return notes


def table(rows: Sequence[Sequence[str]], *, texts: Set[str]) -> list[str]:
    """Return rows as aligned lines.

    Parameters
    ----------
    rows
        The first is the head. A column that is empty in every other row is left out, and so is its head.
    texts
        Heads of the columns that stand to the left; numbers stand to the right.

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
    """Write a number with two significant digits of its standard error.

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
    """Write a p value.

    Examples
    --------
    >>> p_value(0.03456), p_value(1e-9), p_value(float("nan"))
    ('0.0346', '<0.0001', '-')
    """
    if value != value:
        return "-"
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
