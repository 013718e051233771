"""Prescription medicines: classes taken, and number of medicines, from one row for each person and medicine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from mgrisk.config.toml import rows
from mgrisk.features.summary import CycleTables, Summary
from mgrisk.nhanes.codebook import KEY

TAKEN, DRUGS = "RXQ_RX", "RXQ_DRUG"
CODE, NAME = "RXDDRGID", "RXDDRUG"
YES, NO = 1.0, 2.0
INGREDIENTS = range(1, 7)
SECOND = tuple(f"RXDICI{place}B" for place in INGREDIENTS)
THIRD = tuple(f"RXDICI{place}C" for place in INGREDIENTS)


@dataclass(frozen=True)
class MedicineClass:
    """One row of `medicine_classes.toml`; the comments at its top explain the fields."""

    name: str
    second: frozenset[int]
    third: frozenset[int]
    also: frozenset[str]
    but: frozenset[str]

    def codes(self, drugs: pd.DataFrame) -> frozenset[str]:
        """Return the drug codes of this class.

        Parameters
        ----------
        drugs
            RXQ_DRUG, one row for each medicine.

        Examples
        --------
        >>> classes = {column: [float("nan")] for column in (*SECOND, *THIRD)}
        >>> one = pd.DataFrame({CODE: ["d00325"], NAME: ["OMEPRAZOLE"], **classes, "RXDICI1B": [272.0]})
        >>> sorted(CLASSES["ppi_use"].codes(one)), sorted(CLASSES["diuretic_use"].codes(one))
        (['d00325'], [])
        """
        of_class = drugs[list(SECOND)].isin(self.second).any(axis=1) | drugs[list(THIRD)].isin(self.third).any(axis=1)
        meant = (of_class & ~drugs[NAME].isin(self.but)) | drugs[NAME].isin(self.also)
        return frozenset(drugs.loc[meant, CODE])


def _load() -> Mapping[str, MedicineClass]:
    return MappingProxyType(
        {
            row["name"]: MedicineClass(
                row["name"], *(frozenset(row.get(field, [])) for field in ("second", "third", "also", "but"))
            )
            for row in rows("mgrisk.features", "medicine_classes.toml", "class")
        }
    )


CLASSES: Mapping[str, MedicineClass] = _load()


def summarise(tables: CycleTables) -> pd.DataFrame:
    """Return whether each person takes a medicine of each class, "yes" or "no", and the number of medicines.

    Parameters
    ----------
    tables
        Tables of a cycle, with RXQ_RX (RXDUSE, RXDDRGID) and RXQ_DRUG.

    Returns
    -------
    pandas.DataFrame
        Indexed by SEQN: a column for each class of `CLASSES`, and ``medicine_count``. Missing for people who refused or
        did not know; a class is also missing for people who take a medicine of unknown name and none of the class.
    """
    taken, drugs = tables.records[TAKEN], tables.lists[DRUGS]
    people = taken.groupby(KEY)["RXDUSE"].first()
    taking = taken[taken["RXDUSE"] == YES]
    unknown = people.index.isin(taking.loc[~taking[CODE].isin(drugs[CODE]), KEY])
    answered = people.isin([YES, NO]).to_numpy()
    columns: dict[str, pd.Series] = {}
    for name, each in CLASSES.items():
        takes = people.index.isin(taking.loc[taking[CODE].isin(each.codes(drugs)), KEY])
        column = pd.Series("no", index=people.index, dtype=object)
        column[unknown | ~answered] = None
        column[takes] = "yes"
        columns[name] = column
    count = taking.groupby(KEY).size().reindex(people.index, fill_value=0)
    return pd.DataFrame({**columns, "medicine_count": count.where(answered).astype(float)}, index=people.index)


SUMMARY = Summary(records=(TAKEN,), lists={DRUGS: (CODE, NAME, *SECOND, *THIRD)}, function=summarise)
