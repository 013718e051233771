"""A finished run, from `mgrisk.run` or `mgrisk.open_run`: results, model, report and plots."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mgrisk.evaluate.records import DifferenceRecord, MetricRecord, Records
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder, open_folder

if TYPE_CHECKING:
    from mgrisk.report.plots import RunPlots
    from mgrisk.score.scorer import Scorer

SHOWN: Final = ("auroc", "observed_expected", "calibration_slope")


@dataclass(frozen=True)
class Run:
    """A finished run; its files are read at first access.

    Attributes
    ----------
    folder
        The run folder.
    steps
        Names of the steps that ran; empty for an opened run.

    Examples
    --------
    >>> run = Run(Path("runs/demo"))
    >>> run.report.name, run
    ('report.html', <Run runs/demo>)
    """

    folder: Path
    steps: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        return os.fspath(self.folder)

    @cached_property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    @property
    def evaluation(self) -> Records[MetricRecord]:
        """Every metric of each model and published score, with its interval; `frame()` is the table."""
        return self._files.evaluation

    @property
    def differences(self) -> Records[DifferenceRecord]:
        """Metrics of each model minus those of a reference, on the same people; `frame()` is the table."""
        return self._files.differences

    @property
    def attrition(self) -> pd.DataFrame:
        """Number of people after each eligibility rule: set, rule, n, excluded, events."""
        return self._files.attrition.frame()

    @property
    def table_one(self) -> pd.DataFrame:
        """Characteristics of the people: one row per mean or share, with standard error and 95 % interval."""
        return self._files.table_one.frame()

    @property
    def predictions(self) -> pd.DataFrame:
        """Risk of each person by model and score, cross-validated in development, and in held-out people."""
        return self._files.predictions

    @property
    def data(self) -> str:
        """Data label: NHANES, SYNTHETIC or the name of a cohort."""
        return self._files.data_label

    @property
    def chosen(self) -> str:
        """Name of the chosen model."""
        return self._files.winner

    @property
    def report(self) -> Path:
        """Path of the report."""
        return self.folder / names.REPORT

    @property
    def bundle(self) -> Path:
        """Path of the bundle."""
        return self.folder / names.BUNDLE

    @cached_property
    def model(self) -> Scorer:
        """The model of the bundle, as `mgrisk.load_model` loads it."""
        from mgrisk.score.scorer import load_scorer

        return load_scorer(self.bundle)

    @property
    def plot(self) -> RunPlots:
        """Plots on matplotlib axes: calibration, roc, decision_curve, importance, dependence."""
        from mgrisk.report.plots import RunPlots

        return RunPlots(self._files)

    def __repr__(self) -> str:
        return f"<Run {self.folder}>"

    def _repr_html_(self) -> str:
        if not self._files.has(names.EVALUATION):
            return f"<p>{escape(repr(self))}, not evaluated</p>"
        table = self.evaluation.frame()
        table = table[
            (table["group"] == "all") & table["metric"].isin(SHOWN) & table["model"].isin(self._files.tuning.models)
        ]
        with_intervals = table.assign(shown=[_interval(row) for row in table.to_dict("records")])
        wide = with_intervals.pivot(index=["set", "model"], columns="metric", values="shown").fillna("")
        title = f"{self.data}: {self._files.manifest.title}; chosen: {self.chosen}"
        return f"<p>{escape(title)}</p>{wide.to_html()}<p>{escape(str(self.report))}</p>"


def open_run(folder: str | os.PathLike[str]) -> Run:
    """Open the folder of a finished run.

    Parameters
    ----------
    folder
        A folder that `mgrisk run` wrote.

    Raises
    ------
    MgRiskError
        `report.no_run` if it is not one. Access to a file of a step that has not run raises `report.missing_file`.

    Examples
    --------
    >>> open_run("models")
    Traceback (most recent call last):
    mgrisk.errors.MgRiskError: this is not the folder of a run [report.no_run]
    where: models
    to do: name a folder that `mgrisk run` wrote, such as runs/demo
    """
    return Run(open_folder(folder).folder)


def _interval(row: dict[Any, Any]) -> str:
    if row["low"] is None or row["low"] != row["low"]:
        return f"{row['estimate']:.3f}"
    return f"{row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
