"""Several rows for each person made into one, block by block.

Kept are the people met so far, not their rows: a last value with its date, a sum with its count, whether a flag was
set. Rows in which a cell is missing are left aside for its column, so that the last value is the last one there is. A
cell that was not understood is no row to be left aside: it is the last value, or the sum that cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.errors import bad_input
from mgrisk.score.cells import Missing
from mgrisk.score.mapped_columns import Cells, ColumnMaker, as_texts
from mgrisk.score.mapping_file import NO, YES
from mgrisk.types import Floats

MOST_PEOPLE: Final = 1_000_000
ROWS_AT_ONCE: Final = 50_000
"""Rows that are kept before those of a person become one."""


class PersonRows:
    """The rows of people.

    Parameters
    ----------
    makers
        The columns.
    nobody
        What means, in the column that names the person, that nobody is named.
    where
        Name of the extract.
    """

    def __init__(self, makers: Sequence[ColumnMaker], nobody: Missing, *, where: str) -> None:
        self._makers = makers
        self._nobody = nobody
        self._where = where
        self._people: dict[str, int] = {}
        self._rows: dict[str, list[pd.DataFrame]] = {maker.name: [] for maker in makers}
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._people)

    def add(self, people: pd.Series, order: Floats, columns: Mapping[str, Cells]) -> None:
        """Add the rows of a block.

        Parameters
        ----------
        people
            Whose each row is; the index is the number of the row.
        order
            What the rows of a person are ordered by, shape (n,); equal ones are in the order of the file.
        columns
            The cells by column.

        Raises
        ------
        MgRiskError
            `mapping.no_person`, `mapping.too_many_people`.
        """
        named = people.str.strip()
        if (unnamed := named.map(self._nobody.holds).astype(bool)).any():
            raise bad_input(
                "mapping.no_person",
                f"row {unnamed.idxmax()} does not say whose it is",
                where=f"{self._where}: column {people.name}",
                hint="fill the column in, or exclude such rows by their code",
            )
        person = np.array([self._people.setdefault(name, len(self._people)) for name in named], dtype=np.int32)
        if len(self._people) > MOST_PEOPLE:
            raise bad_input(
                "mapping.too_many_people",
                f"more than {MOST_PEOPLE:,} people, whose rows are made one in memory",
                where=self._where,
                hint="split the extract by person, map each part, and score the folder of parts",
            )
        for maker in self._makers:
            cells, rows = columns[maker.name], maker.how.rows
            if rows == "last":
                frame = pd.DataFrame({"person": person, "order": order, "value": cells.written().astype("str").array})
                frame = frame[frame["value"] != ""]
            else:
                value = (cells.value == YES).astype(np.float64) if rows in {"any", "all"} else cells.value
                frame = pd.DataFrame(
                    {
                        "person": person,
                        "value": value.where(cells.value.notna(), np.nan).to_numpy(np.float64),
                        "known": cells.value.notna().to_numpy(),
                        "text": cells.left().to_numpy(object),
                    }
                )
                frame = frame[frame["known"] | frame["text"].notna()]
            self._rows[maker.name].append(frame)
        self._waiting += len(person)
        if self._waiting > max(ROWS_AT_ONCE, len(self._people)):
            self._reduce()

    def blocks(self) -> Iterator[dict[str, pd.Series]]:
        """Yield the columns as texts, a row for each person in the order in which they were met, some people at a time.

        Raises
        ------
        MgRiskError
            `mapping.infinite`.
        """
        self._reduce()
        found = {name: pd.concat(frames).set_index("person") for name, frames in self._rows.items() if frames}
        for first in range(0, len(self), ROWS_AT_ONCE):
            people = pd.RangeIndex(first, min(first + ROWS_AT_ONCE, len(self)))
            yield {maker.name: self._texts(maker, found[maker.name].reindex(people)) for maker in self._makers}

    def _reduce(self) -> None:
        for maker in self._makers:
            frames = self._rows[maker.name]
            if frames:
                self._rows[maker.name] = [_one_each(pd.concat(frames, ignore_index=True), maker.how.rows)]
        self._waiting = 0

    def _texts(self, maker: ColumnMaker, found: pd.DataFrame) -> pd.Series:
        rows = maker.how.rows
        if rows == "last":
            return found["value"].astype(object).where(found["value"].notna(), "")
        value = found["value"].where(found["known"] > 0, np.nan)
        if rows in {"any", "all"}:
            value = value.map({1.0: YES, 0.0: NO}).astype(object)
        else:
            value = value / found["known"] if rows == "mean" else value
            value = value if maker.how.empty is None else value.fillna(maker.how.empty)
            if np.isinf(value.to_numpy()).any():
                raise bad_input(
                    "mapping.infinite",
                    f"the {rows} of somebody's {maker.name} is infinite",
                    where=f"{self._where}: column {', '.join(maker.how.columns)}",
                    hint="mend the cells, or name their code under `missing` in the mapping",
                )
        return as_texts(value).where(found["text"].isna(), found["text"])


def _one_each(rows: pd.DataFrame, how: str) -> pd.DataFrame:
    """Return one row for each person, which with further rows of the person gives the same as all of them."""
    if how == "last":
        return rows.sort_values(["person", "order"], kind="stable").drop_duplicates("person", keep="last")
    value = {"any": "max", "all": "min"}.get(how, "sum")
    of = rows.groupby("person", sort=False)
    with np.errstate(over="ignore"):  # an infinite sum is refused when all rows are there
        return of.agg(value=("value", value), known=("known", "sum"), text=("text", "first")).reset_index()
