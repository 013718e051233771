"""What is known about the synthetic people (the TOML files beside), and the few ways to draw from it."""

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
"""The people of one cycle: a column of numbers for each property, all of one length."""

SPREAD = "sd"


@cache
def parameter_groups(file: str = "parameters") -> Mapping[str, Any]:
    """Return the groups of a TOML file beside, `parameters.toml` or another; each has its source in a comment there."""
    text = files("mgrisk.nhanes.synthetic").joinpath(f"{file}.toml").read_text("utf-8")
    return tomllib.loads(text)


def linear(terms: Mapping[str, float], people: Columns) -> Floats:
    """Return a linear predictor.

    Parameters
    ----------
    terms
        Coefficients by name of a column of `people`; ``intercept`` stands alone, ``sd`` is no term.
    people
        Columns of equal length, among them every name in `terms`.

    Raises
    ------
    KeyError
        A term that no column of `people` has.

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


def chance(logit: Floats) -> Floats:
    """Return probabilities of log-odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=np.float64)


def by_sex(group: Mapping[str, Mapping[str, float]], people: Columns) -> tuple[Floats, Floats]:
    """Return the linear predictor and the spread of a group with the keys ``male`` and ``female``."""
    female = people["female"] > 0
    mean = np.where(female, linear(group["female"], people), linear(group["male"], people))
    return mean, np.where(female, group["female"][SPREAD], group["male"][SPREAD])


def pick(rng: np.random.Generator, shares: Sequence[float], size: int) -> Integers:
    """Draw places in a list of shares (which need not add up to 1)."""
    cumulated = np.cumsum(np.asarray(shares, dtype=np.float64))
    return np.searchsorted(cumulated / cumulated[-1], rng.random(size), side="right").astype(np.int64)


def pair(rng: np.random.Generator, correlation: float, size: int) -> tuple[Floats, Floats]:
    """Draw two columns of standard normal numbers with a correlation."""
    first, second = rng.standard_normal(size), rng.standard_normal(size)
    return first, correlation * first + np.sqrt(1.0 - correlation**2) * second


def lookup(table: Sequence[Any], *places: npt.NDArray[Any]) -> Floats:
    """Return the entries of a (nested) list of numbers at arrays of places."""
    return np.asarray(np.asarray(table, dtype=np.float64)[tuple(each.astype(np.int64) for each in places)])
