"""What the synthetic people are like: body, habits, usual diet and what two recall days show of it."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic.parameters import (
    Array,
    Codes,
    Columns,
    Flags,
    by_sex,
    chance,
    linear,
    lookup,
    pair,
    parameter_groups,
    pick,
)

ADULT = 20  # years from which the regressions of `parameters.toml` hold
ACTIVITIES = ("work_vigorous", "work_moderate", "transport", "leisure_vigorous", "leisure_moderate")


def add_body(rng: np.random.Generator, people: Columns) -> Columns:
    """Return ``height_cm``, ``weight_kg``, ``bmi_kg_m2``, ``waist_cm`` and the terms made of them."""
    given = parameter_groups()
    size, adult = len(people["age"]), people["age_years"] >= ADULT
    height_z, bmi_z, waist_z = rng.standard_normal((3, size))
    mean, spread = by_sex(given["height"], people)
    height = np.where(adult, mean + spread * height_z, 0.0)
    mean, spread = by_sex(given["log_bmi"], people)
    bmi = 10 + np.exp(mean + spread * bmi_z + people["psu_bmi"])
    scaled = {**people, "bmi": (bmi - 28) / 5, "height": (height - 168) / 10}
    mean, spread = by_sex(given["waist"], scaled)
    waist = mean + spread * waist_z

    young, sex = given["young"], people["female"]
    year = np.minimum(people["age_years"], ADULT - 1)
    usual, spread = lookup(young["bmi"], sex, year), lookup(young["bmi_sd"], year)
    young_bmi = usual * np.exp(spread * bmi_z - spread**2 / 2 + people["psu_bmi"])
    young_waist = lookup(young["waist"], sex, year) + young["waist_per_bmi"] * (young_bmi - usual)
    height = np.where(adult, height, lookup(young["height"], sex, year) * (1 + young["height_sd"] * height_z))
    # The ends of NHANES 2007-2018: a log-normal tail knows no end.
    bmi = np.clip(np.where(adult, bmi, young_bmi), 12, 80)
    waist = np.where(adult, waist, young_waist + young["waist_sd"] * waist_z)
    weight = bmi * (height / 100) ** 2
    infant = lookup(young["weight"], sex, np.minimum(year, 1)) * (1 + young["weight_sd"] * bmi_z)
    weight = np.where(year < 2, infant, weight)
    return {
        "height_cm": np.clip(height, 60, 205),
        "weight_kg": np.clip(weight, 2.5, 250),
        "bmi_kg_m2": bmi,
        "waist_cm": np.clip(waist, 35, 180),
        # Children stand at the reference person; nothing that has these terms is asked of them.
        "bmi": np.where(adult, (bmi - 28) / 5, 0.0),
        "waist": np.where(adult, (waist - 99) / 10, 0.0),
        "height": np.where(adult, (height - 168) / 10, 0.0),
    }


def add_habits(rng: np.random.Generator, people: Columns, *, cycle: Cycle) -> Columns:
    """Return smoking, hypertension, family history, activity, sedentary time, sleep and pregnancies.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `select_people` and `add_body`.
    cycle
        Sleep was asked in whole hours before 2015-2016.

    Returns
    -------
    Columns
        0/1 columns ``smoked``, ``smoker``, ``some_days``, ``hypertension``, ``family``, ``leisure``,
        ``pregnant``, ``ever_pregnant``; ``sedentary_min``, ``sleep_hours``, ``gestational`` (1, 2 or 3),
        and for each of `ACTIVITIES` its name (0/1), ``…_days`` (a week) and ``…_minutes`` (a day).
    """
    given = parameter_groups()
    size = len(people["age"])

    def happens(name: str, terms: Columns) -> Array:
        return (rng.random(size) < chance(linear(given[name], terms))).astype(np.float64)

    found: Columns = {name: happens(name, people) for name in ("smoked", "hypertension", "family")}
    found["smoker"] = found["smoked"] * happens("smokes", people)
    found["some_days"] = (rng.random(size) < given["smoking"]["some_days"]).astype(np.float64)
    found |= _activities(rng, people)
    found["leisure"] = np.maximum(found["leisure_vigorous"], found["leisure_moderate"])
    root = linear(given["sedentary"], {**people, **found}) + given["sedentary"]["sd"] * rng.standard_normal(size)
    minutes = np.clip(root, 0, None) ** 2
    found["sedentary_min"] = np.clip(np.where(minutes < 90, _to(30, minutes), _to(60, minutes)), 0, 1200)
    asked = given["sleep"]["before_2015" if cycle.first < 2015 else "from_2015"]
    hours = linear(asked, people) + asked["sd"] * rng.standard_normal(size)
    found["sleep_hours"] = np.clip(_to(1.0 if cycle.first < 2015 else 0.5, hours), 2, 12)

    women = given["women"]
    fertile = (people["female"] > 0) & (people["age_years"] >= ADULT) & (people["age_years"] <= 44)
    found["pregnant"] = (fertile & (rng.random(size) < women["pregnant"])).astype(np.float64)
    ever = rng.random(size) < chance(linear(women["ever_pregnant"], people))
    ever = (people["female"] > 0) & (people["age_years"] >= ADULT) & (ever | (found["pregnant"] > 0))
    told = rng.random(size) < chance(linear(women["gestational"], {**people, **found}))
    almost = rng.random(size) < women["gestational_borderline"]
    found["ever_pregnant"] = ever.astype(np.float64)
    found["gestational"] = np.select([told, almost], [1.0, 3.0], 2.0)
    return found


def _activities(rng: np.random.Generator, people: Columns) -> Columns:
    given = parameter_groups()["activity"]
    size = len(people["age"])
    common, *groups = rng.standard_normal((4, size))
    factors = dict(zip(("work", "transport", "leisure"), groups, strict=True))
    minutes = np.asarray(given["minutes"], dtype=np.float64)
    found: Columns = {}
    for name in ACTIVITIES:
        own = np.sqrt(1 - given["common"] ** 2 - given["group"][name] ** 2)
        active = given["common"] * common + given["group"][name] * factors[name.split("_")[0]]
        active = active + own * rng.standard_normal(size)
        # Ranks of normal factors: activities go together, and each share stays that of its regression.
        share = chance(linear(given["kind"][name], people))
        found[name] = (ndtr(active) < share).astype(np.float64)
        found[f"{name}_days"] = (1 + pick(rng, given["days"][name], size)).astype(np.float64)
        found[f"{name}_minutes"] = np.take(minutes, pick(rng, given["minutes_share"][name], size))
    return found


def add_diet(rng: np.random.Generator, people: Columns) -> Columns:
    """Return usual intakes, two recall days and supplements.

    A recall day is the usual intake times a log-normal error with mean 1 (`day2` on the second day), so
    that the mean of many first days of a person is the usual intake.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `select_people`, `add_body` and `add_habits`.

    Returns
    -------
    Columns
        ``usual_energy`` (kcal/d), ``usual_magnesium`` (mg/d, food and drink), ``energy1``, ``magnesium1``,
        ``energy2``, ``magnesium2`` (kcal and mg of the two days), ``supplement`` and ``antacid`` (0/1),
        ``supplement_magnesium`` (mg/d; NaN where there is none).
    """
    given, young = parameter_groups()["diet"], parameter_groups()["young"]
    size, adult = len(people["age"]), people["age_years"] >= ADULT
    stage = np.digitize(people["age_years"], young["diet_first"][1:]).astype(np.int64)
    z_energy, z_magnesium = pair(rng, given["between_correlation"], size)
    usual: Columns = {}
    for name, z in (("energy", z_energy), ("magnesium", z_magnesium)):
        spread = given[f"between_{name}_sd"]
        log_adult = linear(given[name], people)
        log_young = np.log(lookup(young[name], people["female"], stage)) - spread**2 / 2
        usual[name] = np.exp(np.where(adult, log_adult, log_young) + spread * z + people["psu_diet"])
    found: Columns = {f"usual_{name}": values for name, values in usual.items()}
    for day in (1, 2):
        errors = pair(rng, given["within_correlation"], size)
        for name, z in zip(("energy", "magnesium"), errors, strict=True):
            spread = given[f"within_{name}_sd"]
            factor = given["day2"][name] if day == 2 else 1.0
            found[f"{name}{day}"] = factor * usual[name] * np.exp(spread * z - spread**2 / 2)
    return found | _supplements(rng, people, stage)


def _supplements(rng: np.random.Generator, people: Columns, stage: Codes) -> Columns:
    given, young, dose = parameter_groups(), parameter_groups()["young"], parameter_groups()["dose"]
    size, adult = len(people["age"]), people["age_years"] >= ADULT

    def happens(name: str) -> Flags:
        adults = chance(linear(given[name], people))
        return np.asarray(rng.random(size) < np.where(adult, adults, lookup(young[name], stage)))

    takes, contains = happens("supplement"), happens("supplement_magnesium")
    antacid = (rng.random(size) < chance(linear(given["antacid"], people))) & adult
    with_magnesium = antacid & (rng.random(size) < dose["antacid_magnesium"])
    rest = 1 - sum(dose["common_share"])
    place = pick(rng, [*dose["common_share"], rest], size)
    own = np.where(adult, dose["median"], young["dose"]) * np.exp(dose["log_sd"] * rng.standard_normal(size))
    amount = np.where(adult & (place < len(dose["common"])), np.array([*dose["common"], 0.0])[place], own)
    extra = dose["antacid_median"] * np.exp(dose["antacid_log_sd"] * rng.standard_normal(size))
    total = np.where(takes & contains, amount, 0.0) + np.where(with_magnesium, extra, 0.0)
    total = np.clip(np.round(total, 2), None, dose["highest"])
    return {
        "supplement": takes.astype(np.float64),
        "antacid": antacid.astype(np.float64),
        "supplement_magnesium": np.where((takes & contains) | with_magnesium, total, np.nan),
    }


def _to(step: float, values: Array) -> Array:
    return np.asarray(np.round(values / step) * step, dtype=np.float64)
