"""A person's value beside that of the population, as a reader understands it: rounded by its unit, never bare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.features.registry import Feature
from mgrisk.report.formats import level_label, number, percent

# Shown coarser than measured: nobody needs a stranger's waist to the millimetre to follow the arithmetic.
STEP_BY_UNIT: Final = {
    "years": 5.0,
    "cm": 1.0,
    "kg": 1.0,
    "kg/m2": 1.0,
    "MET-min/week": 100.0,
    "min/d": 10.0,
    "mg/d": 10.0,
    "kcal/d": 50.0,
    "hours": 0.5,
    "1": 0.1,
}


def step_of(unit: str) -> float:
    """Return what a value in this unit is rounded to."""
    return STEP_BY_UNIT.get(unit, 0.1)


def round_value(value: float, unit: str) -> str:
    """Return a person's number, rounded by its unit so that it is understood and not recognised.

    Examples
    --------
    >>> round_value(43.0, "years"), round_value(2.954, "1"), round_value(1841.0, "kcal/d")
    ('45', '3.0', '1,850')
    """
    step = step_of(unit)
    return number(round(value / step) * step, digits=_digits(unit))


def shown_value(value: Any, feature: Feature) -> str:
    """Return a person's value of a feature as words, without its unit."""
    if feature.kind == "number":
        return "missing" if math.isnan(float(value)) else round_value(float(value), feature.unit)
    return level_label(str(value)) if value in feature.levels else "missing"


def reference_value(feature: Feature, known: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the development population's median, or most frequent category with its share, and the numbers behind.

    Parameters
    ----------
    feature
        The feature.
    known
        Its row of the bundle's reference.json.
    """
    if feature.kind == "number":
        median = known["quantiles"].get("0.5") if known["quantiles"] else None
        if median is None:
            return "not known", {"median": None}
        return f"median {number(float(median), digits=_digits(feature.unit))}", {"median": float(median)}
    shares = {str(level): float(share) for level, share in known["shares"].items()}
    most = max(shares, key=lambda level: shares[level])
    return f"{level_label(most)} {percent(shares[most], digits=0)}", {"shares": shares}


def compact_values(values: pd.Series, feature: Feature, *, coarse: bool) -> list[float | int | None]:
    """Return a column as short numbers: a category as the place of its level, missing as None.

    Parameters
    ----------
    values
        Completed values.
    feature
        The feature.
    coarse
        Whether to round by unit, as strangers are shown; else to four significant digits.
    """
    if feature.kind == "category":
        place = {level: number_ for number_, level in enumerate(feature.levels)}
        return [place.get(value) for value in values.astype(object)]
    numbers = values.to_numpy(dtype=np.float64)
    step = step_of(feature.unit)
    rounded = np.round(np.round(numbers / step) * step, 1) if coarse else numbers
    return [None if math.isnan(value) else _short(value) for value in rounded]


def _short(value: float) -> float | int:
    short = float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    return int(short) if short == int(short) else short


def _digits(unit: str) -> int:
    return 1 if step_of(unit) < 1 else 0
