"""The NHANES variables that mgrisk uses: table, label, unit, missing codes, subsample, range and answer codes.

Read from the files in `variables/`; ranges and answer codes come from `answers.toml`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from mgrisk.config.toml import rows
from mgrisk.errors import bad_source
from mgrisk.nhanes.cycles import CYCLES, Cycle
from mgrisk.survey.design import WeightLevel

KEY = "SEQN"
SYNTHETIC = "SYNTHETIC"
"""Marks the label of every table of the synthetic cohort, and everything computed from it."""


@dataclass(frozen=True)
class Variable:
    """One NHANES variable.

    Attributes
    ----------
    name
        NHANES name, the column of the harmonised frame.
    table
        Table name without the cycle's suffix.
    level
        Subsample in which it was measured; it determines the weight. A cycle may have asked fewer people
        (`Cycle.subsample`).
    unit, label
        Unit and CDC's label; the unit is ``code`` for an answer code and ``text`` for a text.
    missing
        Codes for refused, don't know and cannot be ascertained.
    names
        Name of the variable by cycle, for the cycles that asked or measured it.
    minimum, maximum
        Smallest and largest value in CDC's codebook over all cycles; None for codes and texts.
    codes
        Answer codes and top codes, as CDC writes them, with CDC's labels.
    records
        Whether its table has several rows for each person (foods eaten, medicines taken).
    """

    name: str
    table: str
    level: WeightLevel
    unit: str
    label: str
    missing: frozenset[float]
    names: Mapping[str, str]
    minimum: float | None
    maximum: float | None
    codes: Mapping[str, str]
    records: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return self.unit == "text"

    def name_in(self, cycle: Cycle) -> str | None:
        """Return the variable's name in a cycle, or None where that cycle did not measure it.

        Examples
        --------
        >>> {each.years: variable("DR1TMAGN").name_in(each) for each in CYCLES[1:3]}
        {'2001-2002': 'DRXTMAGN', '2003-2004': 'DR1TMAGN'}
        """
        return self.names.get(cycle.years)

    def decode(self, values: pd.Series) -> pd.Series:
        """Return answer codes as a categorical of CDC's labels, in the order of the codes; other values unchanged.

        Parameters
        ----------
        values
            Column of the harmonised frame.

        Examples
        --------
        >>> variable("RIAGENDR").decode(pd.Series([2.0, 1.0])).tolist()
        ['Female', 'Male']
        """
        if self.unit != "code":
            return values
        words = {float(code): word for code, word in self.codes.items() if _is_number(code)}
        present = sorted(set(values.dropna()) | set(words))
        # Two codes may have the same label in different cycles, and a code may have none.
        twice = len(set(words.values())) < len(words)
        labels = {
            code: f"{code:g} {words.get(code, '')}".strip() if twice else words.get(code, f"{code:g}")
            for code in present
        }
        return pd.Series(
            pd.Categorical(values.map(labels), categories=[labels[code] for code in present]), index=values.index
        )

    def lines(self) -> list[str]:
        """Return a description of the variable as lines of text.

        Examples
        --------
        >>> for line in variable("DSQTMAGN").lines():
        ...     print(line)
        DSQTMAGN  (Magnesium from supplements and antacids, mean of a day over 30 days, mg)
            table DSQTOT, interview sample; 0 to 4635
            in 2007-2008, 2009-2010, 2011-2012, 2013-2014, 2015-2016, 2017-2018, 2017-2020, 2021-2023
        """
        span = "" if self.minimum is None else f"; {self.minimum:g} to {self.maximum:g}"
        cycles = (f"{years} as {name}" if name != self.name else years for years, name in self.names.items())
        answers = [f"    {code}: {words}" for code, words in self.codes.items()]
        missing = [f"    no answer: {', '.join(f'{code:g}' for code in sorted(self.missing))}"] if self.missing else []
        return [
            f"{self.name}  ({self.label}{'' if self.unit in ('code', 'text', '1') else f', {self.unit}'})",
            f"    table {self.table}, {self.level} sample{span}",
            f"    in {', '.join(cycles)}",
            *answers,
            *missing,
        ]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names(row: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the variable's name by cycle, for the cycles that have both the variable and its table."""
    years = [each.years for each in CYCLES]
    first, last = years.index(row.get("first", years[0])), years.index(row.get("last", years[-1]))
    was = {cycle: name for name, cycles in row.get("was", {}).items() for cycle in cycles}
    unknown = {*was, *row.get("absent", [])} - set(years)
    if unknown:
        raise ValueError(f"{row['name']}: no such cycles: {sorted(unknown)}")
    return MappingProxyType(
        {
            each.years: was.get(each.years, row["name"])
            for each in CYCLES[first : last + 1]
            if each.years not in row.get("absent", []) and row["table"] not in each.absent
        }
    )


def _load() -> Mapping[str, Variable]:
    answers = {row["name"]: row for row in rows("mgrisk.nhanes", "answers.toml", "answers")}
    variables = []
    for row in rows("mgrisk.nhanes", "variables", "variable"):
        # A new variable has no answers until tools/codebook_answers.py has run.
        answer = answers.get(row["name"], {})
        variables.append(
            Variable(
                name=row["name"],
                table=row["table"],
                level=WeightLevel(row["level"]),
                unit=row["unit"],
                label=row["label"],
                missing=frozenset(float(code) for code in row["missing"]),
                names=_names(row),
                minimum=answer.get("minimum"),
                maximum=answer.get("maximum"),
                codes=MappingProxyType(answer.get("codes", {})),
                records=row.get("records", False),
            )
        )
    return MappingProxyType({variable.name: variable for variable in variables})


VARIABLES: Mapping[str, Variable] = _load()


def variable(name: str) -> Variable:
    """Return one variable by name.

    Raises
    ------
    MgRiskError
        `codebook.unknown_variable`, with the closest known name.

    Examples
    --------
    >>> variable("PAD680").missing == {7777.0, 9999.0}
    True
    """
    if name in VARIABLES:
        return VARIABLES[name]
    from mgrisk.nhanes.documented import documented, names  # reads the whole codebook: only where needed

    if (found := documented(name)) is not None:
        return found
    near = difflib.get_close_matches(name, [*VARIABLES, *names()], n=1)
    raise bad_source(
        "codebook.unknown_variable",
        f"{name} is not a variable of the NHANES tables that mgrisk reads",
        where="nhanes/codebook.parquet",
        hint=f"did you mean {near[0]}?" if near else "see `mgrisk codebook`",
    )
