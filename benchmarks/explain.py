"""Time exact Shapley values by mgrisk, relative to xgboost and shap, within one run.

    python benchmarks/explain.py [--rows 100000] [--threads 2]

xgboost and shap compute path-dependent values, which need no background; mgrisk computes
interventional values against the whole weighted background. The values differ; their correctness is
tested in tests/unit/explain/test_trees.py. Each time is the median of 3 alternating calls.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import shap
import xgboost as xgb

from mgrisk.explain.trees import TreeTables

N_TREES, N_COLUMNS, N_BACKGROUND = 300, 40, 10_000


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(*, depth: int, rows: int, threads: int, repeats: int = 3) -> None:
    """Print one block of results for trees of one depth."""
    rng = np.random.default_rng(depth)
    X = rng.normal(size=(rows + N_BACKGROUND, N_COLUMNS)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    signal = np.nan_to_num(X)
    logit = signal[:, :10].sum(axis=1) + signal[:, 10] * signal[:, 11]
    y = (logit + 2 * rng.logistic(size=len(X)) > 2).astype(np.float32)
    background, people = X[:N_BACKGROUND], X[N_BACKGROUND:]
    weight = rng.gamma(1.0, size=N_BACKGROUND)
    parameters = {"objective": "binary:logistic", "max_depth": depth, "eta": 0.1, "nthread": threads}
    booster = xgb.train(parameters, xgb.DMatrix(background, y[:N_BACKGROUND], weight=weight), N_TREES)

    def build() -> TreeTables:
        return TreeTables.build(
            booster, owners=np.arange(N_COLUMNS), n_players=N_COLUMNS, background=background, weight=weight
        )

    tables = build()
    values = tables.values(people)  # compile, or load from numba's cache, before timing
    data = xgb.DMatrix(people)
    log_odds = booster.predict(data, output_margin=True)
    explainer = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    calls: dict[str, Callable[[], object]] = {
        "mgrisk, 1 thread": lambda: tables.values(people),
        f"mgrisk, {threads} threads": lambda: tables.values(people, n_threads=threads),
        "mgrisk, building the tables": build,
        "xgboost prediction alone": lambda: booster.inplace_predict(people, predict_type="margin"),
        "xgboost pred_contribs": lambda: booster.predict(data, pred_contribs=True),
        "shap.TreeExplainer": lambda: explainer.shap_values(people),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            seconds[name].append(timed(call))
    median = {name: statistics.median(times) for name, times in seconds.items()}
    ours = median[f"mgrisk, {threads} threads"]
    error = np.abs(tables.base + values.sum(axis=1) - log_odds).max()
    print(f"\n{N_TREES} trees of depth {depth}, {N_COLUMNS} columns, {rows:,} rows, {threads} threads")
    for name, value in median.items():
        print(f"  {name:<30}{value:9.3f} s {value / ours:9.2f} x")
    print(f"  table: {tables.table.nbytes / 1e6:.1f} MB; largest additivity error: {error:.1e}")


def main() -> None:
    """Read the options and run both depths."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rows", type=int, default=20_000, help="rows explained")
    options.add_argument("--threads", type=int, default=2, help="threads of xgboost and of mgrisk")
    chosen = options.parse_args()
    for depth in (3, 4):
        compare(depth=depth, rows=chosen.rows, threads=chosen.threads)


if __name__ == "__main__":
    main()
