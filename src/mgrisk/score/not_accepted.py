"""Count the values that the input schema did not accept, by input, to report undeclared codes.

A value is shown only if it must be a code and not a person's own text: if it occurs in many rows of a column with few
distinct values. A name, a note or a date in the wrong column is never shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from mgrisk.errors import few
from mgrisk.score.column_names import given_columns
from mgrisk.score.csv.decimals import BAD, OUTSIDE
from mgrisk.types import Booleans

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mgrisk.score.sources import Rows

MOST_VALUES: Final = 100
"""A column with more distinct values that are not accepted has no codes, and none of its values is shown."""
FEWEST_ROWS: Final = 11
"""Minimum rows of a value that is shown: CMS, Cell Size Suppression Policy, no cell of 1 to 10."""
LONGEST: Final = 40
"""Maximum characters of a code; longer values are not counted."""
MOST_SHOWN: Final = 5


@dataclass(frozen=True)
class NotAccepted:
    """Counts of values that are not a number, not a level or out of range; counts of blocks can be added.

    Attributes
    ----------
    rows
        Number of rows by input and by original value; None for an input with more than `MOST_VALUES` values.
    """

    rows: Mapping[str, Mapping[str, int] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows, columns: Sequence[str], rejected: Booleans) -> NotAccepted:
        """Count the values in a block of rows.

        Parameters
        ----------
        rows
            Checked rows of a table.
        columns
            The table's columns.
        rejected
            The rows to count, shape (n,), without people to whom the model does not apply.
        """
        if not rejected.any():
            return cls()
        checked = rows.checked
        wrong = ((checked.state == BAD) | (checked.state == OUTSIDE)) & rejected
        inputs = np.flatnonzero(wrong.any(axis=1)).tolist()
        if not inputs:
            return cls()
        given = given_columns(columns, checked.inputs)
        places = np.flatnonzero(wrong.any(axis=0))
        of_input = {i: given[checked.inputs[i].name].column for i in inputs}
        cells = rows.texts([*of_input.values()], places)
        return cls.of_cells(
            {checked.inputs[i].name: cells.loc[wrong[i, places], column] for i, column in of_input.items()}
        )

    @classmethod
    def of_cells(cls, cells: Mapping[str, pd.Series]) -> NotAccepted:
        """Count texts of cells that are not accepted, by input."""
        return cls({name: _unless_many(_counted(found)) for name, found in cells.items()})

    def __add__(self, other: NotAccepted) -> NotAccepted:
        added = dict(self.rows)
        for name, more in other.rows.items():
            there = added.get(name, {})
            added[name] = None if there is None or more is None else _unless_many(Counter(there) + Counter(more))
        return NotAccepted(added)

    def named(self) -> dict[str, dict[str, int]]:
        """Return the values that may be shown, with their rows, by input; the most frequent input and value first.

        Examples
        --------
        >>> NotAccepted({"sex": {"m": 20, "Jo": 1}, "smoking": {"Ex-smoker": 312, "N": 40}, "age_years": None}).named()
        {'smoking': {'Ex-smoker': 312, 'N': 40}, 'sex': {'m': 20}}
        """
        found = {
            name: {value: count for value, count in _ranked(values) if count >= FEWEST_ROWS}
            for name, values in self.rows.items()
            if values
        }
        listed = {name: values for name, values in found.items() if values}
        return dict(sorted(listed.items(), key=lambda each: (-max(each[1].values()), each[0])))

    def lines(self) -> list[str]:
        """Return a line with the most frequent ones, or none.

        Examples
        --------
        >>> NotAccepted({"smoking": {"Ex-smoker": 312, "N": 40}}).lines()
        ["  not accepted: smoking: 'Ex-smoker' 312, 'N' 40"]
        """
        listed = [
            f"{name}: {few([f'{value!r} {count:,}' for value, count in values.items()], most=MOST_SHOWN)}"
            for name, values in self.named().items()
        ]
        return (
            [f"  not accepted: {'; '.join(listed[:MOST_SHOWN])}{' …' if len(listed) > MOST_SHOWN else ''}"]
            if listed
            else []
        )


def _counted(cells: pd.Series) -> Counter[str]:
    return Counter(cell for cell in cells.str.strip() if len(cell) <= LONGEST)


def _unless_many(counts: Counter[str]) -> Mapping[str, int] | None:
    return dict(_ranked(counts)) if len(counts) <= MOST_VALUES else None


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return values by frequency, then by name, so that the order does not depend on the blocks."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
