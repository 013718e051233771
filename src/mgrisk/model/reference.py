"""The reference distribution: how each feature was spread in the population that the model was made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.features.registry import Feature
from mgrisk.survey.quantiles import weighted_quantile

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
        By feature: `missing` (share), and `quantiles` (by probability) or `shares` (by level).
    """
    total = weight.sum()
    content: dict[str, Any] = {}
    for feature in chosen:
        values = frame[feature.name]
        known = values.notna().to_numpy()
        row: dict[str, Any] = {"missing": float(weight[~known].sum() / total)}
        if feature.kind == "number":
            numbers = values.to_numpy(dtype=np.float64)[known]
            quantiles = weighted_quantile(numbers, weight[known], PROBABILITIES) if known.any() else np.empty(0)
            row["quantiles"] = {str(p): float(q) for p, q in zip(PROBABILITIES, quantiles, strict=False)}
        else:
            row["shares"] = {
                level: float(weight[(values == level).to_numpy()].sum() / max(weight[known].sum(), 1e-300))
                for level in feature.levels
            }
        content[feature.name] = row
    return content


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
