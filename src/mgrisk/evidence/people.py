"""The people in whom associations are looked for, and the panels of them that share weights and outcomes.

Nobody is dropped: a panel keeps every row of its cycles, and who is studied is the domain of its design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mgrisk.cohort.outcomes import OUTCOMES as BINARY
from mgrisk.cohort.select import EXAMINED, PREGNANT
from mgrisk.cohort.weights import combined_weight, shares
from mgrisk.evidence import adjustment_set
from mgrisk.evidence.adjustment_set import (
    CONTROLS,
    DIET_QUALITY,
    MODELS,
    NUTRIENTS,
    OUTCOMES,
    TERMS,
    AdjustmentSet,
    Outcome,
    Scale,
    Term,
)
from mgrisk.features.compute import from_nhanes
from mgrisk.features.foods import FEATURE as FOOD_GROUP
from mgrisk.features.foods import food_groups
from mgrisk.features.marker import LESS_THAN_ONE
from mgrisk.features.registry import FEATURES, Feature, features
from mgrisk.features.summary import gather
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel, weight_level
from mgrisk.types import Booleans, Floats, Integers

SUPPLEMENT: Final = "magnesium_supplement_mg"
RECALLED: Final = ("magnesium_food_day_1_mg", "magnesium_food_day_2_mg")
WEEKEND: Final = ("recall_day_1_weekend", "recall_day_2_weekend")
FOR_ROBUSTNESS: Final = ("energy_report", "height_cm", "magnesium_depletion_score", "weight_change_1y_kg")
TOLD, NEVER_TOLD = 1.0, 2.0
OPTIONAL: Final = DIET_QUALITY.terms
"""What a panel may lack: terms from files that CDC does not release."""
MEASURED: Final = "all outcomes measured"
"""The last rule that is no matter of missing answers; whom the later ones exclude lacked a recall or an answer."""
ADMINISTRATIVE: Final = ("RIDSTATR", "RIDAGEYR", "RIDEXPRG", "SDMVSTRA", "SDMVPSU", "DIQ010", "DID040")


@dataclass(frozen=True, eq=False)
class People:
    """Every participant of some cycles.

    Attributes
    ----------
    raw
        Harmonised NHANES variables, with ``cycle``.
    frame
        Features, same index.
    cycles
        Names of the cycles.
    """

    raw: pd.DataFrame
    frame: pd.DataFrame
    cycles: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Panel:
    """People with one weight, in whom all outcomes of the panel were measured.

    Attributes
    ----------
    name
        Of the panel.
    cycles
        Names of its cycles.
    design
        Everybody of the cycles; its domain is who is studied.
    amounts
        What recalled days tell of each nutrient, shape (n, 2), NaN where there is no reliable recall.
    weekend
        Whether a day was Friday to Sunday, shape (n, 2).
    supplement
        Magnesium from supplements, mg a day, shape (n,).
    columns
        Columns of each term of the ladder, and of ``cycle``, shape (n, c).
    outcomes
        On the scale that is modelled, shape (n,); NaN outside the domain.
    frame
        Features, a row for each row of the design, with ``cycle`` and ``told_years``, years since being told of
        diabetes, NaN for who was never told or does not know when.
    rules
        Who is kept by each rule of eligibility, in their order, shape (n,) each; those studied are kept by all.
    """

    name: str
    cycles: tuple[str, ...]
    design: SurveyDesign
    amounts: Mapping[str, Floats]
    weekend: Floats
    supplement: Floats
    columns: Mapping[str, Floats]
    outcomes: Mapping[str, Floats]
    frame: pd.DataFrame
    rules: Mapping[str, Booleans] = field(default_factory=dict)

    @cached_property
    def inside(self) -> Integers:
        """Places of the people studied."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def models(self) -> tuple[AdjustmentSet, ...]:
        """Models of adjustment whose terms are all known."""
        return tuple(model for model in MODELS if set(model.all_terms) <= set(self.columns))

    def scale(self, outcome: str) -> Scale:
        """Return the scale that an outcome or a negative control is reported on."""
        return (OUTCOMES[outcome] if outcome in OUTCOMES else CONTROLS[outcome]).scale

    def binary(self, outcome: str) -> bool:
        """Return whether an outcome is yes or no."""
        return self.scale(outcome) == "odds ratio"

    def where(self, mask: ArrayLike) -> Panel:
        """Return the panel with a smaller domain; no row is dropped."""
        return replace(self, design=self.design.where(mask))

    def adjusted_for(self, terms: Sequence[str]) -> Floats:
        """Return the columns of some terms and of the cycles for the people studied, and ones, shape (n_inside, p).

        Columns that are the same for everybody studied are left out, and so is one cycle where each person is in one of
        those that are left: the first may have nobody.
        """
        cycle = self.columns["cycle"][self.inside]
        cycle = cycle[:, cycle.any(axis=0)]
        if cycle.any(axis=1).all():
            cycle = cycle[:, 1:]
        found = np.hstack([*(self.columns[name][self.inside] for name in terms), cycle])
        varies = np.ptp(found, axis=0) > 0
        return np.column_stack([found[:, varies], np.ones(len(found))])

    def naive(self, nutrient: str) -> Floats:
        """Return the mean of the recalled days for the people studied, shape (n_inside,)."""
        return np.asarray(np.nanmean(self.amounts[nutrient][self.inside], axis=1))


