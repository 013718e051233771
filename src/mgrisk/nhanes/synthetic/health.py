"""Health of the synthetic people: diabetes and its diagnosis, laboratory values, blood pressure, history and medicines.

The true state is drawn first: who has diabetes, and whether it is diagnosed. Laboratory values are then drawn to be
consistent with it. Blood pressure includes antihypertensive medicine, and readings by auscultation and oscillometry.
Diabetes care, education, alcohol, self-reported weights, upper leg length, pulse and prescription medicines follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr

from mgrisk.nhanes.synthetic.parameters import (
    Columns,
    by_sex,
    correlated_normals,
    draw_index,
    linear,
    lookup,
    parameter_groups,
    probability,
)
from mgrisk.nhanes.synthetic.people import ADULT, RACES, adjust
from mgrisk.types import Booleans, Floats

NONE, DIAGNOSED, UNDIAGNOSED = 0.0, 1.0, 2.0
HBA1C_LIMIT = 6.5  # %, American Diabetes Association 2010
GLUCOSE_LIMIT = 126.0  # mg/dL fasting, American Diabetes Association 2010
_ADOLESCENT = 12  # years


def add_diabetes(rng: np.random.Generator, people: Columns) -> Columns:
    """Return the true risk, the true state and the laboratory values of everyone.

    A diagnosis is drawn first. Undiagnosed diabetes is then drawn among the others with the probability
    ``risk_undiagnosed``, from a logistic model with the coefficients ``undiagnosed`` and ``magnesium_effect`` of
    `parameters.toml` and a PSU effect. Nobody under 20 has undiagnosed diabetes.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people`, `add_body`, `add_habits` and `add_diet`.

    Returns
    -------
    Columns
        ``risk_undiagnosed`` (probability given no diagnosis; NaN under 20), ``risk_diagnosed``, ``state``
        (`NONE`, `DIAGNOSED`, `UNDIAGNOSED`), ``borderline`` (0/1, self-reported), ``hba1c`` (%, one decimal)
        and ``glucose`` (mg/dL, whole): without a diagnosis, HbA1c >= 6.5 or glucose >= 126 if and only if the
        state is `UNDIAGNOSED`.
    """
    given = parameter_groups()
    size, adult = len(people["age"]), people["age_years"] >= ADULT
    effect = given["magnesium_effect"]
    magnesium = effect["food_per_100_mg"] * (people["usual_magnesium"] - effect["reference_mg"]) / 100
    magnesium += effect["supplement_per_100_mg"] * np.nan_to_num(people["supplement_magnesium"]) / 100
    shared = magnesium + people["psu_diabetes"]
    young = lookup(given["young"]["diagnosed"], people["age_years"] >= _ADOLESCENT)
    risk_diagnosed = np.where(adult, probability(linear(given["diagnosed"], people) + shared), young)
    logit = np.where(adult, linear(given["undiagnosed"], people) + shared, given["young"]["logit"])
    risk = np.where(adult, probability(logit), np.nan)
    diagnosed = rng.random(size) < risk_diagnosed
    undiagnosed = ~diagnosed & (rng.random(size) < np.nan_to_num(risk))
    almost = rng.random(size) < probability(linear(given["borderline"], people))
    state = np.select([diagnosed, undiagnosed], [DIAGNOSED, UNDIAGNOSED], NONE)
    hba1c, glucose = _laboratory(rng, state, logit, people["black"])
    return {
        "risk_undiagnosed": risk,
        "risk_diagnosed": risk_diagnosed,
        "state": state,
        "borderline": (adult & ~diagnosed & almost).astype(np.float64),
        "hba1c": hba1c,
        "glucose": glucose,
    }


def add_insulin(rng: np.random.Generator, people: Columns) -> Columns:
    """Return ``insulin`` (fasting, uU/mL, two decimals) by BMI, glucose, age and diagnosis.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people`, `add_body` and `add_diabetes`.
    """
    given, z = parameter_groups()["insulin"], rng.standard_normal(len(people["age"]))
    terms = {**people, "glucose": np.log(people["glucose"] / 100)}
    child = {**terms, "age": people["age_years"] - 16, "bmi": (people["bmi_kg_m2"] - 22) / 5}
    young, known = people["age_years"] < ADULT, people["state"] == DIAGNOSED
    logs = [
        linear(given[name], of) + given[name]["sd"] * z
        for name, of in (("young", child), ("diagnosed", terms), ("undiagnosed", terms))
    ]
    drawn = np.exp(np.select([young, known], logs[:2], logs[2]))
    return {"insulin": np.round(np.clip(drawn, *given["range"]), 2)}


def _laboratory(rng: np.random.Generator, state: Floats, logit: Floats, black: Floats) -> tuple[Floats, Floats]:
    given = parameter_groups()["laboratory"]
    size = len(state)

    def healthy() -> tuple[Floats, Floats]:
        z_hba1c, z_glucose = correlated_normals(rng, given["correlation"], size)
        return (
            _predicted(given["hba1c"], logit, black) + given["hba1c"]["sd"] * z_hba1c,
            _predicted(given["glucose"], logit, black) + given["glucose"]["sd"] * z_glucose,
        )

    def near() -> tuple[Floats, Floats]:
        z_hba1c, z_glucose = rng.standard_normal((2, size))
        low_hba1c, low_glucose = given["hba1c_below"], given["glucose_below"]
        return (
            low_hba1c["mean"] + low_hba1c["sd"] * z_hba1c,
            low_glucose["mean"] + low_glucose["sd"] * z_glucose,
        )

    hba1c, glucose = _below(healthy)
    near_hba1c, near_glucose = _below(near)
    z_hba1c, z_glucose = correlated_normals(rng, given["above_correlation"], size)
    high_hba1c = HBA1C_LIMIT + np.round(_excess(given["hba1c_excess"], z_hba1c), 1)
    high_glucose = GLUCOSE_LIMIT + np.round(_excess(given["glucose_excess"], z_glucose))
    both, glucose_alone = np.cumsum(given["above_shares"])[:2]
    kind = rng.random(size)
    found = state == UNDIAGNOSED
    hba1c = np.where(found, np.where((kind < both) | (kind >= glucose_alone), high_hba1c, near_hba1c), hba1c)
    glucose = np.where(found, np.where(kind < glucose_alone, high_glucose, near_glucose), glucose)
    z_hba1c, z_glucose = correlated_normals(rng, given["diagnosed_correlation"], size)
    known = state == DIAGNOSED
    floors = given["hba1c_diagnosed"], given["glucose_diagnosed"]
    hba1c = np.where(known, floors[0]["floor"] + _excess(floors[0], z_hba1c), hba1c)
    glucose = np.where(known, floors[1]["floor"] + _excess(floors[1], z_glucose), glucose)
    return np.round(hba1c, 1), np.round(glucose)


def _predicted(group: Mapping[str, float], logit: Floats, black: Floats) -> Floats:
    # The regressions were fitted to log-odds between about -7 and -1; values outside are set to the limits.
    return group["intercept"] + group["slope"] * (np.clip(logit, -7, -1) + 3.5) + group["black"] * black


def _excess(group: Mapping[str, float], z: Floats) -> Floats:
    return np.asarray(np.minimum(group["median"] * np.exp(group["log_sd"] * z), group["highest"]))


def _below(draw: Callable[[], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Draw until both rounded values are below their limits: a truncated distribution, without a peak at 6.4."""
    hba1c, glucose = draw()
    high = _is_high(hba1c, glucose)
    while high.any():
        again_hba1c, again_glucose = draw()
        hba1c, glucose = np.where(high, again_hba1c, hba1c), np.where(high, again_glucose, glucose)
        high = _is_high(hba1c, glucose)
    return hba1c, glucose


