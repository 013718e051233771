"""The people as NHANES would have coded them: tables, rows, skip patterns, answer codes, missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.nhanes.codebook import KEY, VARIABLES
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic.diabetes import DIAGNOSED
from mgrisk.nhanes.synthetic.parameters import Array, Columns, Flags, parameter_groups
from mgrisk.nhanes.synthetic.people import ACTIVITIES, ADULT
from mgrisk.nhanes.synthetic.pressure import AUSCULTATED, OSCILLOMETRIC

_YES, _NO = 1.0, 2.0
_RECALLED = (1.0,)  # status of a recall day with totals: those of breast-fed children are missing
_YOUNGEST_PRESSURE = 8  # years
_RIDRETH1 = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 5.0])  # in the order of `sampling.RACES`
_RIDRETH3 = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 7.0])
NOT_WRITTEN = frozenset(
    {
        "WTINT4YR", "WTMEC4YR", "WTDR4YR", "WTSAF4YR", "WTINTPRP", "WTMECPRP", "WTDRD1PP", "WTDR2DPP", "WTSAFPRP",
        "BPQ150", "PAD790Q", "PAD790U", "PAD800", "PAD810Q", "PAD810U", "PAD820",
    }
)  # fmt: skip
"""Rows of `variables.toml` that the demo pipeline does not read and the synthetic cohort does not have."""

# Question, days and minutes of each activity, in the order of `ACTIVITIES`.
_QUESTIONS = (
    ("PAQ605", "PAQ610", "PAD615"),
    ("PAQ620", "PAQ625", "PAD630"),
    ("PAQ635", "PAQ640", "PAD645"),
    ("PAQ650", "PAQ655", "PAD660"),
    ("PAQ665", "PAQ670", "PAD675"),
)


def code_tables(rng: np.random.Generator, people: Columns, *, cycle: Cycle, sequence: Array) -> dict[str, pd.DataFrame]:
    """Return the tables of one cycle.

    Parameters
    ----------
    rng
        Source of chance of refusals and missing measurements.
    people
        Columns of `select_people`, `take_part`, `add_body`, `add_habits`, `add_diet`, `add_diabetes`,
        `add_insulin` and `add_pressure`.
    cycle
        Decides on names, on variables that were not measured, and on who was asked.
    sequence
        SEQN of each person.

    Returns
    -------
    dict
        Frame by table name without the cycle's suffix: SEQN and every variable of `variables.toml` that the
        cycle has, but those of `NOT_WRITTEN`, under the cycle's name for it; one row for each person the table
        holds in NHANES.

    Raises
    ------
    KeyError
        A row of `variables.toml` that the synthetic cohort does not know yet.
    """
    coded = {**_interview(rng, people, cycle), **_examination(rng, people, cycle)}
    coded |= _pressure(rng, people, coded["BPQ020"] == _YES)
    measured = rng.random(len(sequence)) < parameter_groups()["insulin"]["measured"]
    coded["LBXIN"] = np.where(measured & ~np.isnan(coded["LBXGLU"]), people["insulin"], np.nan)
    held = _rows(people, cycle)
    tables: dict[str, dict[str, Array]] = {}
    files: dict[str, str] = {}
    for variable in VARIABLES.values():
        name = variable.name_in(cycle)
        if name is not None and variable.name not in NOT_WRITTEN:
            # Insulin lay in the file of glucose before 2013-2014.
            table = files.setdefault(cycle.table(variable.table), variable.table)
            columns = tables.setdefault(table, {KEY: sequence})
            columns[name] = coded[variable.name]
    return {table: pd.DataFrame(columns).loc[held[table]].reset_index(drop=True) for table, columns in tables.items()}


def _rows(people: Columns, cycle: Cycle) -> dict[str, Flags]:
    """Return whom each table holds; ages as found in the tables of 2007-2018."""
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
        "DR1TOT": examined,
        "DR2TOT": examined,
        "DSQTOT": everyone,
    }


def _first_asked_activity(cycle: Cycle, *, table: bool) -> int:
    # PAQ_J holds adults alone; before, children from 2 on are in the table and asked other questions.
    if cycle.first >= 2017:
        return 18
    return 2 if table else 12


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
        "RHQ162": _refuse(rng, "RHQ162", people["gestational"], people["ever_pregnant"] > 0),
        "SMQ020": ever_smoked,
        "SMQ040": _refuse(rng, "SMQ040", now, ever_smoked == _YES),
        "SLD012": _refuse(rng, "SLD012", people["sleep_hours"], everyone),
        "DSD010": _refuse(rng, "DSD010", _answer(people["supplement"]), everyone),
        "DSD010AN": _refuse(rng, "DSD010AN", _answer(people["antacid"]), everyone),
        "DSQTMAGN": people["supplement_magnesium"],
        **_activity(rng, people, age >= _first_asked_activity(cycle, table=False)),
    }


def _activity(rng: np.random.Generator, people: Columns, asked: Flags) -> Columns:
    coded: Columns = {"PAD680": _refuse(rng, "PAD680", people["sedentary_min"], asked)}
    for name, (question, days, minutes) in zip(ACTIVITIES, _QUESTIONS, strict=True):
        coded[question] = _refuse(rng, question, _answer(people[name]), asked)
        coded[days] = _refuse(rng, days, people[f"{name}_days"], coded[question] == _YES)
        # Who does not know the days is not asked for the minutes.
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


def _pressure(rng: np.random.Generator, people: Columns, told_of_it: Flags) -> Columns:
    old_enough = people["age_years"] >= _YOUNGEST_PRESSURE
    asked = told_of_it & (people["told_to_take"] > 0)
    coded: Columns = {"BPQ050A": _refuse(rng, "BPQ050A", _answer(people["takes"]), asked)}
    for prefix, method, readings in (("BPXSY", AUSCULTATED, 4), ("BPXOSY", OSCILLOMETRIC, 3)):
        for reading in range(1, readings + 1):
            coded[f"{prefix}{reading}"] = np.where(old_enough, people[f"{method}{reading}"], np.nan)
    return coded


def _answer(flags: Array) -> Array:
    return np.where(flags > 0, _YES, _NO)


def _refuse(rng: np.random.Generator, name: str, answers: Array, asked: Flags) -> Array:
    """Return answers with refused and don't know at the shares of NHANES, missing where not asked."""
    given = parameter_groups()["refusals"]
    refused, unknown = given.get(name, given["other"])
    codes = sorted(VARIABLES[name].missing)
    draw = rng.random(len(answers))
    coded = np.where(draw < refused, codes[0], np.where(draw < refused + unknown, codes[-1], answers))
    return np.where(asked, coded, np.nan)
