"""The feature registry: definition, unit, range, sources and comparability over cycles of each feature.

Rows are read from `registry/`. `lineage` traces a feature to its NHANES variables, for `mgrisk codebook` and the
report's table of features.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mgrisk.config.checked import Finite
from mgrisk.config.toml import rows
from mgrisk.errors import usage
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.eras import breaks, exists_in
from mgrisk.survey.design import WeightLevel

# Bundles contain registry rows, whose names are written into files unchanged.
PlainName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]


class Feature(BaseModel):
    """One row of `features/registry/`; the comments at the top of background.toml explain the fields.

    ``comparable`` (first and last cycle that has it), ``gaps`` (cycles between them without it) and ``breaks`` (first
    cycles with a changed question or method) are computed from the codebook and the eras.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: PlainName
    module: PlainName
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
    minimum: Finite | None = None
    maximum: Finite | None = None
    cap: Finite | None = None
    levels: tuple[PlainName, ...] = Field(default=(), max_length=100)
    derived_from: tuple[PlainName, ...] = Field(default=(), max_length=100)
    derived_in_part: bool = False
    required: bool = False
    summary: PlainName | Literal[""] = ""
    fitted: PlainName | Literal[""] = ""
    given: bool = True

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.kind == "number" and (self.minimum is None or self.maximum is None or self.minimum > self.maximum):
            raise ValueError("a number needs a minimum and a maximum that is not below it")
        if len(set(self.levels)) < len(self.levels) or (len(self.levels) < 2) != (self.kind == "number"):
            raise ValueError("a category needs at least two different levels, and a number has none")
        return self

    @property
    def label_with_unit(self) -> str:
        """Label for an axis or a table, with the unit if there is one."""
        return f"{self.label}, {self.unit}" if self.unit not in {"", "1"} else self.label


_ROWS = rows("mgrisk.features", "registry", "feature")

VARIABLE_OF: Mapping[str, str] = MappingProxyType({row["name"]: row["variable"] for row in _ROWS if "variable" in row})
"""NHANES variable of each feature that is one variable unchanged; not a field of `Feature`, so not in bundles."""


def _load() -> Mapping[str, Feature]:
    known = {row["name"]: row for row in _ROWS}
    for name, variable_name in VARIABLE_OF.items():
        known[name] = {key: value for key, value in known[name].items() if key != "variable"}
        known[name]["sources"] = [variable_name]
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


def features(names: Iterable[str], *, where: str = "model.features") -> tuple[Feature, ...]:
    """Return registry rows by name, in the order given; `where` is where they were named, for the error message.

    Raises
    ------
    MgRiskError
        `features.unknown`, with the closest known name.

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
                where=where,
                hint=f"did you mean {near[0]}?" if near else "see `mgrisk codebook`",
            )
        chosen.append(FEATURES[name])
    return tuple(chosen)


def computed_from(chosen: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features and those needed to compute them from NHANES, without duplicates, ancestors first.

    A feature with NHANES sources needs no other feature; one without is derived from its parents.

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
    """Return the features, in order, without those left out and those derived from any of them.

    Raises
    ------
    MgRiskError
        `features.unknown` for an unknown name in `left_out`; `features.none_left`.

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
            hint="choose other features in model.features",
        )
    return kept


def with_ancestors(chosen: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features and those that they can be derived from, without duplicates, ancestors first."""
    ordered: dict[str, Feature] = {}
    for feature in chosen:
        for parent in with_ancestors(features(feature.derived_from)):
            ordered.setdefault(parent.name, parent)
        ordered.setdefault(feature.name, feature)
    return tuple(ordered.values())


SAMPLES: Mapping[WeightLevel, str] = MappingProxyType(
    {
        WeightLevel.INTERVIEW: "interview",
        WeightLevel.EXAM: "examination",
        WeightLevel.BLOOD: "blood sample",
        WeightLevel.RECALL1: "day-1 recall",
        WeightLevel.RECALL2: "two recalls",
        WeightLevel.FASTING: "fasting subsample",
        WeightLevel.OGTT: "glucose tolerance test",
    }
)
"""Name of each subsample for readers."""


@dataclass(frozen=True)
class Lineage:
    """Definition and origin of one feature.

    Attributes
    ----------
    name, label, unit, group, formula, citation
        As in the registry.
    allowed
        Plausible range with the unit, and NHANES's top code; or the levels.
    made_of
        Features that it is derived from.
    sources
        NHANES variables from which it and its ancestors are computed, without duplicates.
    sample
        The smallest subsample that it needs.
    cycles
        First and last cycle that has it, and those between without it.
    breaks
        First cycles with a changed question or method.
    """

    name: str
    label: str
    unit: str
    group: str
    allowed: str
    made_of: tuple[str, ...]
    sources: tuple[str, ...]
    sample: str
    cycles: str
    breaks: tuple[str, ...]
    formula: str
    citation: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def lineage(feature: Feature) -> Lineage:
    """Trace a feature to the NHANES variables that it is computed from.

    Examples
    --------
    >>> from mgrisk.features.registry import FEATURES
    >>> found = lineage(FEATURES["waist_to_height"])
    >>> found.made_of, found.sources, found.cycles
    (('waist_cm', 'height_cm'), ('BMXWAIST', 'BMXHT'), '1999-2000 to 2021-2023')
    """
    traced = with_ancestors(features([feature.name]))
    first, last = feature.comparable
    cycles = first if first == last else f"{first} to {last}"
    return Lineage(
        name=feature.name,
        label=feature.label,
        unit=feature.unit,
        group=feature.group,
        allowed=_allowed(feature),
        made_of=feature.derived_from,
        sources=tuple(dict.fromkeys(source for part in traced for source in part.sources)),
        sample=SAMPLES[feature.level],
        cycles=f"{cycles}, not {', '.join(feature.gaps)}" if feature.gaps else cycles,
        breaks=feature.breaks,
        formula=feature.formula,
        citation=feature.citation,
    )


def _allowed(feature: Feature) -> str:
    if feature.kind == "category":
        return ", ".join(feature.levels)
    unit = "" if feature.unit == "1" else f" {feature.unit}"
    capped = "" if feature.cap is None else f", {feature.cap:g} or more counts as {feature.cap:g}"
    return f"{feature.minimum:g} to {feature.maximum:g}{unit}{capped}"
