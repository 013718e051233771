"""The recalled days: which day of the week they were, with their weights, and what else the food held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr

from mgrisk.nhanes.synthetic.parameters import Array, Codes, Columns, Flags, linear, lookup, parameter_groups, pick
from mgrisk.nhanes.synthetic.people import ADULT
from mgrisk.nhanes.synthetic.sampling import adjust

DAYS = (1, 2)
_WEEKEND = (1, 6, 7)  # Sunday, Friday, Saturday in NHANES' codes
_WEEKEND_SHARE = 3 / 7
_ADOLESCENT = 12  # years
_CENTRE = {"energy": np.log(2000.0), "magnesium": np.log(280.0)}
_SPREADS = ("between", "within")


def add_days(rng: np.random.Generator, people: Columns) -> Columns:
    """Return days of the week, the days' energy and magnesium with the weekend in them, and weights that balance it.

    Interviews are not spread evenly over the week; usual intake is 4/7 weekdays and 3/7 weekend (Friday to Sunday).

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `take_part` and `add_diet`.

    Returns
    -------
    Columns
        ``day1``, ``day2`` (1 Sunday to 7 Saturday; NaN without an interview), and in place of the columns so named
        ``energy1``, ``magnesium1``, ``energy2``, ``magnesium2``, ``recall1_weight`` and ``recall2_weight``.
    """
    given, size = parameter_groups("recalls")["days"], len(people["age"])
    first = pick(rng, given["first"], size)
    others = np.asarray(given["second"]) * (1 - np.eye(7))
    until = np.cumsum(others / others.sum(axis=1, keepdims=True), axis=1)[first]
    second = np.minimum((rng.random(size)[:, None] >= until).sum(axis=1), 6)
    found: Columns = {}
    for day, place in zip(DAYS, (first, second), strict=True):
        weekend = np.isin(place + 1, _WEEKEND)
        found[f"day{day}"] = np.where(people[f"recall{day}"] == 5, np.nan, 1.0 + place)
        for name, effect in parameter_groups("recalls")["weekend"].items():
            weekday = 1 / (1 - _WEEKEND_SHARE + _WEEKEND_SHARE * np.exp(effect))
            found[f"{name}{day}"] = people[f"{name}{day}"] * weekday * np.where(weekend, np.exp(effect), 1.0)
        by_day, shares = (first, np.full(7, 1 / 7)) if day == 1 else _by_weekend(weekend)
        weight = people[f"recall{day}_weight"]
        found[f"recall{day}_weight"] = adjust(weight, totals=shares * weight.sum(), cells=by_day, responds=weight > 0)
    return found


def _by_weekend(weekend: Flags) -> tuple[Codes, Array]:
    return weekend.astype(np.int64), np.array([1 - _WEEKEND_SHARE, _WEEKEND_SHARE])


def add_nutrients(rng: np.random.Generator, people: Columns) -> Columns:
    """Return what else the food of both days held: ``fiber1``, ``calcium2`` and so on, a pair for each nutrient.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `select_people` and `add_days`.
    """
    given, size = parameter_groups("recalls"), len(people["age"])
    adult = people["age_years"] >= ADULT
    logs = {
        day: {name: np.log(np.fmax(people[f"{name}{day}"], 1.0)) - centre for name, centre in _CENTRE.items()}
        for day in DAYS
    }
    found: Columns = {}
    for name, about in given["nutrients"].items():
        habit = rng.standard_normal(size)
        for day in DAYS:
            each_day = rng.standard_normal(size)
            value = np.where(
                adult,
                _log_amount(about["adult"], logs[day], habit, each_day),
                _log_amount(about["young"], logs[day], habit, each_day),
            )
            logs[day][name] = value - about["reference"]
            found[f"{name}{day}"] = np.minimum(np.exp(value), about["highest"])
    stage = np.digitize(people["age_years"], [_ADOLESCENT, ADULT]).astype(np.int64)
    for name, about in given["sometimes"].items():
        found |= {f"{name}{day}": amount for day, amount in zip(DAYS, _sometimes(rng, about, stage), strict=True)}
    return found


def _log_amount(terms: Mapping[str, float], logs: Columns, habit: Array, each_day: Array) -> Array:
    mean = linear({name: value for name, value in terms.items() if name not in _SPREADS}, logs)
    return mean + terms["between"] * habit + terms["within"] * each_day


def _sometimes(rng: np.random.Generator, about: Mapping[str, Any], stage: Codes) -> tuple[Array, Array]:
    alike = np.sqrt(about["correlation"])
    often, much = rng.standard_normal((2, len(stage)))

    def day() -> Array:
        own = rng.standard_normal((2, len(stage))) * np.sqrt(1 - alike**2)
        happens = ndtr(alike * often + own[0]) < lookup(about["share"], stage)
        amount = lookup(about["median"], stage) * np.exp(lookup(about["log_sd"], stage) * (alike * much + own[1]))
        return np.where(happens, amount, 0.0)

    return day(), day()
