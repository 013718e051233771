"""Robustness analyses: participant flow, exclusions, missing data, negative controls, E-values, reverse causation.

The E-value is the minimum strength of association with both exposure and outcome that an unmeasured confounder would
need to explain an estimate (VanderWeele and Ding 2017). Reverse causation is examined by intake according to years
since diagnosis: people with diagnosed diabetes may have changed their diet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.special import expit

from mgrisk.errors import MgRiskError
from mgrisk.evidence.adjustment_set import CONTROLS, MAIN, SEQUENCE, AdjustmentSet
from mgrisk.evidence.people import MEASURED, OPTIONAL, Panel
from mgrisk.evidence.records import Record
from mgrisk.evidence.regression import (
    CALIBRATED,
    FOOD,
    NONE,
    PER_100,
    Adjusted,
    failed,
    fit_corrected,
    fit_uncorrected,
    linear_coding,
    on_scale,
    record_of,
)
from mgrisk.survey.linear_models import fit_linear, fit_logistic
from mgrisk.types import Booleans


def e_value(ratio: float) -> float:
    """Return the E-value of a risk ratio.

    Parameters
    ----------
    ratio
        Risk ratio, above 0; if below 1, its inverse is used.

    Returns
    -------
    float
        The smallest risk ratio with both exposure and outcome that an unmeasured confounder would need to move the
        estimate to 1, conditional on the adjustment.

    Notes
    -----
    VanderWeele and Ding (2017), Ann. Intern. Med. 167:268.

    Examples
    --------
    >>> round(e_value(3.9), 2)
    7.26
    """
    above = max(ratio, 1.0 / ratio)
    return above + math.sqrt(above * (above - 1.0))


def of_the_limit(low: float, high: float) -> float:
    """Return the E-value of the interval limit closer to 1; 1 if the interval includes 1.

    Examples
    --------
    >>> of_the_limit(0.8, 1.2), round(of_the_limit(1.8, 8.7), 1)
    (1.0, 3.0)
    """
    if low <= 1.0 <= high:
        return 1.0
    return e_value(low if low > 1.0 else high)


def risk_ratio(odds_ratio: float, *, share: float) -> float:
    """Return an approximate risk ratio: the odds ratio for an outcome below 15 %, its square root from 15 % on.

    Parameters
    ----------
    odds_ratio
        Odds ratio, above 0.
    share
        Share of the population with the outcome.

    Notes
    -----
    VanderWeele (2017), Biometrics 73:986, as in VanderWeele and Ding (2017).

    Examples
    --------
    >>> risk_ratio(0.64, share=0.05), risk_ratio(0.64, share=0.5)
    (0.64, 0.8)
    """
    return odds_ratio if share < 0.15 else math.sqrt(odds_ratio)


GROUPS: Final = {
    "undiagnosed": "undiagnosed diabetes against none",
    "0-4": "diabetes diagnosed less than 5 years ago against none",
    "5-9": "diabetes diagnosed 5 to 9 years ago against none",
    "10+": "diabetes diagnosed 10 years ago or more against none",
}


def intake_after_diagnosis(panel: Panel, *, adjustment: AdjustmentSet = MAIN) -> Iterator[Record]:
    """Yield differences in reported magnesium intake between people with and without diabetes, by time since diagnosis.

    Parameters
    ----------
    panel
        Panel including people with diagnosed diabetes (`build_panel` with `with_diagnosed`), with ``undiagnosed`` among
        its outcomes; its frame has ``years_since_diagnosis``, NaN without a diagnosis.
    adjustment
        Adjustment; energy intake is the mean of the recall days.

    Yields
    ------
    Record
        Differences of the mean of the recall days, mg/d; with intake as the outcome no correction is needed.
    """
    adjusted = Adjusted.of(panel, adjustment)
    inside = panel.inside
    years = panel.frame["years_since_diagnosis"].to_numpy(dtype=np.float64)[inside]
    never = np.isnan(years)
    columns = [
        never & (panel.outcomes["undiagnosed"][inside] == 1.0), years < 5, (years >= 5) & (years < 10), years >= 10,
    ]  # fmt: skip
    X = np.zeros((len(panel.design), len(columns) + adjusted.known.shape[1] + len(adjustment.all_nutrients) - 1))
    X[inside] = np.column_stack([*columns, adjusted.known, adjusted.recall_mean[:, 1:] / 1000.0])
    y = np.zeros(len(panel.design))
    y[inside] = adjusted.recall_mean[:, 0]
    fit = fit_linear(X, y, panel.design)
    for at, contrast in enumerate(GROUPS.values()):
        yield record_of(
            panel,
            analysis="reverse causation",
            exposure="diabetes",
            outcome=FOOD,
            model=adjustment.name,
            contrast=contrast,
            scale="difference",
            correction=NONE,
            n=int(np.sum(columns[at])),
            values=on_scale(float(fit.coefficients[at]), float(fit.se[at]), fit.df, "difference"),
        )


SPECIFICATION: Final = "specification"
PLAUSIBLE: Final = "plausible energy intake"
NO_SUPPLEMENT: Final = "no magnesium from supplements"
NO_LOSS: Final = "no weight lost in the past year"
LOST_KG: Final = 3.0
"""Weight loss in a year, kg, used as a proxy for dieting."""


def exclusions(
    panel: Panel, outcomes: Sequence[str], *, adjustments: Sequence[AdjustmentSet] = SEQUENCE
) -> Iterator[Record]:
    """Yield the association with each exclusion, uncorrected and corrected, for the specification curve.

    Parameters
    ----------
    panel
        People and outcomes.
    outcomes
        Names of outcomes of the panel.
    adjustments
        Adjustments.

    Yields
    ------
    Record
        Analysis ``specification``; the model is the name of the adjustment and the group, joined by ``, ``.
    """
    for group, kept in groups(panel).items():
        some = panel.where(kept)
        for adjustment in adjustments:
            yield from _fits(some, adjustment, outcomes, SPECIFICATION, f"{adjustment.name}, {group}", uncorrected=True)


def groups(panel: Panel) -> Mapping[str, Booleans]:
    """Return who is kept by each exclusion, shape (n,)."""
    return {
        PLAUSIBLE: np.asarray(panel.frame["energy_report"].astype(object) == "plausible", dtype=np.bool_),
        NO_SUPPLEMENT: np.asarray(panel.supplement == 0.0, dtype=np.bool_),
        NO_LOSS: np.asarray(panel.frame["weight_change_1y_kg"] > -LOST_KG, dtype=np.bool_),
    }


def cycles_left_out(panel: Panel, outcomes: Sequence[str], *, adjustment: AdjustmentSet = MAIN) -> Iterator[Record]:
    """Yield the corrected association without each cycle in turn."""
    years = panel.frame["cycle"].to_numpy()
    for left in panel.cycles:
        some = panel.where(np.asarray(years != left, dtype=np.bool_))
        yield from _fits(some, adjustment, outcomes, "cycle left out", f"{adjustment.name}, without {left}")


FLOW: Final = "participants"
EXCLUDED: Final = "unknown: "
INVERSE_PROBABILITY: Final = "inverse probability"


def flow(panel: Panel) -> Iterator[Record]:
    """Yield the number of people remaining after each eligibility rule, and the number excluded for each missing term.

    Yields
    ------
    Record
        Analysis ``participants``: `n`, the number of people, and `estimate`, their share of the weights of the people
        before the rule. ``unknown: <term>`` counts people who meet all earlier rules and lack that term, alone or with
        others.
    """

    def people(contrast: str, here: Booleans, before: Booleans) -> Record:
        weight = panel.design.weight
        whole = float(weight[before].sum())
        return record_of(
            panel, analysis=FLOW, exposure="", outcome="", model=panel.name, contrast=contrast, scale="share",
            correction=NONE, n=int(here.sum()),
            values={"estimate": float(weight[here].sum()) / whole if whole > 0 else None},
        )  # fmt: skip

    before = left = np.ones(len(panel.design), dtype=np.bool_)
    yield people("all participants", left, left)
    for rule, kept in panel.rules.items():
        before, left = left, left & kept
        yield people(rule, left, before)
    lacking = {name: ~np.isfinite(values).all(axis=1) for name, values in panel.columns.items()}
    lacking["supplements"] = ~np.isfinite(panel.supplement)
    for name, absent in lacking.items():
        if (before & absent).any():
            yield people(f"{EXCLUDED}{name}", before & absent, before)


def weighted_for_completeness(panel: Panel) -> Panel:
    """Return the panel with weights divided by the probability of complete data.

    Notes
    -----
    Seaman and White (2013), Stat. Methods Med. Res. 22:278. The probability is estimated by a survey-weighted logistic
    regression among all people with measured outcomes, on all adjustment terms (missing values at their mean), the
    cycle and the panel's binary outcomes. It is treated as known, which makes intervals conservative.

    Raises
    ------
    MgRiskError
        The errors of `fit_logistic`.
    """
    names = list(panel.rules)
    measured = np.logical_and.reduce([panel.rules[name] for name in names[: names.index(MEASURED) + 1]])
    complete = np.asarray(panel.design.domain & measured, dtype=np.bool_)
    design = replace(panel.design, domain=measured)
    weight = design.analysis_weight
    cases = [values for name, values in panel.outcomes.items() if panel.binary(name)]
    others = [values for name, values in panel.columns.items() if name not in OPTIONAL]
    columns = np.column_stack([*others, *cases, np.ones(len(design))])
    known = np.isfinite(columns) & (weight > 0)[:, None]
    filled = np.where(known, columns, 0.0)
    means = (filled * weight[:, None]).sum(axis=0) / (known * weight[:, None]).sum(axis=0)
    X = np.where(known, columns, means)
    X = X[:, [*np.flatnonzero(np.ptp(X[measured], axis=0) > 0), X.shape[1] - 1]]
    fit = fit_logistic(X, complete.astype(np.float64), design)
    probability = expit(X @ fit.coefficients)
    return replace(panel, design=replace(panel.design, weight=np.where(complete, weight / probability, 0.0)))


def inverse_probability(
    panel: Panel, outcomes: Sequence[str], *, adjustments: Sequence[AdjustmentSet]
) -> Iterator[Record]:
    """Yield the corrected association weighted by the inverse of the probability of complete data."""
    try:
        some = weighted_for_completeness(panel)
    except MgRiskError as problem:
        for adjustment in adjustments:
            yield from (
                failed(INVERSE_PROBABILITY, panel, adjustment.name, each, PER_100, CALIBRATED, problem)
                for each in outcomes
            )
        return
    for adjustment in adjustments:
        yield from _fits(some, adjustment, outcomes, INVERSE_PROBABILITY, adjustment.name)


def negative_controls(panel: Panel, *, adjustment: AdjustmentSet = MAIN) -> Iterator[Record]:
    """Yield the corrected association with negative control outcomes, which magnesium cannot affect.

    Notes
    -----
    Lipsitch, Tchetgen Tchetgen and Cohen (2010), Epidemiology 21:383: an association indicates residual confounding.
    An outcome is not adjusted for itself.
    """
    for control in CONTROLS.values():
        terms = tuple(name for name in adjustment.all_terms if name != control.without)
        values = panel.frame[control.of]
        number = values.astype(object).map({"no": 0.0, "yes": 1.0}) if control.scale == "odds ratio" else values
        measured = np.asarray(number, dtype=np.float64)
        some = replace(panel, outcomes={control.name: measured}).where(np.isfinite(measured))
        without = adjustment.model_copy(update={"all_terms": terms})
        yield from _fits(some, without, [control.name], "negative control", adjustment.name)


def e_values(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the E-values of odds ratios: `estimate` is that of the estimate, `low` that of the limit closer to 1."""
    for record in records:
        if record.estimate is None or record.low is None or record.high is None:
            continue
        if record.scale == "odds ratio" and record.contrast == PER_100 and record.exposure == FOOD:
            share = (record.events or 0) / record.n
            estimate, low, high = (risk_ratio(each, share=share) for each in (record.estimate, record.low, record.high))
            yield replace(
                record, analysis="e-value", scale="E-value", estimate=e_value(estimate), low=of_the_limit(low, high),
                high=None, se=None, p=None,
            )  # fmt: skip


def _fits(
    panel: Panel,
    adjustment: AdjustmentSet,
    outcomes: Sequence[str],
    analysis: str,
    model: str,
    *,
    uncorrected: bool = False,
) -> Iterator[Record]:
    coding = [linear_coding()]
    try:
        fits = list(fit_corrected(panel, adjustment, coding, outcomes=outcomes))
        if uncorrected:
            fits += fit_uncorrected(panel, adjustment, coding, outcomes=outcomes)
    except MgRiskError as problem:
        yield from (failed(analysis, panel, model, each, PER_100, CALIBRATED, problem) for each in outcomes)
        return
    for fit in fits:
        values = on_scale(float(fit.coefficients[0]), float(fit.se[0]), fit.df, panel.scale(fit.outcome))
        yield record_of(panel, fit=fit, analysis=analysis, exposure=FOOD, contrast=PER_100, values=values, model=model)
