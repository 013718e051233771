"""The feature registry: what each feature is, in which unit and range, from where, and when it means the same."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mgrisk.errors import usage
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.eras import breaks, exists_in
from mgrisk.survey.design import WeightLevel


class Feature(BaseModel):
    """One row of `features/registry.toml`; the comments at its top explain the fields.

    ``comparable`` (first and last cycle that has it) and ``breaks`` (cycles from which on it was asked or measured
    otherwise) are filled in from the codebook and the eras.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    module: str
    group: Literal["magnesium", "diet", "activity", "body", "background"]
    kind: Literal["number", "category"]
    label: str
    unit: str
    sources: tuple[str, ...]
    level: WeightLevel
    comparable: tuple[str, str]
    breaks: tuple[str, ...] = ()
    formula: str
    citation: str
    minimum: float | None = None
    maximum: float | None = None
    cap: float | None = None
    levels: tuple[str, ...] = ()
    derived_from: tuple[str, ...] = ()
    required: bool = False

    @property
    def label_with_unit(self) -> str:
        """Label for an axis or a table, with the unit where there is one."""
        return f"{self.label}, {self.unit}" if self.unit not in {"", "1"} else self.label


def _load() -> Mapping[str, Feature]:
    rows = tomllib.loads(files("mgrisk.features").joinpath("registry.toml").read_text("utf-8"))["feature"]
    return MappingProxyType({row["name"]: Feature.model_validate(row | _cycles(row)) for row in rows})


def _cycles(row: Mapping[str, Any]) -> dict[str, Any]:
    sources = [variable(name) for name in row["sources"]]
    has_it = [
        each.years
        for each in CYCLES
        if exists_in(row["name"], each.years) and any(source.name_in(each) for source in sources)
    ]
    return {
        "comparable": (has_it[0], has_it[-1]),
        "breaks": tuple(dict.fromkeys(each.after for each in breaks([row["name"]], has_it))),
    }


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


def with_ancestors(chosen: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features and those that they can be derived from, each once, ancestors first."""
    ordered: dict[str, Feature] = {}
    for feature in chosen:
        for parent in with_ancestors(features(feature.derived_from)):
            ordered.setdefault(parent.name, parent)
        ordered.setdefault(feature.name, feature)
    return tuple(ordered.values())
