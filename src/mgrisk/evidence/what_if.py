"""What-if options: a person's calibrated risk times published relative risks, for each option.

These are not the model's own answer to changed inputs: a prediction knows no causes. The baseline is the probability
that a person like this has undiagnosed diabetes today; nothing that is eaten tomorrow changes today's. The numbers say
what it would be among people like this who had lived with the option, if the published relative risk of new diabetes
were an effect and held for them (transport). No option, alone or with others, is given more than the trial of the whole
programme found. The estimates are rows of `literature.toml`, the options those of `options.toml`.

`changed` computes the inputs of the same people after an option. What a model answers to them is its response and no
effect: a model that saw people once has learned how often people with those inputs had diabetes. It is reported apart,
under its own name.

`swaps_for` proposes foods in place of others at equal energy that close a gap of magnesium (`swaps.toml`); `Form` says
how much of a supplement's salt is the element (`forms.toml`); `Person` is one of three people who do not exist, for
whom the options are shown (`typical.toml`).
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
            raise ValueError(f"{self.name}: the estimate does not lie within its interval")
        return self

    @property
    def ratio(self) -> bool:
        """Whether 1, and not 0, is no association."""
        return self.scale in {"relative risk", "hazard ratio"}


STUDIES: Final[Mapping[str, Study]] = MappingProxyType(
    {row["name"]: Study.model_validate(row) for row in rows("mgrisk.evidence", "literature.toml", "study")}
)
PROGRAMME: Final[Study] = STUDIES["dpp-2002"]
"""The trial of weight, diet and activity together: nothing here may promise more."""
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
    "Independence: together, options multiply only where neither contains the other: weight was lost by diet and "
    "activity, and a DASH score counts magnesium, so that of an option and what it contains the stronger counts. The "
    "interval runs from all of them multiplied to the strongest alone.",
    f"No option, and no combination of them, is given more than the trial of a whole programme: {PROGRAMME.label}, "
    f"{PROGRAMME.scale} {PROGRAMME.estimate} ({PROGRAMME.low} to {PROGRAMME.high}).",
    "The interval of one option is that of the published estimate; the error of the baseline, and of the "
    "assumptions, is not in it.",
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
    contains: tuple[str, ...] = ()


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
    A relative risk of a study is raised to the dose over the study's contrast. That of magnesium goes by expected
    usual intake where it is known: recalled days scatter more than habits do, so that those of many lie far below an
    allowance that their habit nearly meets. Together, logarithms add, but of an option and what it contains
    (`Option.contains`) the stronger counts; the interval runs from all of them multiplied, with their variances, to the
    strongest alone. Estimate, low and high are at most those of `PROGRAMME`.

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
        columns |= _priced(name, baseline, study.estimate**times, study.low**times, study.high**times)
        columns[f"what_if_{name}_dose"] = dose
        used = np.nan_to_num(times)
        log_ratios[name] = used * np.log(study.estimate)
        log_highs[name] = used * np.log(study.high)
        variance += (used * (np.log(study.high) - np.log(study.low)) / (2.0 * Z95)) ** 2
        some |= np.isfinite(times)
    all_multiplied = sum(log_ratios.values()) - Z95 * np.sqrt(variance)
    together = (_combined(log_ratios), all_multiplied, np.minimum.reduce([*log_highs.values()]))
    columns |= _priced(TOGETHER, np.where(some, baseline, np.nan), *(np.exp(each) for each in together))
    amount, advice = _supplement(known)
    columns["what_if_magnesium_supplement_dose"] = amount
    columns["what_if_magnesium_supplement_advice"] = advice
    return pd.DataFrame(columns, index=frame.index)


def _priced(name: str, baseline: Floats, estimate: Floats, low: Floats, high: Floats) -> dict[str, Floats]:
    """Return the risk after an option and its limits, from ratios that are held to those of the programme's trial."""
    ratios = {
        "risk": np.maximum(estimate, PROGRAMME.estimate),
        "low": np.maximum(low, PROGRAMME.low),
        "high": np.maximum(high, PROGRAMME.high),
    }
    return {f"what_if_{name}_{bound}": baseline * ratio for bound, ratio in ratios.items()}


def _combined(log_ratios: Mapping[str, Floats]) -> Floats:
    """Return the log ratio of options together, where of an option and what it contains the stronger counts."""

    def of(name: str) -> Floats:
        return np.minimum(log_ratios[name], sum((of(part) for part in OPTIONS[name].contains), np.zeros(1)))

    contained = {part for option in OPTIONS.values() for part in option.contains}
    return sum((of(name) for name in log_ratios if name not in contained), np.zeros(1))


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

    def yes(self, name: str) -> Booleans:
        if name not in self.frame:
            return np.zeros(len(self.frame), dtype=np.bool_)
        return np.asarray(self.frame[name].astype(object) == "yes", dtype=np.bool_)

    @property
    def gap(self) -> Floats:
        """Magnesium lacking to the allowance, mg a day; by recalled days where expected usual intake is not known."""
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


Move = Callable[[pd.DataFrame, Floats], Floats]
MEANING: Final = (
    "how often people with such inputs had the outcome on the day they were seen; not what would become of a person "
    "who changes"
)


def changed(people: pd.DataFrame, answers: pd.DataFrame, option: str) -> pd.DataFrame:
    """Return people with the inputs that an option would change moved by its dose.

    Parameters
    ----------
    people
        Features, a row for each person; only columns that are there are moved, and nothing that would have to be
        guessed, such as the waist that goes with less weight.
    answers
        What `what_if` said of them: the doses; whose dose is missing is left as is.
    option
        One of `OPTIONS`, or `TOGETHER` for all that have a published relative risk.

    Examples
    --------
    >>> people = pd.DataFrame({"magnesium_food_mg": [200.0]})
    >>> dose = pd.DataFrame({"what_if_magnesium_food_dose": [110.0]})
    >>> changed(people, dose, "magnesium_food")["magnesium_food_mg"].tolist()
    [310.0]
    """
    # A supplement is another way to the same allowance: both together would go beyond it.
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
    """A food by its USDA code, with magnesium (mg) and energy (kcal) in 100 g."""

    code: int
    food: str
    mg: float
    kcal: float


class Swap(_Row):
    """One food in place of another; the comments of swaps.toml explain the fields.

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
        """Grams of the other food that have the same energy."""
        return self.grams * self.out.kcal / self.into.kcal

    @property
    def gain_mg(self) -> float:
        """Magnesium that the swap adds, mg."""
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
    """Return the fewest swaps, each used once, that close a gap, and of as few those that pass it least.

    Parameters
    ----------
    gap_mg
        Magnesium wanted in addition, mg a day.

    Returns
    -------
    tuple of Swap
        The largest gain first; all swaps where they do not close the gap together.

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
        """Share of the salt that is magnesium."""
        return self.magnesium / self.weight

    def salt_mg(self, elemental_mg: float) -> float:
        """Return how many mg of the salt hold some mg of magnesium."""
        return elemental_mg / self.share


FORMS: Final[tuple[Form, ...]] = tuple(
    Form.model_validate(row) for row in rows("mgrisk.evidence", "forms.toml", "form")
)
