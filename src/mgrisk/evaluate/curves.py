"""Curves of a risk model: calibration curve, calibration in groups, ROC curve and decision curve.

The results are numbers, with `.frame()` for tables and plots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from mgrisk.errors import bad_input
from mgrisk.evaluate.metrics import Weighted, rank_domain
from mgrisk.evaluate.thresholds import classify
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import mean, proportion, weighted_quantile
from mgrisk.survey.variance import jackknife, replicate_variance, t_quantile
from mgrisk.types import Floats

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 21))


@dataclass(frozen=True, eq=False)
class Curve:
    """The points of a curve, as columns of equal length.

    Parameters
    ----------
    columns
        Columns by name; the function that computes the curve documents them.
    df
        Degrees of freedom of its intervals.
    """

    columns: dict[str, Floats]
    df: int

    def __getitem__(self, name: str) -> Floats:
        return self.columns[name]

    def frame(self) -> pd.DataFrame:
        """Return one row for each point of the curve."""
        return pd.DataFrame(self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the columns as plain lists, and the degrees of freedom."""
        return {"df": self.df, **{name: column.tolist() for name, column in self.columns.items()}}


def calibration_curve(
    y: ArrayLike,
    risk: ArrayLike,
    design: SurveyDesign,
    grid: ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> Curve:
    """Observed risk as a smooth function of the predicted risk, with a pointwise design-based interval.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,); ignored outside the domain.
    risk
        Predicted probability, shape (n,).
    design
        The full design; its domain is the people evaluated.
    grid
        Predicted risks at which to evaluate the curve, shape (k,), strictly between 0 and 1; 50 points between the 1st
        and the 99th weighted percentile, evenly spaced in log odds, where left out.
    level
        Confidence level of each point's interval.

    Returns
    -------
    Curve
        Columns `risk`, `observed`, `low`, `high`, shape (k,), 0 to 1. Intervals by the jackknife (JKn) of the log odds
        of the curve, including the knots, and t with the degrees of freedom of the design.

    Raises
    ------
    MgRiskError
        ``metric.*`` for wrong input, ``metric.one_class`` without cases or without non-cases,
        ``logistic.not_converged``, ``design.single_psu``.

    Notes
    -----
    Van Calster et al. (2016), J. Clin. Epidemiol. 74:167: flexible ("moderate") calibration.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> curve = calibration_curve([0, 1] * 4, [0.3, 0.3, 0.4, 0.4] * 2, design, grid=[0.3, 0.4])
    >>> curve["observed"].round(2).tolist()
    [0.5, 0.5]
    """
    people, weight, cluster = rank_domain(y, risk, design)
    full = Weighted(people, weight)
    if full.one_class:
        raise bad_input(
            "metric.one_class",
            "a calibration curve needs both cases and non-cases",
            where=f"{people.y.size} people, {int(people.y.sum())} cases",
            hint="widen the domain",
        )
    if grid is None:
        first, last = weighted_quantile(people.logit_risk, weight, [0.01, 0.99])
        at = np.linspace(first, last, 50)
    else:
        at = np.asarray(grid, dtype=np.float64)
        if at.ndim != 1 or not ((at > 0.0) & (at < 1.0)).all():
            raise bad_input(
                "metric.bad_grid",
                "a grid of predicted risks is not strictly between 0 and 1",
                where="calibration curve",
                hint="give a list of risks such as 0.01, 0.02",
            )
        at = np.asarray(logit(at), dtype=np.float64)
    fitted = full.curve.log_odds(at)
    replicates = jackknife(design)
    refitted = np.array(
        [Weighted(people, weight * f[cluster], near=full).curve.log_odds(at) for f in replicates.factors]
    )
    half = t_quantile(level, design.df) * np.sqrt(replicate_variance(fitted, refitted, replicates.scale))
    edges = {"observed": fitted, "low": fitted - half, "high": fitted + half}
    columns = {name: np.asarray(expit(values), dtype=np.float64) for name, values in edges.items()}
    return Curve({"risk": np.asarray(expit(at), dtype=np.float64), **columns}, design.df)


def grouped_calibration(
    y: ArrayLike, risk: ArrayLike, design: SurveyDesign, *, groups: int = 10, level: float = 0.95
) -> Curve:
    """Mean predicted and observed risk in groups of equal population share.

    Parameters
    ----------
    y, risk, design, level
        As for `calibration_curve`.
    groups
        Number of groups, at least 2; there may be fewer, since equal risks are kept together.

    Returns
    -------
    Curve
        Columns `group` (from 1), `predicted`, `observed`, `se`, `low`, `high` (interval on the logit; NaN without
        cases), `n`, `events`, `share` of the population.

    Raises
    ------
    MgRiskError
        ``metric.*`` for wrong input, ``metric.bad_groups``, ``design.single_psu``.
    """
    if groups < 2:
        raise bad_input(
            "metric.bad_groups",
            "calibration needs at least 2 groups",
            where="grouped calibration",
            hint="ten groups are customary",
            got=str(groups),
        )
    rank_domain(y, risk, design)  # for its errors
    scores = np.asarray(risk, dtype=np.float64)
    outcome = np.asarray(y, dtype=np.float64)
    weight = design.analysis_weight
    edges = np.unique(weighted_quantile(scores, weight, np.arange(1, groups) / groups))
    group = np.searchsorted(edges, scores, side="left")
    rows: list[dict[str, float]] = []
    for number in np.unique(group[weight > 0]):
        members = design.where(group == number)
        observed = proportion(outcome, members, level=level)
        inside = members.analysis_weight > 0
        rows.append(
            {
                "group": float(len(rows) + 1),
                "predicted": mean(scores, members).estimate,
                "observed": observed.estimate,
                "se": observed.se,
                "low": observed.low,
                "high": observed.high,
                "n": float(observed.n),
                "events": float(outcome[inside].sum()),
                "share": float(weight[inside].sum() / weight.sum()),
            }
        )
    return Curve({name: np.array([row[name] for row in rows]) for name in rows[0]}, design.df)


def roc_curve(y: ArrayLike, risk: ArrayLike, design: SurveyDesign) -> Curve:
    """Sensitivity and false positive rate at each distinct risk, from the highest down.

    Parameters
    ----------
    y, design
        As for `calibration_curve`.
    risk
        Predicted probability or any score, shape (n,).

    Returns
    -------
    Curve
        Columns `threshold` (infinite at the first point), `sensitivity` and `false_positive_rate`, from (0, 0) to
        (1, 1); NaN without cases or without non-cases. The area by the trapezoidal rule is `metrics.auroc`.

    Raises
    ------
    MgRiskError
        ``metric.*`` for wrong input.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> roc_curve([0, 1, 0, 1], [1, 2, 2, 3], design)["sensitivity"].tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    people, weight, _ = rank_domain(y, risk, design, probability=False)
    cases, others = Weighted(people, weight).ties
    thresholds = np.concatenate(([np.inf], people.risk[people.tie_starts][::-1]))
    return Curve(
        {
            "threshold": thresholds,
            "sensitivity": _climb(cases),
            "false_positive_rate": _climb(others),
        },
        design.df,
    )


def decision_curve(
    y: ArrayLike,
    risk: ArrayLike,
    design: SurveyDesign,
    *,
    thresholds: ArrayLike = THRESHOLDS,
    level: float = 0.95,
) -> Curve:
    """Net benefit of classification at risk thresholds, of treat all and of treat none.

    Parameters
    ----------
    y, risk, design, level
        As for `calibration_curve`. Points of a score must first be converted to risks: a rule with the same positive
        people at every threshold is at a disadvantage far from its own threshold.
    thresholds
        Risk thresholds, shape (k,), strictly between 0 and 1.

    Returns
    -------
    Curve
        Columns `threshold`; `model`, `low`, `high`: net benefit of the model in true positives per person; `all`,
        `all_low`, `all_high`: of treat all; `gain`, `gain_low`, `gain_high`: paired difference of the model and treat
        all; `none`: zeros. Intervals by the jackknife (JKn) and t with the degrees of freedom of the design.

    Raises
    ------
    MgRiskError
        ``metric.*`` for wrong input, ``design.single_psu``.

    Notes
    -----
    Vickers and Elkin (2006), Med. Decis. Making 26:565, with sums of weights in place of counts.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> curve = decision_curve([0, 1, 0, 1], [0.1, 0.6, 0.2, 0.7], design, thresholds=[0.5])
    >>> curve["model"].tolist(), curve["all"].tolist(), curve["none"].tolist()
    ([0.5], [0.0], [0.0])
    """
    rank_domain(y, risk, design)  # for its errors
    at = np.asarray(thresholds, dtype=np.float64)
    positive = np.asarray(risk, dtype=np.float64)[:, None] >= at
    model, treat_all = (classify(y, flagged, design) for flagged in (positive, np.ones_like(positive)))
    benefit, of_all = model.net_benefit(at), treat_all.net_benefit(at)
    columns = {"threshold": at, "none": np.zeros_like(at)}
    critical = t_quantile(level, design.df)
    for name, prefix, values in (("model", "", benefit), ("all", "all_", of_all), ("gain", "gain_", benefit - of_all)):
        half = critical * np.sqrt(replicate_variance(values[0], values[1:], model.scale))
        columns |= {name: values[0], f"{prefix}low": values[0] - half, f"{prefix}high": values[0] + half}
    return Curve(columns, design.df)


def _climb(weights: Floats) -> Floats:
    # From weights at each distinct risk, lowest first, to the share at or above each risk, highest first.
    summed = np.cumsum(weights[::-1])
    if summed[-1] == 0.0:
        return np.full(weights.size + 1, np.nan)
    return np.concatenate(([0.0], summed / summed[-1]))
