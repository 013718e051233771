"""The people of the association analyses, and panels of people with the same weights and outcomes.

No rows are dropped: a panel keeps all rows of its cycles, and the people studied are the domain of its design.
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
DIAGNOSED, NOT_DIAGNOSED = 1.0, 2.0  # DIQ010
OPTIONAL: Final = DIET_QUALITY.terms
"""Terms that a panel may lack, from files that CDC does not release."""
MEASURED: Final = "all outcomes measured"
"""The last rule before those that exclude people for a missing recall or answer."""
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
        Name of the panel.
    cycles
        Names of its cycles.
    design
        Survey design of all participants of the cycles; its domain is the people studied.
    amounts
        Intake of each nutrient on the recall days, shape (n, 2), NaN without a reliable recall.
    weekend
        Whether a day was Friday to Sunday, shape (n, 2).
    supplement
        Magnesium from supplements, mg/d, shape (n,).
    columns
        Columns of each adjustment term and of ``cycle``, shape (n, c).
    outcomes
        Outcomes on the modelled scale, shape (n,); NaN outside the domain.
    frame
        Features, one row for each row of the design, with ``cycle`` and ``years_since_diagnosis`` of diabetes, NaN
        without a diagnosis or if unknown.
    rules
        Who meets each eligibility rule, in order, shape (n,) each; the people studied meet all.
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
        """Row numbers of the people studied."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def models(self) -> tuple[AdjustmentSet, ...]:
        """Adjustment models whose terms are all available."""
        return tuple(model for model in MODELS if set(model.all_terms) <= set(self.columns))

    def scale(self, outcome: str) -> Scale:
        """Return the reported scale of an outcome or negative control."""
        return (OUTCOMES[outcome] if outcome in OUTCOMES else CONTROLS[outcome]).scale

    def binary(self, outcome: str) -> bool:
        """Return whether an outcome is binary."""
        return self.scale(outcome) == "odds ratio"

    def where(self, mask: ArrayLike) -> Panel:
        """Return the panel with a smaller domain; no row is dropped."""
        return replace(self, design=self.design.where(mask))

    def adjusted_for(self, terms: Sequence[str]) -> Floats:
        """Return the columns of some terms and of the cycles for the people studied, and ones, shape (n_inside, p).

        Constant columns are omitted, and so is the indicator of one cycle if every person is in one of the cycles with
        an indicator (when the first cycle is empty).
        """
        cycle = self.columns["cycle"][self.inside]
        cycle = cycle[:, cycle.any(axis=0)]
        if cycle.any(axis=1).all():
            cycle = cycle[:, 1:]
        found = np.hstack([*(self.columns[name][self.inside] for name in terms), cycle])
        varies = np.ptp(found, axis=0) > 0
        return np.column_stack([found[:, varies], np.ones(len(found))])

    def recall_mean(self, nutrient: str) -> Floats:
        """Return the mean of the recall days for the people studied, shape (n_inside,)."""
        return np.asarray(np.nanmean(self.amounts[nutrient][self.inside], axis=1))


def evidence_features() -> tuple[Feature, ...]:
    """Return the features used by the adjustment models, outcomes and robustness analyses."""
    markers = [each.of for each in OUTCOMES.values() if not each.binary]
    terms = [each.feature for each in TERMS.values()]
    eaten = [FOOD_GROUP.format(name) for name in food_groups().labels]
    return features(dict.fromkeys((*terms, *RECALLED, *WEEKEND, SUPPLEMENT, *markers, *FOR_ROBUSTNESS, *eaten)))


def panel_cycles(panel: str, cycles: Sequence[str]) -> tuple[str, ...]:
    """Return those of some cycles in which all outcomes of a panel were measured.

    Examples
    --------
    >>> panel_cycles("tolerance", ["2015-2016", "2017-2018"])
    ('2015-2016',)
    """
    spans = [FEATURES[each.of].comparable for each in _outcomes(panel) if not each.binary]
    return tuple(years for years in cycles if all(first <= years <= last for first, last in spans))


def panel_level(panel: str) -> WeightLevel:
    """Return the smallest subsample needed by a panel's outcomes and the adjustment terms."""
    names = [variable_name for each in _outcomes(panel) for variable_name in _variables(each)]
    chosen = features([*RECALLED[:1], *(term.feature for term in TERMS.values())])
    level, _ = weight_level({name: variable(name).level for name in names} | {one.name: one.level for one in chosen})
    return level


