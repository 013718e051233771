"""Items of a published score: what one answer, or several together, add to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Bands = tuple[tuple[float, float], ...]


class Row(BaseModel):
    """A part of a score's TOML file: closed and frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(Row):
    """What must hold of one answer; one of its bounds and levels.

    Attributes
    ----------
    feature
        Name of the feature.
    level, not_level
        The category that meets it, or the only one that does not: who did not answer meets `not_level`.
    at_least, above, below
        Bound of a number.
    """

    feature: str
    level: str | None = None
    not_level: str | None = None
    at_least: float | None = None
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if len(self.model_fields_set - {"feature"}) != 1:
            raise ValueError(f"{self.feature}: one bound or level")
        return self

    def holds(self, people: pd.DataFrame) -> Mask:
        """Return who meets it, shape (n,); no answer meets nothing but `not_level`."""
        values = people[self.feature]
        if self.level is not None:
            return (values == self.level).to_numpy(dtype=np.bool_)
        if self.not_level is not None:
            return (values != self.not_level).to_numpy(dtype=np.bool_)
        numbers = values.to_numpy(dtype=np.float64)
        if self.at_least is not None:
            return numbers >= self.at_least
        return numbers > self.above if self.above is not None else numbers < self.below

    def unknown(self, people: pd.DataFrame) -> Mask:
        """Return whose answer is missing and could have decided, shape (n,)."""
        if self.not_level is not None:
            return np.zeros(len(people), dtype=np.bool_)
        return people[self.feature].isna().to_numpy()


class Item(Row):
    """One row of a score: from one feature by bounds, categories or unit, or `worth` where conditions hold.

    Attributes
    ----------
    feature
        Name of the feature; none where `all` or `any` says what counts.
    bands, above
        Lower bounds with what a value gains from them on, or above them; the highest bound that is passed counts.
    levels
        What each category gains; others gain nothing.
    per_unit
        What each unit of a number gains.
    all, any, worth
        Conditions all or any of which must hold to gain `worth`.
    when
        Conditions on the people for whom the item counts.
    """

    feature: str = ""
    bands: Bands = ()
    above: Bands = ()
    levels: dict[str, float] = {}
    per_unit: float | None = None
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    worth: float = 0.0
    when: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.bands or self.above, self.levels, self.per_unit is not None, self.all, self.any)
        if sum(map(bool, ways)) != 1 or bool(self.feature) == bool(self.all or self.any):
            raise ValueError(f"{self.feature or 'an item'}: bounds, levels or unit of a feature, or conditions")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it reads."""
        conditions = (each.feature for each in (*self.all, *self.any, *self.when))
        return tuple(name for name in (self.feature, *conditions) if name)

    def gained(self, people: pd.DataFrame) -> Floats:
        """Return what each person gains, shape (n,); nothing without an answer."""
        return np.where(_every(self.when, people), self._worth(people), 0.0)

    def unanswered(self, people: pd.DataFrame) -> Mask:
        """Return for whom the item counts and an answer that could have decided it is missing, shape (n,)."""
        if self.feature:
            open_yet: Mask = people[self.feature].isna().to_numpy(dtype=np.bool_)
        elif self.all:
            # Open where no condition is known to fail, and one is not known.
            may = [each.holds(people) | each.unknown(people) for each in self.all]
            open_yet = np.all(may, axis=0) & ~_every(self.all, people)
        else:
            unknown = [each.unknown(people) for each in self.any]
            open_yet = np.any(unknown, axis=0) & ~_some(self.any, people)
        return _every(self.when, people) & open_yet

    def _worth(self, people: pd.DataFrame) -> Floats:
        if not self.feature:
            met = _every(self.all, people) if self.all else _some(self.any, people)
            return np.where(met, self.worth, 0.0)
        values = people[self.feature]
        if self.levels:
            return np.asarray(values.astype(object).map(self.levels).fillna(0.0), dtype=np.float64)
        numbers = values.to_numpy(dtype=np.float64)
        if self.per_unit is not None:
            return np.where(np.isnan(numbers), 0.0, self.per_unit * numbers)
        gained = np.zeros(len(numbers))
        bounds = [(bound, False, worth) for bound, worth in self.bands]
        for bound, strictly, worth in sorted(bounds + [(bound, True, worth) for bound, worth in self.above]):
            gained[numbers > bound if strictly else numbers >= bound] = worth
        return gained


def _every(conditions: Sequence[Condition], people: pd.DataFrame) -> Mask:
    held = np.ones(len(people), dtype=np.bool_)
    for each in conditions:
        held &= each.holds(people)
    return held


def _some(conditions: Sequence[Condition], people: pd.DataFrame) -> Mask:
    held = np.zeros(len(people), dtype=np.bool_)
    for each in conditions:
        held |= each.holds(people)
    return held
