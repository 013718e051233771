"""Time reading SAS transport files by mgrisk, relative to pandas and pyreadstat, within one run.

    MGRISK_NHANES=/data/nhanes OMP_NUM_THREADS=1 python benchmarks/read_xpt.py [--rows 200000] [--repeats 5]

The files are two tables of MGRISK_NHANES, if it is set, and a SYNTHETIC table of 80 columns. The 12
selected columns are spread evenly over the record; their share of all columns is the lowest possible relative
time. Each time is the median of 5 alternating calls.
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

from mgrisk.nhanes import store, xpt

N_COLUMNS, N_WANTED = 80, 12
TABLES = ("DEMO_J", "DR1TOT_J", "DR1IFF_J")


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(path: Path, *, cache: Path, repeats: int) -> None:
    """Print one block of results for a file."""
    names = [variable.name for variable in xpt.header(path).variables]
    some, neighbours = names[:: len(names) // N_WANTED][:N_WANTED], names[:N_WANTED]
    assert store.read_table(path, columns=some, cache=cache, min_size=0).equals(xpt.read(path, columns=some))
    whole = "mgrisk, whole"
    calls: dict[str, Callable[[], object]] = {
        whole: lambda: xpt.read(path),
        "mgrisk, 12 columns": lambda: xpt.read(path, columns=some),
        "mgrisk, the first 12": lambda: xpt.read(path, columns=neighbours),
        "mgrisk, 12 from Parquet": lambda: store.read_table(path, columns=some, cache=cache, min_size=0),
        "mgrisk, header alone": lambda: xpt.header(path),
        "pandas.read_sas": lambda: pd.read_sas(path, format="xport"),
        "pyreadstat, whole": lambda: pyreadstat.read_xport(path),
        "pyreadstat, usecols": lambda: pyreadstat.read_xport(path, usecols=some),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            seconds[name].append(timed(call))
    median = {name: statistics.median(times) for name, times in seconds.items()}
    size = path.stat().st_size / 1e6
    print(f"\n{path.stem}: {xpt.header(path).n_rows:,} rows x {len(names)} columns, {size:.0f} MB", end="")
    print(f"; 12 columns are {N_WANTED / len(names):.2f} of all")
    for name, value in median.items():
        print(f"  {name:<26}{value * 1e3:10.1f} ms {value / median[whole]:8.2f} x")


def synthetic(path: Path, rows: int) -> Path:
    """Write a SYNTHETIC table: codes, amounts with zeros, and missing values."""
    rng = np.random.default_rng(0)
    amounts = np.where(rng.random((rows, N_COLUMNS)) < 0.2, 0.0, rng.gamma(2.0, 50.0, (rows, N_COLUMNS)).round(2))
    amounts[rng.random(amounts.shape) < 0.1] = np.nan
    xpt.write(pd.DataFrame(amounts, columns=[f"V{at}" for at in range(N_COLUMNS)]), path, table="SYNTH")
    return path


def main() -> None:
    """Read the options and run all tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rows", type=int, default=200_000, help="rows of the synthetic table")
    options.add_argument("--repeats", type=int, default=5, help="calls of each kind")
    chosen = options.parse_args()
    mirror = Path(os.environ.get("MGRISK_NHANES", ""), "Public", "2017", "DataFiles")
    with tempfile.TemporaryDirectory() as folder:
        paths = [mirror / f"{name}.xpt" for name in TABLES]
        for path in [*paths, synthetic(Path(folder, "SYNTHETIC.xpt"), chosen.rows)]:
            if path.is_file():
                compare(path, cache=Path(folder), repeats=chosen.repeats)
            else:
                print(f"\n{path.stem}: not on the mirror (MGRISK_NHANES)")


if __name__ == "__main__":
    main()
