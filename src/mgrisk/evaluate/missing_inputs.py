"""Inputs taken away on purpose: which patterns there are (missing_inputs.toml), and people without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.config.toml import rows
from mgrisk.features.registry import Feature

ALL_INPUTS: Final = "all_inputs"
"""Name of the pattern in which nothing is missing."""
REPORTED: Final = "as reported"
RECALIBRATED: Final = "recalibrated"
"""Whose calibration a record is of: the model's, or one fitted for those who lack the inputs."""


@dataclass(frozen=True)
class Pattern:
    """What is missing.

    Attributes
    ----------
    name, label
        In records, and as the report says it.
    features
        The model's features that are missing.
    named
        Names of further columns that are missing, from which the model's features could be made again.
    """

    name: str
    label: str
    features: tuple[Feature, ...]
    named: frozenset[str] = frozenset()

    def without(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return people without these features."""
        names = {*(feature.name for feature in self.features), *self.named} & set(frame.columns)
        # Where nobody has a value the column keeps its type: a number, or the levels of its category.
        nobody = np.zeros(len(frame), dtype=np.bool_)
        return frame.assign(**{name: frame[name].where(nobody) for name in sorted(names)})


def patterns(features: Sequence[Feature]) -> tuple[Pattern, ...]:
    """Return the patterns of missing_inputs.toml that take something, and not everything, from a model.

    Parameters
    ----------
    features
        The model's.
    """
    found = []
    for row in rows("mgrisk.evaluate", "missing_inputs.toml", "pattern"):
        named, groups = set(row.get("features", ())), set(row.get("groups", ()))
        missing = tuple(each for each in features if each.name in named or each.group in groups)
        if 0 < len(missing) < len(features):
            found.append(Pattern(row["name"], row["label"], missing, frozenset(named)))
    return tuple(found)
