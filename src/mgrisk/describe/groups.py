"""Groups of `--by` and terms of `--on`: names, ranges, conditions, splines and interactions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.describe.conditions import Truth, evaluated, expression, unknown
from mgrisk.errors import usage
from mgrisk.types import Booleans

MOST_GROUPS: Final = 25
DEFAULT_KNOTS: Final = (4.0,)
NUMBERS: Final = r"\s*[-+.\d][-+.\d, ]*"


@dataclass(frozen=True)
class Grouping:
    """A grouping of people: by the values of a name, by ranges of a number, or by a condition.

    For a regression also arithmetic, splines and interactions, which do not define groups.

    Attributes
    ----------
    text
        Text as written.
    names
        Names of features and variables in the text.
    cuts
        Lower bounds of ranges; people below the first are in no range.
    knots
        Knots of a spline, or a single number: the number of knots.
    parts
        Parts of an interaction.
    """

    text: str
    names: tuple[str, ...]
    cuts: tuple[float, ...] = ()
    knots: tuple[float, ...] = ()
    parts: tuple[Grouping, ...] = ()

    @property
    def variable(self) -> str:
        """The name or text whose values are used."""
        return self.names[0] if self.cuts or self.knots else self.text

    def undecided(self, columns: Mapping[str, pd.Series]) -> Booleans:
        """Return for whom the group is undecided because a value is missing, shape (n,)."""
        if self.parts:
            found: Booleans = np.logical_or.reduce([part.undecided(columns) for part in self.parts])
            return found
        return unknown(columns[self.variable] if self.variable in columns else evaluated(self.text, columns))

    def members(
        self, shown: Mapping[str, pd.Series], columns: Mapping[str, pd.Series], inside: Booleans
    ) -> list[tuple[str, Booleans]]:
        """Return each group's label and members, a boolean array of shape (n,).

        Raises
        ------
        MgRiskError
            ``describe.too_many_groups``, ``describe.not_a_number``, ``describe.no_groups`` for arithmetic, splines
            and interactions.
        """
        if self.cuts:
            return self._ranges(columns[self.names[0]])
        if not self.text.isidentifier():
            truth = None if self.knots or self.parts else evaluated(self.text, columns)
            if not isinstance(truth, Truth):
                raise usage(
                    "describe.no_groups",
                    f"{self.text} does not define groups",
                    where="--by",
                    hint="use ranges (age_years=20,40,60), conditions, or several groupings in a row",
                )
            return [(f"{self.text}: yes", truth.true), (f"{self.text}: no", truth.false)]
        values = shown[self.text]
        seen = set(values[inside].dropna())
        is_category = isinstance(values.dtype, pd.CategoricalDtype)
        ordered = [each for each in values.cat.categories if each in seen] if is_category else sorted(seen)
        if len(ordered) > MOST_GROUPS:
            raise usage(
                "describe.too_many_groups",
                f"{self.text} has {len(ordered)} values",
                where="--by",
                hint=f"at most {MOST_GROUPS} are allowed; use ranges: {self.text}={_starts(values[inside])}",
            )
        return [(f"{self.text}={_plain(value)}", (values == value).to_numpy(dtype=np.bool_)) for value in ordered]

    def _ranges(self, values: pd.Series) -> list[tuple[str, Booleans]]:
        if isinstance(values.dtype, pd.CategoricalDtype):
            raise usage(
                "describe.not_a_number",
                f"{self.names[0]} is a category and has no ranges",
                where="--by",
                hint=f"use --by {self.names[0]}",
            )
        numbers, found = values.to_numpy(dtype=np.float64), []
        for low, high in itertools.pairwise((*self.cuts, np.inf)):
            range_ = f"{_plain(low)} and over" if high == np.inf else f"{_plain(low)} to <{_plain(high)}"
            found.append((f"{self.names[0]} {range_}", (numbers >= low) & (numbers < high)))
        return found


def grouping(text: str) -> Grouping:
    """Parse an argument of `--by` (descriptions) or `--on` (regressions).

    Raises
    ------
    MgRiskError
        ``describe.cuts`` if the numbers do not increase, ``condition.syntax``.

    Examples
    --------
    >>> grouping("spline(age_years)").knots, [part.text for part in grouping("sex:age_years=20,40").parts]
    ((4.0,), ['sex', 'age_years=20,40'])
    >>> grouping("age_years=20,40,60").cuts, grouping("bmi_kg_m2 >= 30 and sex == 'male'").names
    ((20.0, 40.0, 60.0), ('bmi_kg_m2', 'sex'))
    """
    if text.isidentifier():
        return Grouping(text, (text,))
    # A colon in quotes is part of a level.
    pieces = [each.strip() for each in re.split(r""":(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""", text)]
    if len(pieces) > 1 and all(pieces):
        parts = tuple(grouping(each) for each in pieces)
        return Grouping(text, tuple(dict.fromkeys(name for part in parts for name in part.names)), parts=parts)
    if spline := re.fullmatch(rf"\s*spline\(\s*(\w+)\s*(?:=({NUMBERS}))?\)\s*", text):
        knots = _increasing(text, spline[2], "spline(age_years=20,40,60,80)") if spline[2] else DEFAULT_KNOTS
        return Grouping(text, (spline[1],), knots=knots)
    if ranges := re.fullmatch(rf"\s*([A-Za-z]\w*)\s*=({NUMBERS})", text):
        return Grouping(text, (ranges[1],), _increasing(text, ranges[2], "age_years=20,40,60"))
    return Grouping(text, expression(text).names)


def _increasing(text: str, written: str, example: str) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in written.split(","))
    except ValueError:
        found = ()
    if not found or any(low >= high for low, high in itertools.pairwise(found)):
        raise usage(
            "describe.cuts",
            "the numbers of ranges or knots do not increase",
            where="--by or --on",
            got=text,
            hint=f"for example {example}",
        )
    return found


def _starts(values: pd.Series) -> str:
    """Return the lower bounds of the thirds of some numbers, as an example of ranges."""
    return ",".join(_plain(float(each)) for each in np.unique(np.round(values.dropna().quantile([0, 1 / 3, 2 / 3]))))


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
