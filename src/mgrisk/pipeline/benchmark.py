"""`mgrisk benchmark`: the task of an outcome, made from public tables, and a scikit-learn estimator as an entry."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mgrisk.errors import bad_input, usage
from mgrisk.pipeline.engine import Progress
from mgrisk.pipeline.run import run as run_pipeline
from mgrisk.run_folder.benchmark import Task
from mgrisk.run_folder.folder import open_folder

PIPELINES = Path("pipelines")
RUNS = Path("runs")


def open_task(outcome: str, *, run: Path | None = None, progress: Progress = lambda _: None) -> Task:
    """Return the task of an outcome: that of a finished run, or of the released pipeline, run as far as needed.

    Parameters
    ----------
    outcome
        Name of a released pipeline: undiagnosed, diabetes, dysglycaemia, insulin-resistance.
    run
        A run folder, whose people are the task.
    progress
        Called with a line for each step that runs.

    Raises
    ------
    MgRiskError
        ``benchmark.no_pipeline``, ``benchmark.other_outcome``; those of `run` and of the run folder.
    """
    if run is not None:
        return Task(open_folder(run))
    pipeline = PIPELINES / f"{outcome}.toml"
    if not pipeline.is_file():
        raise usage(
            "benchmark.no_pipeline",
            f"there is no pipeline of {outcome}",
            where=str(pipeline),
            hint="start in the folder of mgrisk's repository, or give a finished run: --run DIR",
        )
    return Task(open_folder(run_pipeline(pipeline, out=RUNS / outcome, until="evaluate", progress=progress).folder))


def read_entry(file: Path) -> pd.DataFrame:
    """Read the CSV of an entry.

    Raises
    ------
    MgRiskError
        ``benchmark.not_csv``.
    """
    try:
        return pd.read_csv(file)
    except (OSError, ValueError) as problem:
        raise bad_input(
            "benchmark.not_csv",
            "the entry cannot be read as CSV",
            where=str(file),
            got=str(problem).splitlines()[0][:200],
            hint="an entry has the columns SEQN and risk",
        ) from None
