"""How firm the order of importance is: the rank of every feature over replicates of the survey."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from mgrisk.explain.attributions import Explanation
from mgrisk.survey.bootstrap import rao_wu
from mgrisk.survey.design import SurveyDesign

FIRST = 3


def rank_ranges(
    explanation: Explanation, design: SurveyDesign, *, replicates: int = 500, seed: int = 1, level: float = 0.95
) -> list[dict[str, Any]]:
    """Return the rank of each feature's mean absolute contribution, and its range over redrawn PSUs.

    Parameters
    ----------
    explanation
        Attributions of everybody in the domain of the design, in order.
    design
        Full design; its domain with positive weight is who was explained.
    replicates, seed
        Of the Rao-Wu bootstrap: a rank is no smooth statistic, so that the jackknife does not serve.
    level
        Share of the replicates that lie in the range.

    Returns
    -------
    list of dict
        {feature, rank, rank_low, rank_high, among_first} in the order of the features: `among_first` is the share
        of replicates in which it is among the first three. The model is the same in all: what varies is the people.
    """
    inside = np.flatnonzero(design.analysis_weight > 0)
    weight, cluster = design.analysis_weight[inside], design.cluster[inside]
    size = np.abs(explanation.values)
    totals = np.column_stack([np.bincount(cluster, weight * column, design.n_clusters) for column in size.T])
    mass = np.bincount(cluster, weight, design.n_clusters)
    factors = rao_wu(design, replicates=replicates, seed=seed).factors
    # The mass of a replicate divides all features alike and orders none.
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
