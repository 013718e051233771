"""Time batch scoring relative to scripts of users and to a lower limit, within one run.

    python benchmarks/score.py [--rows 1000000] [--reason-rows 100000] [--depth 3 4] [--cores 1 2] [--pairs 3]

    simple    pandas.read_csv, XGBClassifier.predict_proba, shap.TreeExplainer, DataFrame.to_csv
    careful   polars in and out, inplace_predict on float32, pred_contribs, argpartition for the reasons
    mgrisk    `mgrisk score`: beyond these it checks every cell, gives intervals, `in_domain` and codes of problems
    parsing, predicting, writing    each alone, as in the careful script; the slowest is the limit

Each is a separate process, pinned to its cores, which warms up on 2,000 rows and then times one call; peak memory
is that of the process. A pair is one run of each; ratios are computed within a pair, and their median is
shown. On a busy machine the ratios of processor time are more reliable.
The bundle and the people are SYNTHETIC, from score_world.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import measured
from measured import report
from score_world import NAMES, write_bundle, write_people

WARM_ROWS = 2_000
REASONS = 3


def simple(people: Path, bundle: Path, target: Path, *, reasons: int) -> Callable[[Path], object]:
    import numpy as np
    import pandas as pd
    import shap
    import xgboost as xgb

    model = xgb.XGBClassifier(n_jobs=len(os.sched_getaffinity(0)))
    model.load_model(bundle / "model.ubj")
    explainer = shap.TreeExplainer(model)

    def script(source: Path) -> None:
        frame = pd.read_csv(source)
        frame["risk"] = model.predict_proba(frame[NAMES])[:, 1]
        if reasons:
            values = explainer.shap_values(frame[NAMES])
            order = np.argsort(-np.abs(values), axis=1)[:, :reasons]
            for k in range(reasons):
                frame[f"reason_{k + 1}"] = [NAMES[j] for j in order[:, k]]
                frame[f"reason_{k + 1}_effect"] = values[np.arange(len(frame)), order[:, k]]
        frame.to_csv(target, index=False)

    return script


def careful(people: Path, bundle: Path, target: Path, *, reasons: int) -> Callable[[Path], object]:
    import numpy as np
    import polars as pl
    import xgboost as xgb

    booster = xgb.Booster(model_file=bundle / "model.ubj")
    booster.set_param({"nthread": len(os.sched_getaffinity(0))})
    names = np.array(NAMES)

    def script(source: Path) -> None:
        frame = pl.read_csv(source, infer_schema_length=10_000)
        X = frame.select(NAMES).to_numpy().astype(np.float32)
        frame = frame.with_columns(risk=pl.Series(booster.inplace_predict(X)))
        if reasons:
            values = booster.predict(xgb.DMatrix(X, feature_names=NAMES), pred_contribs=True)[:, :-1]
            top = np.argpartition(-np.abs(values), reasons, axis=1)[:, :reasons]
            chosen = np.take_along_axis(values, top, axis=1)
            within = np.argsort(-np.abs(chosen), axis=1)
            order, chosen = np.take_along_axis(top, within, axis=1), np.take_along_axis(chosen, within, axis=1)
            columns = {f"reason_{k + 1}": pl.Series(names[order[:, k]]) for k in range(reasons)}
            columns |= {f"reason_{k + 1}_effect": pl.Series(chosen[:, k]) for k in range(reasons)}
            frame = frame.with_columns(**columns)
        frame.write_csv(target)

    return script


def mgrisk(people: Path, bundle: Path, target: Path, *, reasons: int) -> Callable[[Path], object]:
    from mgrisk.score.batch import BatchOptions, score_table
    from mgrisk.score.scorer import load_scorer

    scorer, workers = load_scorer(bundle), len(os.sched_getaffinity(0))

    def script(source: Path) -> None:
        score_table(scorer, str(source), str(target), BatchOptions(reasons=reasons), workers=workers)

    return script


def parsing(people: Path, bundle: Path, target: Path, *, reasons: int) -> Callable[[Path], object]:
    import polars as pl

    return lambda source: pl.read_csv(source, infer_schema_length=10_000)


def predicting(people: Path, bundle: Path, target: Path, *, reasons: int) -> Callable[[Path], object]:
    import numpy as np
    import polars as pl
    import xgboost as xgb

    booster = xgb.Booster(model_file=bundle / "model.ubj")
    booster.set_param({"nthread": len(os.sched_getaffinity(0))})
    X = pl.read_csv(people, infer_schema_length=10_000).select(NAMES).to_numpy().astype(np.float32)
    return lambda source: booster.inplace_predict(X if source == people else X[:WARM_ROWS])


def writing(people: Path, bundle: Path, target: Path, *, reasons: int) -> Callable[[Path], object]:
    import polars as pl

    frame = pl.read_csv(people, infer_schema_length=10_000)
    frame = frame.with_columns(risk=pl.col(NAMES[0]).fill_null(0.0) / 7.0)
    return lambda source: (frame if source == people else frame[:WARM_ROWS]).write_csv(target)


ALL = {each.__name__: each for each in (simple, careful, mgrisk, parsing, predicting, writing)}


def child(name: str, folder: Path, *, depth: int, rows: int, reasons: int, cores: int) -> None:
    """Run in the measured process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    people, warm, target = folder / f"people-{rows}.csv", folder / "warm.csv", folder / "out.csv"
    script = ALL[name](people, folder / f"depth-{depth}", target, reasons=reasons)
    script(warm)
    report(lambda: script(people))


