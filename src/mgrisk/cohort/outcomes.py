"""Outcomes defined in `outcomes.toml`: eligibility, case definition and leak lists."""

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
    "mgrisk cannot check whether the people in the file are the intended population and its outcome column is correct. "
    "An association is not an effect."
)
"""Warning for an outcome from a file, which has no row here."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Row):
    """A condition on an NHANES variable or a feature of the group marker.

    Attributes
    ----------
    variable
        Name of the variable or marker.
    at_least, equals
        Exactly one of them: the smallest value that meets the condition, or the code or level that does.
    label
        Description of an eligibility rule.
    """

    variable: str
    at_least: float | None = None
    equals: float | str | None = None
    label: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.at_least is None) == (self.equals is None):
            raise ValueError(f"{self.variable}: a condition needs either at_least or equals")
        return self

    def holds(self, columns: pd.DataFrame) -> pd.Series:
        """Return where the condition is met; a missing value does not meet it."""
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
    # Used only for evaluation, and so not stored in bundles.
    prediabetes: tuple[Condition, ...] = Field(default=(), exclude=True)
    targets: tuple[str, ...] = ()
    leaks: tuple[Leak, ...]
    alone_limit: float
    ratio_limit: float
    warning: str
    citation: str

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions: case definition, eligibility and exclusion."""
        return (*self.case, *self.eligible, *self.exclude)

    @property
    def names(self) -> tuple[str, ...]:
        """NHANES variables and markers used by the rules, without duplicates."""
        return tuple(dict.fromkeys((*self.required, *(each.variable for each in self.conditions))))

    @property
    def variables(self) -> tuple[str, ...]:
        """NHANES variables that define the outcome and eligibility, including the sources of markers."""
        return tuple(dict.fromkeys(source for name in self.names for source in _sources(name)))

    @property
    def defining(self) -> frozenset[str]:
        """NHANES variables that define a case, including those required of everyone."""
        names = (*self.required, *(each.variable for each in self.case))
        return frozenset(source for name in names for source in _sources(name))

    def columns(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Return the columns used by the rules, one for each of `names`.

        Parameters
        ----------
        raw
            Harmonised frame with `variables`, and with ``cycle`` if the outcome has markers.
        """
        return _columns(raw, self.names)

    def label_people(self, raw: pd.DataFrame) -> pd.Series:
        """Return 1 for a case, 0 for a control, and missing if neither.

        People with a missing required value are neither, unless they meet a condition that needs no required value:
        people with diagnosed diabetes are cases, whatever was measured.
        """
        columns = _columns(raw, (*self.required, *(each.variable for each in self.case)))
        measured = columns[list(self.required)].notna().all(axis=1)
        unmeasured = [each.holds(columns) for each in self.case if each.variable not in self.required]
        case = np.logical_or.reduce([each.holds(columns) for each in self.case])
        known = np.logical_or.reduce([measured, *unmeasured])
        return pd.Series(np.where(known, case.astype(float), np.nan), index=raw.index)

    def near_cases(self, raw: pd.DataFrame) -> pd.Series:
        """Return who meets a condition of `prediabetes`, including cases."""
        columns = _columns(raw, (each.variable for each in self.prediabetes))
        return pd.Series(np.logical_or.reduce([each.holds(columns) for each in self.prediabetes]), index=raw.index)


def _columns(raw: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    wanted = tuple(dict.fromkeys(names))
    markers = features(name for name in wanted if name in FEATURES)
    variables = raw[[name for name in wanted if name not in FEATURES]]
    return variables.join(from_nhanes(raw, markers)) if markers else variables


def _sources(name: str) -> Iterator[str]:
    """Yield the NHANES variables from which a variable or a marker is computed."""
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
    """Return an outcome by name; `where` is where it was named, for the error message.

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
