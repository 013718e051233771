"""The reference distribution: how each feature was spread in the population that the model was made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.features.registry import Feature
from mgrisk.survey.quantiles import weighted_quantile

RISK: Final = "risk"
"""Under this name stands the distribution of the risk that was computed for people whom the learner had not seen."""
PROBABILITIES: Final = (0.0005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.9995)


def describe(frame: pd.DataFrame, chosen: Sequence[Feature], weight: NDArray[np.float64]) -> dict[str, Any]:
    """Return the weighted distribution of each feature.

    Parameters
    ----------
    frame, weight
        Typed features and survey weights of the development analysis.

    Returns
    -------
    dict
        By feature: that of `describe_numbers`, or `missing`, `people` and `shares` (by level).
    """
    content: dict[str, Any] = {}
    for feature in chosen:
        values = frame[feature.name]
        if feature.kind == "number":
            content[feature.name] = describe_numbers(values.to_numpy(dtype=np.float64), weight)
        else:
            known = values.notna().to_numpy()
            content[feature.name] = _people(known, weight) | {
                "shares": {
                    level: float(weight[(values == level).to_numpy()].sum() / max(weight[known].sum(), 1e-300))
                    for level in feature.levels
                }
            }
    return content


def describe_numbers(values: NDArray[np.float64], weight: NDArray[np.float64]) -> dict[str, Any]:
    """Return the weighted distribution of a number, shape (n,), NaN where missing.

    Returns
    -------
    dict
        `missing` (share), `people` (how many of equal weight would be as precise: Kish's effective number of those
        known), `quantiles` (by probability), and `below`: the share up to each of these quantiles, which is more than
        its probability where many have the same value.
    """
    known = ~np.isnan(values)
    numbers, of_known = values[known], weight[known]
    quantiles = weighted_quantile(numbers, of_known, PROBABILITIES) if known.any() else np.empty(0)
    return _people(known, weight) | {
        "quantiles": {str(p): float(q) for p, q in zip(PROBABILITIES, quantiles, strict=False)},
        "below": [float(of_known[numbers <= q].sum() / of_known.sum()) for q in quantiles],
    }


def _people(known: NDArray[np.bool_], weight: NDArray[np.float64]) -> dict[str, Any]:
    of_known = weight[known]
    return {
        "missing": float(weight[~known].sum() / weight.sum()),
        "people": float(of_known.sum() ** 2 / (of_known**2).sum()) if known.any() else 0.0,
    }


def in_domain(frame: pd.DataFrame, chosen: Sequence[Feature], reference: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Tell who is like the people of the development set, shape (n,).

    A person is outside where a number lies beyond the weighted 0.05 % or 99.95 % quantile, or a category is one
    that the development set did not have.
    """
    inside = np.ones(len(frame), dtype=np.bool_)
    for feature in chosen:
        values, row = frame[feature.name], reference[feature.name]
        if feature.kind == "number":
            numbers = values.to_numpy(dtype=np.float64)
            if not row["quantiles"]:
                inside &= np.isnan(numbers)
                continue
            low, high = row["quantiles"][str(PROBABILITIES[0])], row["quantiles"][str(PROBABILITIES[-1])]
            inside &= np.isnan(numbers) | ((numbers >= low) & (numbers <= high))
        else:
            unseen = [level for level, share in row["shares"].items() if share == 0]
            inside &= ~values.isin(unseen).to_numpy()
    return inside
