"""What a coded check looks at, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

Verdict = tuple[bool | None, str]
"""Whether it holds, None where it does not apply; and the number, or the reason, that says so."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    id, subject, title, severity, source
        Row of checks.toml: stable code, what it is about, what ought to be true, whether the run stops where it is
        not, and why it ought to.
    passed, finding
        Whether it is true, None where it does not apply; and the number, or the reason, that says so.
    """

    id: str
    subject: str
    title: str
    severity: Literal["error", "warning"]
    source: str
    passed: bool | None
    finding: str

    @property
    def status(self) -> str:
        """``passed``, ``finding`` or ``not applicable``."""
        return "not applicable" if self.passed is None else "passed" if self.passed else "finding"

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to checks.json."""
        return {**asdict(self), "status": self.status}


@dataclass(frozen=True, eq=False)
class RunEvidence:
    """Files of the run folder that checks look at; each is named after its file.

    Attributes
    ----------
    cohort, folds, oof
        Frames.
    evaluation, differences, table_one, known_answers
        Flat records.
    about
        Content of cohort.json.
    tuning, leaks, calibration, added_value, explanation
        Content of tuning.json, leaks.json, calibration.json, added_value.json and explanation_summary.json.
    features, columns, minimum_age
        Number of features of the model, and of the columns that they make; youngest age, in years.
    """

    cohort: pd.DataFrame
    folds: pd.DataFrame
    oof: pd.DataFrame
    evaluation: Sequence[Mapping[str, Any]]
    differences: Sequence[Mapping[str, Any]]
    table_one: Sequence[Mapping[str, Any]]
    known_answers: Sequence[Mapping[str, Any]]
    about: Mapping[str, Any]
    tuning: Mapping[str, Any]
    leaks: Mapping[str, Any]
    calibration: Mapping[str, Any]
    added_value: Mapping[str, Any]
    explanation: Mapping[str, Any]
    features: int
    columns: int
    minimum_age: int

    @property
    def winner(self) -> str:
        """Name of the model whose bundle leaves the run."""
        return str(self.tuning["winner"])

    def found(self, metric: str, *, held_out: bool, cross_validated: str) -> Mapping[str, Any]:
        """Return the record of a metric of the chosen model on all people of one set.

        Parameters
        ----------
        metric
            Name as in `metrics.metric_names`.
        held_out
            Which set.
        cross_validated
            Name of the other set in records.
        """
        wanted = (self.winner, metric, "all", held_out)
        return next(
            r for r in self.evaluation if (r["model"], r["metric"], r["group"], r["set"] != cross_validated) == wanted
        )


def shown(record: Mapping[str, Any], *, digits: int = 3) -> str:
    """Return an estimate with its interval, or the reason why it has none."""
    if record["estimate"] is None:
        return f"undefined ({record['problem']})"
    centre = f"{record['estimate']:.{digits}f}"
    if record["low"] is None or record["high"] is None:
        return f"{centre} (no interval: {record['problem']})"
    return f"{centre} ({record['low']:.{digits}f} to {record['high']:.{digits}f})"


def holds(record: Mapping[str, Any], value: float) -> bool:
    """Tell whether there is an interval and whether it holds a value."""
    return record["low"] is not None and record["high"] is not None and bool(record["low"] <= value <= record["high"])
