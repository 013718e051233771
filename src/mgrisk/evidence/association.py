"""The association of magnesium from food and supplements with each outcome.

`associate` estimates it under sequential adjustment, uncorrected and corrected for the measurement error of recalls.
`dose_response` estimates a restricted cubic spline with its interval, and tests non-linearity. `intake_distribution`
and `food_sources` describe usual intake and the food groups that contribute to it. `interactions` estimates the
association in groups of people, and tests their ratio with Holm's correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from types import MappingProxyType
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from mgrisk.config.toml import rows
from mgrisk.errors import MgRiskError
from mgrisk.evidence.adjustment_set import MAIN, SEQUENCE, AdjustmentSet
from mgrisk.evidence.people import Panel
from mgrisk.evidence.records import Record
from mgrisk.evidence.regression import (
    CALIBRATED,
    FOOD,
    NONE,
    PER,
    PER_100,
    SUPPLEMENT,
    Adjusted,
    Coding,
    Fitted,
    failed,
    fit_corrected,
    fit_uncorrected,
    linear_coding,
    on_scale,
    panel_scales,
    record_of,
)
from mgrisk.features.foods import FEATURE as FOOD_GROUP
from mgrisk.features.foods import food_groups, with_rich
from mgrisk.features.mixed_model import BoxCox
from mgrisk.features.usual_intake import fit_usual_intake
from mgrisk.survey.cubic_spline import HARRELL_QUANTILES, basis
from mgrisk.survey.estimates import mean, ratio, weighted_quantile
from mgrisk.survey.linear_models import RegressionFit, wald_test
from mgrisk.types import Floats, Integers

ASSOCIATION: Final = "association"
FOOD_SOURCE: Final = "food source"
FIFTHS: Final = (0.2, 0.4, 0.6, 0.8)


def associate(panel: Panel, *, adjustments: Sequence[AdjustmentSet] = SEQUENCE) -> Iterator[Record]:
    """Yield the association under sequential adjustment: per 100 mg/d, and by fifths with a trend in the main model.

    Parameters
    ----------
    panel
        People and outcomes.
    adjustments
        Adjustments.

    Yields
    ------
    Record
        An estimate that fails is a record with the code of the error.
    """
    scales: Mapping[str, BoxCox] = {}
    for adjustment in adjustments:
        for correction in (NONE, CALIBRATED):
            try:
                if correction == CALIBRATED:
                    scales = {**panel_scales(panel, [n for n in adjustment.all_nutrients if n not in scales]), **scales}
                # All or none, so that no outcome has both an estimate and a failure.
                yield from list(_associate(panel, adjustment, correction, scales))
            except MgRiskError as problem:
                for outcome, exposure in product(panel.outcomes, (FOOD, SUPPLEMENT)):
                    record = failed(ASSOCIATION, panel, adjustment.name, outcome, PER_100, correction, problem)
                    yield replace(record, exposure=exposure)


def _associate(
    panel: Panel, adjustment: AdjustmentSet, correction: str, scales: Mapping[str, BoxCox]
) -> Iterator[Record]:
    codings = [linear_coding()]
    if adjustment.main:
        weight = panel.design.analysis_weight[panel.inside]
        adjusted = Adjusted.of(panel, adjustment)
        intake = adjusted.recall_mean if correction == NONE else adjusted.intake_model(scales).fit(weight).usual
        codings += fifths(intake[:, 0], weight)
    uncorrected = correction == NONE
    for fit in (
        fit_uncorrected(panel, adjustment, codings)
        if uncorrected
        else fit_corrected(panel, adjustment, codings, scales=scales)
    ):
        yield from records(panel, fit)


def fifths(intake: Floats, weight: Floats) -> list[Coding]:
    """Return the coding by fifths of the population, and that of a trend over the medians of the fifths.

    Parameters
    ----------
    intake
        Intake of the people studied, mg/d, shape (n,), from which the cuts are computed.
    weight
        Shape (n,).

    Examples
    --------
    >>> by_fifth, trend = fifths(np.arange(100.0), np.ones(100))
    >>> by_fifth.columns(np.array([[5.0], [95.0]])).tolist(), trend.columns(np.array([[5.0]])).tolist()
    ([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], [[0.09]])
    """
    cuts = weighted_quantile(intake, weight, FIFTHS)
    middles = weighted_quantile(intake, weight, (0.1, 0.3, 0.5, 0.7, 0.9))

    def place(values: Floats) -> Integers:
        return np.searchsorted(cuts, values[:, 0], side="left")

    def indicators(values: Floats) -> Floats:
        return np.equal(place(values)[:, None], np.arange(1, 5)).astype(np.float64)

    edges = [f"{low:.0f} to {high:.0f}" for low, high in pairwise(cuts)]
    above = [*edges, f"above {cuts[-1]:.0f}"]
    names = tuple(f"fifth {number}: {where} against below {cuts[0]:.0f} mg/d" for number, where in enumerate(above, 2))
    return [
        Coding("fifths", names, indicators),
        Coding("trend", ("trend over fifths, per 100 mg/d",), lambda values: middles[place(values)][:, None] / 100.0),
    ]


def records(panel: Panel, fit: Fitted) -> Iterator[Record]:
    """Yield a record for each coefficient of a fit; that of supplements only for the linear coding."""
    parts = [(FOOD, contrast) for contrast in fit.coding.contrasts]
    if fit.coding.name == "linear" and fit.coefficients.size > len(parts):
        parts.append((SUPPLEMENT, PER_100))
    for at, (exposure, contrast) in enumerate(parts):
        values = on_scale(float(fit.coefficients[at]), float(fit.se[at]), fit.df, panel.scale(fit.outcome))
        yield record_of(panel, fit=fit, analysis=ASSOCIATION, exposure=exposure, contrast=contrast, values=values)


DOSE_RESPONSE: Final = "dose-response"
KNOTS: Final = HARRELL_QUANTILES[4]
STEP: Final = 20.0
"""Step between the points of a curve, mg/d."""
SHARES: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def dose_response(panel: Panel, outcomes: Sequence[str], *, adjustment: AdjustmentSet = MAIN) -> Iterator[Record]:
    """Yield points of the dose-response curve relative to the median intake, and the test of non-linearity.

    Parameters
    ----------
    panel
        People and outcomes.
    outcomes
        Names of outcomes of the panel.
    adjustment
        Adjustment.

    Yields
    ------
    Record
        A point for each 20 mg/d between the 2.5th and 97.5th percentile of expected usual intake, contrast ``x against
        r mg/d``; and ``non-linearity``, with F as the estimate.

    Notes
    -----
    Four knots at Harrell's quantiles. The exposure is expected usual intake, whose variance is smaller than that of
    usual intake: a linear relation remains linear, and the test keeps its size, but curvature is underestimated.
    """
    scales = panel_scales(panel, adjustment.all_nutrients)
    coding, grid, reference = _curve(panel, adjustment, scales)
    try:
        fits = list(fit_corrected(panel, adjustment, [coding], outcomes=outcomes, scales=scales))
    except MgRiskError as problem:
        yield from (
            failed(DOSE_RESPONSE, panel, adjustment.name, each, "curve", CALIBRATED, problem) for each in outcomes
        )
        return
    for fit in fits:
        yield from _points(panel, fit, grid, reference)


def intake_distribution(panel: Panel) -> Iterator[Record]:
    """Yield quantiles of usual magnesium from food, by the amount-only NCI model with sex as covariate."""
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


def food_sources(panel: Panel) -> Iterator[Record]:
    """Yield mean magnesium (mg/d) from each food group and its share of magnesium from food, if single foods are known.

    All good sources of magnesium combined come first (`features.foods.with_rich`).
    """
    groups = panel.frame[[FOOD_GROUP.format(name) for name in food_groups().labels]].set_axis(
        list(food_groups().labels), axis=1
    )
    # People without single foods have no groups; all cycles of 2007-2018 have them.
    design = panel.design.where(groups.notna().all(axis=1).to_numpy())
    if not design.n:
        return
    total = groups.sum(axis=1)
    for name, amount in with_rich(groups).items():
        found = {"mg/d": mean(amount, design), "share": ratio(amount, total, design)}
        for scale, estimate in found.items():
            yield record_of(
                panel,
                analysis=FOOD_SOURCE,
                exposure=str(name),
                outcome="magnesium from food",
                model="",
                contrast="mean of the recall days",
                scale=scale,
                correction=NONE,
                n=estimate.n,
                values={key: getattr(estimate, key) for key in ("estimate", "low", "high", "se")},
            )


def _curve(panel: Panel, adjustment: AdjustmentSet, scales: Mapping[str, BoxCox]) -> tuple[Coding, Floats, float]:
    weight = panel.design.analysis_weight[panel.inside]
    intake = Adjusted.of(panel, adjustment).intake_model(scales).fit(weight).usual[:, 0]
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
            analysis=DOSE_RESPONSE,
            exposure=FOOD,
            contrast=f"{amount:.0f} against {reference:.0f} mg/d",
            values=on_scale(float(away @ beta), se, fit.df, panel.scale(fit.outcome)),
        )
    test = wald_test(RegressionFit(beta, covariance, fit.df, fit.n), range(1, terms))
    yield record_of(
        panel, fit=fit, analysis=DOSE_RESPONSE, exposure=FOOD, contrast="non-linearity", scale="F",
        values={"estimate": test.statistic, "p": test.p},
    )  # fmt: skip


INTERACTION: Final = "interaction"
COLUMN: Final = "modifier"


class Modifier(BaseModel):
    """A potential effect modifier; the comments of modifiers.toml explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    source: str
    yes: str = ""
    no: str = ""
    feature: str = ""
    at_least: float | None = None
    equals: str = ""
    nutrient: str = ""
    centre: float = 0.0
    per: float = 1.0
    adjusted: bool = False

    @property
    def test(self) -> str:
        """The contrast that tests whether the association differs."""
        return self.label if self.nutrient else f"{self.yes} / {self.no}"

    def holds(self, panel: Panel) -> Floats:
        """Return 1 for yes, 0 for no, NaN for unknown, shape (n,)."""
        values = panel.frame[self.feature]
        yes = values == self.equals if self.at_least is None else values >= self.at_least
        return np.where(values.isna(), np.nan, np.asarray(yes, dtype=np.float64))


