"""What-if options: a person's calibrated risk multiplied by published relative risks.

These are not the model's predictions for changed inputs, because a prediction model is not causal. The baseline is the
probability that a person with these inputs has undiagnosed diabetes today, which a future change cannot affect. The
result is what the probability would be among such people who had always lived with the option, if the published
relative risk of new diabetes were causal and applied to them (transport). No option or combination is credited with
more than the trial of the whole programme found. The estimates are in `literature.toml`, the options in `options.toml`.

`changed` computes the inputs of the same people after an option. The model's predictions for them are its response, not
an effect: they state how often people with those inputs had diabetes. They are reported separately.

`swaps_for` proposes food substitutions at equal energy that close a magnesium gap (`swaps.toml`); `Form` gives the
elemental magnesium of a salt (`forms.toml`); `Person` is one of three made-up people for whom the options are shown
(`typical.toml`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mgrisk.config.toml import rows
from mgrisk.features.magnesium import reference_intakes
from mgrisk.types import Booleans, Floats


class Study(BaseModel):
    """One published estimate; the comments of literature.toml explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    kind: Literal["cohorts", "trials"]
    exposure: str
    outcome: str
    scale: Literal["relative risk", "hazard ratio", "difference", "standardised difference"]
    contrast: str
    per_100: bool = False
    unit: str = ""
    estimate: float
    low: float
    high: float
    population: str
    differs: str
    citation: str

    @model_validator(mode="after")
    def _in_order(self) -> Study:
        if not self.low < self.estimate < self.high:
            raise ValueError(f"{self.name}: the estimate is not within its interval")
        return self

    @property
    def ratio(self) -> bool:
        """Whether the scale is a ratio, with 1 as no association."""
        return self.scale in {"relative risk", "hazard ratio"}


STUDIES: Final[Mapping[str, Study]] = MappingProxyType(
    {row["name"]: Study.model_validate(row) for row in rows("mgrisk.evidence", "literature.toml", "study")}
)
PROGRAMME: Final[Study] = STUDIES["dpp-2002"]
"""The trial of weight, diet and activity combined, whose effect is the upper limit for all options."""
FEATURES: Final = (
    "age_years", "sex", "magnesium_food_mg", "usual_magnesium_mg", "magnesium_supplement_mg", "activity_met_min_week",
    "leisure_met_min_week", "weight_kg", "bmi_kg_m2", "dash_score", "egfr", "diuretic_use", "ppi_use",
)  # fmt: skip
"""Features used by the options; an option is not available without the features it needs."""
ASK: Final = "ask a clinician first"
UNLESS: Final = "not with kidney disease or other medicines unless a clinician agrees"
ADVICE: Final = ("", UNLESS, ASK)
"""Advice on a supplement, in addition to an amount or instead of one."""
ASSUMPTIONS: Final = (
    "Causality: the relative risks are effects of the change, without confounding; for cohort studies this is unknown.",
    "Transport: what was found in the people studied, for new diabetes over years, applies to these people.",
    "Independence: the relative risks of several options are multiplied only if neither option contains the other. "
    "Weight was lost by diet and activity, and a DASH score includes magnesium; of an option and the options that it "
    "contains only the stronger counts. The interval extends from all of them multiplied to the strongest alone.",
    f"No option or combination is credited with more than the trial of a whole programme: {PROGRAMME.label}, "
    f"{PROGRAMME.scale} {PROGRAMME.estimate} ({PROGRAMME.low} to {PROGRAMME.high}).",
    "The interval of an option is that of the published estimate; it does not include the error of the baseline or of "
    "the assumptions.",
)
TARGET_MET_HOURS: Final = 11.25
WEIGHT_SHARE, OVERWEIGHT, ACCORDANT, KIDNEY = 0.05, 25.0, 4.5, 30.0
Z95: Final = 1.959964


