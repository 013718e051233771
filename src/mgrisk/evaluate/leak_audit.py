"""Leakage audit: univariable discrimination of each feature, and prediction of a permuted outcome by the pipeline.

The best legitimate features for undiagnosed diabetes (age, waist) have a univariable AUROC near 0.7; one that is much
higher suggests that the feature contains the outcome. A rare value, such as a medicine, can reveal the outcome with a
low AUROC; it is detected by its likelihood ratio. A pipeline that predicts randomly permuted outcomes has used those of
the people it predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import bad_input
from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.metrics import auroc
from mgrisk.features.registry import Feature
from mgrisk.model.training_data import TrainingData
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.variance import t_quantile
from mgrisk.types import Floats, Integers

BINS: Final = 20
PRIOR: Final = 5.0
"""People of mean weight and mean risk added to each bin, so that a few cases do not count as evidence."""
ROUNDING: Final = 1e-9
PERMUTED: Final = "all features, outcome permuted"


@dataclass(frozen=True)
class LeakFinding:
    """Univariable AUROC of a feature, or AUROC of all features for a permuted outcome.

    Attributes
    ----------
    feature
        Name, or `PERMUTED`.
    auroc, low, high
        Weighted out-of-fold AUROC with its 95 % interval; an AUROC of exactly 1 has the interval NaN.
    limit, ratio_limit
        Limits of AUROC and likelihood ratio; the latter is NaN for the permuted outcome.
    likelihood_ratio
        Largest lower bound of the 95 % intervals of the likelihood ratios (cases over non-cases) of bins or levels; NaN
        for the permuted outcome.
    finding
        Whether a limit is exceeded: by the AUROC or likelihood ratio of a feature, or by the lower bound of the AUROC
        for the permuted outcome.
    """

    feature: str
    auroc: float
    low: float
    high: float
    limit: float
    likelihood_ratio: float
    ratio_limit: float
    finding: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the record for the run's files and the report."""
        return asdict(self)


def audit_alone(
    data: TrainingData, *, features: Sequence[Feature], limit: float, ratio_limit: float
) -> list[LeakFinding]:
    """Estimate each feature's univariable out-of-fold AUROC, for associations of any shape.

    Numbers are divided into bins of equal population share, with a bin for missing values; the risk of a bin or level
    is estimated in the other folds.

    Parameters
    ----------
    data
        Data of the development people; the analysis population is used.
    features
        Features to audit.
    limit, ratio_limit
        `Outcome.alone_limit` and `Outcome.ratio_limit`.

    Returns
    -------
    list of LeakFinding
        In the order of `features`.

    Raises
    ------
    MgRiskError
        As `evaluate.intervals.with_intervals`.
    """
    frame, y, weight = data.frame, data.y, data.design.analysis_weight
    risks = {each.name: _out_of_fold(frame[each.name], y, weight, data.fold) for each in features}
    ratios = {each.name: _likelihood_ratio(frame[each.name], y, weight) for each in features}
    records = with_intervals(y, risks, data.design, metrics=["auroc"], ranking_only=frozenset(risks))
    return [
        LeakFinding(
            feature=record["model"],
            auroc=record["estimate"],
            low=record["low"],
            high=record["high"],
            limit=limit,
            likelihood_ratio=ratios[record["model"]],
            ratio_limit=ratio_limit,
            finding=record["estimate"] > limit or ratios[record["model"]] > ratio_limit,
        )
        for record in records
    ]


