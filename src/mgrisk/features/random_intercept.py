"""A linear mixed model with a random intercept for each person, for few days of many people, weighted.

The likelihood needs no iteration over people: given the ratio g of the variance between people to that within, the
covariance of a person's n days is known up to scale, and generalised least squares splits into deviations of days from
the person's mean, which do not see g, and the means, each with variance 1 + n g. What is left is a search in one
dimension, on sums that are formed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from mgrisk.errors import bad_input

Floats = NDArray[np.float64]

_LOG_RATIO = (-12.0, 6.0)  # of the variances between and within; the lower end is "no difference between people"


@dataclass(frozen=True, eq=False)
class RandomIntercept:
    """Estimates of the mixed model.

    Parameters
    ----------
    coefficients
        Of the columns of the design matrix, shape (p,).
    between, within
        Variance of people's own means, and of the days of a person, in squared units of the response.
    deviance
        Minus twice the weighted log-likelihood of the response; no constant is left out.
    """

    coefficients: Floats
    between: float
    within: float
    deviance: float

    def to_dict(self) -> dict[str, Any]:
        """Return the estimates as plain numbers."""
        return {
            "coefficients": self.coefficients.tolist(),
            "between": self.between,
            "within": self.within,
            "deviance": self.deviance,
        }


class Days:
    """Days of people with their covariates: all of the model that does not depend on response or weights.

    Parameters
    ----------
    columns
        Design matrix, shape (n, k, p): people, days, columns. Days that are not there may hold anything.
    present
        Which days are there, shape (n, k), at least one for each person.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> person, day = rng.normal(size=(5000, 1)), rng.normal(size=(5000, 2))
    >>> days = Days(np.ones((5000, 2, 1)), np.ones((5000, 2), dtype=bool))
    >>> found = days.fit(10 + 2 * person + day, np.ones(5000))
    >>> round(found.between, 1), round(found.within, 1)
    (4.0, 1.0)
    """

    def __init__(self, columns: Floats, present: NDArray[np.bool_]) -> None:
        self.present = present
        self.count = present.sum(axis=1)
        self._mean, self._deviation = self._split(columns)

    def _split(self, values: Floats) -> tuple[Floats, Floats]:
        """Return each person's mean, times the root of the number of days, and the deviations of days from it."""
        mask = self.present.reshape(*self.present.shape, *(1,) * (values.ndim - 2))
        there = np.where(mask, values, 0.0)
        count = self.count.reshape(-1, *(1,) * (values.ndim - 2)).astype(np.float64)
        mean = there.sum(axis=1) / count
        return mean * np.sqrt(count), np.where(mask, there - mean[:, None], 0.0)

    def rank(self, weight: Floats) -> int:
        """Return how many columns of the design are no combination of others, among people with a positive weight."""
        inside = weight > 0
        mean = self._mean[inside]
        days = self._deviation[inside].reshape(-1, mean.shape[1])
        rows = np.vstack([mean, days])
        length = np.sqrt((rows**2).sum(axis=0))
        scaled = rows / np.where(length > 0, length, 1.0)
        return int(np.linalg.matrix_rank(scaled.T @ scaled, tol=1e-9, hermitian=True))

    def fit(self, response: Floats, weight: Floats) -> RandomIntercept:
        """Maximise the weighted likelihood.

        Parameters
        ----------
        response
            Shape (n, k); values of days that are not there are not looked at.
        weight
            One for each person, shape (n,), at least 0: the pseudo-likelihood of Tooze et al. (2010), in which a
            person's contribution counts as often as people like them are in the population. Its scale changes only
            the deviance.

        Returns
        -------
        RandomIntercept

        Raises
        ------
        MgRiskError
            ``random_intercept.no_repeats`` where nobody with a positive weight has two days.

        Notes
        -----
        Maximum likelihood, not restricted: with thousands of people the difference is in the fourth digit. Columns
        that are combinations of others get the shortest of the equivalent solutions, so that a replicate without
        anybody of some group still has a fit; `rank` tells.
        """
        inside = weight > 0
        if not (self.count[inside] > 1).any():
            raise bad_input(
                "random_intercept.no_repeats",
                "nobody has two days, so that people and days cannot be told apart",
                where="usual intake",
                hint="give the second recalls, or take a cycle that has them (2003-2004 and later)",
            )
        y_mean, y_deviation = self._split(response)
        matrices, products, squares, people = [], [], [], []
        sizes = np.unique(self.count[inside])
        for size in sizes:
            w = np.where(self.count == size, weight, 0.0)
            matrices.append((self._mean * w[:, None]).T @ self._mean)
            products.append(self._mean.T @ (w * y_mean))
            squares.append(float(w @ y_mean**2))
            people.append(float(w.sum()))
        weighted = self._deviation * weight[:, None, None]
        across = np.tensordot(weighted, self._deviation, axes=([0, 1], [0, 1]))
        with_y = np.tensordot(weighted, y_deviation, axes=([0, 1], [0, 1]))
        squared = float((weight[:, None] * y_deviation**2).sum())
        days = float(np.dot(people, sizes))

        def profile(log_ratio: float) -> tuple[float, Floats, float]:
            shares = 1.0 / (1.0 + sizes * np.exp(log_ratio))
            matrix = across + sum(s * m for s, m in zip(shares, matrices, strict=True))
            product = with_y + sum(s * m for s, m in zip(shares, products, strict=True))
            coefficients = np.linalg.lstsq(matrix, product, rcond=None)[0]
            rest = squared + float(np.dot(shares, squares)) - float(coefficients @ product)
            within = rest / days
            spread = -float(np.dot(people, np.log(shares)))
            return days * (1.0 + float(np.log(2.0 * np.pi * within))) + spread, coefficients, within

        best = minimize_scalar(
            lambda log_ratio: profile(log_ratio)[0], bounds=_LOG_RATIO, method="bounded", options={"xatol": 1e-7}
        )
        deviance, coefficients, within = profile(float(best.x))
        return RandomIntercept(coefficients, float(np.exp(best.x)) * within, within, deviance)
