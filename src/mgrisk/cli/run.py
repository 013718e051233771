"""`mgrisk run`: run a pipeline file, from raw tables to report."""

from __future__ import annotations

import argparse
from typing import Any

from mgrisk.cli.terminal import DISCLAIMER, say
from mgrisk.errors import ExitStatus

HELP = "run a pipeline file, from raw tables to report"
ABOUT = (
    "Select the cohort, tune, calibrate and compare models, evaluate them on held-out people, explain them, and "
    "write report, bundle and MLflow run. A step runs again only when its inputs, its settings, the code or a "
    "library has changed."
)
EXAMPLES = (
    "mgrisk run demo",
    "mgrisk run pipelines/nhanes.toml --set source=/data/nhanes",
    "mgrisk run pipelines/own-cohort.toml --until train",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="a .toml file, or one that comes with mgrisk: demo")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the file"
    )
    parser.add_argument("--out", metavar="DIR", help="run folder (runs/<name>)")
    parser.add_argument("--offline", action="store_true", help="use downloaded tables only")
    parser.add_argument(
        "--until", metavar="STEP", help="stop after a step, for example train: before the held-out test"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.pipeline import run as pipeline

    finished = pipeline.run(
        options.pipeline,
        overrides=options.overrides,
        out=options.out,
        offline=options.offline,
        until=options.until,
        progress=say,
    )
    if options.until:
        print(f"stopped after {options.until}: {finished.folder}")
        return ExitStatus.DONE
    table = finished.evaluation.frame()
    data = ", ".join(table["data"].unique())
    wanted = ["auroc", "calibration_slope", "calibration_intercept", "observed_expected", "ici"]
    print(f"\n{data}{' people' if data == 'SYNTHETIC' else ''}; estimate (95 % interval, survey design)")
    # Recalibrated scores and groups are in the report: here stand the models and the scores as they were published.
    shown = table["metric"].isin(wanted) & ~table["model"].str.contains(":") & (table["group"] == "all")
    for set_name, rows in table[shown].groupby("set", sort=False):
        print(f"  {set_name}")
        for model, of_model in rows.groupby("model", sort=False):
            cells = [f"{r['metric']} {_interval(r)}" for _, r in of_model.iterrows()]
            print(f"    {model:<16} {'  '.join(cells)}")
    print(f"\nreport: {finished.report}\nbundle: {finished.bundle}\n{DISCLAIMER}")
    return ExitStatus.DONE


def _interval(row: Any) -> str:
    if row["low"] is None or row["low"] != row["low"]:
        return f"{row['estimate']:.3f}"
    return f"{row['estimate']:.3f} ({row['low']:.3f}, {row['high']:.3f})"
