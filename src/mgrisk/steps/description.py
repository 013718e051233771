"""The answer of `mgrisk describe`: flat records, and the same as a table for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.eras import Break
from mgrisk.survey.design import WeightLevel

TEXTS: Final = ("variable", "level", "by", "statistic")


@dataclass(frozen=True)
class Description:
    """Estimates with what a reader must know beside them.

    Attributes
    ----------
    records
        Flat: variable, level, by, statistic, estimate, se, low, high, n, df, missing, data. `missing` is the weighted
        share of the domain whose value is missing; `data` is NHANES or SYNTHETIC.
    level, weight, forced_by
        Weight level, the names of its weights, and the name that forced it.
    cycles
        The cycles described.
    undecided
        Weighted share of all people for whom `where` or a value of `by` is missing, so that they are nowhere.
    synthetic
        Whether the people are made up.
    crossed
        Breaks in meaning between the cycles that were accepted.
    """

    records: tuple[dict[str, Any], ...]
    level: WeightLevel
    weight: tuple[str, ...]
    forced_by: str
    cycles: tuple[str, ...]
    undecided: float
    synthetic: bool
    crossed: tuple[Break, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Return the records as a table."""
        return pd.DataFrame(list(self.records))

    def to_dict(self) -> dict[str, Any]:
        """Return the records and where they come from as a plain dict."""
        about = {"weight_level": str(self.level), "weight": list(self.weight), "forced_by": self.forced_by}
        return {**about, "cycles": list(self.cycles), "undecided": self.undecided, "records": list(self.records)}

    def plain_records(self) -> list[dict[str, Any]]:
        """Return the records for JSON, which has no NaN: None stands in its place."""
        return [
            {key: None if isinstance(value, float) and value != value else value for key, value in record.items()}
            for record in self.records
        ]

    def lines(self) -> list[str]:
        """Return the records as the lines of a table for people."""
        rows: list[tuple[str, ...]] = [
            ("variable", "level", "by", "statistic", "estimate", "se", "95 % interval", "n", "df", "missing")
        ]
        for record in self.records:
            estimate, se, low, high = (_digits(record[key], record["se"]) for key in ("estimate", "se", "low", "high"))
            rows.append(
                (
                    *(str(record[key]) for key in TEXTS),
                    *(estimate, se, f"{low} to {high}", f"{record['n']:,}", str(record["df"])),
                    f"{100 * record['missing']:.1f} %",
                )
            )
        # A column that is empty in every row is left out, and so is its head.
        kept = [cells for cells in zip(*rows, strict=True) if any(cells[1:])]
        widths = [max(map(len, cells)) for cells in kept]
        left = [cells[0] in TEXTS for cells in kept]
        return [
            "  ".join(
                cell.ljust(width) if to_left else cell.rjust(width)
                for cell, width, to_left in zip(row, widths, left, strict=True)
            ).rstrip()
            for row in zip(*kept, strict=True)
        ]

    def notes(self) -> list[str]:
        """Return in words what a reader must know beside the numbers."""
        first = f"{SYNTHETIC}: these people are made up; no number is about anybody"
        notes = [first] if self.synthetic else []
        notes.append(f"cycles {', '.join(self.cycles)}")
        notes.append(f"weight {', '.join(self.weight)} ({self.level} sample), because of {self.forced_by}")
        notes += [f"across the break at {each.after} ({each.name}): {each.reason}" for each in self.crossed]
        if self.undecided > 0:
            notes.append(f"{100 * self.undecided:.1f} % (weighted) are left out: a value of --where or --by is missing")
        return notes


def _digits(value: float, se: float) -> str:
    """Write a number with two significant digits of its standard error."""
    if value != value:
        return "-"
    places = 4 if not se > 0 else max(0, 1 - int(np.floor(np.log10(se))))
    return f"{value:,.{min(places, 6)}f}"
