"""Measure the released bundles: speed with and without reasons, and peak memory by number of rows.

    python benchmarks/released.py [--rows 200000] [--memory-rows 10000 100000 1000000] [--pairs 3]

Each call is `mgrisk score` in a separate process, on all cores; scoring is timed after a warm-up on 2,000
rows. The people are SYNTHETIC: sampled from each bundle's reference distribution, with some empty cells.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import measured
from measured import report

WARM_ROWS = 2_000
TOGETHER = (
    ("bmi_kg_m2", "waist_cm", "weight_greatest_kg"),
    ("magnesium_food_mg", "magnesium_total_mg", "energy_kcal", "fiber_g", "calcium_mg", "potassium_mg"),
    ("height_cm", "upper_leg_length_cm"),
    ("activity_met_min_week", "leisure_met_min_week"),
)
"""Inputs of a person that go together."""


def write_people(bundle: str, path: Path, rows: int) -> None:
    """Write people with every input of a bundle; one in ten optional cells is empty."""
    import numpy as np
    import pandas as pd

    from mgrisk.model.released import released
    from mgrisk.score.contradictions import STATES, mark_contradictions
    from mgrisk.score.input_schema import check
    from mgrisk.score.scorer import load_scorer

    scorer, random = load_scorer(released(bundle)), np.random.default_rng(1)
    columns: dict[str, object] = {"person_id": np.arange(rows)}
    # Sampled independently, nearly all people would be out of distribution.
    together = {names: random.random(rows) for names in TOGETHER}
    for feature in scorer.inputs:
        spread = scorer.bundle.reference.get(feature.name)
        if feature.kind == "number":
            if spread is None:
                continue  # sources of a derived feature, which is given itself
            quantiles = {float(q): v for q, v in spread["quantiles"].items()}
            rank = next((ranks for names, ranks in together.items() if feature.name in names), random.random(rows))
            value = np.round(np.interp(rank, list(quantiles), list(quantiles.values())), 1)
            drawn = pd.Series(value)
        else:
            drawn = pd.Series(random.choice(list(feature.levels), rows))
        columns[feature.name] = drawn if feature.required else drawn.mask(random.random(rows) < 0.1)
    people = pd.DataFrame(columns)
    # Values sampled independently may contradict each other: such cells are left empty.
    checked = mark_contradictions(check(people, scorer.inputs))
    for feature, state in zip(scorer.inputs, checked.state, strict=True):
        if feature.name in people:
            people.loc[np.isin(state, [*STATES.values()]), feature.name] = None
    people.to_csv(path, index=False)


def child(bundle: str, folder: Path, *, rows: int, reasons: int) -> None:
    """Run in the measured process."""
    from mgrisk.model.released import released
    from mgrisk.score.batch import BatchOptions, score_table
    from mgrisk.score.scorer import load_scorer

    scorer, workers = load_scorer(released(bundle)), len(os.sched_getaffinity(0))
    target = str(folder / "out.csv")
    score_table(
        scorer, str(folder / f"{bundle}-{WARM_ROWS}.csv"), target, BatchOptions(reasons=reasons), workers=workers
    )
    people = str(folder / f"{bundle}-{rows}.csv")
    report(lambda: score_table(scorer, people, target, BatchOptions(reasons=reasons), workers=workers))


def run(bundle: str, folder: Path, *, rows: int, reasons: int) -> tuple[float, float]:
    """Run one call in a separate process."""
    for size in (WARM_ROWS, rows):
        path = folder / f"{bundle}-{size}.csv"
        if not path.exists():
            write_people(bundle, path, size)
    options = [f"--child={bundle}", f"--folder={folder}", f"--rows={rows}", f"--reasons={reasons}"]
    seconds, _, memory = measured.run(__file__, *options)
    return seconds, memory


def main() -> None:
    """Read the options; compare, or run one of the compared calls."""
    from mgrisk.model.released import released_bundles

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--memory-rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    options.add_argument("--pairs", type=int, default=3)
    options.add_argument("--child", help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--reasons", type=int, default=3, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(chosen.child, chosen.folder, rows=chosen.rows, reasons=chosen.reasons)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        print(f"{chosen.rows:,} rows, medians of {chosen.pairs} pairs; SYNTHETIC people")
        print("  bundle                rows/s without reasons   with 3   speed with / without")
        for bundle in released_bundles() if chosen.pairs else []:
            pairs = [[run(bundle, folder, rows=chosen.rows, reasons=k)[0] for k in (0, 3)] for _ in range(chosen.pairs)]
            without, given = (chosen.rows / statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(first / second for first, second in pairs)
            print(f"  {bundle:<20}{without:>24,.0f}{given:>9,.0f}{ratio:>23.2f}", flush=True)
        for rows in chosen.memory_rows:
            _, memory = run("undiagnosed", folder, rows=rows, reasons=3)
            print(f"  undiagnosed, 3 reasons, {rows:>10,} rows: peak {memory:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
