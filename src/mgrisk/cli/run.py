"""`mgrisk run`: run a pipeline file, from raw tables to report."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mgrisk.cli.options import one_or_more
from mgrisk.cli.terminal import DISCLAIMER, aligned, say
from mgrisk.errors import ExitStatus

if TYPE_CHECKING:
    from mgrisk.pipeline.finished import Run

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

MOST_WORKERS: Final = 4
"""Steps of a pipeline that can run at a time; more would wait for each other."""
SHOWN: Final = {
    "auroc": ("AUROC", 3),
    "observed_expected": ("observed/expected", 2),
    "calibration_slope": ("calibration slope", 2),
}
"""Metrics on the terminal, with label and decimals; the report has all."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("pipeline")
    group.add_argument("pipeline", metavar="PIPELINE", help="a .toml file, or one that comes with mgrisk: demo")
    group.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the file"
    )
    group.add_argument("--offline", action="store_true", help="use downloaded tables only")
    group.add_argument(
        "--workers",
        type=one_or_more,
        default=min(os.cpu_count() or 1, MOST_WORKERS),
        metavar="N",
        help=f"steps at a time, each in a process of its own (one per core, at most {MOST_WORKERS})",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--out", metavar="DIR", help="run folder (runs/<name>)")
    output.add_argument(
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
        workers=options.workers,
        progress=say,
    )
    if options.until:
        print(f"stopped after {options.until}: {finished.folder}\nnext: the same command without --until goes on")
        return ExitStatus.DONE
    print("\n".join(["", *result(finished), DISCLAIMER]))
    return ExitStatus.DONE


def result(finished: Run) -> Iterator[str]:
    """Yield what a run ends with: performance of the models and of the scores as published, and what to open."""
    from mgrisk.evaluate.records import Interval
    from mgrisk.nhanes.codebook import SYNTHETIC
    from mgrisk.report.formats import interval

    yield f"{finished.data}{' people' if finished.data == SYNTHETIC else ''}: estimate (95 % interval)"
    table = finished.evaluation.frame()
    table = table[table["metric"].isin(SHOWN) & ~table["model"].str.contains(":") & (table["group"] == "all")]
    rows = []
    for set_name, of_set in table.groupby("set", sort=False):
        rows.append([str(set_name), *(label for label, _ in SHOWN.values())])
        for model, of_model in of_set.groupby("model", sort=False):
            cells = {each["metric"]: each for each in of_model.to_dict("records")}
            shown = {name: interval(Interval.of(row), digits=SHOWN[name][1]) for name, row in cells.items()}
            rows.append([str(model), *(shown.get(name, "") for name in SHOWN)])
    yield from aligned(rows)
    yield f"report: {finished.report} (open it in a browser)"
    yield f"bundle: {finished.bundle}"
    yield f"next: mgrisk score people.csv -o scored.csv --model {finished.bundle}"
