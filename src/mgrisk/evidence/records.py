"""The flat form in which every estimate of the evidence chapter is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

INCREMENTAL: Final = "incremental value"
"""Analysis of the records that say what magnesium adds to a prediction."""


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
        Two-sided, on t with the residual degrees of freedom of the regression; and corrected for the number of tests
        made together.
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
