"""What if: the calibrated baseline times published relative risks, for each person and each option.

These are not the model's own answer to changed inputs: a prediction knows no causes. The baseline is the probability
that a person like this has undiagnosed diabetes today; nothing that is eaten tomorrow changes today's. The numbers say
what it would be among people like this who had lived with the option, if the published relative risk of new diabetes
were an effect, held for them (transport), and options multiplied (independence).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from mgrisk.evidence.literature import STUDIES
from mgrisk.facts import rows
from mgrisk.features.dri import reference_intakes

Floats = NDArray[np.float64]

FEATURES: Final = (
    "age_years", "sex", "magnesium_food_mg", "usual_magnesium_mg", "magnesium_supplement_mg", "activity_met_min_week",
    "leisure_met_min_week", "weight_kg", "bmi_kg_m2", "dash_score", "egfr", "diuretic_use", "ppi_use",
)  # fmt: skip
"""Features that the options read; what is absent costs the options that need it."""
ASK: Final = "ask a clinician first"
UNLESS: Final = "not with kidney disease or other medicines unless a clinician agrees"
ADVICE: Final = ("", UNLESS, ASK)
"""All that is said of a supplement, beside an amount or in place of one."""
ASSUMPTIONS: Final = (
    "The relative risks are effects of the change and not of what goes with it: for cohorts this cannot be known.",
    "Transport: what was found in the people studied, for new diabetes over years, holds for these people.",
    "Independence: options together multiply, though diet, weight and activity overlap; together promises too much.",
    "The interval is that of the published estimate; the error of the baseline, and of the assumptions, is not in it.",
)
TARGET_MET_HOURS: Final = 11.25
WEIGHT_SHARE, OVERWEIGHT, ACCORDANT, KIDNEY = 0.05, 25.0, 4.5, 30.0
Z95: Final = 1.959964


class Option(BaseModel):
    """Something to change; the comments of options.toml explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    unit: str
    assumes: str
    study: str = ""


OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {row["name"]: Option.model_validate(row) for row in rows("mgrisk.evidence", "options.toml", "option")}
)
TOGETHER: Final = "together"


def what_if(frame: pd.DataFrame, risk: ArrayLike) -> pd.DataFrame:
    """Return what each option would make of people's risk.

    Parameters
    ----------
    frame
        Features, a row for each person; of `FEATURES`, those that are known.
    risk
        Calibrated risk, shape (n,), 0 to 1; NaN for who has none.

    Returns
    -------
    pandas.DataFrame
        Same index. For each option with a published relative risk ``what_if_<option>_risk``, ``_low``, ``_high`` and
        ``what_if_<option>_dose``, how much would change in the option's unit; ``what_if_together_risk``, ``_low``,
        ``_high`` for all those whose dose is known; ``what_if_magnesium_supplement_dose``, elemental mg a day up to the
        allowance and not beyond the upper level, missing where ``what_if_magnesium_supplement_advice`` says "ask a
        clinician first": eGFR below 30, or medicines that interact. A dose of 0 is an option that is met already.

    Notes
    -----
    A relative risk of a study is raised to the dose over the study's contrast. Together the logarithms add, and their
    variances.

    Examples
    --------
    >>> person = pd.DataFrame({"age_years": [50.0], "sex": ["male"], "usual_magnesium_mg": [320.0]})
    >>> found = what_if(person.assign(magnesium_supplement_mg=0.0), [0.10])
    >>> found[["what_if_magnesium_food_dose", "what_if_magnesium_food_risk"]].round(3).iloc[0].tolist()
    [100.0, 0.086]
    """
    baseline = np.asarray(risk, dtype=np.float64)
    known = _Known(frame)
    columns: dict[str, object] = {}
    log_sum, variance = np.zeros(len(frame)), np.zeros(len(frame))
    some = np.zeros(len(frame), dtype=np.bool_)
    for name, dose_of in _DOSES.items():
        dose = dose_of(known)
        study = STUDIES[OPTIONS[name].study]
        times = dose / _CONTRAST[name]
        for bound, ratio in (("risk", study.estimate), ("low", study.low), ("high", study.high)):
            columns[f"what_if_{name}_{bound}"] = baseline * ratio**times
        columns[f"what_if_{name}_dose"] = dose
        se = (np.log(study.high) - np.log(study.low)) / (2.0 * Z95)
        used = np.nan_to_num(times)
        log_sum += used * np.log(study.estimate)
        variance += (used * se) ** 2
        some |= np.isfinite(times)
    half = Z95 * np.sqrt(variance)
    for bound, log_ratio in (("risk", log_sum), ("low", log_sum - half), ("high", log_sum + half)):
        columns[f"what_if_{TOGETHER}_{bound}"] = np.where(some, baseline * np.exp(log_ratio), np.nan)
    amount, advice = _supplement(known)
    columns["what_if_magnesium_supplement_dose"] = amount
    columns["what_if_magnesium_supplement_advice"] = advice
    return pd.DataFrame(columns, index=frame.index)


