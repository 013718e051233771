"""Features from tables with several rows for each person (foods eaten, medicines taken, activities).

A feature of the registry with ``summary = "foods"`` is a column computed by `SUMMARY` of `features/foods.py`. A summary
is computed for one cycle at a time, because food codes differ between cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module

import pandas as pd

from mgrisk.features.registry import Feature, computed_from
from mgrisk.nhanes import food_patterns
from mgrisk.nhanes.codebook import KEY, VARIABLES, Variable, variable
from mgrisk.nhanes.cycles import LOOKUPS, Cycle
from mgrisk.nhanes.eras import exists_in
from mgrisk.nhanes.harmonise import (
    Harmonised,
    TableRead,
    harmonise,
    read_decoded,
    read_list,
    refuse_unknown_people,
    table_path,
    table_paths,
)
from mgrisk.nhanes.store import Store


@dataclass(frozen=True)
class CycleTables:
    """Tables of one cycle from which a summary is computed.

    Attributes
    ----------
    cycle
        The cycle.
    people
        One row for each participant of the cycle: SEQN and the features' sources that have one row for each person.
    records
        For each table with several rows for each person: SEQN and its known variables in the cycle, decoded.
    lists
        For each list: products, medicines or food codes, as they are in the file.
    patterns
        Food patterns of day 1 and day 2 (`nhanes/food_patterns.py`), if the summary needs them.
    """

    cycle: Cycle
    people: pd.DataFrame
    records: Mapping[str, pd.DataFrame]
    lists: Mapping[str, pd.DataFrame]
    patterns: Sequence[pd.DataFrame] = ()


@dataclass(frozen=True)
class Summary:
    """Computation of features from several rows for each person.

    Attributes
    ----------
    records
        Tables with several rows for each person; a cycle without one of them has no such features, unless `partly`.
    lists
        Columns to read from each list that the records refer to, by table.
    function
        Function from the tables of a cycle to a frame with the features as columns, indexed by SEQN; people who are
        not in it have missing values.
    partly
        Whether the features are computed from `people` in a cycle without a table; `records` then lacks that table.
    patterns
        Food patterns to read from the user's USDA files; a cycle without these files has no such features.
    """

    records: tuple[str, ...]
    function: Callable[[CycleTables], pd.DataFrame]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partly: bool = False
    patterns: tuple[str, ...] = ()


def summary_of(name: str) -> Summary:
    """Return the summary of a module of features."""
    summary: Summary = import_module(f"mgrisk.features.{name}").SUMMARY
    return summary


def gather(
    store: Store, *, cycles: Sequence[Cycle], chosen: Iterable[Feature], names: Iterable[str] = ()
) -> Harmonised:
    """Read the harmonised variables from which features are computed, and compute the summary features.

    Parameters
    ----------
    store
        Source of raw tables.
    cycles
        Cycles to stack.
    chosen
        Features; those needed to compute them are added.
    names
        Additional NHANES variables.

    Returns
    -------
    Harmonised
        As `mgrisk.nhanes.harmonise.harmonise`, with a column for each summary feature.

    Raises
    ------
    MgRiskError
        As `mgrisk.nhanes.harmonise.harmonise`.
    """
    chosen = computed_from(chosen)
    sources = dict.fromkeys((*names, *(source for feature in chosen for source in feature.sources)))
    # Tables with several rows for each person are read by the summaries.
    found = harmonise(store, cycles=cycles, names=[name for name in sources if not variable(name).records])
    wanted: dict[str, list[str]] = {}
    for feature in chosen:
        if feature.summary:
            wanted.setdefault(feature.summary, []).append(feature.name)
    if not wanted:
        return found
    tables = list(found.tables)
    parts = []
    for each in cycles:
        people = found.frame[found.frame["cycle"] == each.years].reset_index(drop=True)
        columns = [people]
        for name, features_made in wanted.items():
            asked = any(exists_in(made_name, each.years) for made_name in features_made)
            made = _summarise(store, each, people, summary_of(name), tables) if asked else None
            if made is None:
                made = pd.DataFrame(index=people[KEY], columns=features_made, dtype=float)
            columns.append(made.reindex(people[KEY])[features_made].reset_index(drop=True))
        parts.append(pd.concat(columns, axis=1))
    return replace(found, frame=pd.concat(parts, ignore_index=True), tables=tuple(dict.fromkeys(tables)))


def _summarise(
    store: Store, cycle: Cycle, people: pd.DataFrame, summary: Summary, tables: list[TableRead]
) -> pd.DataFrame | None:
    records, lists = {}, {}
    for table in summary.records:
        held = record_variables(table, cycle)
        if not held and summary.partly:
            continue
        if not held:
            return None
        place = table_path(store, cycle, table)
        records[table], read = read_decoded(store, place, cycle=cycle, held=held)
        refuse_unknown_people(records[table][KEY], people[KEY], cycle=cycle, where=str(store.path(place)))
        tables.append(read)
    for table, columns in summary.lists.items():
        lists[table], read = read_list(
            store, list_path(store, cycle, table), columns=columns, cycle="" if table in LOOKUPS else cycle.years
        )
        tables.append(read)
    patterns: list[pd.DataFrame] = []
    if summary.patterns:
        given = food_patterns.files(store.food_patterns, cycle)
        if not given:
            return None
        patterns, of_patterns = food_patterns.read(given, cycle, summary.patterns)
        tables.extend(of_patterns)
    return summary.function(CycleTables(cycle, people, records, lists, patterns))


def record_variables(table: str, cycle: Cycle) -> tuple[Variable, ...]:
    """Return the variables, in a cycle, of a table with several rows for each person."""
    return tuple(each for each in VARIABLES.values() if each.table == table and each.records and each.name_in(cycle))


def list_path(store: Store | None, cycle: Cycle, table: str) -> str:
    """Return the path of a list, which is common to all cycles or of the cycle."""
    return LOOKUPS.get(table) or (cycle.path(table) if store is None else table_path(store, cycle, table))


def paths(
    cycles: Sequence[Cycle], chosen: Iterable[Feature], names: Iterable[str] = (), *, store: Store | None = None
) -> tuple[str, ...]:
    """Return the relative path of every table that `gather` reads, without duplicates.

    Parameters
    ----------
    cycles, chosen, names
        As for `gather`.
    store
        Source of raw tables; None gives the paths of the CDC site.
    """
    chosen = computed_from(chosen)
    sources = [*names, *(source for feature in chosen for source in feature.sources)]
    lists = {table for feature in chosen if feature.summary for table in summary_of(feature.summary).lists}
    of_lists = (list_path(store, each, table) for each in cycles for table in sorted(lists) if table not in each.absent)
    return tuple(dict.fromkeys((*table_paths(cycles, sources, store=store).values(), *of_lists)))
