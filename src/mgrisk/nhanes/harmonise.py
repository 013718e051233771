"""From raw tables to one frame: a row for each participant, the same name and coding in each cycle.

`read_decoded` reads one table of one cycle: variables under their own names, missing codes missing, and the record of
the file it came from. `harmonise` joins tables and cycles. Every participant of DEMO stays, whatever else is missing,
because variance estimation needs the whole design. What a cycle does not have is missing, and the result says why.
`apply_crosswalks` puts measurements of an older method on the scale of a newer one.
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


BACKBONE = "DEMO"


@dataclass(frozen=True)
class AbsentTable:
    """A table that was wanted and that a cycle does not have, with the reason; its variables are missing."""

    cycle: str
    table: str
    reason: str

    def to_dict(self) -> dict[str, object]:
        """Return the record of this table as written to the manifest."""
        return asdict(self)


@dataclass(frozen=True)
class Harmonised:
    """Participants of several cycles in one frame, with the files they came from.

    Attributes
    ----------
    frame
        One row for each participant; `SEQN` (int64), `cycle` (text), then one column for each variable: float64,
        or texts with None where there is none.
    tables
        Every file read, in order.
    absent
        Tables wanted that a cycle, or the folder that is the source, does not have.
    """

    frame: pd.DataFrame
    tables: tuple[TableRead, ...]
    absent: tuple[AbsentTable, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether any table says that its people are made up."""
        return any(table.synthetic for table in self.tables)


def table_paths(
    cycles: Iterable[Cycle], names: Iterable[str], *, store: Store | None = None
) -> dict[tuple[str, str], str]:
    """Return the relative path of each table needed that the cycles have, keyed by cycle and table name.

    Parameters
    ----------
    cycles, names
        Cycles and variables wanted.
    store
        Where raw tables come from: a folder may keep a table elsewhere than the CDC site; left out, the CDC site's
        paths.
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
        Where raw tables come from.
    cycles
        The cycles to stack.
    names
        Variables wanted, rows of `variables/`; of tables with one row for each person.

    Raises
    ------
    MgRiskError
        Whatever reading a table raises; ``published.cut_table`` for one with fewer records than CDC published;
        ``cycles.overlap`` where two cycles hold the same people; ``harmonise.several_rows``;
        `harmonise.duplicate_key` and `harmonise.stranger` where a join would multiply people or meet people whom
        DEMO does not have.
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
    """Refuse a variable of a table that has not one row for each person.

    Parameters
    ----------
    item
        The variable.
    instead
        Features that sum its table up.

    Raises
    ------
    MgRiskError
        ``harmonise.several_rows``, with the table.
    """
    if item.records:
        raise bad_source(
            "harmonise.several_rows",
            f"{item.name} stands in the table {item.table}, which has not one row for each person",
            where=item.table,
            hint=f"take a feature that sums it up: {few(instead)}"
            if instead
            else "no feature sums it up: read the table with code of your own",
        )


def _absent(store: Store, cycles: Sequence[Cycle], wanted: Sequence[Variable]) -> Iterator[AbsentTable]:
    for cycle in cycles:
        for table in sorted({item.table for item in wanted}):
            if table in cycle.absent:
                yield AbsentTable(cycle.years, table, cycle.absent[table])
            elif lacks(store, cycle, table):
                yield AbsentTable(cycle.years, table, "CDC releases it, the folder does not hold it")


def _one_cycle(store: Store, cycle: Cycle, wanted: list[Variable]) -> tuple[pd.DataFrame, list[TableRead]]:
    # Two tables of today may be one file of an early cycle.
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
        refuse_strangers(part[KEY], people[KEY], cycle=cycle, where=str(path))
        people = people.merge(part, on=KEY, how="left", validate="one_to_one")
    assert people is not None
    columns = {item.name: people[item.name] if item.name in people else _nothing(item, people) for item in wanted}
    return pd.DataFrame({KEY: people[KEY], "cycle": people["cycle"], **columns}), read


def refuse_strangers(key: pd.Series, people: pd.Series, *, cycle: Cycle, where: str) -> None:
    """Stop where a table is about people whom DEMO does not have.

    Parameters
    ----------
    key, people
        SEQN of the rows of the table, and of everybody in DEMO.
    cycle
        The cycle that both are said to be of.
    where
        File, for the error.

    Raises
    ------
    MgRiskError
        ``harmonise.stranger``.

    Examples
    --------
    >>> from mgrisk.nhanes.cycles import CYCLES
    >>> refuse_strangers(pd.Series([2, 2]), pd.Series([1, 2]), cycle=CYCLES[0], where="DR1IFF.xpt")
    """
    strangers = key[~key.isin(people)].nunique()
    if strangers:
        raise bad_source(
            "harmonise.stranger",
            f"{strangers} people of this table are not in {cycle.table(BACKBONE)}",
            where=where,
            hint="the files are not of one cycle; fetch them again",
        )


def _nothing(item: Variable, people: pd.DataFrame) -> pd.Series:
    return pd.Series(None if item.is_text else np.nan, index=people.index, dtype=object if item.is_text else np.float64)


def _refuse_duplicates(key: pd.Series, *, where: str) -> None:
    twice = key[key.duplicated()]
    if len(twice):
        raise bad_source(
            "harmonise.duplicate_key",
            f"{KEY} {twice.iloc[0]} stands more than once ({len(twice)} rows too many)",
            where=where,
            hint="one row for each person is needed; the file is damaged, or two cycles share people",
        )


def apply_crosswalks(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return measurements with the values before some breaks on the scale of the method after them.

    Where two breaks follow each other the older values pass through both equations. A value passes a break only if it
    is on the scale that the equation converts from: values before a break that is not named stay as they are. A value
    that an equation takes to 0 or below is missing: of 2007-2014 none, of 1999-2002 one insulin of 0.71 uU/mL.

    Parameters
    ----------
    frame
        Harmonised frame: ``cycle``, and NHANES variables in the units of the equations (glucose mg/dL, insulin uU/mL);
        with what is converted, the `eras.equation_sources` of the breaks.
    names
        Names of breaks that have an equation (`Break.converts`).

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
