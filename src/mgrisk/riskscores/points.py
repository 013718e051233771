"""Point scores: items with bands of a number or points of a category, summed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mgrisk.errors import usage

KNOWN: Final = ("ada",)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OtherBands(_Row):
    """Bands that hold for people of one category level."""

    feature: str
    level: str
    bands: tuple[tuple[float, int], ...]


class Item(_Row):
    """One question of a score: points from a lower bound on (bands), or by answer (levels)."""

    feature: str
    bands: tuple[tuple[float, int], ...] = ()
    levels: dict[str, int] = {}
    other_bands: OtherBands | None = None


class PointScore(_Row):
    """A published score, read from its TOML file.

    Attributes
    ----------
    maximum, high
        Highest score possible, and the score from which on the test says "high risk".
    """

    name: str
    label: str
    citation: str
    maximum: int
    high: int
    notes: str
    item: tuple[Item, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that the score needs, each once."""
        others = (item.other_bands.feature for item in self.item if item.other_bands)
        return tuple(dict.fromkeys((*(item.feature for item in self.item), *others)))

    def score(self, frame: pd.DataFrame) -> Scored:
        """Score people.

        Parameters
        ----------
        frame
            Typed features, one column for each of `features`.
        """
        points = np.zeros(len(frame))
        missing = np.zeros(len(frame), dtype=np.int64)
        for item in self.item:
            values = frame[item.feature]
            missing += values.isna().to_numpy()
            if item.levels:
                points += values.astype(object).map(item.levels).fillna(0.0).to_numpy(dtype=np.float64)
                continue
            numbers = values.to_numpy(dtype=np.float64)
            gained = _banded(numbers, item.bands)
            if item.other_bands is not None:
                applies = (frame[item.other_bands.feature] == item.other_bands.level).to_numpy()
                gained = np.where(applies, _banded(numbers, item.other_bands.bands), gained)
            points += gained
        return Scored(points, missing)


@dataclass(frozen=True)
class Scored:
    """Points and unanswered questions of each person, shape (n,)."""

    points: NDArray[np.float64]
    missing: NDArray[np.int64]


def _banded(values: NDArray[np.float64], bands: tuple[tuple[float, int], ...]) -> NDArray[np.float64]:
    points = np.zeros(len(values))
    for lower, worth in bands:
        points[values >= lower] = worth
    return points


def load_score(name: str) -> PointScore:
    """Return a published score by name.

    Raises
    ------
    MgRiskError
        `riskscores.unknown`.

    Examples
    --------
    >>> load_score("ada").high
    5
    """
    if name not in KNOWN:
        raise usage(
            "riskscores.unknown",
            f"there is no score {name}",
            where="riskscores",
            hint=f"one of: {', '.join(KNOWN)}",
        )
    return PointScore.model_validate(
        tomllib.loads(files("mgrisk.riskscores").joinpath(f"{name}.toml").read_text("utf-8"))
    )
