"""Time estimates of NHANES by `mgrisk describe`, relative to a script of a user, within one run.

    MGRISK_NHANES=/data/nhanes OMP_NUM_THREADS=1 python benchmarks/describe.py [--repeats 5]

The estimate is obesity by sex and age, in one cycle and in ten. The user's script reads the needed columns with
pyreadstat, merges them, and computes linearised standard errors of each group; the benchmark stops if the numbers
differ. Each time is the median of alternating calls in one process, with the tables in the page cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat

from mgrisk.describe.query import describe
from mgrisk.describe.question import Question
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

CYCLES = tuple(f"{year}-{year + 1}" for year in range(1999, 2019, 2))
QUESTION = Question(("BMXBMI >= 30",), ("RIAGENDR", "RIDAGEYR=20,40,60"), "RIDAGEYR >= 20", interval="logit")


def by_hand(mirror: Path, cycles: tuple[str, ...]) -> list[tuple[float, float]]:
    """Return share and standard error of each group as a user with pandas and pyreadstat would write it."""
    frames = []
    for years in cycles:
        demo, body = (mirror / cycle(years).path(table) for table in ("DEMO", "BMX"))
        # Combined over 1999-2002 the weights are those of four years.
        weight = "WTMEC4YR" if len(cycles) > 1 and years in CYCLES[:2] else "WTMEC2YR"
        columns = ["SEQN", "RIAGENDR", "RIDAGEYR", "SDMVSTRA", "SDMVPSU", weight]
        people = pyreadstat.read_xport(demo, usecols=columns)[0].merge(
            pyreadstat.read_xport(body, usecols=["SEQN", "BMXBMI"])[0], on="SEQN", how="left"
        )
        share = 2 / len(cycles) if weight == "WTMEC4YR" else 1 / len(cycles)
        frames.append(people.rename(columns={weight: "w"}).assign(w=lambda each, share=share: each["w"] * share))
    people = pd.concat(frames, ignore_index=True)
    psu = people.groupby(["SDMVSTRA", "SDMVPSU"]).ngroup().to_numpy()
    stratum_of_psu = people.groupby(["SDMVSTRA", "SDMVPSU"]).first().reset_index()["SDMVSTRA"].to_numpy()
    age = pd.cut(people["RIDAGEYR"], [20, 40, 60, np.inf], right=False, labels=False)
    found = []
    for sex in (1, 2):
        for group in range(3):
            inside = (people["RIAGENDR"] == sex) & (age == group) & people["BMXBMI"].notna() & (people["w"] > 0)
            w = np.where(inside, people["w"], 0.0)
            obese = (people["BMXBMI"] >= 30).to_numpy()
            p = w @ obese / w.sum()
            scores = np.bincount(psu, w * (obese - p) / w.sum())
            variance = 0.0
            for stratum in np.unique(stratum_of_psu):
                each = scores[stratum_of_psu == stratum]
                variance += each.size / (each.size - 1) * ((each - each.mean()) ** 2).sum()
            found.append((p, variance**0.5))
    return found


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Read the options, check that both answers are the same, and print the times."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--repeats", type=int, default=5, help="calls of each kind")
    repeats = options.parse_args().repeats
    mirror = Path(os.environ["MGRISK_NHANES"])
    with tempfile.TemporaryDirectory() as folder:
        store = Store(source=str(mirror), cache=Path(folder), offline=True)
        for cycles in (CYCLES[-1:], CYCLES):
            ours = describe(store, QUESTION, cycles=cycles).frame()
            theirs = np.array(by_hand(mirror, cycles))
            np.testing.assert_allclose(ours[["estimate", "se"]], theirs, rtol=1e-9)
            calls: dict[str, Callable[[], object]] = {
                "by hand": lambda cycles=cycles: by_hand(mirror, cycles),  # type: ignore[misc]
                "mgrisk": lambda cycles=cycles: describe(store, QUESTION, cycles=cycles),  # type: ignore[misc]
            }
            seconds: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(repeats):
                for name, call in calls.items():
                    seconds[name].append(timed(call))
            median = {name: statistics.median(times) for name, times in seconds.items()}
            print(f"\n{len(cycles)} cycle(s), {int(ours['n'].sum()):,} people")
            for name, value in median.items():
                print(f"  {name:<10}{value * 1e3:10.1f} ms {value / median['by hand']:8.2f} x")


if __name__ == "__main__":
    main()
