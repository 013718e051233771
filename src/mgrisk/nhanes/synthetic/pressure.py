"""Blood pressure: medicine against it, and readings by cuff and ear and by machine."""

from __future__ import annotations

import numpy as np

from mgrisk.nhanes.synthetic.parameters import (
    Array,
    Columns,
    by_sex,
    chance,
    linear,
    lookup,
    parameter_groups,
    pick,
)
from mgrisk.nhanes.synthetic.people import ADULT

AUSCULTATED, OSCILLOMETRIC = "ear", "machine"


def add_pressure(rng: np.random.Generator, people: Columns) -> Columns:
    """Return medicine against high blood pressure and systolic readings of everyone.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `select_people`, `add_body` and `add_habits`.

    Returns
    -------
    Columns
        ``told_to_take`` and ``takes`` (0/1, of those with hypertension), and the readings (mmHg, NaN where
        there is none) ``ear1`` to ``ear4``, even, and ``machine1`` to ``machine3``, whole.
    """
    given = parameter_groups()
    size, systolic = len(people["age"]), given["systolic"]
    told = (people["hypertension"] > 0) & (rng.random(size) < chance(linear(given["told_to_take"], people)))
    takes = told & (rng.random(size) < chance(linear(given["takes"], people)))
    usual = _usual(rng, people)
    found: Columns = {"told_to_take": told.astype(np.float64), "takes": takes.astype(np.float64)}
    for method in (AUSCULTATED, OSCILLOMETRIC):
        rules = systolic[method]
        pattern = pick(rng, rules["share"], size)
        for place, shift in enumerate(rules["shift"]):
            error = np.exp(rules["log_sd"] * rng.standard_normal(size))
            value = systolic["floor"] + (usual - systolic["floor"]) * error + shift
            reading = np.clip(rules["step"] * np.round(value / rules["step"]), *systolic["range"])
            here = lookup([made[place] for made in rules["made"]], pattern) > 0
            found[f"{method}{place + 1}"] = np.where(here, reading, np.nan)
    return found


def _usual(rng: np.random.Generator, people: Columns) -> Array:
    systolic = parameter_groups()["systolic"]
    young, girls = systolic["young"], people["female"] > 0
    z = rng.standard_normal(len(people["age"]))
    mean, spread = by_sex(systolic, people)
    adult = systolic["floor"] + np.exp(mean + spread * z)
    level = np.where(girls, young["mean"][1], young["mean"][0])
    slope = np.where(girls, young["year"][1], young["year"][0])
    child = level + slope * (people["age_years"] - 14) + young["bmi"] * (people["bmi_kg_m2"] - 22) / 5
    return np.asarray(np.where(people["age_years"] >= ADULT, adult, child + young["sd"] * z), dtype=np.float64)
