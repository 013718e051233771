"""The ladder of adjustment and the outcomes that stand on it, as rows of the TOML files beside this module."""

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
    """Food that recalls tell: its variable on each recalled day, and the amount that a coefficient is for."""

    name: str
    label: str
    days: tuple[str, str]
    unit: str
    per: float


class Term(_Row):
    """Something that a regression is adjusted for; the comments of terms.toml explain the fields."""

    name: str
    feature: str
    form: Literal["number", "square", "log1p", "category"]
    centre: float = 0.0
    per: float = 1.0
    merged: dict[str, str] = {}


class AdjustmentSet(_Row):
    """One rung: what it adds, why, and everything that it holds with the rungs below it."""

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
    """What magnesium is set against; the comments of outcomes.toml explain the fields."""

    name: str
    label: str
    of: str
    scale: Scale
    panel: Literal["fasting", "recall", "tolerance"]

    @property
    def binary(self) -> bool:
        """Whether it is yes or no, a row of cohort/outcomes.toml."""
        return self.of in BINARY


class Control(_Row):
    """An outcome that magnesium cannot move; the comments of controls.toml explain the fields."""

    name: str
    label: str
    of: str
    scale: Scale
    panel: Literal["fasting", "recall", "tolerance"]
    without: str


def _models() -> tuple[AdjustmentSet, ...]:
    found: dict[str, AdjustmentSet] = {}
    before = AdjustmentSet(name="", label="", reason="")
    for row in rows("mgrisk.evidence", "ladder.toml", "rung"):
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
"""The ladder, and what branches off it."""
RUNGS: Final[tuple[AdjustmentSet, ...]] = tuple(model for model in MODELS if not model.after)
DIET_QUALITY: Final[AdjustmentSet] = next(model for model in MODELS if model.name == "diet_quality")
"""Adjusted for confounders and for the quality of the whole diet, where USDA's food patterns are given."""
MAIN: Final[AdjustmentSet] = next(rung for rung in RUNGS if rung.main)
"""Adjusted for confounders; whose fifths, curve and interactions are shown."""
BODY: Final[AdjustmentSet] = next(rung for rung in RUNGS if rung.name == "body")
"""Adjusted for body size too, as cohorts adjust their estimates."""
OUTCOMES: Final[Mapping[str, Outcome]] = MappingProxyType(
    {row["name"]: Outcome.model_validate(row) for row in rows("mgrisk.evidence", "outcomes.toml", "outcome")}
)
CONTROLS: Final[Mapping[str, Control]] = MappingProxyType(
    {row["name"]: Control.model_validate(row) for row in rows("mgrisk.evidence", "controls.toml", "control")}
)


def outcomes(names: Sequence[str]) -> tuple[Outcome, ...]:
    """Return rows of `outcomes.toml` by name, all where none is named.

    Raises
    ------
    MgRiskError
        ``evidence.unknown_outcome``, with the known names.
    """
    for name in names:
        if name not in OUTCOMES:
            raise usage(
                "evidence.unknown_outcome",
                f"the chapter has no outcome {name}",
                where="evidence.outcomes",
                hint=f"one of: {', '.join(OUTCOMES)}",
            )
    return tuple(OUTCOMES[name] for name in names or OUTCOMES)
