"""Comparability of variables and features across cycles: eras, and the breaks between them (`eras.toml`).

An era is a run of cycles with the same question or method; a break is a change between two eras. Pooling or comparing
cycles across a break is an error, unless the request names the break (to pool the values as they are, or to apply
CDC's equation) or the break is accepted by default. The breaks crossed are returned, so that the run can report them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from mgrisk.config.toml import rows
from mgrisk.errors import usage
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import cycle
from mgrisk.types import Floats

WHERE = "nhanes/eras.toml"


@dataclass(frozen=True)
class Crosswalk:
    """CDC's equation between two methods; applied only where a pipeline file or question names the break.

    Attributes
    ----------
    kind
        ``linear``: a + b x; ``quadratic``: a + b x + c x²; ``log10``: 10^(a + b log10 x); ``bmi``: body mass index to
        one decimal.
    a, b, c
        Coefficients.
    uses
        Variables from which the new value is computed; empty if it is computed from the old value.
    """

    kind: Literal["linear", "quadratic", "log10", "bmi"]
    a: float = 0.0
    b: float = 1.0
    c: float = 0.0
    uses: tuple[str, ...] = ()

    def apply(self, values: ArrayLike) -> Floats:
        """Return the values on the scale of the other method; missing values stay missing.

        Parameters
        ----------
        values
            Old values; for ``bmi``, weight (kg) and height (cm), shape (n, 2).

        Examples
        --------
        >>> Crosswalk("linear", a=-0.5108, b=1.023).apply([100.0]).round(2).tolist()
        [101.79]
        >>> Crosswalk("bmi", uses=("BMXWT", "BMXHT")).apply([[74.9, 158.15]]).tolist()
        [[29.9]]
        """
        x = np.asarray(values, dtype=np.float64)
        if self.kind == "bmi":
            tenths = 10.0 * x[:, :1] / (x[:, 1:] / 100.0) ** 2
            # Round half up, after removing the floating-point error of the division.
            return np.asarray(np.floor(np.round(tenths, 6) + 0.5) / 10.0)
        if self.kind == "log10":
            return np.asarray(10.0 ** (self.a + self.b * np.log10(x)))
        return np.asarray(self.a + self.b * x + self.c * x**2)


@dataclass(frozen=True)
class Era:
    """Cycles over which a variable is comparable, and how it was asked or measured in them."""

    cycles: tuple[str, ...]
    how: str


@dataclass(frozen=True)
class Break:
    """A change in question or method between two eras.

    Attributes
    ----------
    name
        Name under which a run allows it.
    of
        Variables and features affected.
    before, after
        Last cycle before the break and first cycle after it.
    reason, source
        What changed, and the source.
    forward, backward
        CDC's equation from the old to the new scale, and from the new to the old; None if CDC gives none.
    accepted
        Whether values are pooled unchanged by default.
    """

    name: str
    of: tuple[str, ...]
    before: str
    after: str
    reason: str
    source: str
    forward: Crosswalk | None
    backward: Crosswalk | None
    accepted: bool = False

    @property
    def converts(self) -> tuple[str, ...]:
        """Names of the NHANES variables whose older values `forward` converts; empty if CDC gives no equation."""
        return () if self.forward is None else tuple(name for name in self.of if name in VARIABLES)

    def to_dict(self, *, applied: bool = False) -> dict[str, object]:
        """Return the break as a dict for the run's files and the report.

        Parameters
        ----------
        applied
            Whether the values before the break were converted by `forward`.
        """
        use = "applied to the values before" if applied else "not applied"
        return {
            "name": self.name,
            "of": list(self.of),
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
            "crosswalk": f"published, {use}" if self.forward is not None else "none published",
            "source": self.source,
        }


@dataclass(frozen=True)
class Concept:
    """Variables and features with the same eras.

    Attributes
    ----------
    name
        What they measure.
    of
        Names of the variables and features.
    eras, breaks
        In order of time, with one break between each era and the next.
    source
        Source of the eras.
    """

    name: str
    of: tuple[str, ...]
    eras: tuple[Era, ...]
    breaks: tuple[Break, ...]
    source: str

    def era(self, years: str) -> int | None:
        """Return the index of the era of a cycle, or None if the cycle is in no era."""
        return next((place for place, era in enumerate(self.eras) if years in era.cycles), None)

    def crossed(self, cycles: Iterable[str]) -> tuple[Break, ...]:
        """Return the breaks between the first and the last era of some cycles, ignoring cycles in no era."""
        places = [place for years in cycles if (place := self.era(years)) is not None]
        return self.breaks[min(places) : max(places)] if places else ()

    def after(self, years: str) -> tuple[Break, ...]:
        """Return the breaks after a cycle; empty if the cycle is in no era."""
        place = self.era(years)
        return () if place is None else self.breaks[place:]


def _crosswalk(row: Mapping[str, Any] | None) -> Crosswalk | None:
    return None if row is None else Crosswalk(**{**row, "uses": tuple(row.get("uses", ()))})


def _concept(row: Mapping[str, Any]) -> Concept:
    eras = tuple(Era(tuple(era["cycles"]), era["how"]) for era in row["era"])
    for years in itertools.chain.from_iterable(era.cycles for era in eras):
        cycle(years)
    between = list(itertools.pairwise(eras))
    breaks = tuple(
        Break(
            name=each["name"],
            of=tuple(row["of"]),
            before=old.cycles[-1],
            after=new.cycles[0],
            reason=each["reason"],
            source=each["source"],
            forward=_crosswalk(each.get("forward")),
            backward=_crosswalk(each.get("backward")),
            accepted=each.get("accepted", False),
        )
        for each, (old, new) in zip(row.get("break", []), between, strict=True)
    )
    return Concept(row["name"], tuple(row["of"]), eras, breaks, row["source"])


CONCEPTS: tuple[Concept, ...] = tuple(_concept(row) for row in rows("mgrisk.nhanes", "eras.toml", "concept"))


def concepts(name: str) -> Iterator[Concept]:
    """Yield the concepts of a variable or feature; nothing if it is comparable in all cycles."""
    return (concept for concept in CONCEPTS if name in concept.of)


def exists_in(name: str, years: str) -> bool:
    """Return whether a variable or feature is available in a cycle by its eras; True if it has no eras.

    Examples
    --------
    >>> exists_in("gestational_diabetes", "2005-2006"), exists_in("age_years", "2005-2006")
    (False, True)
    """
    return all(concept.era(years) is not None for concept in concepts(name))


def breaks(names: Iterable[str], cycles: Iterable[str]) -> tuple[Break, ...]:
    """Return the breaks, without duplicates, that some variables or features cross within some cycles.

    Examples
    --------
    >>> [each.name for each in breaks(["LBXGLU", "sleep_hours", "sex"], ["2007-2008", "2017-2018"])]
    ['glucose-2015', 'sleep-2015']
    """
    years = list(cycles)
    found = {each.name: each for name in names for concept in concepts(name) for each in concept.crossed(years)}
    return tuple(found.values())


def later_breaks(names: Iterable[str], cycles: Iterable[str]) -> tuple[Break, ...]:
    """Return the breaks, without duplicates, of some variables or features that come after any of some cycles.

    Examples
    --------
    >>> [each.name for each in later_breaks(["BMXBMI", "LBXGLU"], ["2009-2010"])]
    ['bmi-2011', 'glucose-2015']
    """
    years = list(cycles)
    found = (each for name in names for concept in concepts(name) for one in years for each in concept.after(one))
    return tuple({each.name: each for each in found}.values())


def equation_sources(crosswalks: Iterable[str]) -> tuple[str, ...]:
    """Return the NHANES variables, other than the old values, that the equations at some breaks use.

    Examples
    --------
    >>> equation_sources(["glucose-2015", "bmi-2011"])
    ('BMXWT', 'BMXHT')
    """
    named = set(crosswalks)
    found = (each.forward for concept in CONCEPTS for each in concept.breaks if each.name in named)
    return tuple(dict.fromkeys(name for forward in found if forward is not None for name in forward.uses))


def check_comparable(
    names: Iterable[str],
    cycles: Iterable[str],
    *,
    across_breaks: frozenset[str] = frozenset(),
    crosswalks: frozenset[str] = frozenset(),
) -> tuple[Break, ...]:
    """Raise an error if a variable or feature is not comparable over the cycles, unless the break is allowed by name.

    Parameters
    ----------
    names
        NHANES variables and features in use.
    cycles
        Names of the cycles that are pooled or compared.
    across_breaks
        Names of the breaks across which values are pooled unchanged.
    crosswalks
        Names of the breaks before which values are converted, as by `harmonise.apply_crosswalks`.

    Returns
    -------
    tuple of Break
        The breaks crossed, all of them allowed by name or by default (`Break.accepted`).

    Raises
    ------
    MgRiskError
        ``eras.not_comparable``, with variable, break and reason of each; ``eras.unknown_break``;
        ``eras.no_equation`` if a break of `crosswalks` has no equation that converts a variable.

    Examples
    --------
    >>> allowed = check_comparable(["LBXGLU"], ["2013-2014", "2015-2016"], across_breaks=frozenset({"glucose-2015"}))
    >>> [each.after for each in allowed]
    ['2015-2016']
    """
    known = {each.name: each for concept in CONCEPTS for each in concept.breaks}
    for where, asked in (("across_breaks", across_breaks), ("crosswalks", crosswalks)):
        if unknown := asked - known.keys():
            raise usage(
                "eras.unknown_break",
                f"there is no break {', '.join(sorted(unknown))}",
                where=where,
                hint=f"known breaks: {', '.join(sorted(known))}",
            )
    if without := [name for name in sorted(crosswalks) if not known[name].converts]:
        raise usage(
            "eras.no_equation",
            f"there is no equation that converts an NHANES variable at {', '.join(without)}",
            where="crosswalks",
            hint=f"there is one at: {', '.join(name for name, each in sorted(known.items()) if each.converts)}",
        )
    wanted = list(dict.fromkeys(names))
    crossed = breaks(wanted, cycles)
    refused = [each for each in crossed if not each.accepted and each.name not in across_breaks | crosswalks]
    if refused:
        reasons = [
            f"{', '.join(name for name in wanted if name in each.of)} at {each.after} ({each.name}): {each.reason}"
            for each in refused
        ]
        raise usage(
            "eras.not_comparable",
            f"not comparable over the cycles: {'; '.join(reasons)}",
            where=WHERE,
            hint=f"leave out cycles or variables, or allow by name: {', '.join(each.name for each in refused)}",
        )
    return crossed
