"""Parameters of the synthetic cohort (the TOML files in this folder), and functions that draw from them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from mgrisk.types import Floats, Integers

Columns = dict[str, Floats]
"""The people of one cycle: an array of numbers for each property, all of the same length."""

SPREAD = "sd"


@cache
def parameter_groups(file: str = "parameters") -> Mapping[str, Any]:
    """Return the groups of a TOML file in this folder; the sources are in comments of the file."""
    text = files("mgrisk.nhanes.synthetic").joinpath(f"{file}.toml").read_text("utf-8")
    return tomllib.loads(text)


def linear(terms: Mapping[str, float], people: Columns) -> Floats:
    """Return a linear predictor.

    Parameters
    ----------
    terms
        Coefficients by name of a column of `people`, with an ``intercept``; ``sd`` is ignored.
    people
        Columns of equal length, including every name in `terms`.

    Raises
    ------
    KeyError
        If a term is not a column of `people`.

    Examples
    --------
    >>> linear({"intercept": 1.0, "age": 0.5, "sd": 9.0}, {"age": np.array([0.0, 2.0])}).tolist()
    [1.0, 2.0]
    """
    size = len(next(iter(people.values())))
    total = np.full(size, float(terms["intercept"]))
    for name, coefficient in terms.items():
        if name not in ("intercept", SPREAD):
            total += coefficient * people[name]
    return total


def probability(logit: Floats) -> Floats:
    """Return the probabilities of log-odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=np.float64)


def by_sex(group: Mapping[str, Mapping[str, float]], people: Columns) -> tuple[Floats, Floats]:
    """Return the linear predictor and the SD of a group with the keys ``male`` and ``female``."""
    female = people["female"] > 0
    mean = np.where(female, linear(group["female"], people), linear(group["male"], people))
    return mean, np.where(female, group["female"][SPREAD], group["male"][SPREAD])


def draw_index(rng: np.random.Generator, shares: Sequence[float], size: int) -> Integers:
    """Draw indices with probabilities proportional to `shares`."""
    cumulated = np.cumsum(np.asarray(shares, dtype=np.float64))
    return np.searchsorted(cumulated / cumulated[-1], rng.random(size), side="right").astype(np.int64)


def correlated_normals(rng: np.random.Generator, correlation: float, size: int) -> tuple[Floats, Floats]:
    """Draw two arrays of standard normal numbers with a given correlation."""
    first, second = rng.standard_normal(size), rng.standard_normal(size)
    return first, correlation * first + np.sqrt(1.0 - correlation**2) * second


def lookup(table: Sequence[Any], *places: npt.NDArray[Any]) -> Floats:
    """Return the entries of a (nested) list of numbers at arrays of indices."""
    return np.asarray(np.asarray(table, dtype=np.float64)[tuple(each.astype(np.int64) for each in places)])
