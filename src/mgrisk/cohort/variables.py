"""Names of columns: a feature of the registry, a decoded NHANES variable, or the cycle."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

import pandas as pd

from mgrisk.cohort.weights import level_over
from mgrisk.errors import MgRiskError, usage
from mgrisk.features.registry import FEATURES, computed_from, features
from mgrisk.features.summary import summary_of
from mgrisk.nhanes.codebook import VARIABLES, variable
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.documented import documented, documents
from mgrisk.nhanes.documented import names as documented_names
from mgrisk.nhanes.eras import exists_in
from mgrisk.nhanes.harmonise import refuse_several_rows
from mgrisk.survey.design import WeightLevel

CYCLE: Final = "cycle"


def refuse_unknown(names: Iterable[str]) -> None:
    """Raise an error for an unknown name, or a variable with several values for each person.

    Raises
    ------
    MgRiskError
        ``describe.unknown_name``, with the closest known name; ``harmonise.several_rows``, with the table.

    Examples
    --------
    >>> refuse_unknown(["age_years", "LBXGH", "SLQ050"])
    """
    for name in names:
        if name == CYCLE or name in FEATURES:
            continue
        if name not in VARIABLES and documented(name) is None:
            near = difflib.get_close_matches(name, [*FEATURES, *VARIABLES, *documented_names()], n=1)
            raise usage(
                "describe.unknown_name",
                f"{name} is neither a feature nor a variable of the NHANES tables that mgrisk reads",
                where="names",
                hint=f"did you mean {near[0]}?" if near else "see `mgrisk codebook`",
            )
        refuse_many_rows(name)


def refuse_many_rows(name: str) -> None:
    """Raise an error for a variable of a table with several rows for each person, naming features that summarise it.

    Raises
    ------
    MgRiskError
        ``harmonise.several_rows``.
    """
    item = variable(name)
    sums = [each.name for each in FEATURES.values() if each.summary and item.table in summary_of(each.summary).records]
    refuse_several_rows(item, instead=sums)


def level_of(name: str, cycles: Iterable[str]) -> WeightLevel:
    """Return the subsample in which a feature or variable was measured in some cycles.

    Examples
    --------
    >>> level_of("LBXGLU", ["2017-2018"])
    <WeightLevel.FASTING: 'fasting'>
    """
    if name == CYCLE:
        return WeightLevel.INTERVIEW
    level = FEATURES[name].level if name in FEATURES else variable(name).level
    return level_over(level, sources_of(name), cycles)


def sources_of(name: str) -> tuple[str, ...]:
    """Return the NHANES variables that a feature or variable is computed from.

    Examples
    --------
    >>> sources_of("sex"), sources_of("LBXGH")
    (('RIAGENDR',), ('LBXGH',))
    """
    if name == CYCLE:
        return ()
    if name not in FEATURES:
        return (name,)
    family = computed_from(features([name]))
    return tuple(dict.fromkeys(source for feature in family for source in feature.sources))


def problem_in(name: str, chosen: Cycle) -> MgRiskError | None:
    """Return the error for a name that is not available in a cycle, or None.

    Examples
    --------
    >>> from mgrisk.nhanes.cycles import cycle
    >>> problem_in("LBXGH", cycle("2017-2018")) is None
    True
    """
    if name == CYCLE:
        return None
    if any(variable(source).name_in(chosen) for source in sources_of(name)) and exists_in(name, chosen.years):
        return None
    return usage(
        "describe.not_measured",
        _why(name, chosen),
        where=f"cycle {chosen.years}",
        hint="choose other cycles, or leave it out",
    )


def _why(name: str, chosen: Cycle) -> str:
    """Return whether it was not asked or measured, or mgrisk does not have the table."""
    tables = list(dict.fromkeys(variable(source).table for source in sources_of(name)))
    for table in tables:
        if table in chosen.absent:
            return f"{name} is not available for {chosen.years}: {chosen.absent[table]}"
    if any(documents(table, chosen.years) for table in tables):
        return f"{name} was not asked or measured in {chosen.years}"
    return (
        f"mgrisk has no codebook of {tables[0]} for {chosen.years}, so that it is unknown whether {name} was asked or "
        "measured"
    )


def column(name: str, raw: pd.DataFrame) -> pd.Series:
    """Return an NHANES variable or the cycle: numbers and codes as float64, texts and the cycle as categories.

    Parameters
    ----------
    name
        NHANES variable, or ``cycle``.
    raw
        Harmonised frame that has it.
    """
    if name == CYCLE:
        return raw[CYCLE].astype("category")
    return raw[name].astype("category") if variable(name).is_text else raw[name]


def decoded(name: str, values: pd.Series) -> pd.Series:
    """Return the column with CDC's labels in place of answer codes, as a categorical in the order of the codes.

    Examples
    --------
    >>> decoded("RIAGENDR", pd.Series([2.0, 1.0])).tolist()
    ['Female', 'Male']
    """
    return values if name == CYCLE or name in FEATURES else variable(name).decode(values)
