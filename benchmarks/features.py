"""Time all features of all cycles from the raw tables, relative to a script that only reads and merges the tables.

usage: OMP_NUM_THREADS=1 python benchmarks/features.py MIRROR [PAIRS]

The script is typical user code: `pandas.read_sas` of each file, the needed columns, a sum by person if a table has
several rows for each person, and merging on SEQN. It decodes nothing, ignores missing codes and computes no feature.
"cold" starts without a cache of parsed tables, "warm" with that of an earlier run. Run it alone on a machine.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import pandas as pd

from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, computed_from
from mgrisk.features.summary import Summary, gather, list_path, summary_of
from mgrisk.nhanes.codebook import KEY, variable
from mgrisk.nhanes.cycles import CYCLES, OPTIONAL, Cycle
from mgrisk.nhanes.harmonise import lacks, table_path
from mgrisk.nhanes.store import Store

# The people of 2017-2018 are also in 2017-2020, so that the two cannot be read together.
TURNS = ([each for each in CYCLES if each.years != "2017-2020"], [each for each in CYCLES if each.years == "2017-2020"])


def main(mirror: str, pairs: int) -> None:
    """Time both alternately, and print medians and ratios."""
    chosen = tuple(FEATURES.values())
    with tempfile.TemporaryDirectory() as folder:
        warm = Store(source=mirror, cache=Path(folder) / "warm", offline=True)
        people = compute_all(warm)
        seconds: dict[str, list[float]] = {"cold": [], "warm": [], "script": []}
        for pair in range(pairs):
            cold = Store(source=mirror, cache=Path(folder) / f"cold{pair}", offline=True)
            seconds["cold"].append(timed(lambda store=cold: compute_all(store)))
            seconds["warm"].append(timed(lambda: compute_all(warm)))
            seconds["script"].append(timed(lambda: read_all(warm)))
    median = {name: statistics.median(each) for name, each in seconds.items()}
    print(f"{len(chosen)} features, {len(CYCLES)} cycles, {people:,} people, medians of {pairs}:")
    print(f"  features, cold cache   {median['cold']:6.1f} s")
    print(f"  features, warm cache   {median['warm']:6.1f} s")
    print(f"  read_sas and merge     {median['script']:6.1f} s")
    for name in ("cold", "warm"):
        ratios = [script / ours for script, ours in zip(seconds["script"], seconds[name], strict=True)]
        print(f"  ratio, {name}            {statistics.median(ratios):6.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


def timed(action: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def compute_all(store: Store) -> int:
    """Compute every feature that needs no fitted model; return the number of people."""
    chosen = tuple(FEATURES.values())
    people = 0
    for cycles in TURNS:
        people += len(from_nhanes(gather(store, cycles=cycles, chosen=chosen).frame, chosen))
    return people


def read_all(store: Store) -> None:
    """Read and merge the columns that the features are made of, cycle by cycle."""
    family = computed_from(FEATURES.values())
    sources = tuple(dict.fromkeys(source for feature in family for source in feature.sources))
    summaries = [summary_of(name) for name in dict.fromkeys(each.summary for each in family if each.summary)]
    for path in dict.fromkeys(path for each in CYCLES for path in list_paths(store, each, summaries)):
        read_sas(store, path, [])
    for cycle in CYCLES:
        merged = read_sas(store, table_path(store, cycle, "DEMO"), [KEY])
        # If one table of several is absent, the others are not needed.
        useless = {table for each in summaries if set(each.records) & cycle.absent.keys() for table in each.records}
        # An optional table that the source lacks, so that the script reads the same tables as mgrisk.
        useless |= {table for table in OPTIONAL if lacks(store, cycle, table)}
        for path, columns, several in wanted_tables(store, cycle, sources, useless):
            table = read_sas(store, path, [KEY, *columns])
            if several:
                table = table.groupby(KEY, as_index=False).sum(numeric_only=True)
            merged = merged.merge(table, on=KEY, how="left", suffixes=("", "_again"))


def list_paths(store: Store, cycle: Cycle, summaries: Iterable[Summary]) -> list[str]:
    """Return the paths of the lists of products and codes that the records of a cycle refer to."""
    there = [each for each in summaries if not set(each.records) & cycle.absent.keys()]
    return [list_path(store, cycle, name) for each in there for name in each.lists if name not in cycle.absent]


def wanted_tables(
    store: Store, cycle: Cycle, sources: Iterable[str], useless: Collection[str]
) -> list[tuple[str, list[str], bool]]:
    """Return path, columns and whether it has several rows a person, for each table of a cycle."""
    found: dict[str, tuple[list[str], bool]] = {}
    for source in sources:
        item = variable(source)
        if (name := item.name_in(cycle)) is not None and item.table not in useless:
            path = table_path(store, cycle, item.table)
            columns, several = found.get(path, ([], item.records))
            found[path] = (list(dict.fromkeys([*columns, name])), several)
    return [(path, columns, several) for path, (columns, several) in found.items()]


def read_sas(store: Store, path: str, columns: list[str]) -> pd.DataFrame:
    """Read a file as a user would, and keep some of its columns."""
    return pd.read_sas(store.path(path), format="xport", encoding="latin1")[columns]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
