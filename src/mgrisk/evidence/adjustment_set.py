"""Sequential adjustment models, outcomes, nutrients and terms of the evidence chapter, read from TOML files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from mgrisk.cohort.outcomes import OUTCOMES as BINARY
from mgrisk.config.toml import rows
from mgrisk.errors import usage

Scale = Literal["odds ratio", "ratio", "difference"]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Nutrient(_Row):
    """A nutrient from dietary recalls: its variable on each recall day, and the unit amount of its coefficient."""

    name: str
    label: str
    days: tuple[str, str]
    unit: str
    per: float


class Term(_Row):
    """A term of adjustment; the comments of terms.toml explain the fields."""

    name: str
    feature: str
    form: Literal["number", "square", "log1p", "category"]
    centre: float = 0.0
    per: float = 1.0
    merged: dict[str, str] = {}


class AdjustmentSet(_Row):
    """One adjustment model: the nutrients and terms it adds, the reason, and all of its nutrients and terms."""

    name: str
    label: str
    reason: str
    main: bool = False
    after: str = ""
    nutrients: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    all_nutrients: tuple[str, ...] = ()
    all_terms: tuple[str, ...] = ()


class Outcome(_Row):
    """An outcome of the association analyses; the comments of outcomes.toml explain the fields."""

    name: str
    label: str
    of: str
    scale: Scale
    panel: Literal["fasting", "recall", "tolerance"]

    @property
    def binary(self) -> bool:
        """Whether it is binary, an outcome of cohort/outcomes.toml."""
        return self.of in BINARY


class Control(_Row):
    """A negative control outcome, which magnesium cannot affect; the comments of controls.toml explain the fields."""

    name: str
    label: str
    of: str
    scale: Scale
    panel: Literal["fasting", "recall", "tolerance"]
    without: str


def _models() -> tuple[AdjustmentSet, ...]:
    found: dict[str, AdjustmentSet] = {}
    before = AdjustmentSet(name="", label="", reason="")
    for row in rows("mgrisk.evidence", "adjustment_sets.toml", "adjustment"):
        before = found[row["after"]] if "after" in row else before
        nutrients = (*before.all_nutrients, *row.get("nutrients", ()))
        terms = (*before.all_terms, *row.get("terms", ()))
        before = AdjustmentSet.model_validate({**row, "all_nutrients": nutrients, "all_terms": terms})
        found[before.name] = before
    return tuple(found.values())


NUTRIENTS: Final[Mapping[str, Nutrient]] = MappingProxyType(
    {row["name"]: Nutrient.model_validate(row) for row in rows("mgrisk.evidence", "nutrients.toml", "nutrient")}
)
TERMS: Final[Mapping[str, Term]] = MappingProxyType(
    {row["name"]: Term.model_validate(row) for row in rows("mgrisk.evidence", "terms.toml", "term")}
)
MODELS: Final[tuple[AdjustmentSet, ...]] = _models()
"""All adjustment models, including `DIET_QUALITY`."""
SEQUENCE: Final[tuple[AdjustmentSet, ...]] = tuple(model for model in MODELS if not model.after)
"""The models of sequential adjustment."""
DIET_QUALITY: Final[AdjustmentSet] = next(model for model in MODELS if model.name == "diet_quality")
"""Adjusted for confounders and diet quality; needs USDA's food patterns."""
MAIN: Final[AdjustmentSet] = next(adjustment for adjustment in SEQUENCE if adjustment.main)
"""Adjusted for confounders: the main model, used for fifths, dose-response and interactions."""
BODY: Final[AdjustmentSet] = next(adjustment for adjustment in SEQUENCE if adjustment.name == "body")
"""Also adjusted for body size, as in most published cohort studies."""
OUTCOMES: Final[Mapping[str, Outcome]] = MappingProxyType(
    {row["name"]: Outcome.model_validate(row) for row in rows("mgrisk.evidence", "outcomes.toml", "outcome")}
)
CONTROLS: Final[Mapping[str, Control]] = MappingProxyType(
    {row["name"]: Control.model_validate(row) for row in rows("mgrisk.evidence", "controls.toml", "control")}
)


def outcomes(names: Sequence[str]) -> tuple[Outcome, ...]:
    """Return outcomes by name; all if no name is given.

    Raises
    ------
    MgRiskError
        ``evidence.unknown_outcome``, with the known names.
    """
    for name in names:
        if name not in OUTCOMES:
            raise usage(
                "evidence.unknown_outcome",
                f"the evidence chapter has no outcome {name}",
                where="evidence.outcomes",
                hint=f"one of: {', '.join(OUTCOMES)}",
            )
    return tuple(OUTCOMES[name] for name in names or OUTCOMES)
