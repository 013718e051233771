"""Outcomes as rows of `outcomes.toml`: who can have them, how they are told, what gives them away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mgrisk.config.toml import rows
from mgrisk.errors import usage
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, computed_from, features

NO_WARNING: Final = (
    "Whether the people of the file are those whom you mean, and its column the outcome that it is called, no program "
    "can tell. An association is not an effect."
)
"""Warning of an outcome that a file brings and no row here describes."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Row):
    """A bound or a value that an NHANES variable, or a feature of the group marker, must meet.

    Attributes
    ----------
    variable
        Name of the variable or marker.
    at_least, equals
        One of them: the smallest value that meets it, or the code or level that does.
    label
        The condition in words, where people are told of it.
    """

    variable: str
    at_least: float | None = None
    equals: float | str | None = None
    label: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.at_least is None) == (self.equals is None):
            raise ValueError(f"{self.variable}: one of at_least and equals")
        return self

    def holds(self, columns: pd.DataFrame) -> pd.Series:
        """Return where it is met; a missing value meets nothing."""
        values = columns[self.variable]
        return values >= self.at_least if self.at_least is not None else values == self.equals


class Leak(_Row):
    """One row of `leaks.toml`; the comments at its top explain the fields."""

    name: str
    patterns: tuple[str, ...]
    spares: tuple[str, ...] = ()
    why: str


class Outcome(_Row):
    """One row of `outcomes.toml`; the comments at its top explain the fields."""

    name: str
    label: str
    definition: str
    required: tuple[str, ...]
    case: tuple[Condition, ...]
    eligible: tuple[Condition, ...] = ()
    exclude: tuple[Condition, ...] = ()
    # Says how the model is evaluated, not what it is: no part of a bundle.
    prediabetes: tuple[Condition, ...] = Field(default=(), exclude=True)
    targets: tuple[str, ...] = ()
    leaks: tuple[Leak, ...]
    alone_limit: float
    ratio_limit: float
    warning: str
    citation: str

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All its conditions: of a case, of who can be one, and of who is left out."""
        return (*self.case, *self.eligible, *self.exclude)

    @property
    def names(self) -> tuple[str, ...]:
        """What its rules read, each once: NHANES variables and markers."""
        return tuple(dict.fromkeys((*self.required, *(each.variable for each in self.conditions))))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the NHANES variables that define the outcome and who can have it, those of its markers included."""
        return tuple(dict.fromkeys(source for name in self.names for source in _sources(name)))

    @property
    def defining(self) -> frozenset[str]:
        """Names of the NHANES variables that make a case: what is required of everybody and what a case is told by."""
        names = (*self.required, *(each.variable for each in self.case))
        return frozenset(source for name in names for source in _sources(name))

    def columns(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Return what its rules read, a column for each of `names`.

        Parameters
        ----------
        raw
            Harmonised frame with `variables`; with ``cycle`` where the outcome has markers.
        """
        return _columns(raw, self.names)

    def label_people(self, raw: pd.DataFrame) -> pd.Series:
        """Return 1 for a case, 0 for a control, missing for who is neither.

        Who lacks a required value is neither, but for a case by a condition that needs no required value: a person told
        of diabetes has it, whatever was measured.
        """
        columns = _columns(raw, (*self.required, *(each.variable for each in self.case)))
        measured = columns[list(self.required)].notna().all(axis=1)
        told = [each.holds(columns) for each in self.case if each.variable not in self.required]
        case = np.logical_or.reduce([each.holds(columns) for each in self.case])
        known = np.logical_or.reduce([measured, *told])
        return pd.Series(np.where(known, case.astype(float), np.nan), index=raw.index)

    def near_cases(self, raw: pd.DataFrame) -> pd.Series:
        """Return who meets a condition of `prediabetes`; cases do too."""
        columns = _columns(raw, (each.variable for each in self.prediabetes))
        return pd.Series(np.logical_or.reduce([each.holds(columns) for each in self.prediabetes]), index=raw.index)


def _columns(raw: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    wanted = tuple(dict.fromkeys(names))
    markers = features(name for name in wanted if name in FEATURES)
    variables = raw[[name for name in wanted if name not in FEATURES]]
    return variables.join(from_nhanes(raw, markers)) if markers else variables


def _sources(name: str) -> Iterator[str]:
    """Yield the NHANES variables that a variable or a marker is made of."""
    if name not in FEATURES:
        yield name
        return
    for feature in computed_from(features([name])):
        yield from feature.sources


def _load() -> Mapping[str, Outcome]:
    leaks = {row["name"]: row for row in rows("mgrisk.cohort", "leaks.toml", "leak")}
    return MappingProxyType(
        {
            row["name"]: Outcome.model_validate({**row, "leaks": [leaks[name] for name in row["leaks"]]})
            for row in rows("mgrisk.cohort", "outcomes.toml", "outcome")
        }
    )


OUTCOMES: Mapping[str, Outcome] = _load()


def outcome(name: str, *, where: str = "cohort.outcome") -> Outcome:
    """Return the row of one outcome; `where` it was named, for the error.

    Raises
    ------
    MgRiskError
        `outcomes.unknown`, with the known names.
    """
    if name not in OUTCOMES:
        raise usage(
            "outcomes.unknown",
            f"there is no outcome {name}",
            where=where,
            hint=f"one of: {', '.join(OUTCOMES)}",
        )
    return OUTCOMES[name]