MODIFIERS: Final[Mapping[str, Modifier]] = MappingProxyType(
    {row["name"]: Modifier.model_validate(row) for row in rows("mgrisk.evidence", "modifiers.toml", "modifier")}
)


def interactions(panel: Panel, outcomes: Sequence[str], *, adjustment: AdjustmentSet = MAIN) -> list[Record]:
    """Estimate the association in the groups of each modifier, and the ratio between groups.

    Parameters
    ----------
    panel
        People and outcomes.
    outcomes
        Names of outcomes of the panel.
    adjustment
        Adjustment, in addition to the modifier.

    Returns
    -------
    list of Record
        Contrasts are the group that does not meet the modifier, the one that does, and the ratio of the two
        (`Modifier.test`); for a nutrient, the association at its centre, and the ratio per unit. `p_adjusted` of the
        ratio is Holm-corrected over all modifiers and outcomes.
    """
    found = [
        record
        for modifier in MODIFIERS.values()
        for record in by_modifier(panel, modifier, outcomes, adjustment=adjustment)
    ]
    asked = {modifier.test for modifier in MODIFIERS.values()}
    tests = [place for place, record in enumerate(found) if record.p is not None and record.contrast in asked]
    adjusted = holm([float(found[place].p or 0.0) for place in tests])
    for place, p in zip(tests, adjusted, strict=True):
        found[place] = replace(found[place], p_adjusted=p)
    return found