class Option(BaseModel):
    """A what-if option; the comments of options.toml explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    unit: str
    assumes: str
    study: str = ""
    contains: tuple[str, ...] = ()


OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {row["name"]: Option.model_validate(row) for row in rows("mgrisk.evidence", "options.toml", "option")}
)
TOGETHER: Final = "together"


def what_if(frame: pd.DataFrame, risk: ArrayLike) -> pd.DataFrame:
    """Return each person's risk after each option.

    Parameters
    ----------
    frame
        Features, one row for each person: those of `FEATURES` that are known.
    risk
        Calibrated risk, shape (n,), 0 to 1; NaN if missing.

    Returns
    -------
    pandas.DataFrame
        Same index. For each option with a published relative risk ``what_if_<option>_risk``, ``_low``, ``_high`` and
        ``what_if_<option>_dose``, the size of the change in the option's unit; ``what_if_together_risk``, ``_low``,
        ``_high`` for all options with a known dose; ``what_if_magnesium_supplement_dose``, elemental mg/d needed for
        the RDA within the upper level, missing if ``what_if_magnesium_supplement_advice`` is "ask a clinician first"
        (eGFR below 30, or interacting medicines). A dose of 0 means that the option is already met.

    Notes
    -----
    The relative risk of a study is raised to the power dose / contrast of the study. The dose of magnesium is based on
    expected usual intake if known, because recall days vary more than usual intake and would exaggerate the gap of many
    people. For several options the logarithms are added, but of an option and those it contains (`Option.contains`)
    only the stronger counts; the interval extends from all of them multiplied, with their variances, to the strongest
    alone. The reduction is at most that of `PROGRAMME`, for estimate, low and high.

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
    log_ratios: dict[str, Floats] = {}
    log_highs: dict[str, Floats] = {}
    variance = np.zeros(len(frame))
    some = np.zeros(len(frame), dtype=np.bool_)
    for name, dose_of in _DOSES.items():
        dose = dose_of(known)
        study = STUDIES[OPTIONS[name].study]
        times = dose / _CONTRAST[name]
        columns |= _risks(name, baseline, study.estimate**times, study.low**times, study.high**times)
        columns[f"what_if_{name}_dose"] = dose
        used = np.nan_to_num(times)
        log_ratios[name] = used * np.log(study.estimate)
        log_highs[name] = used * np.log(study.high)
        variance += (used * (np.log(study.high) - np.log(study.low)) / (2.0 * Z95)) ** 2
        some |= np.isfinite(times)
    all_multiplied = sum(log_ratios.values()) - Z95 * np.sqrt(variance)
    together = (_combined(log_ratios), all_multiplied, np.minimum.reduce([*log_highs.values()]))
    columns |= _risks(TOGETHER, np.where(some, baseline, np.nan), *(np.exp(each) for each in together))
    amount, advice = _supplement(known)
    columns["what_if_magnesium_supplement_dose"] = amount
    columns["what_if_magnesium_supplement_advice"] = advice
    return pd.DataFrame(columns, index=frame.index)


def _risks(name: str, baseline: Floats, estimate: Floats, low: Floats, high: Floats) -> dict[str, Floats]:
    """Return the risk after an option and its limits, from ratios limited to those of `PROGRAMME`."""
    ratios = {
        "risk": np.maximum(estimate, PROGRAMME.estimate),
        "low": np.maximum(low, PROGRAMME.low),
        "high": np.maximum(high, PROGRAMME.high),
    }
    return {f"what_if_{name}_{bound}": baseline * ratio for bound, ratio in ratios.items()}


def _combined(log_ratios: Mapping[str, Floats]) -> Floats:
    """Return the combined log ratio; of an option and those it contains only the stronger counts."""

    def of(name: str) -> Floats:
        return np.minimum(log_ratios[name], sum((of(part) for part in OPTIONS[name].contains), np.zeros(1)))

    contained = {part for option in OPTIONS.values() for part in option.contains}
    return sum((of(name) for name in log_ratios if name not in contained), np.zeros(1))


