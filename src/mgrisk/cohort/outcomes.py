"""Outcomes as rows of `outcomes.toml`: who can have them, how they are told, what gives them away."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from mgrisk.errors import usage


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Eligible(_Row):
    """A condition on one variable that a person must meet."""

    variable: str
    equals: float
    label: str


class Threshold(_Row):
    """A laboratory value from which on a person is a case."""

    variable: str
    at_least: float


class Outcome(_Row):
    """One row of `outcomes.toml`; the comments at its top explain the fields."""

    name: str
    label: str
    definition: str
    required: tuple[str, ...]
    case: tuple[Threshold, ...]
    eligible: tuple[Eligible, ...]
    leaks: tuple[str, ...]
    warning: str
    citation: str

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the NHANES variables that define the outcome and who can have it."""
        return (*self.required, *(rule.variable for rule in self.eligible))

    def label_people(self, raw: pd.DataFrame) -> pd.Series:
        """Return 1 for a case, 0 for a control, missing where a required value was not measured."""
        measured = raw[list(self.required)].notna().all(axis=1)
        case = np.logical_or.reduce([raw[rule.variable] >= rule.at_least for rule in self.case])
        return pd.Series(np.where(measured, case.astype(float), np.nan), index=raw.index)


def _load() -> Mapping[str, Outcome]:
    rows = tomllib.loads(files("mgrisk.cohort").joinpath("outcomes.toml").read_text("utf-8"))["outcome"]
    return MappingProxyType({row["name"]: Outcome.model_validate(row) for row in rows})


OUTCOMES: Mapping[str, Outcome] = _load()


def outcome(name: str) -> Outcome:
    """Return the row of one outcome.

    Raises
    ------
    MgRiskError
        `outcomes.unknown`, with the known names.
    """
    if name not in OUTCOMES:
        raise usage(
            "outcomes.unknown",
            f"there is no outcome {name}",
            where="cohort.outcome",
            hint=f"one of: {', '.join(OUTCOMES)}",
        )
    return OUTCOMES[name]
