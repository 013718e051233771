"""Typed records of the files of a run that its checks and report read, such as estimates with their intervals.

A number is None where it is not defined; `problem` is the code of the reason, and otherwise empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

import numpy as np
import pandas as pd

from mgrisk.cohort.leaks import Timing
from mgrisk.cohort.outcomes import Outcome
from mgrisk.errors import bad_input
from mgrisk.model.calibration import Calibrator
from mgrisk.model.learners import Candidate, Chosen
from mgrisk.nhanes.harmonise import AbsentTable
from mgrisk.types import JsonRecord

R = TypeVar("R")


@dataclass(frozen=True)
class Records(Generic[R]):
    """The flat records of one file.

    Attributes
    ----------
    rows
        The records in the order of the file.
    file
        Name of the file, for errors.

    Examples
    --------
    >>> cases = Records((Interval(0.8, 0.7, 0.9), Interval(None, None, None, "metric.undefined")), "some.json")
    >>> len(cases), len(cases.where(problem="")), cases.one(problem="").estimate
    (2, 1, 0.8)
    """

    rows: tuple[R, ...]
    file: str

    def __iter__(self) -> Iterator[R]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, **wanted: object) -> Records[R]:
        """Return the records whose fields have these values."""
        kept = [row for row in self.rows if all(getattr(row, key) == value for key, value in wanted.items())]
        return Records(tuple(kept), self.file)

    def one(self, **wanted: object) -> R:
        """Return the single record whose fields have these values, for all people unless a `group` is given.

        Raises
        ------
        MgRiskError
            `report.no_record` where there is none, or several.
        """
        if self.rows and "group" in vars(self.rows[0]):
            wanted = {"group": "all", **wanted}
        found = self.where(**wanted).rows
        if len(found) != 1:
            asked = ", ".join(f"{key} {value}" for key, value in wanted.items())
            raise bad_input(
                "report.no_record",
                f"{self.file} has {'no' if not found else len(found)} record of {asked}",
                where=self.file,
                hint="run the pipeline again",
            )
        return found[0]

    def frame(self) -> pd.DataFrame:
        """Return the records as a table, one row for each."""
        return pd.DataFrame([vars(row) for row in self.rows])


class Estimated:
    """Methods of every record with an estimate and its interval."""

    estimate: float | None
    low: float | None
    high: float | None

    @property
    def value(self) -> float:
        """The estimate of a record that has one."""
        assert self.estimate is not None
        return self.estimate

    def holds(self, value: float) -> bool:
        """Return whether there is an interval that contains a value."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high

    def excludes(self, value: float) -> bool:
        """Return whether there is an interval that excludes a value."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high

    def times(self, factor: float) -> Interval:
        """Return the estimate and its interval multiplied by a factor."""
        estimate, low, high = (None if each is None else factor * each for each in (self.estimate, self.low, self.high))
        return Interval(estimate, *((high, low) if factor < 0 else (low, high)), getattr(self, "problem", ""))

    @property
    def bounds(self) -> dict[str, float | None]:
        """Estimate and interval, as a figure draws them."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Interval(Estimated):
    """An estimate with its interval alone."""

    estimate: float | None
    low: float | None
    high: float | None
    problem: str = ""

    @classmethod
    def of(cls, found: Mapping[Any, Any]) -> Interval:
        """Return the interval of a row of a frame, in which a missing number may be NaN.

        Examples
        --------
        >>> Interval.of({"estimate": 0.8, "low": float("nan"), "high": None, "problem": "interval.undefined"})
        Interval(estimate=0.8, low=None, high=None, problem='interval.undefined')
        """
        names = ("estimate", "low", "high")
        estimate, low, high = (None if pd.isna(found[name]) else float(found[name]) for name in names)
        return cls(estimate, low, high, found["problem"])


@dataclass(frozen=True)
class MetricRecord(Estimated):
    """A metric of one model, on one set, in one group of people, or `all`.

    Estimate, interval and standard error are in the unit of the metric; n and events are numbers of people and cases
    with a positive weight; `presentation` says whether the number may be shown (`survey.presentation`), `data` from
    which data the people are.
    """

    outcome: str
    set: str
    group: str
    level: str
    model: str
    metric: str
    estimate: float | None
    low: float | None
    high: float | None
    se: float | None
    n: int
    events: int
    problem: str
    presentation: str
    data: str


@dataclass(frozen=True)
class DifferenceRecord(MetricRecord):
    """A metric of one model minus that of the reference, in the same people and replicates."""

    reference: str


@dataclass(frozen=True)
class ThresholdRecord(MetricRecord):
    """A metric of classification at a threshold of the model's risk or points, which a rule chose."""

    rule: str
    threshold: float


@dataclass(frozen=True)
class TableOneRecord(Estimated):
    """The mean of a number or the share of a level, in one group of one set; `missing` is a weighted share."""

    set: str
    group: str
    variable: str
    label: str
    unit: str
    level: str | None
    statistic: str
    estimate: float | None
    se: float | None
    low: float | None
    high: float | None
    n: int
    missing: float | None


@dataclass(frozen=True)
class KnownAnswerRecord(Estimated):
    """A published estimate and its replication; `passed` is None where it is about other people."""

    name: str
    kind: str
    population: str
    published: float
    tolerance: float
    source: str
    estimate: float | None
    low: float | None
    high: float | None
    passed: bool | None
    note: str


