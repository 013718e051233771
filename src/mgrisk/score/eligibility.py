"""Exclude people to whom a model does not apply, by its outcome and development data and the columns of a file.

A bundle records who is eligible for its outcome, its data and the minimum age. `eligibility.toml` lists the columns
that identify people who are not eligible. Such a row gets no risk. If a file lacks these columns, the summary of the
batch says so.
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
"""The columns that identify people excluded by some model."""


@dataclass(frozen=True)
class Exclusion:
    """A reason why a person must not be scored.

    Attributes
    ----------
    feature
        The column that identifies them.
    says
        Description of the excluded people.
    level
        Level of a category that is excluded.
    below
        Numbers below this one are excluded.
    """

    feature: Feature
    says: str
    level: str = ""
    below: float = -np.inf

    def holds(self, values: Floats) -> Booleans:
        """Return which rows are excluded, shape (n,); `values` has a level by its index, NaN where unknown."""
        excluded: Booleans = values == self.feature.levels.index(self.level) if self.level else values < self.below
        return excluded

    def to_dict(self) -> dict[str, Any]:
        """Return the record in the summary file."""
        when = {"level": self.level} if self.level else {"below": self.below}
        return {"column": self.feature.name, **when, "says": self.says}


def exclusions(about: Mapping[str, Any]) -> tuple[Exclusion, ...]:
    """Return the exclusions of a bundle.

    Parameters
    ----------
    about
        Content of bundle.json.

    Examples
    --------
    >>> condition = {"variable": "DIQ010", "equals": 2}
    >>> about = {"outcome": {"eligible": [condition], "exclude": []}, "data": "NHANES", "minimum_age": 40}
    >>> [(each.feature.name, each.says) for each in exclusions(about)][:2]
    [('age_years', 'younger than 40 years'), ('diabetes_told', 'with diagnosed diabetes')]
    """
    outcome = about["outcome"]
    of_outcome = {each["variable"] for each in (*outcome.get("eligible", ()), *outcome.get("exclude", ()))}
    age, youngest = FEATURES[AGE], float(about.get("minimum_age", 0.0))
    # Ages below the minimum of the input schema are rejected as out of range.
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
    """Return the columns that a scoring file may have: the inputs of a model, then its exclusion columns."""
    known = {feature.name for feature in inputs}
    return (*inputs, *(each.feature for each in excluded if each.feature.name not in known))


def mark_excluded(checked: Checked, excluded: Sequence[Exclusion]) -> Checked:
    """Mark the people to whom the model does not apply; without any, return the same object.

    Other problems of such a row are dropped, since they need not be corrected. A row with too many or too few cells
    stays rejected, since none of its values are known.
    """
    place = {feature.name: i for i, feature in enumerate(checked.inputs)}
    by_input = {place[each.feature.name]: each.holds(checked.numbers[place[each.feature.name]]) for each in excluded}
    out = np.logical_or.reduce([np.zeros(len(checked), dtype=np.bool_), *by_input.values()])
    if not out.any():
        return checked
    state = checked.state.copy()
    state[:, out] = GOOD
    for i, holds in by_input.items():
        state[i, out & holds] = EXCLUDED
    return replace(checked, state=state)


def not_for(excluded: Sequence[Exclusion]) -> str:
    """Describe the excluded people, with the columns that identify them.

    Examples
    --------
    >>> not_for([Exclusion(FEATURES["pregnant"], "pregnant", level="yes")])
    'not for people pregnant (pregnant)'
    """
    return f"not for people {', '.join(f'{each.says} ({each.feature.name})' for each in excluded)}"


def unidentified_exclusions(excluded: Sequence[Exclusion], given: Collection[str]) -> list[str]:
    """Return a line that names the exclusions for which the file has no column, or none.

    Parameters
    ----------
    excluded
        The exclusions of the model.
    given
        Names of the features in the file.
    """
    absent = [each for each in excluded if each.feature.name not in given]
    return [f"{not_for(absent)}; the file has no column to identify them"] if absent else []
