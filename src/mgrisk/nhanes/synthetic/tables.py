"""The synthetic people coded as NHANES tables: rows, skip patterns, answer codes and missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.nhanes.codebook import KEY, VARIABLES
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic.health import AUSCULTATED, DIAGNOSED, OSCILLOMETRIC
from mgrisk.nhanes.synthetic.parameters import Columns, lookup, parameter_groups
from mgrisk.nhanes.synthetic.people import ACTIVITIES, ADULT
from mgrisk.nhanes.synthetic.recalls import DAYS
from mgrisk.types import Booleans, Floats

_YES, _NO, _BORDERLINE = 1.0, 2.0, 3.0
_IN_YEARS = 2.0
_RECALLED = (1.0,)  # status of a recall day with totals; breast-fed children have none
_YOUNGEST_PRESSURE = 8  # years, for blood pressure and pulse
_YOUNGEST_LEG = 8  # years
_YOUNGEST_WEIGHT = 16  # years
_YOUNGEST_FATS = 6  # years
_YOUNGEST_HIP = 12  # years
_BREAST_FED = 4.0  # status of a recall day
_RIDRETH1 = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 5.0])  # in the order of `people.RACES`
_RIDRETH3 = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 7.0])

_WEIGHT_QUESTIONS = {"WHD020": "now", "WHD050": "year", "WHD110": "ten", "WHD120": "young", "WHD140": "greatest"}

# Question, days and minutes of each activity, in the order of `ACTIVITIES`.
_QUESTIONS = (
    ("PAQ605", "PAQ610", "PAD615"),
    ("PAQ620", "PAQ625", "PAD630"),
    ("PAQ635", "PAQ640", "PAD645"),
    ("PAQ650", "PAQ655", "PAD660"),
    ("PAQ665", "PAQ670", "PAD675"),
)


def code_tables(
    rng: np.random.Generator, later: np.random.Generator, people: Columns, *, cycle: Cycle, sequence: Floats
) -> dict[str, pd.DataFrame]:
    """Return the tables of one cycle that have one row for each person.

    Parameters
    ----------
    rng, later
        Random generators of refusals and missing measurements; `later` for columns added later, so that the
        values of the older columns stay the same.
    people
        Columns of all stages.
    cycle
        Cycle, which determines names, the variables measured, and who was asked.
    sequence
        SEQN of each person.

    Returns
    -------
    dict
        Frame by table name without the cycle's suffix: SEQN and every simulated variable that the cycle asked or
        measured, under its name in the cycle; one row for each person who would be in this NHANES table.
    """
    coded = {**_interview(rng, people, cycle), **_examination(rng, people, cycle)}
    coded |= _pressure(rng, people, coded["BPQ020"] == _YES)
    measured = rng.random(len(sequence)) < parameter_groups()["insulin"]["measured"]
    coded |= {**_recalled(people), **_history(later, people, coded), **_alcohol(later, people, cycle)}
    everyone = np.ones(len(sequence), dtype=np.bool_)
    coded |= {**_more(later, people, coded), "DMDBORN4": _refuse(later, "DMDBORN4", _born(people, cycle), everyone)}
    fasting = ~np.isnan(coded["LBXGLU"])
    coded["LBXIN"] = np.where(measured & fasting, people["insulin"], np.nan)
    coded["LBXTR"] = np.where(fasting, people["triglycerides"], np.nan)
    coded["LBXSCR"] = people["creatinine"]
    coded["LBXGLT"] = people["two_hours"]
    coded["WTSOG2YR"] = people["tolerance_weight"]
    held = _rows(people, cycle)
    tables: dict[str, dict[str, Floats]] = {}
    files: dict[str, str] = {}
    for variable in VARIABLES.values():
        name = variable.name_in(cycle)
        if name is not None and variable.name in coded and not variable.records:
            # Insulin was in the file of glucose before 2013-2014.
            table = files.setdefault(cycle.table(variable.table), variable.table)
            columns = tables.setdefault(table, {KEY: sequence})
            columns[name] = coded[variable.name]
    return {table: pd.DataFrame(columns).loc[held[table]].reset_index(drop=True) for table, columns in tables.items()}


def _rows(people: Columns, cycle: Cycle) -> dict[str, Booleans]:
    """Return who is in each table, by the ages in the tables of 2007-2018."""
    age, examined = people["age_years"], people["examined"] > 0
    everyone = np.ones(len(age), dtype=np.bool_)
    return {
        "DEMO": everyone,
        "DIQ": age >= 1,
        "MCQ": age >= 1,
        "BPQ": age >= 16,
        "SLQ": age >= 16,
        "SMQ": age >= 12,
        "PAQ": age >= _first_asked_activity(cycle, table=True),
        "RHQ": examined & (people["female"] > 0) & (age >= 12),
        "BMX": examined,
        "BPX": examined,
        "BPXO": examined & (age >= _YOUNGEST_PRESSURE),
        "GHB": examined & (age >= 12),
        "GLU": people["in_glucose"] > 0,
        "INS": people["in_glucose"] > 0,
        "TRIGLY": people["in_glucose"] > 0,
        "OGTT": people["in_glucose"] > 0,
        "BIOPRO": examined & (age >= 12),
        "TCHOL": examined & (age >= _YOUNGEST_FATS),
        "HDL": examined & (age >= _YOUNGEST_FATS),
        "ALQ": examined & (age >= _first_asked_alcohol(cycle)),
        "WHQ": age >= _YOUNGEST_WEIGHT,
        "DR1TOT": examined,
        "DR2TOT": examined,
        "DS1TOT": examined,
        "DS2TOT": examined,
        "DSQTOT": everyone,
    }


def _first_asked_activity(cycle: Cycle, *, table: bool) -> int:
    # PAQ_J has adults only; earlier tables have children from 2 years on, who were asked other questions.
    if cycle.first >= 2017:
        return 18
    return 2 if table else 12


def _first_asked_alcohol(cycle: Cycle) -> int:
    return 18 if cycle.first >= 2017 else ADULT


def _interview(rng: np.random.Generator, people: Columns, cycle: Cycle) -> Columns:
    age, female, size = people["age_years"], people["female"] > 0, len(people["age_years"])
    examined = people["examined"] > 0
    race = people["race"].astype(np.int64)
    women, income = parameter_groups()["women"], parameter_groups()["income"]
    unknown = ~examined | (rng.random(size) < women["pregnancy_unknown"])
    asked = female & (age >= ADULT) & (age <= 44)
    pregnant = np.where(unknown, 3.0, _answer(people["pregnant"]))
    ever_smoked = _refuse(rng, "SMQ020", _answer(people["smoked"]), age >= (ADULT if cycle.first < 2013 else 18))
    now = np.select([people["smoker"] == 0, people["some_days"] > 0], [3.0, 2.0], 1.0)
    told = np.select([people["state"] == DIAGNOSED, people["borderline"] > 0], [1.0, 3.0], 2.0)
    everyone = np.ones(size, dtype=np.bool_)
    return {
        "RIDSTATR": np.where(examined, 2.0, 1.0),
        "RIDAGEYR": age,
        "RIAGENDR": np.where(female, 2.0, 1.0),
        "RIDRETH1": _RIDRETH1[race],
        "RIDRETH3": _RIDRETH3[race],
        "INDFMPIR": np.where(rng.random(size) < income["missing"], np.nan, people["income"]),
        "RIDEXPRG": np.where(asked, pregnant, np.nan),
        "WTINT2YR": people["interview_weight"],
        "WTMEC2YR": people["exam_weight"],
        "SDMVPSU": people["psu"],
        "SDMVSTRA": people["stratum"],
        "DIQ010": _refuse(rng, "DIQ010", told, everyone),
        "BPQ020": _refuse(rng, "BPQ020", _answer(people["hypertension"]), everyone),
        "MCQ300C": _refuse(rng, "MCQ300C", _answer(people["family"]), age >= ADULT),
        "RHQ131": np.where(female & examined & (age >= ADULT), _answer(people["ever_pregnant"]), np.nan),
        "RHQ162": _refuse(rng, "RHQ162", people["gestational"], people["ever_pregnant"] > 0),
        "SMQ020": ever_smoked,
        "SMQ040": _refuse(rng, "SMQ040", now, ever_smoked == _YES),
        "SLD012": _refuse(rng, "SLD012", people["sleep_hours"], everyone),
        "DSD010": _refuse(rng, "DSD010", _answer(people["supplement"]), everyone),
        "DSD010AN": _refuse(rng, "DSD010AN", _answer(people["antacid"]), everyone),
        "DSQTMAGN": people["supplement_magnesium"],
        **_activity(rng, people, age >= _first_asked_activity(cycle, table=False)),
    }


def _activity(rng: np.random.Generator, people: Columns, asked: Booleans) -> Columns:
    coded: Columns = {"PAD680": _refuse(rng, "PAD680", people["sedentary_min"], asked)}
    for name, (question, days, minutes) in zip(ACTIVITIES, _QUESTIONS, strict=True):
        coded[question] = _refuse(rng, question, _answer(people[name]), asked)
        coded[days] = _refuse(rng, days, people[f"{name}_days"], coded[question] == _YES)
        # People who do not know the days are not asked for the minutes.
        known = coded[days] <= 7
        coded[minutes] = _refuse(rng, minutes, people[f"{name}_minutes"], known)
    return coded


def _examination(rng: np.random.Generator, people: Columns, cycle: Cycle) -> Columns:
    response = parameter_groups()["response"]
    age, size = people["age_years"], len(people["age_years"])
    measured = rng.random(size) < response["body"]
    waist = measured & (age >= 2) & (rng.random(size) < response["waist"])
    weight, height = np.round(people["weight_kg"], 1), np.round(people["height_cm"], 1)
    # BMX_E and BMX_F give two decimals, later tables one.
    bmi = np.round(weight / (height / 100) ** 2, 2 if cycle.first < 2011 else 1)
    fasted = people["fasted"] > 0
    glucose = fasted | (rng.random(size) < response["glucose_unfasted"])
    coded: Columns = {
        "BMXWT": np.where(measured, weight, np.nan),
        "BMXHT": np.where(measured & (age >= 2), height, np.nan),
        "BMXBMI": np.where(measured & (age >= 2), bmi, np.nan),
        "BMXWAIST": np.where(waist, np.round(people["waist_cm"], 1), np.nan),
        "LBXGH": np.where(rng.random(size) < response["hba1c"], people["hba1c"], np.nan),
        "LBXGLU": np.where(glucose, people["glucose"], np.nan),
        "WTSAF2YR": people["fasting_weight"],
    }
    first, second = people["recall1"], people["recall2"]
    none = 0.0 if cycle.first >= response["zero_weights_from"] else np.nan
    day1, day2 = people["recall1_weight"], people["recall2_weight"]
    coded["WTDRD1"] = np.where(day1 > 0, day1, none)
    coded["WTDR2D"] = np.where(day2 > 0, day2, np.where(day1 > 0, none, np.nan))
    for day, status in ((1, first), (2, second)):
        reported = np.isin(status, _RECALLED)
        coded[f"DR{day}DRSTZ"] = status
        coded[f"DR{day}TKCAL"] = np.where(reported, np.round(people[f"energy{day}"]), np.nan)
        coded[f"DR{day}TMAGN"] = np.where(reported, np.round(people[f"magnesium{day}"]), np.nan)
    return coded


def _pressure(rng: np.random.Generator, people: Columns, told_of_it: Booleans) -> Columns:
    old_enough = people["age_years"] >= _YOUNGEST_PRESSURE
    asked = told_of_it & (people["told_to_take"] > 0)
    coded: Columns = {"BPQ050A": _refuse(rng, "BPQ050A", _answer(people["takes"]), asked)}
    for prefix, method, readings in (("BPXSY", AUSCULTATED, 4), ("BPXOSY", OSCILLOMETRIC, 3)):
        for reading in range(1, readings + 1):
            coded[f"{prefix}{reading}"] = np.where(old_enough, people[f"{method}{reading}"], np.nan)
    coded["BPXPLS"] = np.where(old_enough, people["pulse"], np.nan)
    for reading in (1, 2, 3):
        coded[f"BPXOPLS{reading}"] = np.where(old_enough, people[f"{OSCILLOMETRIC}{reading}_pulse"], np.nan)
    return coded


def _recalled(people: Columns) -> Columns:
    """Code the nutrients and supplements of the recalled days other than food energy and magnesium."""
    given = parameter_groups("recalls")
    coded: Columns = {}
    for day in DAYS:
        status = people[f"recall{day}"]
        coded[f"DR{day}DAY"] = people[f"day{day}"]
        for name, about in (given["nutrients"] | given["sometimes"]).items():
            amount = np.round(people[f"{name}{day}"], about["decimals"])
            coded[f"DR{day}T{about['code']}"] = np.where(np.isin(status, _RECALLED), amount, np.nan)
        asked = np.isin(status, (*_RECALLED, _BREAST_FED))
        coded[f"DS{day}DS"] = np.where(asked, _answer(people[f"supplement_day{day}"]), np.nan)
        coded[f"DS{day}AN"] = np.where(asked, _answer(people[f"antacid_day{day}"]), np.nan)
        coded[f"DS{day}TMAGN"] = np.where(asked, people[f"supplement_magnesium{day}"], np.nan)
    return coded


def _history(rng: np.random.Generator, people: Columns, coded: Columns) -> Columns:
    """Code diabetes care, education, and self-reported weights and heights."""
    age, everyone = people["age_years"], np.ones(len(people["age_years"]), dtype=np.bool_)
    told, borderline = coded["DIQ010"] == _YES, coded["DIQ010"] == _BORDERLINE
    others = (coded["DIQ010"] == _NO) & (age >= 12)
    age_told = np.clip(age - people["told_years"], 1, None)
    on_insulin = _refuse(rng, "DIQ050", _answer(told * people["takes_insulin"]), everyone)
    prediabetes = _refuse(rng, "DIQ160", _answer(people["prediabetes"]), others)
    years = np.clip(np.floor(people["told_years"] / 2), 1, None)
    found = {
        "DID040": _refuse(rng, "DID040", age_told, told),
        "DIQ050": on_insulin,
        "DID060": _refuse(rng, "DID060", years, on_insulin == _YES),
        "DIQ060U": np.where(on_insulin == _YES, _IN_YEARS, np.nan),
        "DIQ070": _refuse(rng, "DIQ070", _answer(people["pills"]), told | borderline | (prediabetes == _YES)),
        "DIQ160": prediabetes,
        "DMDEDUC2": _refuse(rng, "DMDEDUC2", people["education"], age >= ADULT),
        "WHD010": _refuse(rng, "WHD010", people["said_height"], everyone),
    }
    asked_from = parameter_groups("health")["weight_history"]
    for question, name in _WEIGHT_QUESTIONS.items():
        found[question] = _refuse(rng, question, people[f"said_{name}"], age >= asked_from[name]["from"])
    return found


def _more(rng: np.random.Generator, people: Columns, coded: Columns) -> Columns:
    """Code blood lipids, hip and upper leg measurements, diastolic readings, medicine prescribed, and births."""
    age, size = people["age_years"], len(people["age_years"])
    blood = (rng.random(size) < parameter_groups()["response"]["hba1c"]) & (age >= _YOUNGEST_FATS)
    delivered = (coded["RHQ131"] == _YES) & (people["delivered"] > 0)
    body = ~np.isnan(coded["BMXBMI"])
    found = {
        "LBXTC": np.where(blood, people["cholesterol"], np.nan),
        "LBDHDD": np.where(blood, people["hdl"], np.nan),
        "BMXHIP": np.where(body & (age >= _YOUNGEST_HIP), people["hip_cm"], np.nan),
        "BMXLEG": np.where(body & (age >= _YOUNGEST_LEG), people["upper_leg_cm"], np.nan),
        "BPQ040A": _refuse(rng, "BPQ040A", _answer(people["told_to_take"]), coded["BPQ020"] == _YES),
        "RHQ171": _refuse(rng, "RHQ171", people["births"], delivered),
        "RHQ172": _refuse(rng, "RHQ172", _answer(people["large_baby"]), delivered),
    }
    for prefix, method, readings in (("BPXDI", AUSCULTATED, 4), ("BPXODI", OSCILLOMETRIC, 3)):
        for reading in range(1, readings + 1):
            values = people[f"{method}{reading}_low"]
            found[f"{prefix}{reading}"] = np.where(age >= _YOUNGEST_PRESSURE, values, np.nan)
    return found


def _born(people: Columns, cycle: Cycle) -> Floats:
    """Return the code of the country of birth; from 2011 on all other countries have one code."""
    others = lookup(parameter_groups("health")["born"]["elsewhere"], people["race"])
    return np.where(people["born_in_us"] > 0, _YES, others if cycle.first < 2011 else _NO)


def _alcohol(rng: np.random.Generator, people: Columns, cycle: Cycle) -> Columns:
    given = parameter_groups("health")["alcohol"]
    size, drinker, often = len(people["age"]), people["drinker"], people["often"]
    asked = (people["examined"] > 0) & (people["age_years"] >= _first_asked_alcohol(cycle))
    asked &= rng.random(size) < given["answered"]
    place = np.maximum(often, 1).astype(np.int64) - 1
    ever = _refuse(rng, "ALQ111", _answer(drinker), asked)
    twelve_a_year = _refuse(rng, "ALQ101", _answer(drinker == 2), asked)
    twelve = _refuse(rng, "ALQ110", _answer(drinker), twelve_a_year == _NO)
    times = _refuse(rng, "ALQ121", often, ever == _YES)
    drank = (twelve_a_year == _YES) | (twelve == _YES)
    quantity = _refuse(rng, "ALQ120Q", np.where(often == 0, 0.0, lookup(given["quantity"], place)), drank)
    some = np.where(cycle.first >= 2017, ever == _YES, drank) & (often > 0)
    return {
        "ALQ101": twelve_a_year,
        "ALQ110": twelve,
        "ALQ111": ever,
        "ALQ120Q": quantity,
        "ALQ120U": np.where((quantity > 0) & (often > 0), lookup(given["unit"], place), np.nan),
        "ALQ121": times,
        "ALQ130_FROM_2005": _refuse(rng, "ALQ130_FROM_2005", people["drinks"], some),
    }


def _answer(flags: Floats) -> Floats:
    return np.where(flags > 0, _YES, _NO)


def _refuse(rng: np.random.Generator, name: str, answers: Floats, asked: Booleans) -> Floats:
    """Return answers with refused and don't know as often as in NHANES, and missing if not asked."""
    given = parameter_groups()["refusals"]
    refused, unknown = given.get(name, given["other"])
    codes = sorted(VARIABLES[name].missing) if name in VARIABLES else [np.nan]
    draw = rng.random(len(answers))
    coded = np.where(draw < refused, codes[0], np.where(draw < refused + unknown, codes[-1], answers))
    return np.where(asked, coded, np.nan)
