"""The truth: who has diabetes and who knows it, and laboratory values that agree with it exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mgrisk.nhanes.synthetic.parameters import (
    Array,
    Columns,
    Flags,
    chance,
    linear,
    lookup,
    pair,
    parameter_groups,
)
from mgrisk.nhanes.synthetic.people import ADULT

NONE, DIAGNOSED, UNDIAGNOSED = 0.0, 1.0, 2.0
HBA1C_LIMIT = 6.5  # %, American Diabetes Association 2010
GLUCOSE_LIMIT = 126.0  # mg/dL fasting, American Diabetes Association 2010
_ADOLESCENT = 12  # years


def add_diabetes(rng: np.random.Generator, people: Columns) -> Columns:
    """Return the true risk, the true state and the laboratory values of everyone.

    A diagnosis is drawn first; undiagnosed diabetes is then drawn among the others with the probability
    ``risk_undiagnosed``, a logistic function of the groups ``undiagnosed`` and ``magnesium_effect`` of
    `parameters.toml` and of the PSU. Nobody under 20 has undiagnosed diabetes.

    Parameters
    ----------
    rng
        Source of chance.
    people
        Needs the columns of `select_people`, `add_body`, `add_habits` and `add_diet`.

    Returns
    -------
    Columns
        ``risk_undiagnosed`` (probability given no diagnosis; NaN under 20), ``risk_diagnosed``, ``state``
        (`NONE`, `DIAGNOSED`, `UNDIAGNOSED`), ``borderline`` (0/1, told so), ``hba1c`` (%, one decimal) and
        ``glucose`` (mg/dL, whole): without a diagnosis, HbA1c >= 6.5 or glucose >= 126 if and only if the
        state is `UNDIAGNOSED`.
    """
    given = parameter_groups()
    size, adult = len(people["age"]), people["age_years"] >= ADULT
    effect = given["magnesium_effect"]
    magnesium = effect["food_per_100_mg"] * (people["usual_magnesium"] - effect["reference_mg"]) / 100
    magnesium += effect["supplement_per_100_mg"] * np.nan_to_num(people["supplement_magnesium"]) / 100
    shared = magnesium + people["psu_diabetes"]
    young = lookup(given["young"]["diagnosed"], people["age_years"] >= _ADOLESCENT)
    risk_diagnosed = np.where(adult, chance(linear(given["diagnosed"], people) + shared), young)
    logit = np.where(adult, linear(given["undiagnosed"], people) + shared, given["young"]["logit"])
    risk = np.where(adult, chance(logit), np.nan)
    diagnosed = rng.random(size) < risk_diagnosed
    undiagnosed = ~diagnosed & (rng.random(size) < np.nan_to_num(risk))
    almost = rng.random(size) < chance(linear(given["borderline"], people))
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
        Source of chance.
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


def _laboratory(rng: np.random.Generator, state: Array, logit: Array, black: Array) -> tuple[Array, Array]:
    given = parameter_groups()["laboratory"]
    size = len(state)

    def healthy() -> tuple[Array, Array]:
        z_hba1c, z_glucose = pair(rng, given["correlation"], size)
        return (
            _predicted(given["hba1c"], logit, black) + given["hba1c"]["sd"] * z_hba1c,
            _predicted(given["glucose"], logit, black) + given["glucose"]["sd"] * z_glucose,
        )

    def near() -> tuple[Array, Array]:
        z_hba1c, z_glucose = rng.standard_normal((2, size))
        low_hba1c, low_glucose = given["hba1c_below"], given["glucose_below"]
        return (
            low_hba1c["mean"] + low_hba1c["sd"] * z_hba1c,
            low_glucose["mean"] + low_glucose["sd"] * z_glucose,
        )

    hba1c, glucose = _below(healthy)
    near_hba1c, near_glucose = _below(near)
    z_hba1c, z_glucose = pair(rng, given["above_correlation"], size)
    high_hba1c = HBA1C_LIMIT + np.round(_excess(given["hba1c_excess"], z_hba1c), 1)
    high_glucose = GLUCOSE_LIMIT + np.round(_excess(given["glucose_excess"], z_glucose))
    both, glucose_alone = np.cumsum(given["above_shares"])[:2]
    kind = rng.random(size)
    found = state == UNDIAGNOSED
    hba1c = np.where(found, np.where((kind < both) | (kind >= glucose_alone), high_hba1c, near_hba1c), hba1c)
    glucose = np.where(found, np.where(kind < glucose_alone, high_glucose, near_glucose), glucose)
    z_hba1c, z_glucose = pair(rng, given["diagnosed_correlation"], size)
    known = state == DIAGNOSED
    floors = given["hba1c_diagnosed"], given["glucose_diagnosed"]
    hba1c = np.where(known, floors[0]["floor"] + _excess(floors[0], z_hba1c), hba1c)
    glucose = np.where(known, floors[1]["floor"] + _excess(floors[1], z_glucose), glucose)
    return np.round(hba1c, 1), np.round(glucose)


def _predicted(group: Mapping[str, float], logit: Array, black: Array) -> Array:
    # The regressions were fitted where log-odds lie between about -7 and -1; beyond, they stay at the end.
    return group["intercept"] + group["slope"] * (np.clip(logit, -7, -1) + 3.5) + group["black"] * black


def _excess(group: Mapping[str, float], z: Array) -> Array:
    return np.asarray(np.minimum(group["median"] * np.exp(group["log_sd"] * z), group["highest"]))


def _below(draw: Callable[[], tuple[Array, Array]]) -> tuple[Array, Array]:
    """Draw until both values, as rounded, are below their limits: a cut distribution, no heap at 6.4."""
    hba1c, glucose = draw()
    high = _is_high(hba1c, glucose)
    while high.any():
        again_hba1c, again_glucose = draw()
        hba1c, glucose = np.where(high, again_hba1c, hba1c), np.where(high, again_glucose, glucose)
        high = _is_high(hba1c, glucose)
    return hba1c, glucose


def _is_high(hba1c: Array, glucose: Array) -> Flags:
    return np.asarray((np.round(hba1c, 1) >= HBA1C_LIMIT) | (np.round(glucose) >= GLUCOSE_LIMIT))
