"""Create the benchmark task of an outcome, and evaluate scikit-learn classifiers as entries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config.pipeline_file import load
from mgrisk.errors import bad_input, usage
from mgrisk.model.estimators import train_estimator
from mgrisk.model.learners import Encoder
from mgrisk.model.released import released_bundles
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import Progress
from mgrisk.pipeline.run import run as run_pipeline
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names
from mgrisk.run_folder.benchmark import RISK, Entered, Task, enter
from mgrisk.run_folder.folder import open_folder

RUNS = Path("runs")


def benchmark(
    outcome: str, entries: Mapping[str, Any], *, run: str | os.PathLike[str] | None = None
) -> dict[str, Entered]:
    """Evaluate your models on the task of an outcome, and compare them with mgrisk's model and published scores.

    Parameters
    ----------
    outcome
        Name of a released pipeline: undiagnosed, diabetes, dysglycaemia, insulin-resistance.
    entries
        By name, a frame with the columns SEQN and risk (probability, 0 to 1; for development people from a model not
        fitted on their fold), or a scikit-learn classifier, which is fitted to the inputs of the pipeline on the folds
        of the task, with survey weights, and calibrated by cross-fitting.
    run
        A finished run whose people are the task; by default the released pipeline is run, in ``runs``, as far as
        needed.

    Returns
    -------
    dict of Entered
        By name of the entry: `metrics` and paired `differences` as frames, and `findings`, warnings about them.

    Raises
    ------
    MgRiskError
        ``benchmark.no_pipeline``; those of `mgrisk.run`, of `run_folder.benchmark.enter` for a frame, and of
        `model.estimators.train_estimator` for a classifier.

    Examples
    --------
    >>> benchmark("undiagnosed", {}, run="no-run")
    Traceback (most recent call last):
    mgrisk.errors.MgRiskError: this is not the folder of a run [report.no_run]
    where: no-run
    to do: name a folder that `mgrisk run` wrote, such as runs/demo
    """
    task = open_task(outcome, run=None if run is None else Path(run))
    return {
        name: enter(task, name, entry if isinstance(entry, pd.DataFrame) else risks_of(task, name, entry))
        for name, entry in entries.items()
    }


def risks_of(task: Task, name: str, estimator: Any) -> pd.DataFrame:
    """Fit a classifier on the folds of a task; return SEQN and risk of all people in the analysis."""
    workspace = Workspace(load(task.run.path(names.RESOLVED)), task.run.folder)
    development, held_out = workspace.people(DEVELOPMENT), workspace.people(HELD_OUT)
    encoder = Encoder(workspace.model_features)
    trained = train_estimator(name, estimator, workspace.training_data(development), encoder)
    risks = (
        (development, trained.oof_risk[development.inside]),
        (held_out, trained.risk(encoder.matrix(held_out.frame.iloc[held_out.inside]))),
    )
    return pd.concat(
        [pd.DataFrame({KEY: people.rows[KEY].to_numpy()[people.inside], RISK: risk}) for people, risk in risks],
        ignore_index=True,
    )


def open_task(outcome: str, *, run: Path | None = None, progress: Progress = lambda _: None) -> Task:
    """Return the task of an outcome, from a finished run or from the released pipeline, run as far as needed.

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
    if outcome not in released_bundles():
        raise usage(
            "benchmark.no_pipeline",
            f"no model of {outcome} is released",
            where="mgrisk benchmark",
            hint=f"one of: {', '.join(released_bundles())}; or give a finished run: --run DIR",
        )
    return Task(open_folder(run_pipeline(outcome, out=RUNS / outcome, until="evaluate", progress=progress).folder))


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
