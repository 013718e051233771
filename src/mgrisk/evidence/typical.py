"""Three people who do not exist, as rows of `typical.toml`: for whom the options are shown."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from mgrisk.facts import rows


class Person(BaseModel):
    """A made-up person: values by feature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    values: dict[str, float | str]


TYPICAL: Final[tuple[Person, ...]] = tuple(
    Person.model_validate(row) for row in rows("mgrisk.evidence", "typical.toml", "person")
)
