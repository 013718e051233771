"""Raw tables joined into one frame: one row for each participant, the same names and coding in every cycle.

`read_decoded` reads one table of one cycle, renames its variables, sets missing codes to missing, and records the
file's provenance. `harmonise` joins tables and cycles. Every participant in DEMO is kept even if other tables lack
them, because variance estimation needs the whole design. Variables that a cycle does not have are missing; the result
gives the reason. `apply_crosswalks` converts measurements of an older method to the scale of a newer one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from mgrisk.errors import bad_source, few
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import KEY, SYNTHETIC, Variable, variable
from mgrisk.nhanes.cycles import OPTIONAL, Cycle, refuse_overlap
from mgrisk.nhanes.eras import CONCEPTS
from mgrisk.nhanes.lock_file import refuse_cut_table
from mgrisk.nhanes.store import Store, read_table


@dataclass(frozen=True)
class TableRead:
    """Provenance of one file read by a run, and whether its label marks it as SYNTHETIC."""

    cycle: str
    table: str
    rows: int
    size: int
    sha256: str
    synthetic: bool

    def to_dict(self) -> dict[str, object]:
        """Return the entry of this table in the manifest."""
        return asdict(self)


def table_path(store: Store, cycle: Cycle, table: str) -> str:
    """Return the path of a table of a cycle in the source; a mirror may use another folder than the CDC site."""
    path, other = cycle.path(table), cycle.other_path(table)
    if other is not None and not store.local(path).is_file() and store.local(other).is_file():
        return other
    return path


def lacks(store: Store, cycle: Cycle, table: str) -> bool:
    """Return whether a table of the cycle is optional and not in the source."""
    return table in OPTIONAL and table not in cycle.absent and store.lacks(table_path(store, cycle, table))


def read_decoded(
    store: Store, relative: str, *, cycle: Cycle, held: Sequence[Variable]
) -> tuple[pd.DataFrame, TableRead]:
    """Read a table and decode its variables; the only place that applies missing codes.

    Parameters
    ----------
    store
        Source of raw tables.
    relative
        Path of the table, as returned by `table_path`.
    cycle
        Cycle, which determines the names in the file.
    held
        Variables to read from this table; all must be in the cycle.

    Returns
    -------
    pandas.DataFrame and TableRead
        SEQN (int64), then a column for each variable: float64, or texts with None where missing.

    Raises
    ------
    MgRiskError
        The errors of reading a table; ``published.cut_table``.
    """
    path, digest = store.path(relative), store.digest(relative)
    names = {item.name: cycle_name for item in held if (cycle_name := item.name_in(cycle)) is not None}
    raw = read_table(path, columns=[KEY, *dict.fromkeys(names.values())], cache=store.cache, sha256=digest)
    columns: dict[str, object] = {KEY: raw[KEY].to_numpy().astype(np.int64)}
    for item in held:
        column = raw[names[item.name]]
        if item.is_text:
            # In SAS a missing text is a blank text.
            columns[item.name] = column.astype(object).where(column.ne("").to_numpy(), None)
            continue
        values = column.to_numpy(dtype=np.float64, copy=True)
        values[np.isin(values, list(item.missing))] = np.nan
        columns[item.name] = values
    return pd.DataFrame(columns), _provenance(store, relative, cycle.years, rows=len(raw), sha256=digest)


def read_list(
    store: Store, relative: str, *, columns: Sequence[str], cycle: str = ""
) -> tuple[pd.DataFrame, TableRead]:
    """Read a table that is not about people: products, medicines or food codes.

    Parameters
    ----------
    store
        Source of raw tables.
    relative
        Path of the table: one of `cycles.LOOKUPS`, or that of a cycle's own list.
    columns
        Columns to read, as named and coded in the file.
    cycle
        Cycle of the list; empty for a list common to all cycles.
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


BACKBONE = "DEMO"


@dataclass(frozen=True)
class AbsentTable:
    """A requested table that a cycle does not have, with the reason; its variables are missing."""

    cycle: str
    table: str
    reason: str

    def to_dict(self) -> dict[str, object]:
        """Return the entry of this table in the manifest."""
        return asdict(self)


