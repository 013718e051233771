"""The US population of the year 2000 by age, for direct standardisation with any age groups.

Projected population in thousands. Source: Klein and Schoenborn (2001), Age adjustment using the 2000 projected U.S.
population, NCHS Healthy People Statistical Notes 20, table 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mgrisk.errors import bad_input

US_2000: Final[Mapping[int, float]] = MappingProxyType(
    {
        0: 3_795.0, 1: 15_192.0, 5: 19_920.0, 10: 20_057.0, 15: 11_819.0, 18: 8_001.0, 20: 18_257.0, 25: 17_722.0,
        30: 19_511.0, 35: 22_180.0, 40: 22_479.0, 45: 19_806.0, 50: 17_224.0, 55: 13_307.0, 60: 10_654.0, 65: 9_410.0,
        70: 8_726.0, 75: 7_415.0, 80: 4_900.0, 85: 4_259.0,
    }
)  # fmt: skip
"""Number of people in thousands, by the lower age limit of the group in years."""


def standard_population(starts: Sequence[int]) -> dict[str, float]:
    """Return the size of age groups in the standard population, in thousands, by label.

    Parameters
    ----------
    starts
        Lower age limits of the groups in years; the last group is open.

    Raises
    ------
    MgRiskError
        ``survey.standard`` if they do not increase, or are not among the limits of the published age groups.

    Examples
    --------
    >>> standard_population([20, 40, 60])
    {'20-39': 77670.0, '40-59': 72816.0, '60+': 45364.0}
    """
    if not starts or any(low >= high for low, high in pairwise(starts)) or not set(starts) <= set(US_2000):
        raise bad_input(
            "survey.standard",
            "the standard population has no such age groups",
            where="standard",
            got=", ".join(map(str, starts)),
            hint=f"use increasing ages among {', '.join(map(str, US_2000))}",
        )
    ends = [*starts[1:], 1000]
    return {
        label: sum(size for age, size in US_2000.items() if low <= age < high)
        for label, low, high in zip(_labels(starts), starts, ends, strict=True)
    }


def age_group(age_years: ArrayLike, starts: Sequence[int]) -> pd.Series:
    """Return the group of each age in years; missing below the first group and for missing ages.

    Examples
    --------
    >>> age_group([19, 20, 59, 60], [20, 40, 60]).tolist()
    [nan, '20-39', '40-59', '60+']
    """
    ages = np.asarray(age_years, dtype=np.float64)
    groups = pd.cut(ages, [*map(float, starts), np.inf], right=False, labels=_labels(starts))
    return pd.Series(groups).astype(object)


def _labels(starts: Sequence[int]) -> list[str]:
    return [*(f"{low}-{high - 1}" for low, high in pairwise(starts)), f"{starts[-1]}+"]
