"""The reference distribution: the weighted distribution of each feature in the development population.

For a number, its distribution given the most correlated other number is described, too: a waist of 60 cm and a body
mass index of 55 both occur, but not in the same person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from pydantic import field_validator, model_validator

from mgrisk.config.checked import Checked, Finite, NotNegative, Share, brief, same_length
from mgrisk.features.compute import Columns
from mgrisk.features.registry import Feature
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Booleans, Floats

RISK: Final = "risk"
"""Key of the distribution of out-of-fold risks."""
CLOSE: Final = 0.5
"""Smallest correlation with a companion."""
PROBABILITIES: Final = (0.0005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.9995)


def describe(frame: pd.DataFrame, chosen: Sequence[Feature], weight: Floats) -> dict[str, Any]:
    """Return the weighted distribution of each feature.

    Parameters
    ----------
    frame, weight
        Typed features and survey weights of the development analysis.

    Returns
    -------
    dict
        By feature: the result of `describe_numbers`, or `missing`, `people` and `shares` (by level). A number with a
        companion, the other number whose correlation is largest and at least 0.5, has `beside`: {name, slope, low,
        high}, the companion, the slope on it, and the weighted 0.05 % and 99.95 % quantiles of the number minus slope
        times the companion.
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
    described = [name for name, row in content.items() if row.get("quantiles")]
    for name in described:
        found = _companion(frame, name, [other for other in described if other != name], weight)
        if found is not None:
            content[name]["beside"] = found
    return content


def _companion(frame: pd.DataFrame, name: str, others: Sequence[str], weight: Floats) -> dict[str, Any] | None:
    """Return the most correlated companion of a number, among people who have both, or None."""
    best, found = CLOSE, None
    for other in others:
        both = frame[[name, other]].notna().all(axis=1).to_numpy()
        x, y = (frame.loc[both, column].to_numpy(dtype=np.float64) for column in (other, name))
        if len(x) < 3:
            continue
        (v_x, cov), (_, v_y) = np.cov(x, y, aweights=weight[both])
        if v_x > 0 and v_y > 0 and abs(cov) / np.sqrt(v_x * v_y) > best:
            best, slope = abs(cov) / np.sqrt(v_x * v_y), cov / v_x
            low, high = weighted_quantile(y - slope * x, weight[both], (PROBABILITIES[0], PROBABILITIES[-1]))
            found = {"name": other, "slope": float(slope), "low": float(low), "high": float(high)}
    return found


def describe_numbers(values: Floats, weight: Floats) -> dict[str, Any]:
    """Return the weighted distribution of a number, shape (n,), NaN where missing.

    Returns
    -------
    dict
        `missing` (share), `people` (Kish's effective sample size of the known values), `quantiles` (by probability),
        and `below`: the share at or below each quantile, which exceeds its probability where values are tied.
    """
    known = ~np.isnan(values)
    numbers, of_known = values[known], weight[known]
    quantiles = weighted_quantile(numbers, of_known, PROBABILITIES) if known.any() else np.empty(0)
    return _people(known, weight) | {
        "quantiles": {str(p): float(q) for p, q in zip(PROBABILITIES, quantiles, strict=False)},
        "below": [float(of_known[numbers <= q].sum() / of_known.sum()) for q in quantiles],
    }


def _people(known: Booleans, weight: Floats) -> dict[str, Any]:
    of_known = weight[known]
    return {
        "missing": float(weight[~known].sum() / weight.sum()),
        "people": float(of_known.sum() ** 2 / (of_known**2).sum()) if known.any() else 0.0,
    }


class _Known(Checked):
    missing: Share
    people: NotNegative = 0.0

    @field_validator("people")
    @classmethod
    def _zero_or_at_least_one(cls, people: float) -> float:
        # An effective sample size is at least 1, apart from rounding.
        if 0 < people < 0.5:
            raise ValueError("it must be 0 or at least 1")
        return people


class _Shares(_Known):
    shares: dict[str, Share]


class _Beside(Checked):
    name: str
    slope: Finite
    low: Finite
    high: Finite


class _Numbers(_Known):
    quantiles: dict[str, Finite]
    below: list[Share]
    beside: _Beside | None = None

    @model_validator(mode="after")
    def _of_the_probabilities(self) -> Self:
        if [*self.quantiles] not in ([], [str(p) for p in PROBABILITIES]):
            raise ValueError("quantiles are not those that a reference has")
        same_length(quantiles=self.quantiles, below=self.below)
        if any(low > high for low, high in pairwise(self.quantiles.values())):
            raise ValueError("quantiles do not increase")
        return self


def check(reference: object, chosen: Sequence[Feature]) -> Mapping[str, Any]:
    """Return a reference read from a file after checking that it fits the features.

    Raises
    ------
    ValueError
        Names the first invalid feature and field.
    """
    if not isinstance(reference, dict):
        raise ValueError("it is no object")
    numbers = {feature.name for feature in chosen if feature.kind == "number"}
    for feature in chosen:
        row = _check(feature.name, _Numbers if feature.name in numbers else _Shares, reference.get(feature.name))
        if isinstance(row, _Shares) and row.shares.keys() != set(feature.levels):
            raise ValueError(f"{feature.name}: the shares are not those of its levels")
        if isinstance(row, _Numbers) and row.beside is not None and row.beside.name not in numbers:
            raise ValueError(f"{feature.name}: its companion {brief(row.beside.name)} is not a number of the model")
    if RISK in reference:
        _check(RISK, _Numbers, reference[RISK])
    return reference


def _check(name: str, schema: type[_Known], row: object) -> _Known:
    try:
        return schema.of(row)
    except ValueError as problem:
        raise ValueError(f"{name}.{problem}") from None


def outside_domain(columns: Columns, chosen: Sequence[Feature], reference: Mapping[str, Any], *, n: int) -> Booleans:
    """Return which features of each person are out of the training distribution, shape (n_features, n).

    A number is so if it, or its residual given its companion, lies outside the weighted 0.05 % and 99.95 % quantiles; a
    category is so if its level did not occur in the development set. A person with no such feature is in the domain.
    """
    outside = np.zeros((len(chosen), n), dtype=np.bool_)
    # NaN is neither below nor above: an unknown value is never outside.
    for feature, found in zip(chosen, outside, strict=True):
        values, row = columns[feature.name], reference[feature.name]
        if feature.kind != "number":
            for level, share in row["shares"].items():
                if share == 0:
                    found |= values == feature.levels.index(level)
        elif not row["quantiles"]:
            found |= ~np.isnan(values)
        else:
            found |= values < row["quantiles"][str(PROBABILITIES[0])]
            found |= values > row["quantiles"][str(PROBABILITIES[-1])]
            if beside := row.get("beside"):
                distance = values - beside["slope"] * columns[beside["name"]]
                found |= distance < beside["low"]
                found |= distance > beside["high"]
    return outside