def audit_permuted(
    out_of_fold: Callable[[Floats], Floats], data: TrainingData, *, seed: int, repeats: int = 10
) -> LeakFinding:
    """Run a whole pipeline on a permuted outcome; if it still predicts, there is leakage.

    Parameters
    ----------
    out_of_fold
        Maps an outcome, shape (n,), to out-of-fold scores, shape (n,), by the whole pipeline, including selection of
        features and tuning.
    data
        Data of the development people, whose outcome is permuted.
    seed
        Seed of the permutations.
    repeats
        Number of permutations, at least 2.

    Returns
    -------
    LeakFinding
        Mean AUROC of the permutations, and its interval from their variation. Outcomes are permuted within folds, so
        that each fold keeps its number of cases.

    Raises
    ------
    MgRiskError
        ``leak_audit.repeats``.
    """
    if repeats < 2:
        raise bad_input(
            "leak_audit.repeats",
            "an interval needs at least two permutations",
            where="leak_audit.audit_permuted",
            hint="give 2 or more",
            got=str(repeats),
        )
    outcome, folds, weight = data.y, data.fold, data.design.analysis_weight
    inside = weight > 0
    random = np.random.default_rng(seed)
    found = np.empty(repeats)
    for repeat in range(repeats):
        permuted = outcome.copy()
        for number in np.unique(folds[inside]):
            members = np.flatnonzero(inside & (folds == number))
            permuted[members] = outcome[random.permutation(members)]
        score = out_of_fold(permuted)
        found[repeat] = auroc(permuted[inside], score[inside], weight[inside])
    centre = float(found.mean())
    half = float(t_quantile(0.95, repeats - 1) * found.std(ddof=1) / np.sqrt(repeats))
    return LeakFinding(
        PERMUTED, centre, centre - half, centre + half, 0.5, np.nan, np.nan, centre - half > 0.5 + ROUNDING
    )


def _out_of_fold(values: pd.Series, y: Floats, weight: Floats, fold: NDArray[Any]) -> Floats:
    """Return each person's risk given one feature, estimated in the other folds; 0 outside the domain."""
    inside = weight > 0
    risk = np.zeros(len(values))
    for number in np.unique(fold[inside]):
        unseen = inside & (fold == number)
        seen = inside & ~unseen
        group = _groups(values, weight * seen)
        size = group.max() + 1
        prior = PRIOR * weight[seen].mean()
        mean = np.average(y[seen], weights=weight[seen])
        cases = np.bincount(group[seen], weights=(weight * y)[seen], minlength=size)
        people = np.bincount(group[seen], weights=weight[seen], minlength=size)
        risk[unseen] = ((cases + prior * mean) / (people + prior))[group[unseen]]
    return risk


def _likelihood_ratio(values: pd.Series, y: Floats, weight: Floats) -> float:
    """Return the largest lower bound of the groups' likelihood ratios: weighted shares, with the error of the counts.

    Half a person is added to each count, so that a group without non-cases has a bound. The interval on the log is that
    of Simel 1991, J Clin Epidemiol 44:763.
    """
    group = _groups(values, weight)
    size = group.max() + 1
    shares, errors = [], []
    for members in ((weight > 0) & (y == 1), (weight > 0) & (y != 1)):
        people = members.sum()
        half = 0.5 * weight[members].mean()
        here = np.bincount(group[members], weights=weight[members], minlength=size) + half
        count = np.bincount(group[members], minlength=size) + 0.5
        shares.append(here / (weight[members].sum() + half))
        errors.append(1.0 / count - 1.0 / (people + 0.5))
    low = np.log(shares[0]) - np.log(shares[1]) - 1.96 * np.sqrt(errors[0] + errors[1])
    return float(np.exp(low.max()))


def _groups(values: pd.Series, weight: Floats) -> Integers:
    """Return the bin or level of each value, 0 for a missing one; quantiles are those of people with weight."""
    if not pd.api.types.is_numeric_dtype(values):
        return np.asarray(pd.Categorical(values).codes + 1, dtype=np.int64)
    numbers = values.to_numpy(dtype=np.float64)
    known = np.isfinite(numbers)
    if not (known & (weight > 0)).any():
        return np.asarray(known, dtype=np.int64)
    edges = np.unique(weighted_quantile(numbers[known], weight[known], np.arange(1, BINS) / BINS))
    return np.where(known, np.searchsorted(edges, numbers, side="left") + 1, 0).astype(np.int64)
