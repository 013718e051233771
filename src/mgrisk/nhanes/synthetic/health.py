"""Further laboratory values and readings, care of diabetes, medicines, education, alcohol, and weights remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr

from mgrisk.nhanes.synthetic.diabetes import DIAGNOSED
from mgrisk.nhanes.synthetic.parameters import Array, Columns, chance, linear, lookup, parameter_groups, pick
from mgrisk.nhanes.synthetic.people import ADULT
from mgrisk.nhanes.synthetic.pressure import AUSCULTATED, OSCILLOMETRIC
from mgrisk.nhanes.synthetic.sampling import RACES, adjust

POUNDS = 1 / 0.45359237  # in a kilogram
INCHES = 1 / 2.54  # in a centimetre
EDUCATIONS = 5
WEIGHTS = ("now", "year", "ten", "young", "greatest")
_ALIKE = 0.7  # correlation of how often people drink with how much, and of the weights that they remember


def add_laboratory(rng: np.random.Generator, people: Columns) -> Columns:
    """Return creatinine, triglycerides, and glucose two hours after a drink of it, with the weight of that subsample.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `take_part`, `add_body`, `add_habits`, `add_diabetes` and `add_insulin`.

    Returns
    -------
    Columns
        ``creatinine`` and ``triglycerides`` (mg/dL; NaN where the blood did not suffice), ``two_hours`` (mg/dL; of
        those who drank it and have no diagnosis), ``tolerance_weight`` (0 for those of the fasting subsample who did
        not).
    """
    given, size = parameter_groups("health"), len(people["age"])
    adult, fasted = people["age_years"] >= ADULT, people["fasting_weight"] > 0
    known = people["state"] == DIAGNOSED
    terms = {
        **people,
        "diagnosed": known.astype(np.float64),
        "glucose": np.log(people["glucose"] / 100),
        "insulin": np.log(people["insulin"] / 10),
    }

    def drawn(about: Mapping[str, Any], young: Array, decimals: int) -> Array:
        z = rng.standard_normal(size)
        spread = np.where(adult, about["adult"]["sd"], about["young"]["sd"])
        logs = np.where(adult, linear(about["adult"], terms), young)
        return np.asarray(np.round(np.clip(np.exp(logs + spread * z), *about["range"]), decimals), dtype=np.float64)

    def measured(values: Array, share: float) -> Array:
        return np.where(rng.random(size) < share, values, np.nan)

    kidney = given["creatinine"]
    level, year = (lookup(kidney["young"][name], people["female"]) for name in ("level", "year"))
    creatinine = drawn(kidney, level + year * (people["age_years"] - 16), 2)
    fat, tolerance = given["triglycerides"], given["tolerance"]
    triglycerides = drawn(fat, linear(fat["young"], terms), 0)
    two_hours = drawn(tolerance, linear(tolerance["young"], terms), 0)
    drank = fasted & (rng.random(size) < tolerance["takes_part"])
    cells = (people["band"] * len(RACES) + people["race"]).astype(np.int64)
    totals = np.bincount(cells, weights=people["fasting_weight"]).astype(np.float64)
    return {
        "creatinine": measured(creatinine, kidney["measured"]),
        "triglycerides": measured(triglycerides, fat["measured"]),
        "two_hours": np.where(drank & ~known, measured(two_hours, tolerance["measured"]), np.nan),
        "tolerance_weight": adjust(people["fasting_weight"], totals=totals, cells=cells, responds=drank),
    }


def add_history(rng: np.random.Generator, people: Columns) -> Columns:
    """Return care of diabetes, education, alcohol, and the weights that people remember.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `select_people`, `add_body`, `add_habits` and `add_diabetes`.

    Returns
    -------
    Columns
        ``takes_insulin``, ``pills`` (0/1), ``told_years`` (years since told of diabetes), ``prediabetes`` (0/1),
        ``education`` (1 to 5), ``drinker`` (0 never, 1 seldom, 2 more), ``often`` (1 every day to 10 once or twice a
        year, 0 not in the past year), ``drinks`` (on such a day), ``said_height`` (inches), and ``said_…`` for each of
        `WEIGHTS` (pounds).
    """
    given, size = parameter_groups("health"), len(people["age"])
    care, known = given["care"], people["state"] == DIAGNOSED
    takes_insulin = known & (rng.random(size) < care["insulin"])
    share = np.where(takes_insulin, care["pills_with_insulin"], care["pills"])
    share = np.where(known, share, care["pills_borderline"] * people["borderline"])
    education = given["education"]
    level = np.round(linear(education, people) + education["sd"] * rng.standard_normal(size))
    return {
        "takes_insulin": takes_insulin.astype(np.float64),
        "pills": (rng.random(size) < share).astype(np.float64),
        "told_years": np.floor(care["years"] * rng.random(size) ** 2 * np.maximum(people["age_years"] - 10, 1)),
        "prediabetes": (rng.random(size) < care["told_prediabetes"]).astype(np.float64),
        "education": np.clip(level, 1, EDUCATIONS),
        **_alcohol(rng, people),
        **_weights(rng, people),
    }


def _alcohol(rng: np.random.Generator, people: Columns) -> Columns:
    given, size = parameter_groups("health")["alcohol"], len(people["age"])
    drinker = pick(rng, [given["never"], given["seldom"], 1 - given["never"] - given["seldom"]], size)
    tends = given["men"] * (0.5 - people["female"]) + given["smoker"] * people["smoker"] + given["age"] * people["age"]
    alike = rng.standard_normal(size)
    spread = np.sqrt(1 - _ALIKE**2)
    often_rank, much_rank = (ndtr(tends + _ALIKE * alike + spread * rng.standard_normal(size)) for _ in range(2))
    # The first answers are of those who drink most often.
    often = 1.0 + np.searchsorted(np.cumsum(given["often"])[:-1], 1 - often_rank, side="right")
    place = np.searchsorted(np.cumsum(given["drinks_share"])[:-1], much_rank, side="right")
    none = rng.random(size) < np.where(drinker == 1, given["none_now"][0], given["none_now"][1])
    return {
        "drinker": drinker.astype(np.float64),
        "often": np.where(none | (drinker == 0), 0.0, np.where(drinker == 1, np.maximum(often, 8.0), often)),
        "drinks": np.asarray(given["drinks"], dtype=np.float64)[place],
    }


def _weights(rng: np.random.Generator, people: Columns) -> Columns:
    given, size = parameter_groups("health")["weight_history"], len(people["age"])
    bmi, female, age = people["bmi"], people["female"], people["age"]
    common = rng.standard_normal(size)
    logs: Columns = {}
    for name in WEIGHTS:
        about = given[name]
        z = _ALIKE * common + np.sqrt(1 - _ALIKE**2) * rng.standard_normal(size)
        mean = about["mean"] + about["bmi"] * bmi + about["age"] * age + about["female"] * female
        logs[name] = mean + about["sd"] * z
    now = np.log(people["weight_kg"] * POUNDS) + logs["now"]
    found = {f"said_{name}": np.round(np.exp(now + logs[name])) for name in ("year", "ten", "young")}
    # Nobody remembers a greatest weight below another one.
    most = np.maximum(np.exp(now + np.maximum(logs["greatest"], 0.0)), np.exp(now))
    most = np.maximum(np.round(most), np.maximum(found["said_year"], found["said_ten"] * (age >= -1.4)))
    about = given["height"]
    more = about["mean"] + about["age"] * age + about["female"] * female + about["sd"] * rng.standard_normal(size)
    return {
        **found,
        "said_now": np.round(np.exp(now)),
        "said_greatest": most,
        "said_height": np.round((people["height_cm"] + more) * INCHES),
    }


def add_more(rng: np.random.Generator, people: Columns) -> Columns:
    """Return blood fats, hips, diastolic readings, where people were born, and births.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `select_people`, `add_body`, `add_habits` and `add_pressure`.

    Returns
    -------
    Columns
        ``cholesterol``, ``hdl`` (mg/dL, whole), ``hip_cm``, ``born_in_us`` (0/1), ``delivered`` (0/1), ``births``,
        ``large_baby`` (0/1), and the diastolic readings (mmHg) beside the systolic ones: ``ear1_low``, ``machine1_low``
        and so on, NaN where there is none.
    """
    given, size = parameter_groups("health"), len(people["age"])
    adult = people["age_years"] >= ADULT

    def drawn(name: str) -> tuple[Array, Array]:
        about = given[name]
        mean = np.where(adult, linear(about["adult"], people), linear(about["young"], people))
        spread = np.where(adult, about["adult"]["sd"], about["young"]["sd"])
        return mean, spread * rng.standard_normal(size)

    cholesterol, error = drawn("cholesterol")
    hdl, hdl_error = drawn("hdl")
    hip = linear(given["hip"], {**people, "bmi": (people["bmi_kg_m2"] - 28) / 5})
    stage = np.digitize(people["age_years"], [ADULT, 60]).astype(np.int64)
    births = given["births"]
    return {
        "cholesterol": np.round(cholesterol * np.exp(error)),
        "hdl": np.round(np.exp(hdl + hdl_error)),
        "hip_cm": np.round(hip + given["hip"]["sd"] * rng.standard_normal(size), 1),
        "born_in_us": (rng.random(size) < lookup(given["born"]["in_us"], stage, people["race"])).astype(np.float64),
        "delivered": (rng.random(size) < births["delivered"]).astype(np.float64),
        "births": pick(rng, births["number"], size).astype(np.float64),
        "large_baby": (rng.random(size) < births["large"]).astype(np.float64),
        **_diastolic(rng, people),
    }


def _diastolic(rng: np.random.Generator, people: Columns) -> Columns:
    given, size = parameter_groups("health")["diastolic"], len(people["age"])
    habit = given["between"] * rng.standard_normal(size)
    found: Columns = {}
    for method, step, readings in ((AUSCULTATED, 2.0, 4), (OSCILLOMETRIC, 1.0, 3)):
        systolic = np.column_stack([people[f"{method}{reading}"] for reading in range(1, readings + 1)])
        made = ~np.isnan(systolic)
        mean = np.where(made, systolic, 0.0).sum(axis=1) / np.maximum(made.sum(axis=1), 1)
        terms = {**people, "systolic": (mean - 120) / 10, "year": people["age_years"] - 14}
        usual = np.where(terms["age_years"] >= ADULT, linear(given["adult"], terms), linear(given["young"], terms))
        for reading in range(readings):
            value = usual + habit + given["within"] * rng.standard_normal(size)
            # It stays below the systolic one.
            value = np.minimum(np.clip(value, *given["range"]), systolic[:, reading] - 10)
            low = step * np.round(value / step)
            found[f"{method}{reading + 1}_low"] = np.where(made[:, reading], low, np.nan)
    return found


def add_medicines(rng: np.random.Generator, people: Columns) -> Columns:
    """Return ``drug0``, ``drug1`` and so on: whether each drug of `products.toml` is taken (0/1).

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `add_pressure` and `add_history`.
    """
    drugs, size = parameter_groups("products")["drug"], len(people["age"])
    groups = {
        "takes": people["takes"] > 0,
        "pills": people["pills"] > 0,
        "insulin": people["takes_insulin"] > 0,
        "everyone": np.ones(size, dtype=np.bool_),
    }
    taken: Columns = {}
    for number, drug in enumerate(drugs):
        logit = np.log(drug["share"] / (1 - drug["share"])) + drug["age"] * people["age"]
        taken[f"drug{number}"] = (groups[drug["among"]] & (rng.random(size) < chance(logit))).astype(np.float64)
    for among in ("takes", "pills"):
        # Who says to take some has at least the commonest; insulins are many.
        of = [f"drug{number}" for number, drug in enumerate(drugs) if drug["among"] == among]
        none = groups[among] & (np.sum([taken[name] for name in of], axis=0) == 0)
        taken[of[0]] = np.where(none, 1.0, taken[of[0]])
    return taken