class _Known:
    """Features by name, missing where the frame has no such column."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def number(self, name: str) -> Floats:
        if name not in self.frame:
            return np.full(len(self.frame), np.nan)
        return np.asarray(self.frame[name], dtype=np.float64)

    def first(self, *names: str) -> Floats:
        """Return the first of some numbers that is known."""
        found = self.number(names[0])
        for name in names[1:]:
            found = np.where(np.isfinite(found), found, self.number(name))
        return found

    def yes(self, name: str) -> NDArray[np.bool_]:
        if name not in self.frame:
            return np.zeros(len(self.frame), dtype=np.bool_)
        return np.asarray(self.frame[name].astype(object) == "yes", dtype=np.bool_)

    @property
    def gap(self) -> Floats:
        """Magnesium lacking to the allowance, mg a day; by the recalled days where the habit is not known."""
        wanted = reference_intakes(self.frame["age_years"], self.frame["sex"])["rda_mg"].to_numpy(dtype=np.float64)
        eaten = self.first("usual_magnesium_mg", "magnesium_food_mg")
        taken = np.nan_to_num(self.number("magnesium_supplement_mg"))
        return np.maximum(wanted - eaten - taken, 0.0)


def _activity(known: _Known) -> Floats:
    done = known.first("leisure_met_min_week", "activity_met_min_week") / 60.0
    return np.maximum(TARGET_MET_HOURS - done, 0.0)


def _weight(known: _Known) -> Floats:
    less = WEIGHT_SHARE * known.number("weight_kg")
    bmi = known.number("bmi_kg_m2")
    return np.where(np.isfinite(bmi), np.where(bmi >= OVERWEIGHT, less, 0.0), np.nan)


def _diet(known: _Known) -> Floats:
    score = known.number("dash_score")
    return np.where(np.isfinite(score), (score < ACCORDANT).astype(np.float64), np.nan)


_DOSES: Final[Mapping[str, Callable[[_Known], Floats]]] = MappingProxyType(
    {"magnesium_food": lambda known: known.gap, "activity": _activity, "weight": _weight, "diet": _diet}
)
_CONTRAST: Final = MappingProxyType({"magnesium_food": 100.0, "activity": TARGET_MET_HOURS, "weight": 5.0, "diet": 1.0})


def _supplement(known: _Known) -> tuple[Floats, NDArray[np.object_]]:
    """Return elemental mg a day that are lacking, within the upper level, and what to do first."""
    limit = reference_intakes(known.frame["age_years"], known.frame["sex"])["ul_mg"].to_numpy(dtype=np.float64)
    taken = np.nan_to_num(known.number("magnesium_supplement_mg"))
    amount = np.minimum(known.gap, np.maximum(limit - taken, 0.0))
    kidney = known.number("egfr")
    medicines = known.yes("diuretic_use") | known.yes("ppi_use")
    ask = (kidney < KIDNEY) | medicines
    unknown = ~np.isfinite(kidney)
    advice = np.where(unknown, UNLESS, "")
    advice = np.where(ask, ASK, np.where(amount > 0, advice, "")).astype(object)
    return np.where(ask, np.nan, amount), advice
