"""One table of one cycle, decoded: the variables' own names, missing codes missing, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import KEY, SYNTHETIC, Variable
from mgrisk.nhanes.cycles import OPTIONAL, Cycle
from mgrisk.nhanes.parsed import read_table
from mgrisk.nhanes.published import refuse_cut_table
from mgrisk.nhanes.store import Store


@dataclass(frozen=True)
class TableRead:
    """Which file a run read: its provenance, and whether the file says of itself that it is SYNTHETIC."""

    cycle: str
    table: str
    rows: int
    size: int
    sha256: str
    synthetic: bool

    def to_dict(self) -> dict[str, object]:
        """Return the record of this table as written to the manifest."""
        return asdict(self)


def table_path(store: Store, cycle: Cycle, table: str) -> str:
    """Return where the source keeps a table of a cycle: a mirror may have it in another folder than the CDC site."""
    path, other = cycle.path(table), cycle.other_path(table)
    if other is not None and not store.local(path).is_file() and store.local(other).is_file():
        return other
    return path


def lacks(store: Store, cycle: Cycle, table: str) -> bool:
    """Return whether a table that a cycle has is an optional one that the source does not hold."""
    return table in OPTIONAL and table not in cycle.absent and store.lacks(table_path(store, cycle, table))


def read_decoded(
    store: Store, relative: str, *, cycle: Cycle, held: Sequence[Variable]
) -> tuple[pd.DataFrame, TableRead]:
    """Read a table and decode its variables; this is the only place that applies missing codes.

    Parameters
    ----------
    store
        Where raw tables come from.
    relative
        Path of the table, as `table_path` returns it.
    cycle
        Decides on the names in the file.
    held
        Variables wanted of this table; all must be in the cycle.

    Returns
    -------
    pandas.DataFrame and TableRead
        SEQN (int64), then a column for each variable: float64, or texts with None where there is none.

    Raises
    ------
    MgRiskError
        Whatever reading a table raises; ``published.cut_table``.
    """
    path, digest = store.path(relative), store.digest(relative)
    names = {item.name: cycle_name for item in held if (cycle_name := item.name_in(cycle)) is not None}
    raw = read_table(path, columns=[KEY, *dict.fromkeys(names.values())], cache=store.cache, sha256=digest)
    columns: dict[str, object] = {KEY: raw[KEY].to_numpy().astype(np.int64)}
    for item in held:
        column = raw[names[item.name]]
        if item.is_text:
            # SAS has no missing text but the blank one.
            columns[item.name] = column.astype(object).where(column.ne("").to_numpy(), None)
            continue
        values = column.to_numpy(dtype=np.float64, copy=True)
        values[np.isin(values, list(item.missing))] = np.nan
        columns[item.name] = values
    return pd.DataFrame(columns), _provenance(store, relative, cycle.years, rows=len(raw), sha256=digest)


def read_list(
    store: Store, relative: str, *, columns: Sequence[str], cycle: str = ""
) -> tuple[pd.DataFrame, TableRead]:
    """Read a table that is not about people: products, medicines, food codes.

    Parameters
    ----------
    store
        Where raw tables come from.
    relative
        Its path: one of `cycles.LOOKUPS`, or that of a cycle's own list.
    columns
        Columns wanted, as they are named and coded in the file.
    cycle
        The cycle it belongs to; empty for a list that serves all.
    """
    path, digest = store.path(relative), store.digest(relative)
    found = read_table(path, columns=list(columns), cache=store.cache, sha256=digest)
    return found, _provenance(store, relative, cycle or "all cycles", rows=len(found), sha256=digest)


def _provenance(store: Store, relative: str, cycle: str, *, rows: int, sha256: str) -> TableRead:
    path = store.path(relative)
    made_up = SYNTHETIC in xpt.header(path).label
    if not made_up:
        refuse_cut_table(path.stem, rows, where=str(path))
    return TableRead(cycle, path.stem, rows, path.stat().st_size, sha256, made_up)