def evidence_features() -> tuple[Feature, ...]:
    """Return the features that the ladder, the outcomes and the checks of robustness read."""
    markers = [each.of for each in OUTCOMES.values() if not each.binary]
    terms = [each.feature for each in TERMS.values()]
    eaten = [FOOD_GROUP.format(name) for name in food_groups().labels]
    return features(dict.fromkeys((*terms, *RECALLED, *WEEKEND, SUPPLEMENT, *markers, *FOR_ROBUSTNESS, *eaten)))


def panel_cycles(panel: str, cycles: Sequence[str]) -> tuple[str, ...]:
    """Return the cycles of some that measured all outcomes of a panel.

    Examples
    --------
    >>> panel_cycles("tolerance", ["2015-2016", "2017-2018"])
    ('2015-2016',)
    """
    spans = [FEATURES[each.of].comparable for each in _outcomes(panel) if not each.binary]
    return tuple(years for years in cycles if all(first <= years <= last for first, last in spans))


def panel_level(panel: str) -> WeightLevel:
    """Return the smallest subsample that a panel's outcomes and the ladder need."""
    names = [variable_name for each in _outcomes(panel) for variable_name in _variables(each)]
    chosen = features([*RECALLED[:1], *(term.feature for term in TERMS.values())])
    level, _ = weight_level({name: variable(name).level for name in names} | {one.name: one.level for one in chosen})
    return level


def evidence_variables(cycles: Sequence[str]) -> tuple[str, ...]:
    """Return the NHANES variables that evidence needs beside the sources of its features, each once."""
    days = (name for each in NUTRIENTS.values() for name in each.days)
    defining = (name for each in OUTCOMES.values() for name in _variables(each))
    weights = (share.weight for panel in panels() for share in shares(panel_level(panel), panel_cycles(panel, cycles)))
    return tuple(dict.fromkeys((*ADMINISTRATIVE, *days, *defining, *weights)))


