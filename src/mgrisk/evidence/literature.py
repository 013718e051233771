"""Published estimates, as rows of `literature.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from mgrisk.facts import rows


class Study(BaseModel):
    """One published estimate; the comments of literature.toml explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    kind: Literal["cohorts", "trials"]
    exposure: str
    outcome: str
    scale: Literal["relative risk", "hazard ratio", "difference", "standardised difference"]
    contrast: str
    per_100: bool = False
    unit: str = ""
    estimate: float
    low: float
    high: float
    population: str
    differs: str
    citation: str

    @model_validator(mode="after")
    def _in_order(self) -> Study:
        if not self.low < self.estimate < self.high:
            raise ValueError(f"{self.name}: the estimate does not lie within its interval")
        return self

    @property
    def ratio(self) -> bool:
        """Whether 1, and not 0, is no association."""
        return self.scale in {"relative risk", "hazard ratio"}


STUDIES: Final[Mapping[str, Study]] = MappingProxyType(
    {row["name"]: Study.model_validate(row) for row in rows("mgrisk.evidence", "literature.toml", "study")}
)