@dataclass(frozen=True)
class BreakRecord:
    """A change of question or method that the run allows pooling across: `nhanes.eras.Break`."""

    name: str
    of: tuple[str, ...]
    before: str
    after: str
    reason: str
    crosswalk: str
    source: str


@dataclass(frozen=True)
class MappingRecord:
    """Mapping of the columns of a file; `left_as_they_are` counts cells and `excluded` rows, by column.

    `rows` is the number of rows read where several of a person were combined.
    """

    file: str
    left_as_they_are: dict[str, int]
    not_carried: tuple[str, ...]
    excluded: dict[str, int] = field(default_factory=dict)
    rows: int | None = None


@dataclass(frozen=True)
class OwnRecord:
    """How a run read the user's own data.

    `problems` counts rows by code; `split` describes a random split, and is empty where a period was held out.
    """

    data: str
    file: str
    sampling: str
    outcome_column: str
    other_periods: int
    problems: dict[str, int]
    mapping: MappingRecord | None
    split: str = ""


@dataclass(frozen=True)
class CohortRecord:
    """The cohort of a run: its weights, the breaks that it allows, its outcome."""

    data: str
    weight_level: str
    forced_by: str
    weight: str
    breaks: tuple[BreakRecord, ...]
    absent: tuple[AbsentTable, ...]
    outcome: Outcome
    own: OwnRecord | None = None


@dataclass(frozen=True)
class CalibratorRecord:
    """The map from margin to log-odds: intercept + slope × margin, with the covariance of both."""

    intercept: float
    slope: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    df: int


@dataclass(frozen=True)
class PartRecord:
    """A part of a model: its settings, and its weight in the ensemble."""

    part: str
    scale: float
    params: dict[str, Any]


@dataclass(frozen=True)
class WideningRecord:
    """Widening of a person's interval, and its coverage in each fifth of known risk: `coverage.Widening`."""

    draws: int
    stretch: float
    factor: float
    before: tuple[float, ...]
    covered: tuple[float, ...]


@dataclass(frozen=True)
class ModelRecord:
    """A trained model.

    Log loss of its calibrated out-of-fold risks, in nats, in total and by fold; the intercept of an ensemble, the
    calibration of its margin, its parts, and the widening of a person's interval.
    """

    log_loss: float
    fold_log_loss: tuple[float, ...]
    intercept: float | None
    calibration: CalibratorRecord
    parts: tuple[PartRecord, ...]
    widening: WideningRecord | None = None


@dataclass(frozen=True)
class Tuning:
    """The candidates of training, and the chosen model."""

    winner: str
    models: dict[str, ModelRecord]
    candidates: tuple[Candidate, ...]

    @property
    def parts(self) -> list[JsonRecord]:
        """The parts of the chosen model, for a refit."""
        return [vars(part) for part in self.models[self.winner].parts]

    @property
    def chosen(self) -> Chosen:
        """The chosen model, for `refit.again`."""
        record = self.models[self.winner]
        line = record.calibration
        calibration = Calibrator(line.intercept, line.slope, np.array(line.covariance), line.df)
        return Chosen(self.winner, self.parts, record.intercept, calibration)


@dataclass(frozen=True)
class LeakRecord:
    """Univariable AUROC and likelihood ratio of a feature, with their limits: `leak_audit.LeakFinding`."""

    feature: str
    auroc: float
    limit: float
    likelihood_ratio: float
    ratio_limit: float


@dataclass(frozen=True)
class PermutedRecord:
    """AUROC of all features for a permuted outcome, and whether it is significantly above 0.5."""

    auroc: float
    low: float | None
    high: float | None
    finding: bool


@dataclass(frozen=True)
class Leaks:
    """Results of the leakage audit."""

    alone: tuple[LeakRecord, ...]
    permuted: PermutedRecord
    timing: tuple[Timing, ...]


@dataclass(frozen=True, kw_only=True)
class Metric(Estimated):
    """A metric in a file that states the model and set itself."""

    metric: str
    estimate: float | None
    low: float | None
    high: float | None
    events: int
    problem: str


@dataclass(frozen=True, kw_only=True)
class CalibratorMetric(Metric):
    """A metric of a calibrator (its name is in `model`), or its difference from the logistic one."""

    model: str


@dataclass(frozen=True)
class Calibrators:
    """Comparison of the bundle's calibrator with others; `failed` has the reason by calibrator."""

    learner: str
    records: tuple[CalibratorMetric, ...]
    differences: tuple[CalibratorMetric, ...]
    failed: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Gain(Metric):
    """Incremental value in a metric: the model with the features in question minus the one without."""

    question: str
    set: str


@dataclass(frozen=True)
class AddedValue:
    """Incremental value of magnesium; `reason` says why nothing was compared, `limit` is that of the AUROC."""

    model: str
    limit: float
    reason: str
    records: tuple[Gain, ...]


OPEN: Final = "inconclusive"


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    id, subject, title, severity, source
        Row of checks.toml: stable code, subject, what is checked, whether failing stops the run, and the source.
    status, finding
        ``passed``; ``finding`` where it failed; `OPEN` where the data are too few to say; or ``not applicable``. And
        the number or reason.
    """

    id: str
    subject: str
    title: str
    severity: Literal["error", "warning"]
    source: str
    status: str
    finding: str

    @property
    def passed(self) -> bool | None:
        """Whether the check passed; None where it does not apply or is inconclusive."""
        return {"passed": True, "finding": False}.get(self.status)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to checks.json."""
        return {**asdict(self), "passed": self.passed}
