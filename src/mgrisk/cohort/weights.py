"""Combined survey weights over several cycles: each cycle's weight multiplied by its share of the years.

The weights of each cycle add up to the whole population. In a combination of T years, two-year weights are multiplied
by 2/T, the four-year weight of 1999-2002 (which replaces the two-year weights if both cycles are combined) by 4/T, and
the weight of 2017 to March 2020 by 3.2/T. The combined weights then add up to the population at the middle of the
period.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mgrisk.errors import bad_source
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import JOINT_WEIGHTS, WHERE, cycle, refuse_overlap
from mgrisk.survey.design import WeightLevel


@dataclass(frozen=True)
class Share:
    """Share of a cycle's weight in a combination.

    Attributes
    ----------
    cycle
        Name of the cycle.
    weight
        NHANES name of the weight.
    years, total
        Number of years of the weight, and of the combination.
    """

    cycle: str
    weight: str
    years: float
    total: float

    @property
    def share(self) -> float:
        """Factor of the weight."""
        return self.years / self.total


def level_over(level: WeightLevel, sources: Iterable[str], cycles: Iterable[str]) -> WeightLevel:
    """Return the smallest subsample in which some variables were measured over several cycles.

    Parameters
    ----------
    level
        Subsample in which they were measured in most cycles.
    sources
        NHANES variables; a cycle may have asked one of a smaller subsample.
    cycles
        Names of the cycles combined.

    Examples
    --------
    >>> str(level_over(WeightLevel.INTERVIEW, ["DSQTMAGN"], ["2017-2018"]))
    'interview'
    >>> str(level_over(WeightLevel.INTERVIEW, ["DSQTMAGN"], ["2017-2018", "2021-2023"]))
    'recall1'
    """
    tables = {variable(source).table for source in sources}
    fewer = (asked for years in cycles for table, asked in cycle(years).subsample.items() if table in tables)
    return max((level, *fewer), key=lambda each: each.rank)


def shares(level: WeightLevel, cycles: Sequence[str]) -> tuple[Share, ...]:
    """Return the weight of each cycle and its share in the combination.

    Parameters
    ----------
    level
        Subsample.
    cycles
        Names of the cycles combined, without duplicates.

    Raises
    ------
    MgRiskError
        ``cycles.overlap``, ``cycles.twice``, ``cycles.unknown_cycle``; ``weights.none`` if a cycle has no weight of
        that level.

    Notes
    -----
    NCHS, NHANES analytic guidelines 1999-2010 (four-year weights of 1999-2002), 2011-2018 (division by the number of
    cycles) and 2017-March 2020 (3.2 years).

    Examples
    --------
    >>> [(each.weight, each.share) for each in shares(WeightLevel.EXAM, ["2015-2016", "2017-2018"])]
    [('WTMEC2YR', 0.5), ('WTMEC2YR', 0.5)]
    >>> [(each.weight, each.share) for each in shares(WeightLevel.EXAM, ["1999-2000", "2001-2002"])]
    [('WTMEC4YR', 1.0), ('WTMEC4YR', 1.0)]
    """
    known = [cycle(years) for years in cycles]
    refuse_overlap(known)
    total = sum(each.length for each in known)
    together = {years: joint for joint in JOINT_WEIGHTS if joint.cycles <= set(cycles) for years in joint.cycles}
    result = []
    for each in known:
        joint = together.get(each.years)
        weights = each.weights if joint is None else joint.weights
        years = each.length if joint is None else sum(cycle(name).length for name in joint.cycles)
        if level not in weights or variable(weights[level]).name_in(each) is None:
            raise bad_source(
                "weights.none",
                f"{each.years} has no weight of the level {level}",
                where=WHERE,
                hint=f"leave out {each.years}, or the variables that need this weight",
            )
        result.append(Share(each.years, weights[level], years, total))
    return tuple(result)


def combined_weight(raw: pd.DataFrame, level: WeightLevel, cycles: Sequence[str]) -> pd.Series:
    """Return the combined weight of each person over several cycles.

    Parameters
    ----------
    raw
        Harmonised frame with ``cycle`` and the weights listed by `shares`.
    level
        Subsample.
    cycles
        Names of the cycles combined.

    Returns
    -------
    pandas.Series
        Same index as `raw`, float64: 0 for people outside the subsample and for those of other cycles.

    Raises
    ------
    MgRiskError
        As `shares`.

    Examples
    --------
    >>> raw = pd.DataFrame({"cycle": ["2015-2016", "2017-2020"], "WTINT2YR": [26.0, None], "WTINTPRP": [None, 26.0]})
    >>> combined_weight(raw, WeightLevel.INTERVIEW, ["2015-2016", "2017-2020"]).round(6).tolist()
    [10.0, 16.0]
    """
    weight = np.zeros(len(raw))
    for each in shares(level, cycles):
        here = (raw["cycle"] == each.cycle).to_numpy()
        given = raw.loc[here, each.weight].fillna(0.0).to_numpy(dtype=np.float64)
        # In this order the result for k two-year cycles is bit-identical to the weights divided by k.
        weight[here] = given * each.years / each.total
    return pd.Series(weight, index=raw.index)
