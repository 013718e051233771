"""The record format of all estimates of the evidence chapter."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

INCREMENTAL: Final = "incremental value"
"""Analysis of the records on the incremental value of magnesium for prediction."""


@dataclass(frozen=True)
class Record:
    """One estimate.

    Attributes
    ----------
    analysis
        Analysis of which it is part: association, dose-response, interaction and so on.
    exposure, outcome
        Exposure and outcome.
    model
        Adjustment model.
    contrast
        Groups or amounts compared, for example ``per 100 mg/d``.
    scale
        Effect measure: odds ratio, ratio (of geometric means), difference and others.
    estimate, low, high
        Estimate on that scale, with a 95 % interval; None if undefined.
    se
        Standard error, of the logarithm if the scale is a ratio.
    p, p_adjusted
        Two-sided p value, on t with the residual degrees of freedom of the regression, and corrected for the number of
        tests.
    n, events
        Number of people and of cases; None for a numeric outcome.
    correction
        Correction for the measurement error of recalls: ``none`` or ``regression calibration``.
    weight_level, cycles
        Subsample, and the survey cycles.
    problem
        Code of the error if the estimate failed; otherwise empty.
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
