"""The survey cycles that mgrisk reads, and where each keeps its tables. Rows of `cycles.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from mgrisk.errors import bad_source


@dataclass(frozen=True)
class Cycle:
    """One survey cycle.

    Attributes
    ----------
    years
        Its name, for example ``"2017-2018"``.
    first
        Its first year, the folder on the CDC site.
    suffix
        What its tables' names end with, for example ``"_J"``.
    """

    years: str
    first: int
    suffix: str

    def table(self, name: str) -> str:
        """Return a table's name in this cycle.

        Examples
        --------
        >>> cycle("2017-2018").table("DEMO")
        'DEMO_J'
        """
        return f"{name}{self.suffix}"

    def path(self, name: str) -> str:
        """Return where a table lies below the root of the CDC site or of a mirror.

        Examples
        --------
        >>> cycle("2017-2018").path("DEMO")
        'Public/2017/DataFiles/DEMO_J.xpt'
        """
        return f"Public/{self.first}/DataFiles/{self.table(name)}.xpt"


def _load() -> tuple[Cycle, ...]:
    rows = tomllib.loads(files("mgrisk.nhanes").joinpath("cycles.toml").read_text("utf-8"))["cycle"]
    return tuple(sorted((Cycle(**row) for row in rows), key=lambda each: each.first))


CYCLES: tuple[Cycle, ...] = _load()
"""Every known cycle, the oldest first."""


def cycle(years: str) -> Cycle:
    """Return a cycle by its name.

    Raises
    ------
    MgRiskError
        ``cycles.unknown_cycle``, with the names that are known.

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
        where="nhanes/cycles.toml",
        hint=f"known cycles: {', '.join(known.years for known in CYCLES)}",
    )
