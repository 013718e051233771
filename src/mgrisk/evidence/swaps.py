"""Foods in place of others at equal energy, and how many swaps reach a gap of magnesium."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from mgrisk.facts import rows


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Food(_Row):
    """A food by its USDA code, with magnesium (mg) and energy (kcal) in 100 g."""

    code: int
    food: str
    mg: float
    kcal: float


class Swap(_Row):
    """One food in place of another; the comments of swaps.toml explain the fields.

    Examples
    --------
    >>> swap = SWAPS[0]
    >>> round(swap.grams_of_other), round(swap.gain_mg)
    (176, 106)
    """

    name: str
    grams: float
    out: Food = Field(alias="from")
    into: Food = Field(alias="to")

    @property
    def grams_of_other(self) -> float:
        """Grams of the other food that have the same energy."""
        return self.grams * self.out.kcal / self.into.kcal

    @property
    def gain_mg(self) -> float:
        """Magnesium that the swap adds, mg."""
        return (self.grams_of_other * self.into.mg - self.grams * self.out.mg) / 100.0

    @property
    def sentence(self) -> str:
        """The swap in words, with grams and milligrams."""
        return (
            f"{self.grams_of_other:.0f} g of {self.into.food} in place of {self.grams:.0f} g of {self.out.food}: "
            f"{self.gain_mg:.0f} mg more at the same energy"
        )


SWAPS: Final[tuple[Swap, ...]] = tuple(
    sorted(
        (Swap.model_validate(row) for row in rows("mgrisk.evidence", "swaps.toml", "swap")),
        key=lambda swap: -swap.gain_mg,
    )
)


def swaps_for(gap_mg: float) -> tuple[Swap, ...]:
    """Return the fewest swaps, each used once, whose gains add up to a gap; all of them where they do not.

    Parameters
    ----------
    gap_mg
        Magnesium wanted in addition, mg a day.

    Examples
    --------
    >>> [swap.name for swap in swaps_for(120.0)]
    ['beans for beef', 'pumpkin seeds for milk chocolate']
    >>> swaps_for(0.0)
    ()
    """
    chosen: list[Swap] = []
    left = gap_mg
    for swap in SWAPS:
        if left <= 0.0:
            break
        chosen.append(swap)
        left -= swap.gain_mg
    return tuple(chosen)