class _Known:
    """Features by name, missing if the frame has no such column."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def number(self, name: str) -> Floats:
        if name not in self.frame:
            return np.full(len(self.frame), np.nan)
        return np.asarray(self.frame[name], dtype=np.float64)

    def first(self, *names: str) -> Floats:
        """Return the first known value among some features."""
        found = self.number(names[0])
        for name in names[1:]:
            found = np.where(np.isfinite(found), found, self.number(name))
        return found

    def yes(self, name: str) -> Booleans:
        if name not in self.frame:
            return np.zeros(len(self.frame), dtype=np.bool_)
        return np.asarray(self.frame[name].astype(object) == "yes", dtype=np.bool_)

    @property
    def gap(self) -> Floats:
        """Magnesium gap to the RDA, mg/d; from recall days if expected usual intake is not known."""
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
    """Return the elemental magnesium (mg/d) that fills the gap within the upper level, and the advice."""
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


Move = Callable[[pd.DataFrame, Floats], Floats]
MEANING: Final = (
    "how often people with such inputs had the outcome at their visit, not what would happen to a person who changes"
)


def changed(people: pd.DataFrame, answers: pd.DataFrame, option: str) -> pd.DataFrame:
    """Return the features of people after an option.

    Parameters
    ----------
    people
        Features, one row for each person. Only existing columns directly affected by the option are changed, not, for
        example, the waist after weight loss.
    answers
        Result of `what_if` for these people, with the doses; people with a missing dose are unchanged.
    option
        One of `OPTIONS`, or `TOGETHER` for all options with a published relative risk.

    Examples
    --------
    >>> people = pd.DataFrame({"magnesium_food_mg": [200.0]})
    >>> dose = pd.DataFrame({"what_if_magnesium_food_dose": [110.0]})
    >>> changed(people, dose, "magnesium_food")["magnesium_food_mg"].tolist()
    [310.0]
    """
    # Not the supplement, which is an alternative for the same gap: both together would exceed the RDA.
    names = [name for name, row in OPTIONS.items() if row.study] if option == TOGETHER else [option]
    moved = people.copy()
    for name in names:
        dose = np.nan_to_num(answers[f"what_if_{name}_dose"].to_numpy(dtype=np.float64))
        for column, after in _MOVES[name].items():
            if column in moved:
                moved[column] = after(people, dose)
    return moved


def _all_plus(*columns: str, times: float = 1.0) -> dict[str, Move]:
    def move(column: str) -> Move:
        return lambda people, dose: _numbers(people, column) + times * dose

    return {column: move(column) for column in columns}


def _numbers(people: pd.DataFrame, column: str) -> Floats:
    found: Floats = people[column].to_numpy(dtype=np.float64)
    return found


def _bmi(people: pd.DataFrame, dose: Floats) -> Floats:
    bmi = _numbers(people, "bmi_kg_m2")
    if "weight_kg" not in people:
        return bmi
    weight = _numbers(people, "weight_kg")
    return bmi * (weight - dose) / weight


def _dash(people: pd.DataFrame, dose: Floats) -> Floats:
    score = _numbers(people, "dash_score")
    return np.where(dose > 0, np.maximum(score, ACCORDANT), score)


_MOVES: Final[Mapping[str, Mapping[str, Move]]] = MappingProxyType(
    {
        "magnesium_food": _all_plus("magnesium_food_mg", "usual_magnesium_mg", "magnesium_total_mg"),
        "magnesium_supplement": _all_plus("magnesium_supplement_mg", "magnesium_total_mg"),
        "activity": _all_plus("leisure_met_min_week", "activity_met_min_week", times=60.0),
        "weight": {**_all_plus("weight_kg", times=-1.0), "bmi_kg_m2": _bmi},
        "diet": {"dash_score": _dash},
    }
)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Food(_Row):
    """A food by its USDA code, with magnesium (mg) and energy (kcal) per 100 g."""

    code: int
    food: str
    mg: float
    kcal: float


class Swap(_Row):
    """A substitution of one food by another; the comments of swaps.toml explain the fields.

    Examples
    --------
    >>> swap = SWAPS[0]
    >>> round(swap.grams_of_other), round(swap.gain_mg)
    (176, 106)
    """

    name: str
    grams: float
    out: Food = Field(alias="from")
    into: Food = Field(alias="to")

    @property
    def grams_of_other(self) -> float:
        """Grams of the other food with the same energy."""
        return self.grams * self.out.kcal / self.into.kcal

    @property
    def gain_mg(self) -> float:
        """Magnesium gained by the swap, mg."""
        return (self.grams_of_other * self.into.mg - self.grams * self.out.mg) / 100.0

    @property
    def sentence(self) -> str:
        """The swap in words, with grams and milligrams."""
        return (
            f"{self.grams_of_other:.0f} g of {self.into.food} in place of {self.grams:.0f} g of {self.out.food}: "
            f"{self.gain_mg:.0f} mg more at the same energy"
        )


SWAPS: Final[tuple[Swap, ...]] = tuple(
    sorted(
        (Swap.model_validate(row) for row in rows("mgrisk.evidence", "swaps.toml", "swap")),
        key=lambda swap: -swap.gain_mg,
    )
)


def swaps_for(gap_mg: float) -> tuple[Swap, ...]:
    """Return the smallest set of swaps that closes a gap; among sets of the same size, the one with the least excess.

    Parameters
    ----------
    gap_mg
        Magnesium gap, mg/d.

    Returns
    -------
    tuple of Swap
        Sorted by gain, the largest first; all swaps if they do not close the gap.

    Examples
    --------
    >>> [swap.name for swap in swaps_for(30.0)]
    ['whole-wheat for white bread']
    >>> [swap.name for swap in swaps_for(120.0)]
    ['pumpkin seeds for milk chocolate', 'whole-grain pasta for pasta']
    >>> swaps_for(0.0)
    ()
    """
    for number in range(len(SWAPS) + 1):
        closing = [some for some in combinations(SWAPS, number) if _gain(some) >= gap_mg]
        if closing:
            return min(closing, key=_gain)
    return SWAPS


def _gain(swaps: Iterable[Swap]) -> float:
    return sum(swap.gain_mg for swap in swaps)


class Person(BaseModel):
    """A made-up person: values by feature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    values: dict[str, float | str]


TYPICAL: Final[tuple[Person, ...]] = tuple(
    Person.model_validate(row) for row in rows("mgrisk.evidence", "typical.toml", "person")
)


class Form(BaseModel):
    """A salt of magnesium; the comments of forms.toml explain the fields.

    Examples
    --------
    >>> round(FORMS[0].salt_mg(100.0))
    166
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    formula: str
    weight: float
    magnesium: float

    @property
    def share(self) -> float:
        """Mass share of magnesium in the salt."""
        return self.magnesium / self.weight

    def salt_mg(self, elemental_mg: float) -> float:
        """Return the mg of the salt that contain some mg of elemental magnesium."""
        return elemental_mg / self.share


FORMS: Final[tuple[Form, ...]] = tuple(
    Form.model_validate(row) for row in rows("mgrisk.evidence", "forms.toml", "form")
)