def _is_high(hba1c: Floats, glucose: Floats) -> Booleans:
    return np.asarray((np.round(hba1c, 1) >= HBA1C_LIMIT) | (np.round(glucose) >= GLUCOSE_LIMIT))


AUSCULTATED, OSCILLOMETRIC = "auscultated", "oscillometric"


def add_pressure(rng: np.random.Generator, people: Columns) -> Columns:
    """Return antihypertensive medicine and systolic readings of everyone.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people`, `add_body` and `add_habits`.

    Returns
    -------
    Columns
        ``told_to_take`` and ``takes`` (medicine, 0/1, among those with hypertension), and the readings (mmHg,
        NaN if not taken) ``auscultated1`` to ``auscultated4``, even, and ``oscillometric1`` to
        ``oscillometric3``, whole.
    """
    given = parameter_groups()
    size, systolic = len(people["age"]), given["systolic"]
    told = (people["hypertension"] > 0) & (rng.random(size) < probability(linear(given["told_to_take"], people)))
    takes = told & (rng.random(size) < probability(linear(given["takes"], people)))
    usual = _usual(rng, people)
    found: Columns = {"told_to_take": told.astype(np.float64), "takes": takes.astype(np.float64)}
    for method in (AUSCULTATED, OSCILLOMETRIC):
        rules = systolic[method]
        pattern = draw_index(rng, rules["share"], size)
        for place, shift in enumerate(rules["shift"]):
            error = np.exp(rules["log_sd"] * rng.standard_normal(size))
            value = systolic["floor"] + (usual - systolic["floor"]) * error + shift
            reading = np.clip(rules["step"] * np.round(value / rules["step"]), *systolic["range"])
            here = lookup([made[place] for made in rules["made"]], pattern) > 0
            found[f"{method}{place + 1}"] = np.where(here, reading, np.nan)
    return found


