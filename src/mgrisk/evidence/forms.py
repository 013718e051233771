"""Forms of magnesium in supplements, as rows of `forms.toml`: how much of a salt is the element."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from mgrisk.facts import rows


class Form(BaseModel):
    """A salt of magnesium; the comments of forms.toml explain the fields.

    Examples
    --------
    >>> round(FORMS[0].salt_mg(100.0))
    166
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    formula: str
    weight: float
    magnesium: float

    @property
    def share(self) -> float:
        """Share of the salt that is magnesium."""
        return self.magnesium / self.weight

    def salt_mg(self, elemental_mg: float) -> float:
        """Return how many mg of the salt hold some mg of magnesium."""
        return elemental_mg / self.share


FORMS: Final[tuple[Form, ...]] = tuple(
    Form.model_validate(row) for row in rows("mgrisk.evidence", "forms.toml", "form")
)