def run(names: list[str], folder: Path, *, pairs: int, **options: int) -> dict[str, list[tuple[float, float, float]]]:
    """Run all alternately; return seconds, seconds of processor time and MB of each."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    for _ in range(pairs):
        for name in names:
            arguments = [f"--{key}={value}" for key, value in options.items()]
            arguments = [f"--child={name}", f"--folder={folder}", *arguments]
            found[name].append(measured.run(__file__, *arguments, environment=environment))
    return found


def table(found: dict[str, list[tuple[float, float, float]]]) -> None:
    """Print medians, and the ratio to mgrisk within each pair."""
    ours = [seconds for seconds, _, _ in found["mgrisk"]]
    worked = [seconds for _, seconds, _ in found["mgrisk"]]
    print("                  seconds  x mgrisk   of processors  x mgrisk   peak MB")
    for name, runs in found.items():
        columns = []
        for place, own in ((0, ours), (1, worked)):
            seconds = [each[place] for each in runs]
            ratio = statistics.median(theirs / mine for theirs, mine in zip(seconds, own, strict=True))
            columns.append(f"{statistics.median(seconds):10.2f}{ratio:10.2f}")
        print(f"  {name:<12}{columns[0]}      {columns[1]}{max(each[2] for each in runs):10.0f}", flush=True)
    alone = [found[name] for name in ("parsing", "predicting", "writing") if name in found]
    if alone:
        limits = [max(runs[turn][0] for runs in alone) for turn in range(len(ours))]
        share = statistics.median(limit / own for limit, own in zip(limits, ours, strict=True))
        print(f"  mgrisk runs at {share:.0%} of the limit (the slowest of the three alone)", flush=True)


def main() -> None:
    """Read the options; compare, or run one of the compared calls."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--reason-rows", type=int, default=100_000, help="rows of the runs with reasons")
    options.add_argument("--depth", type=int, nargs="+", default=[3, 4])
    options.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    options.add_argument("--pairs", type=int, default=3)
    options.add_argument("--folder", type=Path, help="keeps what is made up, and finds it there")
    options.add_argument("--child", choices=ALL, help=argparse.SUPPRESS)
    options.add_argument("--reasons", type=int, default=REASONS, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(
            chosen.child,
            chosen.folder,
            depth=chosen.depth[0],
            rows=chosen.rows,
            reasons=chosen.reasons,
            cores=chosen.cores[0],
        )
        return
    with tempfile.TemporaryDirectory() as made:
        folder = chosen.folder or Path(made)
        folder.mkdir(exist_ok=True)
        for name, rows in [("warm", WARM_ROWS), *((f"people-{n}", n) for n in {chosen.rows, chosen.reason_rows})]:
            if not (folder / f"{name}.csv").exists():
                write_people(folder / f"{name}.csv", rows)
        for depth in chosen.depth:
            if not (folder / f"depth-{depth}").exists():
                write_bundle(folder / f"depth-{depth}", depth=depth)
            for cores in chosen.cores:
                for reasons, rows in ((0, chosen.rows), (REASONS, chosen.reason_rows)):
                    names = ["simple", "careful", "mgrisk"] + ([] if reasons else ["parsing", "predicting", "writing"])
                    print(f"\n{rows:,} rows x {len(NAMES)} columns, depth {depth}, {reasons} reasons, {cores} cores")
                    table(run(names, folder, pairs=chosen.pairs, depth=depth, rows=rows, reasons=reasons, cores=cores))


if __name__ == "__main__":
    main()