def evidence_variables(cycles: Sequence[str]) -> tuple[str, ...]:
    """Return the NHANES variables needed in addition to the sources of the features, without duplicates."""
    days = (name for each in NUTRIENTS.values() for name in each.days)
    defining = (name for each in OUTCOMES.values() for name in _variables(each))
    weights = (share.weight for panel in panels() for share in shares(panel_level(panel), panel_cycles(panel, cycles)))
    return tuple(dict.fromkeys((*ADMINISTRATIVE, *days, *defining, *weights)))


def panels(outcomes: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the panels of some outcomes; of all outcomes if none is given.

    Examples
    --------
    >>> panels(["hba1c", "undiagnosed"])
    ('recall', 'fasting')
    """
    return tuple(dict.fromkeys(each.panel for each in adjustment_set.outcomes(outcomes)))


def read_people(store: Store, cycles: Sequence[str]) -> People:
    """Read all participants of some cycles.

    Parameters
    ----------
    store
        Source of raw tables.
    cycles
        Names of the cycles, from 2007-2008 on; magnesium from supplements is not available before.
    """
    chosen = evidence_features()
    found = gather(store, cycles=[cycle(years) for years in cycles], chosen=chosen, names=evidence_variables(cycles))
    return People(found.frame, from_nhanes(found.frame, chosen), tuple(cycles))


def build_panel(
    people: People, name: str, *, outcomes: Sequence[str] = (), youngest: int = 20, with_diagnosed: bool = False
) -> Panel:
    """Return a panel: examined adults, not pregnant, with a reliable first recall and complete data.

    Parameters
    ----------
    people
        Result of `read_people`.
    name
        Name of the panel.
    outcomes
        Outcomes to keep, all if empty; this does not change who is in the panel.
    youngest
        Minimum age in years.
    with_diagnosed
        Whether to include people with diagnosed diabetes, for the analysis of reverse causation.

    Notes
    -----
    All models and outcomes of a panel are estimated on the same people, those with all terms and outcomes known, so
    that differences between models are due to the adjustment and not to the people.
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
    # Diet quality needs USDA's food patterns of every cycle; otherwise the people of other cycles would be excluded.
    columns = {name: values for name, values in columns.items() if name not in OPTIONAL or _in_all_cycles(people, name)}
    columns["cycle"] = (raw["cycle"].to_numpy()[:, None] == np.array(cycles[1:], dtype=object)).astype(np.float64)
    measured = {each.name: _measured(each, raw, frame) for each in _outcomes(name)}
    supplement = frame[SUPPLEMENT].to_numpy(dtype=np.float64)
    weight = combined_weight(raw, level, cycles).to_numpy()
    # A reliable recall also needs a known weekday.
    placed = (reliable <= np.isfinite(weekend)).all(axis=1)
    held: dict[str, ArrayLike] = {
        f"{youngest} years and older": raw["RIDAGEYR"] >= youngest,
        "examined": raw["RIDSTATR"] == EXAMINED,
        "not pregnant": raw["RIDEXPRG"] != PREGNANT,
        "no diagnosed diabetes": with_diagnosed | (raw["DIQ010"] == NOT_DIAGNOSED),
        f"in the subsample of the weights ({level})": weight > 0,
        MEASURED: np.isfinite(np.column_stack([*measured.values()])).all(axis=1),
        "a reliable first recall": reliable[:, 0] & placed,
        "all adjustment terms known": np.isfinite(np.column_stack([*columns.values(), supplement])).all(axis=1),
    }
    rules = {name: np.asarray(kept, dtype=np.bool_) for name, kept in held.items()}
    studied = np.logical_and.reduce([*rules.values()])
    design = SurveyDesign(weight, raw["SDMVSTRA"].to_numpy(), raw["SDMVPSU"].to_numpy(), level, studied)
    kept = {key: values for key, values in measured.items() if key in outcomes or not outcomes}
    frame = frame.assign(cycle=raw["cycle"], years_since_diagnosis=_years_since_diagnosis(raw))
    return Panel(name, cycles, design, amounts, weekend, supplement, columns, kept, frame, rules)


def encode(term: Term, values: pd.Series) -> Floats:
    """Return the columns of a term, shape (n, c); a row of NaN if the value is missing.

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


def _years_since_diagnosis(raw: pd.DataFrame) -> pd.Series:
    age = raw["DID040"].where(raw["DID040"] != LESS_THAN_ONE, 0.0)
    return (raw["RIDAGEYR"] - age).clip(lower=0.0).where(raw["DIQ010"] == DIAGNOSED)


def _measured(outcome: Outcome, raw: pd.DataFrame, frame: pd.DataFrame) -> Floats:
    if outcome.binary:
        return np.asarray(BINARY[outcome.of].label_people(raw), dtype=np.float64)
    values = np.asarray(frame[outcome.of], dtype=np.float64)
    return values if outcome.scale == "difference" else np.log(np.where(values > 0, values, np.nan))
