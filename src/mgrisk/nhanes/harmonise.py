"""From raw tables to one frame: a row for each participant, the same name and coding in each cycle.

Every participant of DEMO stays, whatever else is missing, because variance estimation needs the whole design.
Missing codes become missing here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mgrisk.artifacts import sha256
from mgrisk.errors import bad_source
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import KEY, SYNTHETIC, Variable, variable
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.store import Store

BACKBONE = "DEMO"


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


@dataclass(frozen=True)
class Harmonised:
    """Participants of several cycles in one frame, with the files they came from.

    Attributes
    ----------
    frame
        One row for each participant; `SEQN` (int64), `cycle` (text), then one float64 column for each variable.
    tables
        Every file read, in order.
    """

    frame: pd.DataFrame
    tables: tuple[TableRead, ...]

    @property
    def synthetic(self) -> bool:
        """Whether any table says that its people are made up."""
        return any(table.synthetic for table in self.tables)


def table_paths(cycles: Iterable[Cycle], names: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the relative path of each table needed, keyed by cycle and table name."""
    tables = sorted({variable(name).table for name in names} | {BACKBONE})
    return {(cycle.years, table): cycle.path(table) for cycle in cycles for table in tables}


def harmonise(store: Store, *, cycles: Sequence[Cycle], names: Sequence[str]) -> Harmonised:
    """Read, decode and join the tables of some cycles.

    Parameters
    ----------
    store
        Where raw tables come from.
    cycles
        The cycles to stack.
    names
        Variables wanted, rows of `variables.toml`.

    Raises
    ------
    MgRiskError
        Whatever reading a table raises; `harmonise.duplicate_key` and `harmonise.stranger` where a join would
        multiply people or meet people whom DEMO does not have.
    """
    frames, tables = [], []
    for cycle in cycles:
        frame, read = _one_cycle(store, cycle, [variable(name) for name in names])
        frames.append(frame)
        tables.extend(read)
    stacked = pd.concat(frames, ignore_index=True)
    _refuse_duplicates(stacked[KEY], where=f"DEMO of {', '.join(cycle.years for cycle in cycles)}")
    return Harmonised(stacked, tuple(tables))


def _one_cycle(store: Store, cycle: Cycle, wanted: list[Variable]) -> tuple[pd.DataFrame, list[TableRead]]:
    people: pd.DataFrame | None = None
    read = []
    for table in [BACKBONE, *sorted({item.table for item in wanted} - {BACKBONE})]:
        path = store.path(cycle.path(table))
        part = _decode(path, cycle, [item for item in wanted if item.table == table])
        _refuse_duplicates(part[KEY], where=str(path))
        made_up = SYNTHETIC in xpt.header(path).label
        size = path.stat().st_size
        read.append(TableRead(cycle.years, cycle.table(table), len(part), size, sha256(path), made_up))
        if people is None:
            people = part
            people.insert(1, "cycle", cycle.years)
            continue
        strangers = int((~part[KEY].isin(people[KEY])).sum())
        if strangers:
            raise bad_source(
                "harmonise.stranger",
                f"{strangers} people of this table are not in {cycle.table(BACKBONE)}",
                where=str(path),
                hint="the files are not of one cycle; fetch them again",
            )
        people = people.merge(part, on=KEY, how="left", validate="one_to_one")
    assert people is not None
    return people[[KEY, "cycle", *(item.name for item in wanted)]], read


def _decode(path: Path, cycle: Cycle, wanted: list[Variable]) -> pd.DataFrame:
    names = {item.name: item.name_in(cycle) for item in wanted}
    raw = xpt.read(path, columns=[KEY, *(name for name in names.values() if name is not None)])
    columns: dict[str, object] = {KEY: raw[KEY].to_numpy().astype(np.int64)}
    for item in wanted:
        name = names[item.name]
        if name is None:
            columns[item.name] = np.full(len(raw), np.nan)
            continue
        values = raw[name].to_numpy(dtype=np.float64, copy=True)
        values[np.isin(values, list(item.missing))] = np.nan
        columns[item.name] = values
    return pd.DataFrame(columns)


def _refuse_duplicates(key: pd.Series, *, where: str) -> None:
    twice = key[key.duplicated()]
    if len(twice):
        raise bad_source(
            "harmonise.duplicate_key",
            f"{KEY} {twice.iloc[0]} stands more than once ({len(twice)} rows too many)",
            where=where,
            hint="one row for each person is needed; the file is damaged, or two cycles share people",
        )
