"""Selection of the analysis population: eligibility rules, attrition by rule, and the survey weight.

No rows are dropped: people outside the analysis stay in the frame with `analysis` false, because variance estimation
for a domain needs the whole design.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from mgrisk.cohort.outcomes import Outcome
from mgrisk.cohort.weights import combined_weight, level_over, shares
from mgrisk.features.registry import Feature, computed_from
from mgrisk.nhanes.codebook import KEY, variable
from mgrisk.survey.design import SurveyDesign, WeightLevel, weight_level

DEVELOPMENT, HELD_OUT = "development", "held-out"
PREDIABETES = "prediabetes"
ADMINISTRATIVE = ("RIDSTATR", "RIDAGEYR", "RIDEXPRG", "SDMVSTRA", "SDMVPSU")
EXAMINED, PREGNANT = 2, 1


@dataclass(frozen=True)
class AttritionStep:
    """Attrition by one eligibility rule in one set.

    Attributes
    ----------
    set, rule
        Development or held-out; the rule in words.
    n, excluded
        Number of people remaining and excluded.
    events
        Number of known cases among those remaining.
    """

    set: str
    rule: str
    n: int
    excluded: int
    events: int

    def to_dict(self) -> dict[str, object]:
        """Return the entry of attrition.json."""
        return asdict(self)


@dataclass(frozen=True)
class Cohort:
    """All participants with outcome, design and membership in the analysis.

    Attributes
    ----------
    frame
        One row for each participant of all cycles: SEQN, cycle, set, stratum, psu, weight, outcome, eligible (measured
        or not), analysis, and prediabetes (or diabetes) if the outcome defines it.
    attrition
        One entry for each rule and set.
    level, forced_by
        The weight level, and the variable that determined it.
    """

    frame: pd.DataFrame
    attrition: tuple[AttritionStep, ...]
    level: WeightLevel
    forced_by: str


def level_in_use(
    outcome: Outcome | None, chosen: Sequence[Feature], cycles: Sequence[str], *, variables: Sequence[str] = ()
) -> tuple[WeightLevel, str]:
    """Return the smallest subsample that covers all variables in use, and the variable that determined it."""
    names = (*(() if outcome is None else outcome.variables), *variables)
    levels = {name: level_over(variable(name).level, [name], cycles) for name in names}
    for item in chosen:
        sources = [source for each in computed_from([item]) for source in each.sources]
        levels[item.name] = level_over(item.level, sources, cycles)
    return weight_level(levels)


def required_variables(
    outcome: Outcome | None, chosen: Sequence[Feature], sets: Iterable[Sequence[str]], *, variables: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the NHANES variables for selection, without duplicates: eligibility, outcome, design and weights.

    Parameters
    ----------
    outcome, chosen, variables
        As for `select`.
    sets
        Names of the cycles of each set.

    Raises
    ------
    MgRiskError
        As `weights.shares`.
    """
    combined = [tuple(cycles) for cycles in sets]
    every = [years for cycles in combined for years in cycles]
    level, _ = level_in_use(outcome, chosen, every, variables=variables)
    weights = (each.weight for cycles in combined for each in shares(level, cycles))
    of_outcome = () if outcome is None else outcome.variables
    return tuple(dict.fromkeys((*ADMINISTRATIVE, *weights, *of_outcome, *variables)))


def select(
    raw: pd.DataFrame,
    *,
    outcome: Outcome | None,
    chosen: Sequence[Feature],
    development: Sequence[str],
    held_out: Sequence[str],
    minimum_age: int,
    variables: Sequence[str] = (),
) -> Cohort:
    """Apply the eligibility rules and add the survey design; weights are combined within each set.

    Parameters
    ----------
    raw
        Harmonised frame of all participants.
    outcome
        Outcome that is predicted; None selects by age and subsample only.
    chosen
        Features in use; together with the outcome they determine the weight.
    development, held_out
        Cycles of the two sets.
    minimum_age
        Minimum age in years.
    variables
        Additional NHANES variables in use, which also determine the weight.

    Raises
    ------
    MgRiskError
        As `weights.shares`: cycles of a set share people, or have no weight of the level.
    """
    level, forced_by = level_in_use(outcome, chosen, [*development, *held_out], variables=variables)
    sets = {DEVELOPMENT: tuple(development), HELD_OUT: tuple(held_out)}
    set_of = {years: name for name, cycles in sets.items() for years in cycles}
    weight = sum((combined_weight(raw, level, cycles) for cycles in sets.values()), pd.Series(0.0, index=raw.index))
    names = dict.fromkeys(each.weight for cycles in sets.values() for each in shares(level, cycles))
    frame = pd.DataFrame(
        {
            KEY: raw[KEY],
            "cycle": raw["cycle"],
            "set": raw["cycle"].map(set_of),
            "stratum": raw["SDMVSTRA"].astype("int64"),
            "psu": raw["SDMVPSU"].astype("int64"),
            "weight": weight,
            "outcome": np.nan if outcome is None else outcome.label_people(raw),
        }
    )
    eligibility: list[tuple[str, pd.Series]] = [(f"{minimum_age} years and older", raw["RIDAGEYR"] >= minimum_age)]
    measured: list[tuple[str, pd.Series]] = []
    if outcome is not None:
        columns = outcome.columns(raw)
        eligibility += [
            ("examined", raw["RIDSTATR"] == EXAMINED),
            ("not pregnant", raw["RIDEXPRG"] != PREGNANT),
            *((rule.label, rule.holds(columns)) for rule in outcome.eligible),
            *((rule.label, ~rule.holds(columns)) for rule in outcome.exclude),
        ]
        measured += [(f"{name} measured", columns[name].notna()) for name in outcome.required]
        if outcome.prediabetes:
            frame[PREDIABETES] = outcome.near_cases(raw)
    frame["eligible"] = np.logical_and.reduce([keep for _, keep in eligibility])
    rules = [
        *eligibility,
        (f"in the subsample of {' or '.join(names)}", weight > 0),
        *measured,
    ]
    frame["analysis"] = False
    steps = []
    for set_name in (DEVELOPMENT, HELD_OUT):
        left = frame["set"] == set_name
        steps.append(_step(set_name, "all participants", left, left, frame))
        for label, keep in rules:
            before, left = left, left & keep
            steps.append(_step(set_name, label, before, left, frame))
        frame.loc[frame["set"] == set_name, "analysis"] = left[frame["set"] == set_name]
    return Cohort(frame, tuple(steps), level, forced_by)


def design(frame: pd.DataFrame, *, level: WeightLevel, set_name: str) -> tuple[pd.DataFrame, SurveyDesign]:
    """Return all rows of one set, and their design with the analysis as its domain.

    Parameters
    ----------
    frame
        `Cohort.frame`, or cohort.parquet of a run.
    level
        Weight level of the cohort.
    set_name
        ``development`` or ``held-out``.
    """
    rows = frame[frame["set"] == set_name].reset_index(drop=True)
    return rows, SurveyDesign(
        weight=rows["weight"].to_numpy(),
        stratum=rows["stratum"].to_numpy(),
        psu=rows["psu"].to_numpy(),
        level=level,
        domain=rows["analysis"].to_numpy(dtype=bool),
    )


def _step(set_name: str, rule: str, before: pd.Series, left: pd.Series, frame: pd.DataFrame) -> AttritionStep:
    return AttritionStep(
        set=set_name,
        rule=rule,
        n=int(left.sum()),
        excluded=int(before.sum() - left.sum()),
        events=int((frame.loc[left, "outcome"] == 1).sum()),
    )
