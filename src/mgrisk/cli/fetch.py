"""`mgrisk fetch`: download raw NHANES tables into the cache."""

from __future__ import annotations

import argparse
from typing import Any

from mgrisk.cli.options import add_source, store_of
from mgrisk.cli.terminal import say
from mgrisk.errors import ExitStatus, MgRiskError

HELP = "download raw NHANES tables into the cache"
ABOUT = (
    "Download the tables that mgrisk reads, from the CDC site or a mirror, and check size, records and sha256 of each."
)
EXAMPLES = (
    "mgrisk fetch --cycle 2015-2016 2017-2018",
    "mgrisk fetch --offline",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--cycle", nargs="*", metavar="YEARS", help="cycles, for example 2017-2018 (all)")
    add_source(parser)
    parser.add_argument("--offline", action="store_true", help="only check the tables in the cache")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.features.registry import FEATURES
    from mgrisk.features.summary import paths
    from mgrisk.nhanes.codebook import VARIABLES
    from mgrisk.nhanes.cycles import CYCLES, cycle
    from mgrisk.nhanes.store import fetch

    store = store_of(options, offline=options.offline)
    cycles = [cycle(years) for years in options.cycle] if options.cycle else CYCLES
    relatives = paths(cycles, FEATURES.values(), VARIABLES, store=store)
    outcomes: list[Any] = []

    def progress(outcome: Any, done: int, of: int) -> None:
        outcomes.append(outcome)
        say(f"{done}/{of} {_fetched(outcome, offline=store.offline)}")

    try:
        fetch(store, relatives, progress=progress)
    finally:
        failed = sum(isinstance(outcome, MgRiskError) for outcome in outcomes)
        there = sum(not isinstance(outcome, MgRiskError) and outcome.was_there for outcome in outcomes)
        counts = f"{there} in the cache already, {len(outcomes) - there - failed} downloaded, {failed} failed"
        print(f"{len(relatives)} tables: {counts}; {store.source}")
    return ExitStatus.DONE


def _fetched(outcome: Any, *, offline: bool) -> str:
    if not isinstance(outcome, MgRiskError):
        return f"{outcome.relative} {outcome.size:,} bytes{'' if outcome.was_there else ', downloaded'}"
    if offline and outcome.code == "store.offline":
        return f"missing: {outcome.where}"
    return f"failed: {outcome.where}: {outcome.what()} [{outcome.code}]"
