"""The flat record that every number of the chapter is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from mgrisk.survey.intervals import t_quantile

NONE = "none"
CALIBRATED = "regression calibration"


@dataclass(frozen=True)
class Record:
    """One estimate.

    Attributes
    ----------
    analysis
        What it is part of: association, dose-response, interaction and so on.
    exposure, outcome
        What is set against what.
    model
        Rung of the ladder, or what else it is adjusted for.
    contrast
        Between whom, for example ``per 100 mg/d``.
    scale
        odds ratio, ratio (of geometric means), difference, or what else it is.
    estimate, low, high
        On that scale, with a 95 % interval; None where undefined.
    se
        Standard error, of the logarithm where the scale is a ratio.
    p
        Two-sided, on t with the degrees of freedom of the design.
    n, events
        People, and cases among them; None for an outcome that is a number.
    correction
        For the error of recalls: ``none`` or ``regression calibration``.
    weight_level, cycles
        Subsample, and the survey cycles.
    problem
        Code of what went wrong; empty where nothing did.
    """

    analysis: str
    exposure: str
    outcome: str
    model: str
    contrast: str
    scale: str
    estimate: float | None
    low: float | None
    high: float | None
    se: float | None
    p: float | None
    n: int
    events: int | None
    correction: str
    weight_level: str
    cycles: str
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dict."""
        return asdict(self)


@dataclass(frozen=True)
class Evidence:
    """All records of a run."""

    records: tuple[Record, ...]

    def frame(self) -> pd.DataFrame:
        """Return one row for each record."""
        return pd.DataFrame([each.to_dict() for each in self.records])

    def to_dict(self) -> dict[str, Any]:
        """Return the records as plain dicts."""
        return {"records": [each.to_dict() for each in self.records]}


def on_scale(coefficient: float, se: float, df: int, scale: str) -> dict[str, float | None]:
    """Return estimate, interval, standard error and p of a coefficient on the scale that it is reported on.

    Examples
    --------
    >>> on_scale(0.0, 0.1, 15, "odds ratio")["estimate"]
    1.0
    """
    half = t_quantile(0.95, df) * se
    bounds = np.array([coefficient, coefficient - half, coefficient + half])
    estimate, low, high = bounds if scale == "difference" else np.exp(bounds)
    p = 2.0 * student.sf(abs(coefficient / se), df) if se > 0 and df > 0 else np.nan
    values = {"estimate": estimate, "low": low, "high": high, "se": se, "p": p}
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def span_of(cycles: Sequence[str]) -> str:
    """Return the cycles as a record names them.

    Examples
    --------
    >>> span_of(["2007-2008", "2009-2010"])
    '2007-2008, 2009-2010'
    """
    return ", ".join(cycles)
