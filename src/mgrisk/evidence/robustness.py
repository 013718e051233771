"""How robust the association is: who is studied, exclusions, complete data, negative controls, reverse causation.

The E-value says how strongly an unmeasured confounder would have to be associated with both exposure and outcome to
explain an estimate (VanderWeele and Ding 2017). Reverse causation is looked for in intake by years since a diagnosis:
people who know of their diabetes may have changed their diet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.special import expit

from mgrisk.errors import MgRiskError
from mgrisk.evidence.adjustment_set import CONTROLS, MAIN, RUNGS, AdjustmentSet
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
    fit_naive,
    linear_coding,
    on_scale,
    record_of,
)
from mgrisk.survey.regression import fit_linear, fit_logistic
from mgrisk.types import Booleans


def e_value(ratio: float) -> float:
    """Return the E-value of a risk ratio.

    Parameters
    ----------
    ratio
        Risk ratio, above 0; below 1 its inverse is taken.

    Returns
    -------
    float
        The smallest risk ratio, with exposure and with outcome both, that an unmeasured confounder needs to move the
        estimate to 1, given what is adjusted for.

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
    """Return the E-value of the limit of an interval that lies nearer to 1; 1 where the interval holds 1.

    Examples
    --------
    >>> of_the_limit(0.8, 1.2), round(of_the_limit(1.8, 8.7), 1)
    (1.0, 3.0)
    """
    if low <= 1.0 <= high:
        return 1.0
    return e_value(low if low > 1.0 else high)