def holm(p: Sequence[float]) -> list[float]:
    """Return p values with Holm's correction for multiple testing.

    Notes
    -----
    Holm (1979), Scand. J. Stat. 6:65; ``p.adjust(p, "holm")`` in R.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(each) for each in corrected]


def by_modifier(
    panel: Panel, modifier: Modifier, outcomes: Sequence[str], *, adjustment: AdjustmentSet = MAIN
) -> Iterator[Record]:
    """Yield the association in the groups of one modifier and their ratio; p values are not corrected."""
    try:
        if modifier.nutrient:
            yield from _by_nutrient(panel, modifier, outcomes, adjustment)
        else:
            yield from _by_group(panel, modifier, outcomes, adjustment)
    except MgRiskError as problem:
        yield from (
            failed(INTERACTION, panel, adjustment.name, each, modifier.test, CALIBRATED, problem) for each in outcomes
        )


def _by_group(panel: Panel, modifier: Modifier, outcomes: Sequence[str], adjustment: AdjustmentSet) -> Iterator[Record]:
    holds = modifier.holds(panel)
    some = replace(panel, columns={**panel.columns, COLUMN: holds[:, None]}).where(np.isfinite(holds))
    if not modifier.adjusted:
        adjustment = adjustment.model_copy(update={"all_terms": (*adjustment.all_terms, COLUMN)})
    here = holds[some.inside]
    names = (modifier.no, modifier.yes)
    coding = Coding(modifier.name, names, lambda intake: np.column_stack([1.0 - here, here]) * intake[:, :1] / PER)
    for fit in fit_corrected(some, adjustment, [coding], outcomes=outcomes):
        for at, name in enumerate(names):
            yield _record(some, fit, name, float(fit.coefficients[at]), float(fit.se[at]))
        difference = np.array([-1.0, 1.0])
        se = float(np.sqrt(difference @ fit.covariance[:2, :2] @ difference))
        yield _record(some, fit, modifier.test, float(difference @ fit.coefficients[:2]), se)


def _by_nutrient(
    panel: Panel, modifier: Modifier, outcomes: Sequence[str], adjustment: AdjustmentSet
) -> Iterator[Record]:
    if modifier.nutrient not in adjustment.all_nutrients:
        adjustment = adjustment.model_copy(update={"all_nutrients": (*adjustment.all_nutrients, modifier.nutrient)})
    at = adjustment.all_nutrients.index(modifier.nutrient)

    def columns(intake: Floats) -> Floats:
        food = intake[:, 0] / PER
        return np.column_stack([food, food * (intake[:, at] - modifier.centre) / modifier.per])

    coding = Coding(modifier.name, (f"{modifier.label}: at {modifier.centre:g}", modifier.label), columns)
    for fit in fit_corrected(panel, adjustment, [coding], outcomes=outcomes):
        for place, name in enumerate(coding.contrasts):
            yield _record(panel, fit, name, float(fit.coefficients[place]), float(fit.se[place]))


def _record(panel: Panel, fit: Fitted, contrast: str, beta: float, se: float) -> Record:
    values = on_scale(beta, se, fit.df, panel.scale(fit.outcome))
    return record_of(panel, fit=fit, analysis=INTERACTION, exposure=FOOD, contrast=contrast, values=values)
