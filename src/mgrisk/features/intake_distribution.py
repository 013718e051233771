"""The distribution of usual intake in a population: quantiles, mean and the share below a cut-point.

Usual intake rises with a person's own mean on the transformed scale, which is normal about what the covariates say. The
distribution in the population is therefore a weighted sum of normal distribution functions, seen through a rising
curve, and needs neither the simulated people of the NCI macro DISTRIB nor their noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.features.box_cox import BoxCox, gauss_hermite

Floats = NDArray[np.float64]

WEEKEND_SHARE = 3.0 / 7.0
"""Friday, Saturday and Sunday: the days on which Americans eat otherwise (Tooze et al. 2010)."""

_FAR = 9.0  # standard deviations beyond which nobody is looked for


@dataclass(frozen=True)
class UsualScale:
    """How a person's mean on the transformed scale becomes usual intake.

    Parameters
    ----------
    transform
        The Box-Cox scale of a day's amount.
    within
        Variance from day to day on that scale.
    weekend
        How much higher weekend days lie on that scale.

    Examples
    --------
    >>> scale = UsualScale(BoxCox(power=0.3, floor=5.0), within=3.8, weekend=-0.1)
    >>> usual = scale.usual(np.array([15.0, 16.0]))
    >>> np.allclose([scale.mean_for(each) for each in usual], [15.0, 16.0])
    True
    """

    transform: BoxCox
    within: float
    weekend: float = 0.0

    def usual(self, centre: ArrayLike) -> Floats:
        """Return usual intake for means of weekdays on the transformed scale, any shape: 4/7 weekdays, 3/7 weekend."""
        at = np.asarray(centre, dtype=np.float64)
        weekdays = self.transform.expected(at, variance=self.within)
        if self.weekend == 0.0:
            return weekdays
        weekends = self.transform.expected(at + self.weekend, variance=self.within)
        return (1.0 - WEEKEND_SHARE) * weekdays + WEEKEND_SHARE * weekends

    def mean_for(self, amount: float) -> float:
        """Return the mean on the transformed scale that gives this usual intake; minus infinity below the floor."""
        low = high = float(self.transform.forward(amount))
        step = np.sqrt(self.within) + abs(self.weekend) + 1.0
        if amount <= self.transform.floor:
            return -np.inf
        while self.usual(low) > amount:
            low -= step
            step *= 2.0
        while self.usual(high) < amount:
            high += step
            step *= 2.0
        return float(low if low == high else brentq(lambda at: float(self.usual(at)) - amount, low, high))


@dataclass(frozen=True, eq=False)
class IntakeDistribution:
    """Usual intake in a population.

    Parameters
    ----------
    probabilities, quantiles
        Shape (k,); quantiles in the unit of the amounts, a day.
    mean, sd
        Of usual intake, the same unit.
    n, population
        People that it rests on, and the sum of their weights.
    """

    probabilities: Floats
    quantiles: Floats
    mean: float
    sd: float
    n: int
    population: float

    def frame(self) -> pd.DataFrame:
        """Return one row for each quantile: probability, quantile."""
        return pd.DataFrame({"probability": self.probabilities, "quantile": self.quantiles})

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        return {
            "probabilities": self.probabilities.tolist(),
            "quantiles": self.quantiles.tolist(),
            "mean": self.mean,
            "sd": self.sd,
            "n": self.n,
            "population": self.population,
        }


class Population:
    """People whose own means are normal about their covariates.

    Parameters
    ----------
    scale
        The way from the transformed scale to usual intake.
    centre
        What the covariates say of each person's weekdays, shape (n,), transformed scale.
    weight
        Shape (n,), at least 0, not all 0.
    between
        Variance of people about that, above 0.

    Raises
    ------
    MgRiskError
        ``intake_distribution.nobody`` where no weight is positive.

    Examples
    --------
    >>> scale = UsualScale(BoxCox(power=0.0, floor=1.0), within=0.1)
    >>> people = Population(scale, np.full(3, 5.7), np.ones(3), between=0.09)
    >>> people.describe(probabilities=[0.5]).quantiles.round(1).tolist()
    [314.2]
    >>> round(people.share_below(314.19), 3)
    0.5
    """

    def __init__(self, scale: UsualScale, centre: Floats, weight: Floats, *, between: float) -> None:
        inside = weight > 0
        if not inside.any():
            raise _bad(
                "nobody", "nobody in this domain has a weight", hint="widen the domain", expected="at least 1 person"
            )
        self.scale, self.between = scale, between
        self._inside, self._weight, self._n = inside, weight, int(inside.sum())
        # People with the same covariates share a normal distribution: thousands become a few.
        self._centre, pattern = np.unique(centre[inside], return_inverse=True)
        self._pattern = pattern.reshape(-1)
        self._share = np.bincount(self._pattern, weight[inside]) / weight[inside].sum()

    def describe(self, *, probabilities: ArrayLike) -> IntakeDistribution:
        """Return quantiles, mean and standard deviation of usual intake.

        Raises
        ------
        MgRiskError
            ``intake_distribution.bad_probability`` for a probability that is not strictly between 0 and 1.
        """
        wanted = np.asarray(probabilities, dtype=np.float64).reshape(-1)
        if not ((wanted > 0.0) & (wanted < 1.0)).all():
            raise _bad("bad_probability", "a probability is not strictly between 0 and 1", hint="the median is 0.5")
        spread = np.sqrt(self.between)
        low, high = self._centre.min() - _FAR * spread, self._centre.max() + _FAR * spread

        def below(at: float, probability: float) -> float:
            return float(self._share @ ndtr((at - self._centre) / spread)) - probability

        at = np.array([brentq(below, low, high, args=(float(p),)) for p in wanted])
        nodes, weights = gauss_hermite()
        usual = self.scale.usual(self._centre[:, None] + spread * nodes)
        mean = float(self._share @ usual @ weights)
        variance = float(self._share @ (usual - mean) ** 2 @ weights)
        total = float(self._weight[self._inside].sum())
        return IntakeDistribution(wanted, self.scale.usual(at), mean, float(np.sqrt(variance)), self._n, total)

    def share_below(self, cut_points: ArrayLike) -> float:
        """Return the weighted share of people whose usual intake is below a cut-point.

        Parameters
        ----------
        cut_points
            One number, or one for each person, shape (n,), in the unit of the amounts a day. Those of people with
            weight 0 are not looked at.

        Raises
        ------
        MgRiskError
            ``intake_distribution.bad_cut_point`` where one that counts is missing or the shape is wrong.
        """
        cuts = np.asarray(cut_points, dtype=np.float64)
        if cuts.shape not in {(), self._weight.shape}:
            raise _bad("bad_cut_point", "cut-points have the wrong shape", expected=f"() or {self._weight.shape}")
        inside = np.broadcast_to(cuts, self._weight.shape)[self._inside]
        if not np.isfinite(inside).all():
            raise _bad("bad_cut_point", "a person in the domain has no cut-point", hint="leave them out with where()")
        values, which = np.unique(inside, return_inverse=True)
        at = np.array([self.scale.mean_for(float(value)) for value in values])[which.reshape(-1)]
        below = ndtr((at - self._centre[self._pattern]) / np.sqrt(self.between))
        return float(np.average(below, weights=self._weight[self._inside]))


def _bad(code: str, message: str, *, hint: str = "see the documentation of share_below", **found: str) -> MgRiskError:
    return bad_input(f"intake_distribution.{code}", message, where="usual intake", hint=hint, **found)
