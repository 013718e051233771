"""Merge several rows of each person into one, block by block.

Only the state per person is kept, not the rows: a last value with its date, a sum with its count, whether a flag was
set. Missing cells are skipped, so that the last value is the last known one. A cell that was not understood is not
skipped: it can be the last value, and it makes a sum undetermined.
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
"""Rows that are buffered before those of each person are merged."""


class PersonRows:
    """Merges the rows of people.

    Parameters
    ----------
    makers
        Makers of the columns.
    missing
        Words and codes that mean missing in the person column.
    where
        Name of the extract.
    """

    def __init__(self, makers: Sequence[ColumnMaker], missing: Missing, *, where: str) -> None:
        self._makers = makers
        self._missing = missing
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
            Person of each row; the index is the row number.
        order
            Values that order the rows of a person, shape (n,); ties keep file order.
        columns
            Cells by column.

        Raises
        ------
        MgRiskError
            `mapping.no_person`, `mapping.too_many_people`.
        """
        named = people.str.strip()
        if (unnamed := named.map(self._missing.holds).astype(bool)).any():
            raise bad_input(
                "mapping.no_person",
                f"row {unnamed.idxmax()} does not identify a person",
                where=f"{self._where}: column {people.name}",
                hint="fill in the column, or exclude such rows by their code",
            )
        person = np.array([self._people.setdefault(name, len(self._people)) for name in named], dtype=np.int32)
        if len(self._people) > MOST_PEOPLE:
            raise bad_input(
                "mapping.too_many_people",
                f"more than {MOST_PEOPLE:,} people, whose rows are merged in memory",
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
        """Yield the columns as texts, one row per person in order of first occurrence, in blocks.

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
                    f"the {rows} of a person's {maker.name} is infinite",
                    where=f"{self._where}: column {', '.join(maker.how.columns)}",
                    hint="correct the cells, or name their code under `missing` in the mapping",
                )
        return as_texts(value).where(found["text"].isna(), found["text"])


def _one_each(rows: pd.DataFrame, how: str) -> pd.DataFrame:
    """Merge the rows of each person into one that can be merged with further rows without loss."""
    if how == "last":
        return rows.sort_values(["person", "order"], kind="stable").drop_duplicates("person", keep="last")
    value = {"any": "max", "all": "min"}.get(how, "sum")
    of = rows.groupby("person", sort=False)
    with np.errstate(over="ignore"):  # an infinite sum is refused at the end
        return of.agg(value=("value", value), known=("known", "sum"), text=("text", "first")).reset_index()
