"""Write every feature by cycle: people, the share without a value, and survey mean or shares with standard errors.

    python tools/feature_table.py MIRROR TARGET.csv [CYCLE ...]

Adults of 20 years and over; each feature in the subsample it needs, with its weight, each cycle for itself. Fitted
features are fitted on the people of the cycle. Figures are those of `mgrisk describe`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from mgrisk.describe.query import Question, describe
from mgrisk.describe.variables import level_of
from mgrisk.features.registry import FEATURES
from mgrisk.nhanes.cycles import CYCLES, Cycle, cycle
from mgrisk.nhanes.store import Store
from mgrisk.storage.files import write_text

COLUMNS = ["cycle", "variable", "level", "statistic", "estimate", "se", "n", "missing"]


def questions(each: Cycle) -> Iterator[Question]:
    """Yield a question for each subsample that the features of a cycle need."""
    years = [known.years for known in CYCLES]
    there = [
        name
        for name, feature in FEATURES.items()
        if each.years in years[years.index(feature.comparable[0]) : years.index(feature.comparable[1]) + 1]
        and each.years not in feature.gaps
    ]
    levels = dict.fromkeys(level_of(name, [each.years]) for name in there)
    for level in levels:
        chosen = [name for name in there if level_of(name, [each.years]) == level]
        yield Question(of=tuple(chosen), where="age_years >= 20")


def main(mirror: str, target: str, cycles: list[str]) -> None:
    """Write the table as CSV."""
    store = Store(source=mirror, offline=True)
    parts = [
        describe(store, question, cycles=[each.years]).frame().assign(cycle=each.years)
        for each in ([cycle(years) for years in cycles] or CYCLES)
        for question in questions(each)
    ]
    write_text(Path(target), pd.concat(parts)[COLUMNS].to_csv(index=False, float_format="%.6g"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
