"""Time `mgrisk score` by number of rows, columns, trees and reasons, changing one at a time.

    python benchmarks/score_scaling.py [--pairs 3]

The starting point is 200,000 rows x 40 columns, 300 trees of depth 3, 3 reasons, on all cores. Each call is a separate
process that warms up on 2,000 rows and times one call. The bundle and the people are SYNTHETIC, from score_world.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import measured
from measured import report
from score_world import write_bundle, write_people

WARM_ROWS = 2_000
FROM = {"rows": 200_000, "columns": 40, "trees": 300, "reasons": 3}
CHANGED = {
    "rows": (2_000, 20_000, 2_000_000),
    "columns": (20, 80),
    "trees": (100, 600),
    "reasons": (0, 1, 10),
}


def child(folder: Path, *, rows: int, columns: int, trees: int, reasons: int) -> None:
    """Run in the measured process."""
    from mgrisk.score.batch import BatchOptions, score_table
    from mgrisk.score.scorer import load_scorer

    scorer, target = load_scorer(folder / f"bundle-{columns}-{trees}"), str(folder / "out.csv")
    workers = len(os.sched_getaffinity(0))
    warm, people = (str(folder / f"people-{size}-{columns}.csv") for size in (WARM_ROWS, rows))
    score_table(scorer, warm, target, BatchOptions(reasons=reasons), workers=workers)
    report(lambda: score_table(scorer, people, target, BatchOptions(reasons=reasons), workers=workers))


def run(folder: Path, **sizes: int) -> tuple[float, float]:
    """Run one call in a separate process."""
    bundle = folder / f"bundle-{sizes['columns']}-{sizes['trees']}"
    if not bundle.exists():
        write_bundle(bundle, depth=3, columns=sizes["columns"], trees=sizes["trees"])
    for rows in (WARM_ROWS, sizes["rows"]):
        people = folder / f"people-{rows}-{sizes['columns']}.csv"
        if not people.exists():
            write_people(people, rows, columns=sizes["columns"])
    seconds, _, memory = measured.run(__file__, f"--child={json.dumps({'folder': str(folder), **sizes})}")
    return seconds, memory


def main() -> None:
    """Read the options; compare, or run one of the compared calls."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--pairs", type=int, default=3)
    options.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(Path(chosen.child.pop("folder")), **chosen.child)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        print(f"{'rows/s':>34}{'x the first':>14}{'peak MB':>14}   medians of {chosen.pairs}; SYNTHETIC people")
        cases = [("", FROM), *((f"{key} {size:,}", {**FROM, key: size}) for key in CHANGED for size in CHANGED[key])]
        first = 0.0
        for label, sizes in cases:
            runs = [run(folder, **sizes) for _ in range(chosen.pairs)]
            speed = sizes["rows"] / statistics.median(seconds for seconds, _ in runs)
            first = first or speed
            shown = label or "rows 200,000 (the first)"
            print(
                f"  {shown:<24}{speed:>9,.0f}{speed / first:>14.2f}{max(peak for _, peak in runs):>14,.0f}", flush=True
            )


if __name__ == "__main__":
    main()
