"""Groups of features as players: what magnesium, diet, activity, body and background each move, taken whole.

Nutrients travel together, and so do waist and body mass index: one by one they share what they know, and each looks
small. In the game between groups a group joins with all its features at once. Its Shapley value is what the Owen
values of its features sum to, whatever the values within (Owen 1977, in Mathematical Economics and Game Theory,
76-88); it differs from the sum of the features' own Shapley values by the interactions across groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from mgrisk.explain.attributions import Explainer, scaled_parts
from mgrisk.explain.parts import prepare, read_part
from mgrisk.model.boosted_trees import FittedTrees
from mgrisk.model.bundle import Bundle
from mgrisk.model.learners import Fitted
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupedValues:
    """What each group of features moves, person by person.

    Attributes
    ----------
    groups
        Names, in the order in which the features first name them.
    values
        Shapley values of the game between groups, in calibrated log-odds, shape (n, n_groups).
    summed
        Sums of the features' own values, likewise: equal where no feature works together with one of another group.
    """

    groups: tuple[str, ...]
    values: Floats
    summed: Floats


def grouped_values(
    bundle: Bundle, background: NDArray[np.float32], weight: Floats, X: NDArray[np.float32]
) -> GroupedValues:
    """Explain people by groups of features.

    Parameters
    ----------
    bundle
        A bundle with its attributions.
    background, weight
        Encoded matrix (m, n_columns) and survey weights (m,) of the development analysis, whole, as for
        `attributions.build`.
    X
        Encoded matrix of the people to explain, shape (n, n_columns).

    Returns
    -------
    GroupedValues
        With the base value of `Explainer`, `values` and `summed` both add up to the calibrated log-odds.
    """
    groups = tuple(dict.fromkeys(feature.group for feature in bundle.features))
    of_feature = np.array([groups.index(feature.group) for feature in bundle.features], dtype=np.int64)
    owners, slope = of_feature[bundle.encoder.owners], bundle.calibrator.slope
    values = np.zeros((len(X), len(groups)))
    for scale, part in scaled_parts(bundle.fitted):
        whole = read_part(part, prepare(part, owners, len(groups), background, weight), owners, len(groups))
        values += slope * scale * whole.values(X)
    summed = _sum_by(Explainer(bundle).values(X), of_feature, len(groups))
    return GroupedValues(groups, values, summed)


def tree_parts(fitted: Fitted) -> list[tuple[float, xgb.Booster]]:
    """Return the trees of a model with their scales; other parts are left out."""
    parts = scaled_parts(fitted)
    return [(scale, part.booster[: part.trees]) for scale, part in parts if isinstance(part, FittedTrees)]


def summarise_groups(found: GroupedValues, design: SurveyDesign) -> list[dict[str, Any]]:
    """Return one record for each group, most important first.

    Parameters
    ----------
    found
        Of everybody in the domain of the design, in order.
    design
        Full design.

    Returns
    -------
    list of dict
        {group, importance, se, low, high, summed}: weighted mean absolute value of the group as one player with its
        design-based interval, and the same of the sum of its features' own values.
    """
    records: list[dict[str, Any]] = []
    for place, group in enumerate(found.groups):
        whole = mean_size(found.values[:, place], design)
        apart = mean_size(found.summed[:, place], design)
        records.append(
            {
                "group": group,
                "importance": whole.estimate,
                "se": whole.se,
                "low": whole.low,
                "high": whole.high,
                "summed": apart.estimate,
            }
        )
    return sorted(records, key=lambda record: -float(record["importance"]))


def mean_size(values: Floats, design: SurveyDesign) -> estimates.Estimate:
    """Return the weighted mean absolute value over the domain, with its interval; `values` are those of the domain."""
    size = np.zeros(len(design))
    size[design.analysis_weight > 0] = np.abs(values)
    return estimates.mean(size, design)


def _sum_by(values: Floats, owner: Sequence[int] | NDArray[np.int64], n: int) -> Floats:
    total = np.zeros((len(values), n))
    for column, place in enumerate(owner):
        total[:, place] += values[:, column]
    return total
