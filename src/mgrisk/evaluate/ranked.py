"""People in the order of their risk, and what weights make of them.

Sorting does not depend on the weights, so that a hundred replicates share one sort, and every metric of one
replicate shares one pass over the sorted weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from mgrisk.errors import bad_input
from mgrisk.evaluate.splines import FlexibleCurve, fit_curve
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.logistic import maximise_likelihood

Floats = NDArray[np.float64]
# A risk of exactly 0 or 1 has no log odds; this holds them at about -28 and 28.
SMALLEST_RISK = 1e-12


@dataclass(frozen=True, eq=False)
class Ranked:
    """Outcome and risk in increasing order of risk.

    Parameters
    ----------
    order
        Row numbers of the original arrays in increasing order of risk, shape (n,).
    y
        Outcome, 0.0 or 1.0, in that order.
    risk
        Risk (or any score, for measures of rank) in that order.
    """

    order: NDArray[np.intp]
    y: Floats
    risk: Floats

    @cached_property
    def tie_starts(self) -> NDArray[np.intp]:
        """First position of each distinct risk."""
        return np.flatnonzero(np.concatenate(([True], self.risk[1:] != self.risk[:-1])))

    @cached_property
    def tied(self) -> NDArray[np.int64]:
        """How many people have each distinct risk."""
        return np.diff(np.append(self.tie_starts, self.risk.size))

    @cached_property
    def logit_risk(self) -> Floats:
        """Log odds of the risk, held within those of 1e-12 and its complement, shape (n,)."""
        held = np.clip(self.risk, SMALLEST_RISK, 1.0 - SMALLEST_RISK)
        return np.asarray(logit(held), dtype=np.float64)

    @cached_property
    def distinct_logit(self) -> Floats:
        """Log odds of each distinct risk."""
        return self.logit_risk[self.tie_starts]


def rank(y: ArrayLike, risk: ArrayLike, *, name: str = "risk", probability: bool = True) -> Ranked:
    """Check and sort outcome and risk.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,).
    risk
        Predicted probability, shape (n,); any finite score where `probability` is False.
    name
        What an error calls the risk, for example the name of the model.
    probability
        Whether `risk` must lie within 0 and 1.

    Returns
    -------
    Ranked

    Raises
    ------
    MgRiskError
        ``metric.bad_length``, ``metric.empty``, ``metric.bad_outcome``, ``metric.missing_risk``,
        ``metric.bad_risk``.

    Examples
    --------
    >>> rank([0, 1, 0], [0.3, 0.2, 0.1]).y.tolist()
    [0.0, 1.0, 0.0]
    """
    outcome = np.asarray(y, dtype=np.float64)
    scores = np.asarray(risk, dtype=np.float64)
    if outcome.ndim != 1 or outcome.shape != scores.shape:
        raise bad_input(
            "metric.bad_length",
            "outcome and risk have different lengths",
            where=name,
            hint="give one outcome and one risk for each person",
            expected=str(outcome.shape),
            got=str(scores.shape),
        )
    if outcome.size == 0:
        raise bad_input(
            "metric.empty", "there is nobody to evaluate", where=name, hint="check the domain and its weights"
        )
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise bad_input(
            "metric.bad_outcome",
            "an outcome is missing or not 0 or 1",
            where=f"{name}, {int((~np.isin(outcome, (0.0, 1.0))).sum())} rows",
            hint="take people without the outcome out of the domain first",
        )
    if not np.isfinite(scores).all():
        raise bad_input(
            "metric.missing_risk",
            "a risk is missing",
            where=f"{name}, {int((~np.isfinite(scores)).sum())} rows",
            hint="compare models on people whom all of them can score: narrow the domain first",
        )
    if probability and not ((scores >= 0.0) & (scores <= 1.0)).all():
        raise bad_input(
            "metric.bad_risk",
            "a risk is not within 0 and 1",
            where=name,
            hint="name scores that only rank people in ranking_only",
            got=f"{scores.min():g} to {scores.max():g}",
        )
    order = np.argsort(scores, kind="stable")
    return Ranked(order=order, y=outcome[order], risk=scores[order])


def rank_domain(
    y: ArrayLike, risk: ArrayLike, design: SurveyDesign, *, name: str = "risk", probability: bool = True
) -> tuple[Ranked, Floats, NDArray[np.int64]]:
    """Rank the people in the domain of a design who have a positive weight.

    Parameters
    ----------
    y, risk
        One value for each row of the full design, shape (n,); ignored outside the domain.
    design
        The full design with its domain.
    name, probability
        As for `rank`.

    Returns
    -------
    tuple of Ranked, ndarray and ndarray
        The people, their weights and the numbers of their clusters, in increasing order of risk.

    Raises
    ------
    MgRiskError
        As for `rank`.
    """
    outcome = np.asarray(y, dtype=np.float64)
    scores = np.asarray(risk, dtype=np.float64)
    if not outcome.shape == scores.shape == (len(design),):
        raise bad_input(
            "metric.bad_length",
            "outcome and risk do not have the length of the design",
            where=name,
            hint="give one value for each row of the full design, outside the domain too",
            expected=f"({len(design)},)",
            got=f"outcome {outcome.shape}, risk {scores.shape}",
        )
    counted = np.flatnonzero(design.analysis_weight)
    people = rank(outcome[counted], scores[counted], name=name, probability=probability)
    rows = counted[people.order]
    return people, design.analysis_weight[rows], design.cluster[rows]


@dataclass(frozen=True, eq=False)
class Weighted:
    """Ranked people with one set of weights; shared pieces are computed once and kept.

    Parameters
    ----------
    people
        The ranked people.
    weight
        Weights in the order of `people`, shape (n,), at least 0; only their ratios matter.
    near
        The same people with similar weights, whose fits start the iterations.
    """

    people: Ranked
    weight: Floats
    near: Weighted | None = None

    @cached_property
    def case_weight(self) -> Floats:
        """Weight of cases, 0 for others, shape (n,)."""
        return self.weight * self.people.y

    @cached_property
    def other_weight(self) -> Floats:
        """Weight of those who are not cases, 0 for cases, shape (n,)."""
        return self.weight * (1.0 - self.people.y)

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    @cached_property
    def cases(self) -> float:
        """Sum of the weights of cases."""
        return float(self.case_weight.sum())

    @cached_property
    def others(self) -> float:
        """Sum of the weights of those who are not cases."""
        return float(self.other_weight.sum())

    @cached_property
    def one_class(self) -> bool:
        """Whether there are only cases, or none."""
        return self.cases == 0.0 or self.others == 0.0

    @cached_property
    def ties(self) -> tuple[Floats, Floats]:
        """Weights of cases and of others at each distinct risk, in increasing order."""
        starts = self.people.tie_starts
        return np.add.reduceat(self.case_weight, starts), np.add.reduceat(self.other_weight, starts)

    def at_or_above(self, threshold: float) -> tuple[float, float]:
        """Return the weights of cases and of others with a risk of at least `threshold`."""
        first = int(np.searchsorted(self.people.risk, threshold, side="left"))
        return float(self.case_weight[first:].sum()), float(self.other_weight[first:].sum())

    def below(self, threshold: float) -> tuple[float, float]:
        """Return the weights of cases and of others with a risk below `threshold`."""
        first = int(np.searchsorted(self.people.risk, threshold, side="left"))
        return float(self.case_weight[:first].sum()), float(self.other_weight[:first].sum())

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """Share of cases and weight at each distinct risk: a fit to these is the fit to the people.

        A published score gives ten thousand people a few dozen risks, for which its fits are as much shorter.
        """
        cases, others = self.ties
        weight = cases + others
        return np.divide(cases, weight, out=np.zeros_like(cases), where=weight > 0), weight

    @cached_property
    def intercept(self) -> float:
        """Intercept of a logistic regression with the log odds of the risk as offset."""
        share, weight = self.shares
        start = None if self.near is None else np.array([self.near.intercept])
        ones = np.ones((weight.size, 1))
        return float(maximise_likelihood(ones, share, weight, offset=self.people.distinct_logit, start=start)[0])

    @cached_property
    def line(self) -> Floats:
        """Intercept and slope of a logistic regression on the log odds of the risk, shape (2,)."""
        share, weight = self.shares
        rows = np.column_stack((np.ones(weight.size), self.people.distinct_logit))
        start = None if self.near is None else self.near.line
        return maximise_likelihood(rows, share, weight, start=start)

    @cached_property
    def curve(self) -> FlexibleCurve:
        """The flexible calibration curve."""
        share, weight = self.shares
        near = None if self.near is None else self.near.curve
        return fit_curve(share, self.people.distinct_logit, weight, near=near)

    @cached_property
    def gap(self) -> Floats:
        """Distance of each risk from the flexible calibration curve, shape (n,)."""
        distinct = self.people.risk[self.people.tie_starts]
        distance = np.abs(distinct - self.curve.observed(self.people.distinct_logit))
        return np.repeat(distance, self.people.tied)
