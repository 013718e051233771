"""What-if columns of the scored file: what `evidence.what_if` says of some people, as arrays that a writer takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.evidence.literature import STUDIES
from mgrisk.evidence.what_if import ADVICE, ASSUMPTIONS, FEATURES, OPTIONS, what_if
from mgrisk.features.registry import Feature, features

ADVICE_COLUMN: Final = "what_if_magnesium_supplement_advice"


@dataclass(frozen=True)
class WhatIf:
    """What options would make of the risks of some people.

    Attributes
    ----------
    names, numbers
        The columns of numbers, and their values: shape (n_columns, n), NaN where there is none.
    advice
        Which of `ADVICE` is said of a supplement, shape (n,).
    """

    names: tuple[str, ...]
    numbers: NDArray[np.float64]
    advice: NDArray[np.int64]

    @classmethod
    def of(cls, people: pd.DataFrame, risk: NDArray[np.float64]) -> WhatIf:
        """Ask for people by their typed features and calibrated risks; NaN where there is no risk."""
        found = what_if(people, risk)
        told = found.pop(ADVICE_COLUMN).to_numpy()
        numbers = found.to_numpy(dtype=np.float64).T.copy()
        # Of a row that was rejected nothing is said, of amounts no more than of risks.
        numbers[:, np.isnan(risk)] = np.nan
        advice = np.select([told == each for each in ADVICE], list(range(len(ADVICE)))).astype(np.int64)
        advice[np.isnan(risk)] = 0
        return cls(tuple(found.columns), numbers, advice)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name, as in the scored file."""
        numbers: dict[str, NDArray[Any]] = dict(zip(self.names, self.numbers, strict=True))
        return numbers | {ADVICE_COLUMN: np.array(ADVICE, dtype=object)[self.advice]}


@cache
def option_features() -> tuple[Feature, ...]:
    """Return the features that the options read."""
    return features(FEATURES)


@cache
def option_columns() -> tuple[str, ...]:
    """Return the names of the columns."""
    nobody = pd.DataFrame({"age_years": np.empty(0), "sex": np.empty(0, dtype=object)})
    return tuple(what_if(nobody, np.empty(0)).columns)


def about_options() -> dict[str, Any]:
    """Return what the summary of a batch says: what is assumed, and which study prices each option."""
    return {
        "what_it_is": "the calibrated risk times published relative risks; not the model's answer to changed inputs",
        "assumptions": list(ASSUMPTIONS),
        "options": [
            {
                "name": option.name,
                "label": option.label,
                "unit_of_dose": option.unit,
                "assumes": option.assumes,
                "study": STUDIES[option.study].citation if option.study else None,
            }
            for option in OPTIONS.values()
        ],
    }