def risk_ratio(odds_ratio: float, *, share: float) -> float:
    """Return a risk ratio near an odds ratio: itself for a rare outcome, its square root for one of 15 % and more.

    Parameters
    ----------
    odds_ratio
        Above 0.
    share
        Of the population with the outcome.

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
    "0-4": "told of diabetes less than 5 years ago against none",
    "5-9": "told of diabetes 5 to 9 years ago against none",
    "10+": "told of diabetes 10 years ago or more against none",
}


def intake_after_diagnosis(panel: Panel, *, rung: AdjustmentSet = MAIN) -> Iterator[Record]:
    """Yield how much more or less magnesium people with diabetes tell of, by whether and when they were told of it.

    Parameters
    ----------
    panel
        Of people told of diabetes and others (`build_panel` with `told`), with ``undiagnosed`` among its outcomes; its
        frame has ``told_years``, years since being told, NaN for who was never told.
    rung
        What to adjust for; energy is that of the recalled days.

    Yields
    ------
    Record
        Differences in mg a day of the mean of the recalled days, which needs no correction where intake is the outcome.
    """
    adjusted = Adjusted.of(panel, rung)
    inside = panel.inside
    years = panel.frame["told_years"].to_numpy(dtype=np.float64)[inside]
    never = np.isnan(years)
    columns = [
        never & (panel.outcomes["undiagnosed"][inside] == 1.0), years < 5, (years >= 5) & (years < 10), years >= 10,
    ]  # fmt: skip
    X = np.zeros((len(panel.design), len(columns) + adjusted.known.shape[1] + len(rung.all_nutrients) - 1))
    X[inside] = np.column_stack([*columns, adjusted.known, adjusted.naive[:, 1:] / 1000.0])
    y = np.zeros(len(panel.design))
    y[inside] = adjusted.naive[:, 0]
    fit = fit_linear(X, y, panel.design)
    for at, contrast in enumerate(GROUPS.values()):
        yield record_of(
            panel,
            analysis="reverse causation",
            exposure="diabetes",
            outcome=FOOD,
            model=rung.name,
            contrast=contrast,
            scale="difference",
            correction=NONE,
            n=int(np.sum(columns[at])),
            values=on_scale(float(fit.coefficients[at]), float(fit.se[at]), fit.df, "difference"),
        )


SPECIFICATION: Final = "specification"
PLAUSIBLE: Final = "energy told is plausible"
NO_SUPPLEMENT: Final = "no magnesium from supplements"
NO_LOSS: Final = "no weight lost in the past year"
LOST_KG: Final = 3.0
"""Weight lost in a year that stands for dieting: whether people were on a diet is not among the variables read."""


def exclusions(panel: Panel, outcomes: Sequence[str], *, rungs: Sequence[AdjustmentSet] = RUNGS) -> Iterator[Record]:
    """Yield the ladder again among fewer people, naive and corrected: with everybody's, the specification curve.

    Parameters
    ----------
    panel
        People and outcomes.
    outcomes
        Those of the panel to look at.
    rungs
        Of the ladder.

    Yields
    ------
    Record
        Analysis ``specification``; the model is the rung and the group, joined by ``, ``.
    """
    for group, kept in groups(panel).items():
        some = panel.where(kept)
        for rung in rungs:
            yield from _fits(some, rung, outcomes, SPECIFICATION, f"{rung.name}, {group}", naive=True)


def groups(panel: Panel) -> Mapping[str, Booleans]:
    """Return who is kept by each exclusion, shape (n,)."""
    return {
        PLAUSIBLE: np.asarray(panel.frame["energy_report"].astype(object) == "plausible", dtype=np.bool_),
        NO_SUPPLEMENT: np.asarray(panel.supplement == 0.0, dtype=np.bool_),
        NO_LOSS: np.asarray(panel.frame["weight_change_1y_kg"] > -LOST_KG, dtype=np.bool_),
    }


def cycles_left_out(panel: Panel, outcomes: Sequence[str], *, rung: AdjustmentSet = MAIN) -> Iterator[Record]:
    """Yield the corrected association without each cycle in turn."""
    years = panel.frame["cycle"].to_numpy()
    for left in panel.cycles:
        some = panel.where(np.asarray(years != left, dtype=np.bool_))
        yield from _fits(some, rung, outcomes, "cycle left out", f"{rung.name}, without {left}")


FLOW: Final = "participants"
EXCLUDED: Final = "unknown: "
INVERSE_PROBABILITY: Final = "inverse probability"


def flow(panel: Panel) -> Iterator[Record]:
    """Yield how many people remain after each rule of eligibility, and whom each unknown adjustment costs.

    Yields
    ------
    Record
        Of ``participants``: `n` people, and `estimate`, the share of the weights of the people before the rule that
        they carry. ``unknown: <term>`` counts people who were kept by all earlier rules and lack that term, alone or
        with others.
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
    """Return the panel with each weight divided by the probability that a person like this one has complete data.

    Notes
    -----
    Seaman and White (2013), Stat. Methods Med. Res. 22:278. The probability is that of a survey-weighted logistic
    regression among all who have the outcomes measured, on age, sex, race/ethnicity, all other adjustments (an unknown
    one at its mean), the cycle and the panel's yes-or-no outcomes. It is taken as known, which makes intervals
    rather too wide.

    Raises
    ------
    MgRiskError
        What `fit_logistic` raises.
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


def inverse_probability(panel: Panel, outcomes: Sequence[str], *, rungs: Sequence[AdjustmentSet]) -> Iterator[Record]:
    """Yield the corrected association weighted by the inverse of the probability of complete data."""
    try:
        some = weighted_for_completeness(panel)
    except MgRiskError as problem:
        for rung in rungs:
            yield from (
                failed(INVERSE_PROBABILITY, panel, rung.name, each, PER_100, CALIBRATED, problem) for each in outcomes
            )
        return
    for rung in rungs:
        yield from _fits(some, rung, outcomes, INVERSE_PROBABILITY, rung.name)


def negative_controls(panel: Panel, *, rung: AdjustmentSet = MAIN) -> Iterator[Record]:
    """Yield the corrected association with outcomes that magnesium cannot move, each not adjusted for itself.

    Notes
    -----
    Lipsitch, Tchetgen Tchetgen and Cohen (2010), Epidemiology 21:383: an association here is a sign of confounding that
    the adjustment has left.
    """
    for control in CONTROLS.values():
        terms = tuple(name for name in rung.all_terms if name != control.without)
        values = panel.frame[control.of]
        number = values.astype(object).map({"no": 0.0, "yes": 1.0}) if control.scale == "odds ratio" else values
        measured = np.asarray(number, dtype=np.float64)
        some = replace(panel, outcomes={control.name: measured}).where(np.isfinite(measured))
        without = rung.model_copy(update={"all_terms": terms})
        yield from _fits(some, without, [control.name], "negative control", rung.name)


def e_values(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the E-values of the odds ratios of a ladder: `estimate` that of the estimate, `low` of the limit near 1."""
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
    panel: Panel, rung: AdjustmentSet, outcomes: Sequence[str], analysis: str, model: str, *, naive: bool = False
) -> Iterator[Record]:
    coding = [linear_coding()]
    try:
        fits = list(fit_corrected(panel, rung, coding, outcomes=outcomes))
        if naive:
            fits += fit_naive(panel, rung, coding, outcomes=outcomes)
    except MgRiskError as problem:
        yield from (failed(analysis, panel, model, each, PER_100, CALIBRATED, problem) for each in outcomes)
        return
    for fit in fits:
        values = on_scale(float(fit.coefficients[0]), float(fit.se[0]), fit.df, panel.scale(fit.outcome))
        yield record_of(panel, fit=fit, analysis=analysis, exposure=FOOD, contrast=PER_100, values=values, model=model)
