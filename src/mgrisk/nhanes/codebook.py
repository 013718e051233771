"""What each NHANES variable in use is: table, label, unit, missing codes, subsample. Rows of `variables.toml`."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

from mgrisk.errors import bad_source
from mgrisk.nhanes.cycles import Cycle
from mgrisk.survey.design import WeightLevel

KEY = "SEQN"
SYNTHETIC = "SYNTHETIC"
"""Stands in the label of every table of a made-up cohort and on everything made of it: the files themselves say so."""


@dataclass(frozen=True)
class Variable:
    """One NHANES variable.

    Attributes
    ----------
    name
        NHANES name, the column of the harmonised frame.
    table
        Table without the cycle's suffix.
    level
        Subsample in which it was measured; weights follow from it.
    unit, label
        Unit and CDC's label; the unit of an answer code is ``code``.
    missing
        Codes for refused, don't know and cannot be ascertained.
    was
        First year of a cycle to the name that the variable had then.
    absent
        First years of the cycles that did not measure it.
    """

    name: str
    table: str
    level: WeightLevel
    unit: str
    label: str
    missing: frozenset[float]
    was: Mapping[int, str]
    absent: frozenset[int]

    def name_in(self, cycle: Cycle) -> str | None:
        """Return the variable's name in a cycle, or None where that cycle did not measure it."""
        if cycle.first in self.absent:
            return None
        return self.was.get(cycle.first, self.name)


def _load() -> Mapping[str, Variable]:
    rows = tomllib.loads(files("mgrisk.nhanes").joinpath("variables.toml").read_text("utf-8"))["variable"]
    variables = [
        Variable(
            name=row["name"],
            table=row["table"],
            level=WeightLevel(row["level"]),
            unit=row["unit"],
            label=row["label"],
            missing=frozenset(float(code) for code in row["missing"]),
            was=MappingProxyType({year: name for name, years in row.get("was", {}).items() for year in years}),
            absent=frozenset(row.get("absent", [])),
        )
        for row in rows
    ]
    return MappingProxyType({variable.name: variable for variable in variables})


VARIABLES: Mapping[str, Variable] = _load()


def variable(name: str) -> Variable:
    """Return the row of one variable.

    Raises
    ------
    MgRiskError
        `codebook.unknown_variable`, naming the nearest one that is known.

    Examples
    --------
    >>> variable("PAD680").missing == {7777.0, 9999.0}
    True
    """
    if name not in VARIABLES:
        near = difflib.get_close_matches(name, VARIABLES, n=1)
        raise bad_source(
            "codebook.unknown_variable",
            f"{name} is not a variable that mgrisk reads",
            where="nhanes/variables.toml",
            hint=f"did you mean {near[0]}?" if near else "add a row with its table, level and missing codes",
        )
    return VARIABLES[name]
