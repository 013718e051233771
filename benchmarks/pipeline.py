"""Time the steps of a pipeline, and reading raw tables relative to a script of a user.

usage: python benchmarks/pipeline.py MIRROR [PIPELINE]

Prints the seconds and the peak memory of each step of a new run, and, in the same run, the time of
harmonising the tables of six cycles relative to `pandas.read_sas` and merging them. Run it alone on a machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import pandas as pd

from mgrisk.config.pipeline_file import load
from mgrisk.nhanes.harmonise import harmonise, table_paths
from mgrisk.nhanes.store import Store
from mgrisk.pipeline import cohort
from mgrisk.pipeline.workspace import Workspace

ROOT = Path(__file__).parents[1]


def main(mirror: str, pipeline: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print_steps(mirror, pipeline, Path(folder) / "run")
        print_reading(mirror, pipeline, Path(folder))


def print_steps(mirror: str, pipeline: str, out: Path) -> None:
    started = time.perf_counter()
    command = [sys.executable, "-m", "mgrisk.cli.main", "run", pipeline, "--set", f"source={mirror}", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    whole = time.perf_counter() - started
    steps = json.loads((out / "manifest.json").read_text("utf-8"))["steps"]
    for name, row in steps.items():
        print(f"{name:<10} {row['seconds']:6.1f} s  {row['peak_memory_mb']:5d} MB so far")
    inside = sum(row["seconds"] for row in steps.values())
    print(f"{'whole':<10} {whole:6.1f} s, of which start and digests {whole - inside:.1f} s")


def print_reading(mirror: str, pipeline: str, folder: Path) -> None:
    workspace = Workspace(load(pipeline, overrides=[f"source={mirror}"]), folder)
    cycles, names = workspace.cycles, cohort.selection_variables(workspace)
    store = Store(source=mirror, cache=folder / "cache", offline=True)
    paths = table_paths(cycles, names)

    def by_script() -> None:
        for cycle in cycles:
            tables = [
                pd.read_sas(store.path(path), format="xport", encoding="latin1")
                for (years, _), path in paths.items()
                if years == cycle.years
            ]
            reduce(lambda left, right: left.merge(right, on="SEQN", how="left"), tables)

    ours = median_seconds(lambda: harmonise(store, cycles=cycles, names=names))
    theirs = median_seconds(by_script)
    print(f"reading {len(paths)} tables: {ours:.2f} s, read_sas and merge {theirs:.2f} s, ratio {theirs / ours:.1f}")


def median_seconds(action: Callable[[], object], *, times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "pipelines" / "nhanes.toml"))