def panels(outcomes: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the panels of some outcomes, of all where none is named.

    Examples
    --------
    >>> panels(["hba1c", "undiagnosed"])
    ('recall', 'fasting')
    """
    return tuple(dict.fromkeys(each.panel for each in adjustment_set.outcomes(outcomes)))


def read_people(store: Store, cycles: Sequence[str]) -> People:
    """Read everybody of some cycles.

    Parameters
    ----------
    store
        Where raw tables come from.
    cycles
        Names of the cycles, from 2007-2008 on: before, magnesium from supplements is not known.
    """
    chosen = evidence_features()
    found = gather(store, cycles=[cycle(years) for years in cycles], chosen=chosen, names=evidence_variables(cycles))
    return People(found.frame, from_nhanes(found.frame, chosen), tuple(cycles))


def build_panel(
    people: People, name: str, *, outcomes: Sequence[str] = (), youngest: int = 20, with_told: bool = False
) -> Panel:
    """Return a panel of the people: adults, examined, not pregnant, with a reliable first recall and all terms known.

    Parameters
    ----------
    people
        From `read_people`.
    name
        Of the panel.
    outcomes
        Which of its outcomes to keep; all where none is named. Who is in the panel does not depend on it.
    youngest
        In years.
    with_told
        Whether to keep people told of diabetes too: for the question of reverse causation only.

    Notes
    -----
    All models and all outcomes of a panel are estimated on the same people, those for whom every term and every outcome
    is known: a difference between models is then a difference in adjustment and not in who is there.
    """
    cycles = panel_cycles(name, people.cycles)
    here = people.raw["cycle"].isin(cycles).to_numpy()
    raw, frame = people.raw[here].reset_index(drop=True), people.frame[here].reset_index(drop=True)
    level = panel_level(name)
    reliable = frame[list(RECALLED)].notna().to_numpy()
    amounts = {
        each.name: np.where(reliable, raw[list(each.days)].to_numpy(dtype=np.float64), np.nan)
        for each in NUTRIENTS.values()
    }
    marks = [frame[day].astype(object).map({"no": 0.0, "yes": 1.0}) for day in WEEKEND]
    weekend = np.column_stack(marks).astype(np.float64)
    columns = {term.name: encode(term, frame[term.feature]) for term in TERMS.values()}
    # Diet quality needs USDA's food patterns of every cycle: those of some would leave the people of the others out.
    columns = {name: values for name, values in columns.items() if name not in OPTIONAL or _in_all_cycles(people, name)}
    columns["cycle"] = (raw["cycle"].to_numpy()[:, None] == np.array(cycles[1:], dtype=object)).astype(np.float64)
    measured = {each.name: _measured(each, raw, frame) for each in _outcomes(name)}
    supplement = frame[SUPPLEMENT].to_numpy(dtype=np.float64)
    weight = combined_weight(raw, level, cycles).to_numpy()
    # A day of unknown weekday cannot be placed in the week.
    placed = (reliable <= np.isfinite(weekend)).all(axis=1)
    held: dict[str, ArrayLike] = {
        f"{youngest} years and older": raw["RIDAGEYR"] >= youngest,
        "examined": raw["RIDSTATR"] == EXAMINED,
        "not pregnant": raw["RIDEXPRG"] != PREGNANT,
        "never told of diabetes": with_told | (raw["DIQ010"] == NEVER_TOLD),
        f"in the subsample of the weights ({level})": weight > 0,
        MEASURED: np.isfinite(np.column_stack([*measured.values()])).all(axis=1),
        "a reliable first recall": reliable[:, 0] & placed,
        "all that is adjusted for known": np.isfinite(np.column_stack([*columns.values(), supplement])).all(axis=1),
    }
    rules = {name: np.asarray(kept, dtype=np.bool_) for name, kept in held.items()}
    studied = np.logical_and.reduce([*rules.values()])
    design = SurveyDesign(weight, raw["SDMVSTRA"].to_numpy(), raw["SDMVPSU"].to_numpy(), level, studied)
    kept = {key: values for key, values in measured.items() if key in outcomes or not outcomes}
    frame = frame.assign(cycle=raw["cycle"], told_years=_years_since_told(raw))
    return Panel(name, cycles, design, amounts, weekend, supplement, columns, kept, frame, rules)


def encode(term: Term, values: pd.Series) -> Floats:
    """Return the columns of a term, shape (n, c); a row of NaN where the value is missing.

    Examples
    --------
    >>> encode(Term(name="age", feature="age_years", form="square", centre=50, per=10), pd.Series([60.0])).tolist()
    [[1.0, 1.0]]
    """
    if term.form == "category":
        words = values.astype(object).where(values.notna(), "missing").map(lambda word: term.merged.get(word, word))
        levels = dict.fromkeys(term.merged.get(level, level) for level in FEATURES[term.feature].levels)
        columns: Floats = np.column_stack([(words == level).to_numpy(dtype=np.float64) for level in list(levels)[1:]])
        columns[~words.isin(levels).to_numpy()] = np.nan
        return columns
    numbers: Floats = values.to_numpy(dtype=np.float64)
    if term.form == "log1p":
        return np.log1p(numbers)[:, None]
    scaled = (numbers - term.centre) / term.per
    return np.column_stack([scaled, scaled**2]) if term.form == "square" else scaled[:, None]


def _in_all_cycles(people: People, term: str) -> bool:
    known = people.frame[TERMS[term].feature].notna().to_numpy()
    return all(known[(people.raw["cycle"] == years).to_numpy()].any() for years in people.cycles)


def _outcomes(panel: str) -> list[Outcome]:
    return [each for each in OUTCOMES.values() if each.panel == panel]


def _variables(outcome: Outcome) -> tuple[str, ...]:
    if outcome.binary:
        return BINARY[outcome.of].variables
    return tuple(source for part in features([outcome.of]) for source in _sources(part))


def _sources(feature: Feature) -> tuple[str, ...]:
    return feature.sources or tuple(name for part in features(feature.derived_from) for name in _sources(part))


def _years_since_told(raw: pd.DataFrame) -> pd.Series:
    age = raw["DID040"].where(raw["DID040"] != LESS_THAN_ONE, 0.0)
    return (raw["RIDAGEYR"] - age).clip(lower=0.0).where(raw["DIQ010"] == TOLD)


def _measured(outcome: Outcome, raw: pd.DataFrame, frame: pd.DataFrame) -> Floats:
    if outcome.binary:
        return np.asarray(BINARY[outcome.of].label_people(raw), dtype=np.float64)
    values = np.asarray(frame[outcome.of], dtype=np.float64)
    return values if outcome.scale == "difference" else np.log(np.where(values > 0, values, np.nan))
