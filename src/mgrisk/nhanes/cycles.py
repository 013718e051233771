"""The survey cycles that mgrisk reads, their table names and weights, and cycles that share people (`cycles.toml`)."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from mgrisk.errors import bad_source, usage
from mgrisk.survey.design import WeightLevel

WHERE = "nhanes/cycles.toml"
Names = Mapping[WeightLevel, str]


@dataclass(frozen=True)
class Joint:
    """Cycles for which NCHS supplies joint weights, used where all of them are combined.

    Attributes
    ----------
    cycles
        Names of the cycles.
    weights
        Weight variable by level.
    """

    cycles: frozenset[str]
    weights: Names


@dataclass(frozen=True)
class Cycle:
    """One survey cycle.

    Attributes
    ----------
    years
        Name, for example ``"2017-2018"``.
    first
        First year, which names the folder on the CDC site.
    length
        Nominal length in years, from which its share of a combined weight is computed.
    weights
        Weight variable by level, for the levels that have one.
    suffix, prefix
        Suffix or prefix of its table names, for example ``"_J"``.
    renamed
        Full file name of each table that has another name in this cycle.
    misplaced
        Tables that a mirror may keep in the folder of another year, with that year.
    subsample
        Level of each table that was asked of a smaller subsample in this cycle than in others.
    absent
        Tables that the cycle does not have, with the reason.
    """

    years: str
    first: int
    length: float
    weights: Names = field(hash=False)
    suffix: str = ""
    prefix: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict, hash=False)
    misplaced: Mapping[str, int] = field(default_factory=dict, hash=False)
    subsample: Mapping[str, WeightLevel] = field(default_factory=dict, hash=False)
    absent: Mapping[str, str] = field(default_factory=dict, hash=False)

    def table(self, name: str) -> str:
        """Return a table's name in this cycle.

        Raises
        ------
        MgRiskError
            ``cycles.absent_table``, with the reason.

        Examples
        --------
        >>> cycle("2017-2018").table("DEMO"), cycle("2017-2020").table("DEMO"), cycle("1999-2000").table("GHB")
        ('DEMO_J', 'P_DEMO', 'LAB10')
        """
        if name in self.absent:
            raise bad_source(
                "cycles.absent_table",
                f"{self.years} has no table {name}: {self.absent[name]}",
                where=WHERE,
                hint="leave the cycle or the variables of this table out",
            )
        return self.renamed.get(name, f"{self.prefix}{name}{self.suffix}")

    def path(self, name: str) -> str:
        """Return the path of a table relative to the root of the CDC site or of a mirror.

        Raises
        ------
        MgRiskError
            As `table`.

        Examples
        --------
        >>> cycle("2017-2018").path("DEMO")
        'Public/2017/DataFiles/DEMO_J.xpt'
        """
        return f"Public/{self.first}/DataFiles/{self.table(name)}.xpt"

    def other_path(self, name: str) -> str | None:
        """Return the alternative path under which a mirror may keep the table, or None."""
        return f"Public/{year}/DataFiles/{self.table(name)}.xpt" if (year := self.misplaced.get(name)) else None


def _content() -> dict[str, Any]:
    return tomllib.loads(files("mgrisk.nhanes").joinpath("cycles.toml").read_text("utf-8"))


def _weights(content: dict[str, Any]) -> dict[str, Names]:
    return {
        row["name"]: MappingProxyType({level: row[level] for level in WeightLevel if level in row})
        for row in content["weights"]
    }


def _load(content: dict[str, Any]) -> tuple[Cycle, ...]:
    weights = _weights(content)
    absent: dict[str, dict[str, str]] = {}
    for row in content["absent"]:
        for years in row["cycles"]:
            absent.setdefault(years, {})[row["table"]] = row["reason"]
    cycles = [
        Cycle(
            years=row["years"],
            first=row["first"],
            length=row["length"],
            weights=weights[row["weights"]],
            suffix=row.get("suffix", ""),
            prefix=row.get("prefix", ""),
            renamed=MappingProxyType(row.get("renamed", {})),
            misplaced=MappingProxyType(row.get("misplaced", {})),
            subsample=MappingProxyType({name: WeightLevel(level) for name, level in row.get("subsample", {}).items()}),
            absent=MappingProxyType(absent.get(row["years"], {})),
        )
        for row in content["cycle"]
    ]
    return tuple(sorted(cycles, key=lambda each: (each.first, each.length)))


CYCLES: tuple[Cycle, ...] = _load(_content())
"""Every known cycle, the oldest first."""

JOINT_WEIGHTS: tuple[Joint, ...] = tuple(
    Joint(frozenset(row["cycles"]), _weights(_content())[row["weights"]]) for row in _content()["together"]
)
"""Cycles for which NCHS supplies joint weights."""

OVERLAPPING: Mapping[frozenset[str], str] = MappingProxyType(
    {frozenset(row["cycles"]): row["reason"] for row in _content()["apart"]}
)
"""Pairs of cycles that share people, with the reason why a join does not show it."""


OPTIONAL: frozenset[str] = frozenset(table for row in _content()["optional"] for table in row["tables"])
"""Tables that a source folder may lack; only their own variables are then missing."""

LOOKUPS: Mapping[str, str] = MappingProxyType(
    {table: f"Public/{row['first']}/DataFiles/{table}.xpt" for row in _content()["lookup"] for table in row["tables"]}
)
"""Path of each table of products and medicines that is common to all cycles."""


def cycle(years: str) -> Cycle:
    """Return a cycle by its name.

    Raises
    ------
    MgRiskError
        ``cycles.unknown_cycle``, with the known names.

    Examples
    --------
    >>> cycle("2007-2008").suffix
    '_E'
    """
    for known in CYCLES:
        if known.years == years:
            return known
    raise bad_source(
        "cycles.unknown_cycle",
        f"{years!r} is not a survey cycle that mgrisk reads",
        where=WHERE,
        hint=f"known cycles: {', '.join(known.years for known in CYCLES)}",
    )


def refuse_overlap(cycles: Iterable[Cycle]) -> None:
    """Raise an error if two of the cycles hold the same people.

    Raises
    ------
    MgRiskError
        ``cycles.overlap``, with the reason, or ``cycles.twice``.

    Examples
    --------
    >>> refuse_overlap([cycle("2015-2016"), cycle("2017-2020")])
    """
    for one, other in itertools.combinations(cycles, 2):
        if one.years == other.years:
            raise usage("cycles.twice", f"{one.years} is named twice", where="cycles", hint="name each cycle once")
        reason = OVERLAPPING.get(frozenset({one.years, other.years}))
        if reason is not None:
            raise usage(
                "cycles.overlap",
                f"{one.years} and {other.years} cannot be combined: {reason}",
                where="cycles",
                hint=f"leave {one.years} or {other.years} out",
            )
