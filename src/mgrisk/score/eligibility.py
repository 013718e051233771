"""Whom a model does not hold for: read from its outcome and its people, and from columns of the scoring file.

A bundle says by its outcome who could have it, on what data it was made and from which age on. `eligibility.toml` says
which columns tell of somebody who could not. Such a row gets no risk; where the columns are not given, nobody can tell,
and the summary of a batch says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from mgrisk.config.toml import rows
from mgrisk.features.registry import FEATURES, Feature
from mgrisk.score.csv.decimals import EXCLUDED, GOOD
from mgrisk.score.input_schema import Checked
from mgrisk.types import Booleans, Floats

AGE: Final = "age_years"
_ROWS: Final = rows("mgrisk.score", "eligibility.toml", "exclusion")
EXCLUSION_COLUMNS: Final = tuple(row["column"] for row in _ROWS)
"""The columns that tell whom some model does not hold for."""


@dataclass(frozen=True)
class Exclusion:
    """One reason why somebody must not be scored.

    Attributes
    ----------
    feature
        The column that tells.
    says
        Who that is, in words.
    level
        The level of a category that tells it.
    below
        The number below which it is told.
    """

    feature: Feature
    says: str
    level: str = ""
    below: float = -np.inf

    def holds(self, values: Floats) -> Booleans:
        """Return of whom it is told, shape (n,); `values` has a level by its place, NaN where nothing is known."""
        told: Booleans = values == self.feature.levels.index(self.level) if self.level else values < self.below
        return told

    def to_dict(self) -> dict[str, Any]:
        """Return what the summary file says."""
        when = {"level": self.level} if self.level else {"below": self.below}
        return {"column": self.feature.name, **when, "says": self.says}


def exclusions(about: Mapping[str, Any]) -> tuple[Exclusion, ...]:
    """Return whom a bundle does not hold for.

    Parameters
    ----------
    about
        Content of bundle.json.

    Examples
    --------
    >>> told = {"variable": "DIQ010", "equals": 2}
    >>> about = {"outcome": {"eligible": [told], "exclude": []}, "data": "NHANES", "minimum_age": 40}
    >>> [(each.feature.name, each.says) for each in exclusions(about)][:2]
    [('age_years', 'younger than 40 years'), ('diabetes_told', 'told of diabetes')]
    """
    outcome = about["outcome"]
    of_outcome = {each["variable"] for each in (*outcome.get("eligible", ()), *outcome.get("exclude", ()))}
    age, youngest = FEATURES[AGE], float(about.get("minimum_age", 0.0))
    # Ages below those of the contract are out of its range, and rejected.
    young = (
        [Exclusion(age, f"younger than {youngest:g} years", below=youngest)] if youngest > (age.minimum or 0.0) else []
    )
    found = [
        Exclusion(FEATURES[row["column"]], row["says"], level=row["level"])
        for row in _ROWS
        if not of_outcome.isdisjoint(row.get("conditions", ())) or about["data"] in row.get("data", ())
    ]
    return (*young, *found)


def with_exclusions(inputs: Sequence[Feature], excluded: Sequence[Exclusion]) -> tuple[Feature, ...]:
    """Return the columns that a scoring file may have: the inputs of a model, then what tells whom it is not for."""
    known = {feature.name for feature in inputs}
    return (*inputs, *(each.feature for each in excluded if each.feature.name not in known))


def mark_excluded(checked: Checked, excluded: Sequence[Exclusion]) -> Checked:
    """Return checked people with those marked for whom the model does not hold, as it is where there are none.

    Nothing else is said of them: what is wrong with their other cells need not be mended. Of a row with too many or too
    few cells nothing is known, so that it stays what it is.
    """
    place = {feature.name: i for i, feature in enumerate(checked.inputs)}
    told = {place[each.feature.name]: each.holds(checked.numbers[place[each.feature.name]]) for each in excluded}
    out = np.logical_or.reduce([np.zeros(len(checked), dtype=np.bool_), *told.values()])
    if not out.any():
        return checked
    state = checked.state.copy()
    state[:, out] = GOOD
    for i, holds in told.items():
        state[i, out & holds] = EXCLUDED
    return replace(checked, state=state)


def not_for(excluded: Sequence[Exclusion]) -> str:
    """Return whom a model does not hold for, in words with the columns that tell.

    Examples
    --------
    >>> not_for([Exclusion(FEATURES["pregnant"], "pregnant", level="yes")])
    'not for people pregnant (pregnant)'
    """
    return f"not for people {', '.join(f'{each.says} ({each.feature.name})' for each in excluded)}"


def not_told(excluded: Sequence[Exclusion], given: Collection[str]) -> list[str]:
    """Return the line that says whom the model does not hold for although no column of the file tells it, or none.

    Parameters
    ----------
    excluded
        Whom the model does not hold for.
    given
        Names of the features that the file has.
    """
    absent = [each for each in excluded if each.feature.name not in given]
    return [f"{not_for(absent)}; no column tells who they are"] if absent else []
