"""Match the columns of a file to inputs by name.

A column gives an input if it has its name, a synonym, or its name with another declared unit (units.toml), ignoring
case and blanks. A name that means an input in another way (an undeclared unit, other punctuation, its label with a
unit, its NHANES variable) is refused unless another column gives the input: to use it may be wrong by a factor, and to
ignore it would change the answer silently. A name that only resembles an input is reported and not used.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from mgrisk.config.toml import rows
from mgrisk.errors import bad_input
from mgrisk.features.registry import FEATURES, Feature

FACTORS: Final[Mapping[tuple[str, str], float]] = MappingProxyType(
    {
        (given, row["meant"]): row["factor"]
        for row in rows("mgrisk.score", "units.toml", "unit")
        for given in row["given"]
    }
)
SYNONYMS: Final[Mapping[str, str]] = MappingProxyType(
    {row["name"]: row["meant"] for row in rows("mgrisk.score", "units.toml", "synonym")}
)


def _plain(name: str) -> str:
    """Return a name in lower case, with underscores for everything that is neither letter nor digit."""
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")


UNITS: Final = (
    frozenset(unit for pair in FACTORS for unit in pair)
    | frozenset(name for row in rows("mgrisk.score", "units.toml", "other") for name in row["name"])
    | frozenset(_plain(feature.unit) for feature in FEATURES.values() if feature.unit not in {"", "1"})
)


@dataclass(frozen=True)
class Given:
    """The column that gives a feature.

    Attributes
    ----------
    column
        Name of the column.
    factor
        Factor that converts its numbers to the unit of the feature.
    """

    column: str
    factor: float = 1.0


def unit_or_levels(feature: Feature) -> str:
    """Return the unit of a number, or the levels of a category, as text."""
    return feature.unit or " or ".join(feature.levels)


def given_columns(columns: Iterable[str], inputs: Sequence[Feature]) -> dict[str, Given]:
    """Return the column that gives each feature; of several, the first in the order of `_accepted_names`.

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> given_columns(["Height_in", "BMI"], features(["height_cm", "bmi_kg_m2", "waist_cm"]))
    {'height_cm': Given(column='Height_in', factor=2.54), 'bmi_kg_m2': Given(column='BMI', factor=1.0)}
    """
    there: dict[str, str] = {}
    for column in columns:
        there.setdefault(_folded(str(column)), column)
    found: dict[str, Given] = {}
    for feature in inputs:
        for name, factor in _accepted_names(feature.name, feature.kind).items():
            if name in there:
                found[feature.name] = Given(there[name], factor)
                break
    return found


def check_names(columns: Sequence[str], inputs: Sequence[Feature], *, where: str) -> None:
    """Refuse two columns for one input, and a column whose name means an input but is not accepted.

    Raises
    ------
    MgRiskError
        `input.duplicate_column`; `input.unknown_unit` for the name of an input with an undeclared unit;
        `input.unclear_name` for another spelling of its name, or its NHANES variable; exit status 3.
    """
    folded: dict[str, list[str]] = {}
    for column in columns:
        folded.setdefault(_folded(column), []).append(column)
    absent: list[Feature] = []
    for feature in inputs:
        there = [column for name in _accepted_names(feature.name, feature.kind) for column in folded.get(name, ())]
        if len(there) > 1:
            raise bad_input(
                "input.duplicate_column",
                f"the columns {there[0]} and {there[1]} both give {feature.name}",
                where=where,
                hint="remove one",
            )
        if not there:
            absent.append(feature)
    spelled = {_letters(name): feature for feature in reversed(absent) for name in _spellings(feature)}
    stems = {stem: feature for feature in reversed(absent) for stem in _stems(feature)}
    for name, (column, *_) in folded.items():
        if name in FEATURES:
            continue
        stem, unit = _without_unit(_plain(column))
        if meant := spelled.get(_letters(column)):
            raise bad_input(
                "input.unclear_name",
                f"the column {column} looks like {meant.name} under another name",
                where=where,
                hint=f"rename it to {meant.name} if it is that ({unit_or_levels(meant)}), or to something else if not",
            )
        if unit and (meant := stems.get(stem)):
            raise bad_input(
                "input.unknown_unit",
                f"the column {column} looks like {meant.name} in a unit that is not converted",
                where=where,
                expected=", ".join(_accepted_names(meant.name, meant.kind)),
                hint=f"convert it to {meant.name}, or rename it if it is something else",
            )


def unused_columns(columns: Sequence[str], inputs: Sequence[Feature]) -> dict[str, str]:
    """Return the columns that give no input, each with the input that was perhaps meant, or "".

    Columns with a suggestion come first. Only inputs that no column gives are suggested: by label, NHANES variable or
    name without unit; else if one name begins with the other; else by the closest name (difflib).

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> unused_columns(["Waist", "visit", "bmi"], features(["bmi_kg_m2", "waist_cm"]))
    {'Waist': 'waist_cm', 'visit': ''}
    """
    given = given_columns(columns, inputs)
    used = {name for feature in inputs for name in _accepted_names(feature.name, feature.kind)}
    names: dict[str, str] = {}
    for feature in inputs:
        if feature.name not in given:
            for name in (*_spellings(feature), *_stems(feature), *feature.sources):
                names.setdefault(_plain(name), feature.name)
    # A name of the registry means what the registry says.
    folded = {column: _folded(column) for column in columns}
    found = {
        column: "" if name in FEATURES else _meant(_plain(column), names)
        for column, name in folded.items()
        if name not in used
    }
    return dict(sorted(found.items(), key=lambda column: not column[1]))


def _meant(column: str, names: Mapping[str, str]) -> str:
    if column in names or not column:
        return names.get(column, "")
    begins = [name for name in names if name.startswith(f"{column}_") or column.startswith(f"{name}_")]
    near = begins or difflib.get_close_matches(column, names, n=1, cutoff=0.75)
    return names[near[0]] if near else ""


def _folded(name: str) -> str:
    """Return a name in lower case, stripped, with an underscore for blanks inside it."""
    return re.sub(r"\s+", "_", name.strip().lower())


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


@lru_cache(maxsize=1024)
def _accepted_names(feature: str, kind: str) -> Mapping[str, float]:
    """Return the column names accepted for a feature, its own first, with their unit factors."""
    ways = {feature: 1.0} | {name: 1.0 for name, meant in SYNONYMS.items() if meant == feature}
    if kind == "number":
        for (given, meant), factor in FACTORS.items():
            stem = feature.removesuffix(f"_{meant}")
            name = f"{stem}_{given}"
            # A name of the registry means what the registry says.
            if stem != feature and name not in FEATURES:
                ways[name] = factor
    return MappingProxyType(ways)


def _spellings(feature: Feature) -> tuple[str, ...]:
    """Return the label of a feature with its unit, if it has one, and its NHANES variable."""
    labelled = () if feature.unit in {"", "1"} else (f"{feature.label} {feature.unit}",)
    variable = feature.sources if len(feature.sources) == 1 else ()
    return (*_accepted_names(feature.name, feature.kind), *labelled, *variable)


def _stems(feature: Feature) -> tuple[str, ...]:
    """Return the names of a numeric feature without unit, and its label."""
    if feature.kind != "number":
        return (_plain(feature.label),)
    return (*(_without_unit(name)[0] for name in _accepted_names(feature.name, feature.kind)), _plain(feature.label))


def _without_unit(name: str) -> tuple[str, str]:
    """Split a name from the longest unit that it ends with."""
    for place, sign in enumerate(name):
        if sign == "_" and name[place + 1 :] in UNITS:
            return name[:place], name[place + 1 :]
    return name, ""
