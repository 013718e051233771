"""The feature registry: what each feature is, in which unit and range, from where, and when it means the same."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mgrisk.errors import usage
from mgrisk.facts import rows
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.eras import breaks, exists_in
from mgrisk.survey.design import WeightLevel

# Bundles bring registry rows of their own, and these names are written into files as they are.
PlainName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]


class Feature(BaseModel):
    """One row of `features/registry/`; the comments at the top of background.toml explain the fields.

    ``comparable`` (first and last cycle that has it), ``gaps`` (cycles between them that do not) and ``breaks`` (cycles
    from which on it was asked or measured otherwise) are filled in from the codebook and the eras.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PlainName
    module: str
    group: Literal["magnesium", "diet", "activity", "body", "background", "depletion", "marker"]
    kind: Literal["number", "category"]
    label: str
    unit: str
    sources: tuple[str, ...] = ()
    level: WeightLevel
    comparable: tuple[str, str]
    gaps: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    formula: str
    citation: str
    minimum: float | None = None
    maximum: float | None = None
    cap: float | None = None
    levels: tuple[PlainName, ...] = ()
    derived_from: tuple[str, ...] = ()
    required: bool = False
    summary: str = ""
    fitted: str = ""
    given: bool = True

    @property
    def label_with_unit(self) -> str:
        """Label for an axis or a table, with the unit where there is one."""
        return f"{self.label}, {self.unit}" if self.unit not in {"", "1"} else self.label


def _load() -> Mapping[str, Feature]:
    known = {row["name"]: row for row in rows("mgrisk.features", "registry", "feature")}
    has_it: dict[str, list[str]] = {}

    def cycles_with(name: str) -> list[str]:
        if name not in has_it:
            row = known[name]
            sources = [variable(source) for source in row.get("sources", [])]
            has_it[name] = [
                each.years
                for each in CYCLES
                if exists_in(name, each.years)
                and (any(source.name_in(each) for source in sources) or not sources)
                and (sources or all(each.years in cycles_with(parent) for parent in row["derived_from"]))
            ]
        return has_it[name]

    def of_family(name: str) -> list[str]:
        row = known[name]
        parents = [] if row.get("sources") else row["derived_from"]
        return [name, *(each for parent in parents for each in of_family(parent))]

    def gaps_of(name: str) -> tuple[str, ...]:
        there = cycles_with(name)
        years = [each.years for each in CYCLES]
        between = years[years.index(there[0]) : years.index(there[-1])]
        return tuple(each for each in between if each not in there)

    return MappingProxyType(
        {
            name: Feature.model_validate(
                {
                    "comparable": (cycles_with(name)[0], cycles_with(name)[-1]),
                    "gaps": gaps_of(name),
                    "breaks": tuple(dict.fromkeys(each.after for each in breaks(of_family(name), cycles_with(name)))),
                    **row,
                }
            )
            for name, row in known.items()
        }
    )


FEATURES: Mapping[str, Feature] = _load()


def features(names: Iterable[str]) -> tuple[Feature, ...]:
    """Return registry rows by name, in the order asked for.

    Raises
    ------
    MgRiskError
        `features.unknown`, with the nearest known name.

    Examples
    --------
    >>> [feature.unit for feature in features(["age_years", "waist_cm"])]
    ['years', 'cm']
    """
    chosen = []
    for name in names:
        if name not in FEATURES:
            near = difflib.get_close_matches(name, FEATURES, n=1)
            raise usage(
                "features.unknown",
                f"there is no feature {name}",
                where="model.features",
                hint=f"did you mean {near[0]}?" if near else "see `mgrisk codebook`",
            )
        chosen.append(FEATURES[name])
    return tuple(chosen)


def computed_from(chosen: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features and those that they cannot be computed without, each once, ancestors first.

    A feature with NHANES sources of its own needs no other; one without them is made of its parents.

    Examples
    --------
    >>> [each.name for each in computed_from(features(["bmi_kg_m2", "magnesium_density_mg_1000kcal"]))]
    ['bmi_kg_m2', 'magnesium_food_mg', 'energy_kcal', 'magnesium_density_mg_1000kcal']
    """
    ordered: dict[str, Feature] = {}
    for feature in chosen:
        for parent in () if feature.sources else computed_from(features(feature.derived_from)):
            ordered.setdefault(parent.name, parent)
        ordered.setdefault(feature.name, feature)
    return tuple(ordered.values())


def without(chosen: Iterable[Feature], left_out: Iterable[str]) -> tuple[Feature, ...]:
    """Return the features that are none of those left out and cannot be made of any of them, in order.

    Raises
    ------
    MgRiskError
        `features.unknown` for a name left out that is no feature; `features.none_left`.

    Examples
    --------
    >>> chosen = features(["age_years", "race_ethnicity", "bmi_kg_m2", "bmi_class"])
    >>> [feature.name for feature in without(chosen, ["race_ethnicity"])]
    ['age_years', 'bmi_kg_m2']
    """
    gone = {feature.name for feature in features(left_out)}
    kept = tuple(each for each in chosen if gone.isdisjoint(part.name for part in with_ancestors([each])))
    if not kept:
        raise usage(
            "features.none_left",
            f"no feature is left without {', '.join(sorted(gone))}",
            where="model.leave_out",
            hint="name other features in model.features",
        )
    return kept


def with_ancestors(chosen: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features and those that they can be derived from, each once, ancestors first."""
    ordered: dict[str, Feature] = {}
    for feature in chosen:
        for parent in with_ancestors(features(feature.derived_from)):
            ordered.setdefault(parent.name, parent)
        ordered.setdefault(feature.name, feature)
    return tuple(ordered.values())