@dataclass(frozen=True)
class Harmonised:
    """Participants of several cycles in one frame, with the provenance of the files read.

    Attributes
    ----------
    frame
        One row for each participant; `SEQN` (int64), `cycle` (text), then one column for each variable: float64,
        or texts with None where missing.
    tables
        Every file read, in order.
    absent
        Requested tables that a cycle or the source folder does not have.
    """

    frame: pd.DataFrame
    tables: tuple[TableRead, ...]
    absent: tuple[AbsentTable, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether any table is synthetic."""
        return any(table.synthetic for table in self.tables)


def table_paths(
    cycles: Iterable[Cycle], names: Iterable[str], *, store: Store | None = None
) -> dict[tuple[str, str], str]:
    """Return the relative path of each available table that the variables need, by cycle and table name.

    Parameters
    ----------
    cycles, names
        Cycles and variables.
    store
        Source of raw tables; a folder may use other paths than the CDC site. None gives the CDC site's paths.
    """
    wanted = [variable(name) for name in names]
    return {
        (cycle.years, table): cycle.path(table) if store is None else table_path(store, cycle, table)
        for cycle in cycles
        for table in sorted({item.table for item in wanted if item.name_in(cycle)} | {BACKBONE})
        if store is None or not lacks(store, cycle, table)
    }


def harmonise(store: Store, *, cycles: Sequence[Cycle], names: Sequence[str]) -> Harmonised:
    """Read, decode and join the tables of some cycles.

    Parameters
    ----------
    store
        Source of raw tables.
    cycles
        Cycles to stack.
    names
        Names of the variables, from tables with one row for each person.

    Raises
    ------
    MgRiskError
        The errors of reading a table; ``published.cut_table`` for a table with fewer records than CDC published;
        ``cycles.overlap`` if two cycles hold the same people; ``harmonise.several_rows``;
        ``harmonise.duplicate_key`` if a person has several rows; ``harmonise.stranger`` if a table has people who
        are not in DEMO.
    """
    refuse_overlap(cycles)
    wanted = [variable(name) for name in dict.fromkeys(names)]
    for item in wanted:
        refuse_several_rows(item)
    frames, tables = [], []
    for cycle in cycles:
        frame, read = _one_cycle(store, cycle, wanted)
        frames.append(frame)
        tables.extend(read)
    stacked = pd.concat(frames, ignore_index=True)
    _refuse_duplicates(stacked[KEY], where=f"DEMO of {', '.join(cycle.years for cycle in cycles)}")
    return Harmonised(stacked, tuple(tables), tuple(_absent(store, cycles, wanted)))


def refuse_several_rows(item: Variable, *, instead: Sequence[str] = ()) -> None:
    """Raise an error for a variable of a table that has several rows for each person.

    Parameters
    ----------
    item
        The variable.
    instead
        Features that summarise the table.

    Raises
    ------
    MgRiskError
        ``harmonise.several_rows``, with the table.
    """
    if item.records:
        raise bad_source(
            "harmonise.several_rows",
            f"{item.name} is in the table {item.table}, which has several rows for each person",
            where=item.table,
            hint=f"use a feature that summarises it: {few(instead)}"
            if instead
            else "no feature summarises it: read the table with your own code",
        )


def _absent(store: Store, cycles: Sequence[Cycle], wanted: Sequence[Variable]) -> Iterator[AbsentTable]:
    for cycle in cycles:
        for table in sorted({item.table for item in wanted}):
            if table in cycle.absent:
                yield AbsentTable(cycle.years, table, cycle.absent[table])
            elif lacks(store, cycle, table):
                yield AbsentTable(cycle.years, table, "CDC releases it, but the source folder does not have it")


def _one_cycle(store: Store, cycle: Cycle, wanted: list[Variable]) -> tuple[pd.DataFrame, list[TableRead]]:
    # Two current tables may be one file in an early cycle.
    parts: dict[str, list[Variable]] = {table_path(store, cycle, BACKBONE): []}
    for item in sorted(wanted, key=lambda item: (item.table != BACKBONE, item.table)):
        if item.name_in(cycle) is not None and not lacks(store, cycle, item.table):
            parts.setdefault(table_path(store, cycle, item.table), []).append(item)
    people: pd.DataFrame | None = None
    read = []
    for relative, held in parts.items():
        part, provenance = read_decoded(store, relative, cycle=cycle, held=held)
        path = store.path(relative)
        _refuse_duplicates(part[KEY], where=str(path))
        read.append(provenance)
        if people is None:
            people = part
            people.insert(1, "cycle", cycle.years)
            continue
        refuse_unknown_people(part[KEY], people[KEY], cycle=cycle, where=str(path))
        people = people.merge(part, on=KEY, how="left", validate="one_to_one")
    assert people is not None
    columns = {
        item.name: people[item.name] if item.name in people else _missing_column(item, people) for item in wanted
    }
    return pd.DataFrame({KEY: people[KEY], "cycle": people["cycle"], **columns}), read


def refuse_unknown_people(key: pd.Series, people: pd.Series, *, cycle: Cycle, where: str) -> None:
    """Raise an error if a table has people who are not in DEMO.

    Parameters
    ----------
    key, people
        SEQN of the rows of the table, and of everyone in DEMO.
    cycle
        Cycle of both tables.
    where
        File, for the error message.

    Raises
    ------
    MgRiskError
        ``harmonise.stranger``.

    Examples
    --------
    >>> from mgrisk.nhanes.cycles import CYCLES
    >>> refuse_unknown_people(pd.Series([2, 2]), pd.Series([1, 2]), cycle=CYCLES[0], where="DR1IFF.xpt")
    """
    unknown = key[~key.isin(people)].nunique()
    if unknown:
        raise bad_source(
            "harmonise.stranger",
            f"{unknown} people of this table are not in {cycle.table(BACKBONE)}",
            where=where,
            hint="the files are not of the same cycle; fetch them again",
        )


def _missing_column(item: Variable, people: pd.DataFrame) -> pd.Series:
    return pd.Series(None if item.is_text else np.nan, index=people.index, dtype=object if item.is_text else np.float64)


def _refuse_duplicates(key: pd.Series, *, where: str) -> None:
    twice = key[key.duplicated()]
    if len(twice):
        raise bad_source(
            "harmonise.duplicate_key",
            f"{KEY} {twice.iloc[0]} occurs more than once ({len(twice)} duplicate rows)",
            where=where,
            hint="fetch the table again, or leave out one of two cycles that share people",
        )


def apply_crosswalks(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Convert values from before some breaks to the scale of the method after them.

    Where several breaks follow each other, the equations are applied in order, up to the first break that is not named.
    A value that an equation makes 0 or negative becomes missing: none of 2007-2014, and one insulin value (0.71 uU/mL)
    of 1999-2002.

    Parameters
    ----------
    frame
        Harmonised frame: ``cycle``, the NHANES variables in the units of the equations (glucose mg/dL, insulin uU/mL),
        and the `eras.equation_sources` of the breaks.
    names
        Names of breaks with an equation (`Break.converts`).

    Returns
    -------
    pandas.DataFrame
        Copy of `frame` with the converted values.

    Examples
    --------
    >>> frame = pd.DataFrame({"cycle": ["2013-2014", "2015-2016"], "LBXGLU": [100.0, 100.0]})
    >>> apply_crosswalks(frame, ["glucose-2015"])["LBXGLU"].round(2).tolist()
    [101.79, 100.0]
    """
    named = frozenset(names)
    converted = frame.copy()
    for concept in CONCEPTS:
        for years in frame["cycle"].unique():
            for each in itertools.takewhile(lambda each: each.name in named, concept.after(years)):
                rows = frame["cycle"] == years
                columns = [name for name in each.converts if name in frame]
                if each.forward is not None and columns:
                    old = converted.loc[rows, columns]
                    values = each.forward.apply(converted.loc[rows, list(each.forward.uses) or columns])
                    converted.loc[rows, columns] = np.where((values > 0) & old.notna(), values, np.nan)
    return converted
