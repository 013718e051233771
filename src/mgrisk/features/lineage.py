"""Where a feature comes from, in words: what `mgrisk codebook` prints and the report's table of features shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from mgrisk.features.registry import Feature, features, with_ancestors
from mgrisk.survey.design import WeightLevel

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
"""Each subsample by the name that readers know it by."""


@dataclass(frozen=True)
class Lineage:
    """What is told of one feature.

    Attributes
    ----------
    name, label, unit, group, formula, citation
        As in the registry.
    allowed
        Plausible range with the unit, and NHANES's top code; or the levels.
    made_of
        Features that it is derived from.
    sources
        Every NHANES variable that it, or what it is derived from, is computed from; each once.
    sample
        The smallest subsample that it needs.
    cycles
        First and last cycle that has it, and those between that do not.
    breaks
        Cycles from which on it was asked or measured otherwise.
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
    capped = "" if feature.cap is None else f", {feature.cap:g} and more as {feature.cap:g}"
    return f"{feature.minimum:g} to {feature.maximum:g}{unit}{capped}"
