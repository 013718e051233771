"""Energy-adjusted magnesium by the residual method, fitted on the development cohort.

Intake of all nutrients rises with energy intake. The residual of magnesium on energy reflects the choice of foods, not
the amount eaten. Logarithms make the variance similar over the range of energy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from mgrisk.config.checked import Checked, Count
from mgrisk.errors import bad_bundle, bad_input
from mgrisk.survey.design import SurveyDesign

WHERE = "energy-adjusted magnesium"


@dataclass(frozen=True)
class EnergyAdjusted:
    """A fitted regression line of log magnesium on log energy.

    Parameters
    ----------
    slope
        Slope of log magnesium (mg) on log energy (kcal).
    mean_log_energy
        Weighted mean of log energy in the development cohort, to which magnesium is adjusted.
    n
        Number of people in the fit.

    Notes
    -----
    Log adjusted magnesium is the residual plus the expected value at the mean: log magnesium - slope x (log energy -
    mean log energy). It has no weighted correlation with log energy in the development cohort.

    Examples
    --------
    >>> model = EnergyAdjusted(slope=0.8, mean_log_energy=float(np.log(2000.0)), n=100)
    >>> people = pd.DataFrame({"magnesium_food_mg": [300.0, 300.0], "energy_kcal": [2000.0, 3000.0]})
    >>> model.predict(people)["magnesium_energy_adjusted_mg"].round().tolist()
    [300.0, 217.0]
    """

    slope: float
    mean_log_energy: float
    n: int

    def predict(self, parents: pd.DataFrame) -> pd.DataFrame:
        """Return magnesium adjusted to the mean energy, mg/d, same index; missing without magnesium or energy."""
        magnesium, energy = _logs(parents)
        adjusted = np.exp(magnesium - self.slope * (energy - self.mean_log_energy))
        return pd.DataFrame({"magnesium_energy_adjusted_mg": adjusted})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers."""
        return asdict(self)


def fit(people: pd.DataFrame, design: SurveyDesign) -> EnergyAdjusted:
    """Fit the line to everyone in the domain with magnesium and energy above zero.

    Parameters
    ----------
    people
        ``magnesium_food_mg`` and ``energy_kcal``, one row for each row of the design.
    design
        Survey design, whose analysis weights are used.

    Raises
    ------
    MgRiskError
        ``energy_adjusted.no_spread`` if there are fewer than two different energy intakes.

    Notes
    -----
    Willett and Stampfer (1986), Am. J. Epidemiol. 124:17; weighted least squares.
    """
    magnesium, energy = (logs.to_numpy() for logs in _logs(people))
    inside = (design.analysis_weight > 0) & np.isfinite(magnesium) & np.isfinite(energy)
    if np.unique(energy[inside]).size < 2:
        raise bad_input(
            "energy_adjusted.no_spread",
            "there are fewer than two different energy intakes",
            where=WHERE,
            hint="choose cycles with recalls, or leave the feature out",
        )
    weight = design.analysis_weight[inside]
    share = weight / weight.sum()
    mean = float(share @ energy[inside])
    centred = energy[inside] - mean
    slope = float((share * centred) @ magnesium[inside] / ((share * centred) @ centred))
    return EnergyAdjusted(slope=slope, mean_log_energy=mean, n=int(inside.sum()))


def from_dict(content: Mapping[str, Any]) -> EnergyAdjusted:
    """Return the model written by `EnergyAdjusted.to_dict`.

    Raises
    ------
    MgRiskError
        ``energy_adjusted.bad_file``.
    """
    try:
        found = _File.of(content)
    except ValueError as problem:
        raise bad_bundle(
            "energy_adjusted.bad_file",
            "the energy adjustment cannot be read",
            where=WHERE,
            hint="write it again with this version of mgrisk",
            got=str(problem),
        ) from None
    return EnergyAdjusted(found.slope, found.mean_log_energy, found.n)


class _File(Checked):
    # Bounds on the log scale: plausible intakes are within them, and the exponential does not overflow.
    slope: float = Field(ge=-3, le=3)
    mean_log_energy: float = Field(ge=0, le=15)
    n: Count


def _logs(people: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return log magnesium and log energy; an intake of zero has no logarithm and is missing."""
    magnesium, energy = people["magnesium_food_mg"], people["energy_kcal"]
    return np.log(magnesium.where(magnesium > 0)), np.log(energy.where(energy > 0))
