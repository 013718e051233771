"""The flat record that every number of the chapter is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import t as student

from mgrisk.errors import MgRiskError
from mgrisk.evidence.people import Panel
from mgrisk.evidence.regression import Fitted
from mgrisk.survey.intervals import t_quantile

FOOD: Final = "magnesium from food"
SUPPLEMENT: Final = "magnesium from supplements"


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
    p, p_adjusted
        Two-sided, on t with the degrees of freedom of the design; and corrected for the number of tests made together.
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
    p_adjusted: float | None = None

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


def record_of(
    panel: Panel,
    *,
    analysis: str,
    exposure: str,
    contrast: str,
    values: Mapping[str, float | None],
    fit: Fitted | None = None,
    **details: Any,
) -> Record:
    """Return a record of some people.

    Parameters
    ----------
    panel
        Who.
    analysis, exposure, contrast
        As in `Record`.
    values
        Estimate, low, high, se and p, as far as there are such.
    fit
        Where they are from: its outcome, rung, correction and numbers of people stand where `details` has no other.
    details
        Fields of `Record`.
    """
    known: dict[str, Any] = {"n": panel.design.n, "events": None, "problem": ""}
    if fit is not None:
        known |= {"outcome": fit.outcome, "model": fit.rung, "correction": fit.correction, "n": fit.n}
        known |= {"events": fit.events, "scale": panel.scale(fit.outcome)}
    known |= {name: values.get(name) for name in ("estimate", "low", "high", "se", "p")} | details
    known |= {"weight_level": str(panel.design.level), "cycles": ", ".join(panel.cycles)}
    return Record(analysis=analysis, exposure=exposure, contrast=contrast, **known)


def failed(
    analysis: str, panel: Panel, model: str, outcome: str, contrast: str, correction: str, problem: MgRiskError
) -> Record:
    """Return the record of what could not be estimated."""
    return record_of(
        panel, analysis=analysis, exposure=FOOD, outcome=outcome, model=model, contrast=contrast, values={},
        scale=panel.scale(outcome), correction=correction, problem=problem.code,
    )  # fmt: skip