def _usual(rng: np.random.Generator, people: Columns) -> Floats:
    systolic = parameter_groups()["systolic"]
    young, girls = systolic["young"], people["female"] > 0
    z = rng.standard_normal(len(people["age"]))
    mean, spread = by_sex(systolic, people)
    adult = systolic["floor"] + np.exp(mean + spread * z)
    level = np.where(girls, young["mean"][1], young["mean"][0])
    slope = np.where(girls, young["year"][1], young["year"][0])
    child = level + slope * (people["age_years"] - 14) + young["bmi"] * (people["bmi_kg_m2"] - 22) / 5
    return np.asarray(np.where(people["age_years"] >= ADULT, adult, child + young["sd"] * z), dtype=np.float64)


POUNDS = 1 / 0.45359237  # in a kilogram
INCHES = 1 / 2.54  # in a centimetre
EDUCATIONS = 5
WEIGHTS = ("now", "year", "ten", "young", "greatest")
_ALIKE = 0.7  # correlation between drinking frequency and amount, and among self-reported weights


def add_laboratory(rng: np.random.Generator, people: Columns) -> Columns:
    """Return creatinine, triglycerides, and 2-hour glucose of the tolerance test, with the weight of its subsample.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `take_part`, `add_body`, `add_habits`, `add_diabetes` and `add_insulin`.

    Returns
    -------
    Columns
        ``creatinine`` and ``triglycerides`` (mg/dL; NaN if not measured), ``two_hours`` (mg/dL; of people without a
        diagnosis who took the test), ``tolerance_weight`` (0 for people of the fasting subsample who did not).
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

    def drawn(about: Mapping[str, Any], young: Floats, decimals: int) -> Floats:
        z = rng.standard_normal(size)
        spread = np.where(adult, about["adult"]["sd"], about["young"]["sd"])
        logs = np.where(adult, linear(about["adult"], terms), young)
        return np.asarray(np.round(np.clip(np.exp(logs + spread * z), *about["range"]), decimals), dtype=np.float64)

    def measured(values: Floats, share: float) -> Floats:
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
    """Return diabetes care, education, alcohol, and self-reported weights.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people`, `add_body`, `add_habits` and `add_diabetes`.

    Returns
    -------
    Columns
        ``takes_insulin``, ``pills`` (0/1), ``told_years`` (years since diagnosis), ``prediabetes`` (0/1),
        ``education`` (1 to 5), ``drinker`` (0 never, 1 seldom, 2 more), ``often`` (1 every day to 10 once or twice a
        year, 0 not in the past year), ``drinks`` (per drinking day), ``said_height`` (self-reported, inches), and
        ``said_…`` for each of `WEIGHTS` (self-reported, pounds).
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
    drinker = draw_index(rng, [given["never"], given["seldom"], 1 - given["never"] - given["seldom"]], size)
    tends = given["men"] * (0.5 - people["female"]) + given["smoker"] * people["smoker"] + given["age"] * people["age"]
    alike = rng.standard_normal(size)
    spread = np.sqrt(1 - _ALIKE**2)
    often_rank, much_rank = (ndtr(tends + _ALIKE * alike + spread * rng.standard_normal(size)) for _ in range(2))
    # The first answers mean drinking most often.
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
    # The greatest weight is at least as large as every other reported weight.
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
    """Return blood lipids, hip circumference, diastolic readings, country of birth, and births.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people`, `add_body`, `add_habits` and `add_pressure`.

    Returns
    -------
    Columns
        ``cholesterol``, ``hdl`` (mg/dL, whole), ``hip_cm``, ``born_in_us`` (0/1), ``delivered`` (0/1), ``births``,
        ``large_baby`` (0/1), and the diastolic readings (mmHg): ``auscultated1_low``, ``oscillometric1_low`` and so on,
        NaN if not taken.
    """
    given, size = parameter_groups("health"), len(people["age"])
    adult = people["age_years"] >= ADULT

    def drawn(name: str) -> tuple[Floats, Floats]:
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
        "births": draw_index(rng, births["number"], size).astype(np.float64),
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
            # At least 10 mmHg below the systolic reading.
            value = np.minimum(np.clip(value, *given["range"]), systolic[:, reading] - 10)
            low = step * np.round(value / step)
            found[f"{method}{reading + 1}_low"] = np.where(made[:, reading], low, np.nan)
    return found


def add_upper_leg(rng: np.random.Generator, people: Columns) -> Columns:
    """Return ``upper_leg_cm`` by height, sex, age, race and BMI, one decimal, NaN if not measured.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people` and `add_body`.
    """
    given, size = parameter_groups("health")["upper_leg"], len(people["age"])
    mean, spread = _adult_or_child(given, people, height=(people["height_cm"] - 168) / 10)
    length = np.round(np.clip(mean + spread * rng.standard_normal(size), *given["range"]), 1)
    return {"upper_leg_cm": np.where(rng.random(size) < given["measured"], length, np.nan)}


def _adult_or_child(given: Mapping[str, Any], people: Columns, **of_child: Floats) -> tuple[Floats, Floats]:
    """Return mean and SD for each person: of adults by sex, of children with the additional columns `of_child`."""
    adult = people["age_years"] >= ADULT
    mean, spread = by_sex(given, people)
    child = linear(given["young"], {**people, **of_child})
    return np.where(adult, mean, child), np.where(adult, spread, given["young"]["sd"])


def add_pulse(rng: np.random.Generator, people: Columns) -> Columns:
    """Return the resting pulse of those whose blood pressure was read.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people`, `add_body`, `add_habits` and `add_pressure`.

    Returns
    -------
    Columns
        Beats/min, NaN if not measured: ``pulse``, counted at the wrist, even, and with the oscillometric blood
        pressures ``oscillometric1_pulse`` to ``oscillometric3_pulse``, whole.
    """
    given, size = parameter_groups("health")["pulse"], len(people["age"])
    mean, spread = _adult_or_child(given, people, year=people["age_years"] - 14)
    usual = np.exp(mean + spread * rng.standard_normal(size))
    count = usual + given["count_sd"] * rng.standard_normal(size)
    counted = np.clip(given["step"] * np.round(count / given["step"]), *given["range"])
    read = ~np.isnan([people[f"{AUSCULTATED}{reading}"] for reading in (1, 2, 3, 4)]).all(axis=0)
    found: Columns = {"pulse": np.where(read, counted, np.nan)}
    visit = usual + given["visit_sd"] * rng.standard_normal(size)
    has_device = rng.random(size) < given["with_device"]
    for reading, shift in enumerate(given["shift"], start=1):
        value = np.round(visit + shift + given["reading_sd"] * rng.standard_normal(size))
        here = has_device & ~np.isnan(people[f"{OSCILLOMETRIC}{reading}"])
        found[f"{OSCILLOMETRIC}{reading}_pulse"] = np.where(here, np.clip(value, *given["range"]), np.nan)
    return found


def add_medicines(rng: np.random.Generator, people: Columns) -> Columns:
    """Return ``drug0``, ``drug1`` and so on: whether each drug of `products.toml` is taken (0/1).

    Parameters
    ----------
    rng
        Random generator.
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
        taken[f"drug{number}"] = (groups[drug["among"]] & (rng.random(size) < probability(logit))).astype(np.float64)
    for among in ("takes", "pills"):
        # People who report taking such medicine have at least the commonest drug; insulins are many.
        of = [f"drug{number}" for number, drug in enumerate(drugs) if drug["among"] == among]
        none = groups[among] & (np.sum([taken[name] for name in of], axis=0) == 0)
        taken[of[0]] = np.where(none, 1.0, taken[of[0]])
    return taken
