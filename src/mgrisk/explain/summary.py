"""Summaries of SHAP values over a population, with survey weights.

`summarise` returns the mean absolute SHAP value of each feature; `rank_ranges` the range of its rank over bootstrap
replicates of the survey; `by_subgroup` its mean absolute SHAP value by sex, age and race/ethnicity, with intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mgrisk.explain.attributions import Explanation
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.variance import rao_wu
from mgrisk.types import Booleans, Floats


def summarise(explanation: Explanation, design: SurveyDesign) -> list[dict[str, Any]]:
    """Return one record for each feature, most important first.

    Parameters
    ----------
    explanation
        SHAP values of all people in the domain of the design, in order.
    design
        Full design; its domain is the people explained.

    Returns
    -------
    list of dict
        {feature, label, group, importance, se, low, high, direction}: the weighted mean absolute SHAP value in
        calibrated log-odds with its design-based interval; `direction` is the weighted rank correlation of the
        feature's value and its SHAP value, None for a category.
    """
    inside = np.flatnonzero(design.analysis_weight > 0)
    records = []
    for index, feature in enumerate(explanation.features):
        size = np.zeros(len(design))
        size[inside] = np.abs(explanation.values[:, index])
        estimate = estimates.mean(size, design)
        direction = None
        if feature.kind == "number":
            direction = _rank_correlation(
                explanation.data[feature.name].to_numpy(dtype=np.float64),
                explanation.values[:, index],
                design.analysis_weight[inside],
            )
        records.append(
            {
                "feature": feature.name,
                "label": feature.label,
                "group": feature.group,
                "importance": estimate.estimate,
                "se": estimate.se,
                "low": estimate.low,
                "high": estimate.high,
                "direction": direction,
            }
        )
    return sorted(records, key=lambda record: -float(record["importance"]))


def _rank_correlation(x: Floats, contribution: Floats, weight: Floats) -> float | None:
    known = np.isfinite(x)
    if known.sum() < 3:
        return None
    a, b, w = rankdata(x[known]), rankdata(contribution[known]), weight[known]
    a, b = a - np.average(a, weights=w), b - np.average(b, weights=w)
    spread = np.sqrt(np.average(a**2, weights=w) * np.average(b**2, weights=w))
    return float(np.average(a * b, weights=w) / spread) if spread > 0 else None


FIRST = 3


def rank_ranges(
    explanation: Explanation, design: SurveyDesign, *, replicates: int = 500, seed: int = 1, level: float = 0.95
) -> list[dict[str, Any]]:
    """Return the rank of each feature's mean absolute SHAP value, and its range over bootstrap samples of PSUs.

    Parameters
    ----------
    explanation
        SHAP values of all people in the domain of the design, in order.
    design
        Full design; its domain is the people explained.
    replicates, seed
        Replicates and seed of the Rao-Wu bootstrap; the jackknife is not valid for ranks, which are not smooth.
    level
        Share of the replicates within the range.

    Returns
    -------
    list of dict
        {feature, rank, rank_low, rank_high, among_first} in the order of the features: `among_first` is the share of
        replicates in which the feature is among the first three. The model is fixed; the people vary.
    """
    inside = np.flatnonzero(design.analysis_weight > 0)
    weight, cluster = design.analysis_weight[inside], design.cluster[inside]
    size = np.abs(explanation.values)
    totals = np.column_stack([np.bincount(cluster, weight * column, design.n_clusters) for column in size.T])
    mass = np.bincount(cluster, weight, design.n_clusters)
    factors = rao_wu(design, replicates=replicates, seed=seed).factors
    # The total weight of a replicate is the same divisor for all features and does not affect ranks.
    redrawn = rankdata(-(factors @ totals), axis=1)
    low, high = np.quantile(redrawn, [(1 - level) / 2, (1 + level) / 2], axis=0, method="closest_observation")
    rank = rankdata(-totals.sum(axis=0) / mass.sum())
    return [
        {
            "feature": feature.name,
            "rank": float(rank[place]),
            "rank_low": float(low[place]),
            "rank_high": float(high[place]),
            "among_first": float(np.mean(redrawn[:, place] <= FIRST)),
        }
        for place, feature in enumerate(explanation.features)
    ]


# NCHS, Data Presentation Standards for Proportions (2017): no estimate from fewer than 30 people.
SMALLEST: Final = 30
AGE: Final = "age_years"
BY: Final = ("sex", "race_ethnicity")
BANDS: Final = ((20.0, 40.0, "20 to 39"), (40.0, 60.0, "40 to 59"), (60.0, np.inf, "60 and older"))


def by_subgroup(explanation: Explanation, people: pd.DataFrame, design: SurveyDesign) -> list[dict[str, Any]]:
    """Return the importance of each feature within each subgroup.

    Parameters
    ----------
    explanation
        SHAP values of all people in the domain of the design, in order.
    people
        Completed features of the same people, also those that the model does not use.
    design
        Full design; a subgroup is a smaller domain of it.

    Returns
    -------
    list of dict
        {by, level, feature, n, importance, se, low, high, problem}: in a subgroup of fewer than 30 people the numbers
        are None and the problem is ``too_few``.
    """
    inside = np.flatnonzero(design.analysis_weight > 0)
    size = np.zeros((len(design), len(explanation.features)))
    size[inside] = np.abs(explanation.values)
    records = []
    for by, level, here in _subgroups(people):
        mask = np.zeros(len(design), dtype=np.bool_)
        mask[inside] = here
        domain = design.where(mask)
        for place, feature in enumerate(explanation.features):
            record = {"by": by, "level": level, "feature": feature.name, "n": domain.n}
            records.append(record | _importance(size[:, place], domain))
    return records


def _subgroups(people: pd.DataFrame) -> Sequence[tuple[str, str, Booleans]]:
    found = [
        (name, str(level), (people[name] == level).to_numpy())
        for name in BY
        if name in people
        for level in people[name].cat.categories
    ]
    if AGE in people:
        age = people[AGE].to_numpy(dtype=np.float64)
        found += [(AGE, label, (age >= low) & (age < high)) for low, high, label in BANDS]
    return found


def _importance(size: Floats, domain: SurveyDesign) -> dict[str, Any]:
    if domain.n < SMALLEST:
        return {"importance": None, "se": None, "low": None, "high": None, "problem": "too_few"}
    found = estimates.mean(size, domain)
    return {"importance": found.estimate, "se": found.se, "low": found.low, "high": found.high, "problem": ""}
