"""Which column of a file gives which feature: by the contract's name, by a synonym, or in a declared other unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mgrisk.errors import bad_input
from mgrisk.facts import rows
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
UNITS: Final = frozenset(unit for pair in FACTORS for unit in pair) | frozenset(
    name for row in rows("mgrisk.score", "units.toml", "other") for name in row["name"]
)


@dataclass(frozen=True)
class Given:
    """Where a feature stands in a file.

    Attributes
    ----------
    column
        Name of the column.
    factor
        What its numbers are multiplied with to be in the feature's unit.
    """

    column: str
    factor: float = 1.0


def given_columns(columns: Iterable[str], inputs: Sequence[Feature]) -> dict[str, Given]:
    """Return where each feature stands that the columns give; of several columns for one, the first named.

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> given_columns(["height_in", "bmi"], features(["height_cm", "bmi_kg_m2", "waist_cm"]))
    {'height_cm': Given(column='height_in', factor=2.54), 'bmi_kg_m2': Given(column='bmi', factor=1.0)}
    """
    there = list(columns)
    found: dict[str, Given] = {}
    for feature in inputs:
        ways = [Given(name, factor) for name, factor in _ways(feature).items() if name in there]
        if ways:
            found[feature.name] = ways[0]
    return found


def check_units(columns: Sequence[str], inputs: Sequence[Feature], *, where: str) -> None:
    """Refuse two columns for one feature, and a feature's name with a unit that nobody declared.

    Raises
    ------
    MgRiskError
        `input.duplicate_column` or `input.unknown_unit`; exit status 3.
    """
    stems = {name: _without_unit(name)[0] for name in columns if name not in FEATURES}
    for feature in inputs:
        ways = _ways(feature)
        stem, own = _without_unit(feature.name)
        there = [name for name in columns if name in ways]
        if len(there) > 1:
            raise bad_input(
                "input.duplicate_column",
                f"the columns {there[0]} and {there[1]} both give {feature.name}",
                where=where,
                hint="remove one",
            )
        guessed = [name for name, its in stems.items() if own and its == stem != name and name not in ways]
        if guessed and not there:
            raise bad_input(
                "input.unknown_unit",
                f"the column {guessed[0]} looks like {feature.name} in a unit that is not converted",
                where=where,
                expected=", ".join(ways),
                hint=f"convert it to {feature.name}, or rename it if it is something else",
            )


def _ways(feature: Feature) -> dict[str, float]:
    """Return the names by which a column gives the feature, its own first, with their factors."""
    ways = {feature.name: 1.0} | {name: 1.0 for name, meant in SYNONYMS.items() if meant == feature.name}
    if feature.kind == "number":
        for (given, meant), factor in FACTORS.items():
            stem = feature.name.removesuffix(f"_{meant}")
            name = f"{stem}_{given}"
            # A name of the registry means what the registry says.
            if stem != feature.name and name not in FEATURES:
                ways[name] = factor
    return ways


def _without_unit(name: str) -> tuple[str, str]:
    """Part a name from its unit, which may have underscores of its own: the longest there is."""
    for place, sign in enumerate(name):
        if sign == "_" and name[place + 1 :] in UNITS:
            return name[:place], name[place + 1 :]
    return name, ""
