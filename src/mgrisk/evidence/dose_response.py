"""The shape of the association: a cubic spline with its band, a test of non-linearity, and where people are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.evidence.ladder import MAIN, Rung
from mgrisk.evidence.people import Panel
from mgrisk.evidence.record import FOOD, Record, failed, on_scale, record_of
from mgrisk.evidence.regression import CALIBRATED, PER, Adjusted, Coding, Fitted, fit_corrected, panel_scales
from mgrisk.features.box_cox import BoxCox
from mgrisk.features.usual_intake import fit_usual_intake
from mgrisk.model.spline import HARRELL_QUANTILES, basis
from mgrisk.survey.quantiles import weighted_quantile
from mgrisk.survey.regression import RegressionFit, wald_test

Floats = NDArray[np.float64]

ANALYSIS: Final = "dose-response"
KNOTS: Final = HARRELL_QUANTILES[4]
STEP: Final = 20.0
"""Milligrams between the points of a curve."""
SHARES: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def dose_response(panel: Panel, outcomes: Sequence[str], *, rung: Rung = MAIN) -> Iterator[Record]:
    """Yield points of the curve of each outcome against the median intake, and the test of non-linearity.

    Parameters
    ----------
    panel
        People and outcomes.
    outcomes
        Those of the panel to draw.
    rung
        What to adjust for.

    Yields
    ------
    Record
        A point for each 20 mg between the 2.5th and the 97.5th percentile of expected usual intake, contrast ``x
        against r mg/d``; ``non-linearity``, whose estimate is F.

    Notes
    -----
    Four knots at Harrell's quantiles. The curve is of expected usual intake, which spreads less than usual intake does:
    where the truth is a straight line so is the curve, and the test keeps its size; a bend is drawn somewhat too
    shallow.
    """
    scales = panel_scales(panel, rung.all_nutrients)
    coding, grid, reference = _curve(panel, rung, scales)
    try:
        fits = list(fit_corrected(panel, rung, [coding], outcomes=outcomes, scales=scales))
    except MgRiskError as problem:
        yield from (failed(ANALYSIS, panel, rung.name, each, "curve", CALIBRATED, problem) for each in outcomes)
        return
    for fit in fits:
        yield from _points(panel, fit, grid, reference)


def intake_distribution(panel: Panel) -> Iterator[Record]:
    """Yield quantiles of usual magnesium from food, by the amount-only NCI model of both sexes together."""
    sex = panel.frame[["sex"]].astype(object).where(panel.frame["sex"].notna(), None)
    amount, design = panel.amounts["magnesium"], panel.design
    model = fit_usual_intake(amount, design=design, people=sex, weekend=panel.weekend)
    found = model.distribution(sex, design, probabilities=SHARES)
    for share, quantile in zip(SHARES, found.quantiles, strict=True):
        yield record_of(
            panel,
            analysis="intake",
            exposure=FOOD,
            outcome="usual intake",
            model="sex",
            contrast=f"{100 * share:g} % eat less",
            scale="mg/d",
            correction="usual-intake model",
            values={"estimate": float(quantile)},
        )


def _curve(panel: Panel, rung: Rung, scales: Mapping[str, BoxCox]) -> tuple[Coding, Floats, float]:
    weight = panel.design.analysis_weight[panel.inside]
    intake = Adjusted.of(panel, rung).intake_model(scales).fit(weight).usual[:, 0]
    knots = weighted_quantile(intake, weight, KNOTS)
    low, reference, high = weighted_quantile(intake, weight, (0.025, 0.5, 0.975))
    reference = STEP * round(float(reference) / STEP)
    grid = np.arange(STEP * np.ceil(low / STEP), high, STEP)
    names = ("linear", *(f"bend {number}" for number in range(1, len(KNOTS) - 1)))
    return Coding("spline", names, lambda eaten: basis(eaten[:, 0] / PER, knots / PER)), grid, reference


def _points(panel: Panel, fit: Fitted, grid: Floats, reference: float) -> Iterator[Record]:
    terms = len(fit.coding.contrasts)
    beta, covariance = fit.coefficients[:terms], fit.covariance[:terms, :terms]
    at = fit.coding.columns(np.append(grid, reference)[:, None])
    for place, amount in enumerate(grid):
        away = at[place] - at[-1]
        se = float(np.sqrt(away @ covariance @ away))
        yield record_of(
            panel,
            fit=fit,
            analysis=ANALYSIS,
            exposure=FOOD,
            contrast=f"{amount:.0f} against {reference:.0f} mg/d",
            values=on_scale(float(away @ beta), se, fit.df, panel.scale(fit.outcome)),
        )
    test = wald_test(RegressionFit(beta, covariance, fit.df, fit.n), range(1, terms))
    yield record_of(
        panel, fit=fit, analysis=ANALYSIS, exposure=FOOD, contrast="non-linearity", scale="F",
        values={"estimate": test.statistic, "p": test.p},
    )  # fmt: skip
