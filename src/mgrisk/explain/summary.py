"""Summaries of attributions over a population: how much each feature moves the calibrated log-odds, with weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mgrisk.explain.attributions import Explanation
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign


def summarise(explanation: Explanation, design: SurveyDesign) -> list[dict[str, Any]]:
    """Return one record for each feature, most important first.

    Parameters
    ----------
    explanation
        Attributions of everybody in the domain of the design, in order.
    design
        Full design; its domain with positive weight is who was explained.

    Returns
    -------
    list of dict
        {feature, label, group, importance, se, low, high, direction}: the weighted mean absolute contribution in
        calibrated log-odds with its design-based interval; `direction` is the weighted rank correlation of the
        feature's value with its contribution, None for a category.
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


def _rank_correlation(
    x: NDArray[np.float64], contribution: NDArray[np.float64], weight: NDArray[np.float64]
) -> float | None:
    known = np.isfinite(x)
    if known.sum() < 3:
        return None
    a, b, w = rankdata(x[known]), rankdata(contribution[known]), weight[known]
    a, b = a - np.average(a, weights=w), b - np.average(b, weights=w)
    spread = np.sqrt(np.average(a**2, weights=w) * np.average(b**2, weights=w))
    return float(np.average(a * b, weights=w) / spread) if spread > 0 else None
