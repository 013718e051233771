"""The Box-Cox scale of amounts, and the way back: through the day-to-day error, not around it.

The mean of a person's days on the natural scale is not the back-transformed mean of the transformed days. What comes
back is therefore the mean over the within-person error, by quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import boxcox, inv_boxcox

from mgrisk.errors import MgRiskError, bad_input

Floats = NDArray[np.float64]

POINTS = 9
"""Points of the quadrature. On magnesium nine agree with forty to 1e-6."""


def gauss_hermite(points: int = POINTS) -> tuple[Floats, Floats]:
    """Return nodes and weights, shape (points,), of the mean over a standard normal variable.

    Examples
    --------
    >>> nodes, weights = gauss_hermite(9)
    >>> round(float(weights @ nodes**4), 12)
    3.0
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    return nodes, weights / weights.sum()


@dataclass(frozen=True)
class BoxCox:
    """A Box-Cox transformation of amounts that are hardly ever zero.

    Parameters
    ----------
    power
        Exponent, 0 (the logarithm) to 1 (no change of shape).
    floor
        Smallest amount on this scale, in the unit of the amounts, above 0. Less, and zero, is taken as this much: half
        of the smallest amount above zero, as the NCI macros do. Nothing is given back below it.

    Raises
    ------
    MgRiskError
        ``box_cox.bad_power`` or ``box_cox.bad_floor``.

    Notes
    -----
    Box and Cox (1964), J. R. Stat. Soc. B 26:211; Tooze et al. (2010), Stat. Med. 29:2857. A negative exponent would
    give intakes without a mean.

    Examples
    --------
    >>> scale = BoxCox(power=0.5, floor=1.0)
    >>> scale.forward([0.0, 4.0, 9.0]).tolist()
    [0.0, 2.0, 4.0]
    >>> scale.inverse([-5.0, 2.0]).tolist()
    [1.0, 4.0]
    """

    power: float
    floor: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.power <= 1.0:
            raise _bad("power", "the exponent of a Box-Cox transformation is out of range", "0 to 1", self.power)
        if not (self.floor > 0.0 and np.isfinite(self.floor)):
            raise _bad("floor", "the smallest amount of a Box-Cox scale is not positive", "above 0", self.floor)

    def forward(self, amount: ArrayLike) -> Floats:
        """Return amounts of any shape on the transformed scale; NaN stays NaN."""
        # np.maximum hands NaN on: a day without a recall is not a day with little.
        return np.asarray(boxcox(np.maximum(np.asarray(amount, dtype=np.float64), self.floor), self.power))

    def inverse(self, transformed: ArrayLike) -> Floats:
        """Return amounts for transformed values of any shape, never below the floor; NaN stays NaN."""
        lowest = boxcox(self.floor, self.power)
        return np.asarray(inv_boxcox(np.maximum(np.asarray(transformed, dtype=np.float64), lowest), self.power))

    def expected(self, centre: ArrayLike, *, variance: float) -> Floats:
        """Return the mean amount of days that scatter normally about a centre on the transformed scale.

        Parameters
        ----------
        centre
            A person's mean on the transformed scale, any shape.
        variance
            Variance from day to day on the transformed scale.

        Returns
        -------
        ndarray
            The shape of `centre`, in the unit of the amounts; rises with `centre`.

        Examples
        --------
        >>> round(float(BoxCox(power=0.0, floor=1.0).expected(5.0, variance=0.1) / np.exp(5.05)), 9)
        1.0
        """
        nodes, weights = gauss_hermite()
        spread = np.asarray(centre, dtype=np.float64)[..., None] + np.sqrt(variance) * nodes
        # Not by matrix product: its last digit depends on how many people are asked about at once.
        return np.asarray((self.inverse(spread) * weights).sum(axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """Return the two numbers that make the scale."""
        return {"power": self.power, "floor": self.floor}


def _bad(name: str, message: str, expected: str, got: float) -> MgRiskError:
    return bad_input(
        f"box_cox.bad_{name}",
        message,
        where="Box-Cox scale",
        hint="let fit_usual_intake choose it",
        expected=expected,
        got=str(got),
    )
