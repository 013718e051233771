"""Parts of a usual-intake model: Box-Cox transformation, coding of covariates, and a weighted mixed model.

`Covariates` codes categories and numbers as columns of a design matrix, in the same way for fitting and scoring.

`RandomIntercept` is a weighted linear mixed model with a random intercept for each person, for few days of many people.
The likelihood is maximised without iterating over people. Given the ratio g of the between-person to the within-person
variance, the covariance of a person's n days is known up to scale, and generalised least squares splits into two parts:
the deviations of days from the person's mean, which do not depend on g, and the person means, with variance 1 + n g.
This leaves a one-dimensional search over g, using sums that are computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import boxcox, inv_boxcox

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.types import Booleans, Floats


@dataclass(frozen=True)
class Term:
    """One covariate: a number if `levels` is empty, else a category, with the first level as reference."""

    name: str
    levels: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the covariate's columns in the design matrix."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:]) if self.levels else (self.name,)

    def encode(self, values: pd.Series) -> Floats:
        """Return the columns, shape (n, c); a row of NaN if the value is missing or an unknown level."""
        if not self.levels:
            return np.asarray(values, dtype=np.float64).reshape(-1, 1)
        words = pd.Index(values.astype(object).map(str, na_action="ignore"), dtype=object)
        chosen = pd.Index(self.levels, dtype=object).get_indexer(words).reshape(-1, 1)
        found: Floats = np.equal(chosen, np.arange(1, len(self.levels))).astype(np.float64)
        found[chosen[:, 0] < 0] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class Covariates:
    """The covariates of a model.

    Parameters
    ----------
    terms
        Covariates, in the order of the columns.
    means
        Weighted mean of each column in the fit, shape (p,), which replaces missing values.

    Examples
    --------
    >>> people = pd.DataFrame({"group": ["men", "women", "men"], "age": [30.0, 40.0, 50.0]})
    >>> covariates = Covariates.fit(people, np.array([1.0, 1.0, 2.0]))
    >>> covariates.columns
    ('group=women', 'age')
    >>> matrix, missing = covariates.matrix(pd.DataFrame({"group": ["women", None], "age": [40.0, 40.0]}), 2)
    >>> matrix.tolist(), missing.tolist()
    ([[1.0, 1.0, 40.0], [1.0, 0.25, 40.0]], [False, True])
    """

    terms: tuple[Term, ...]
    means: Floats

    @classmethod
    def fit(cls, people: pd.DataFrame | None, weight: Floats) -> Covariates:
        """Determine levels and means from the people with a positive weight.

        Parameters
        ----------
        people
            One column for each covariate, numbers or texts; None for no covariates.
        weight
            Shape (n,).

        Raises
        ------
        MgRiskError
            ``intake_covariates.missing`` if such a person lacks a value; ``intake_covariates.bad_length``.
        """
        if people is None:
            return cls((), np.zeros(0))
        _check_length(len(people), weight.size)
        inside = people[weight > 0]
        lacking = [f"{name} ({int(count)} people)" for name, count in inside.isna().sum().items() if count]
        if lacking:
            raise _bad_covariates(
                "missing",
                "covariates are missing for people in the domain",
                got=", ".join(lacking),
                hint="exclude these people with design.where(), or add a level 'unknown'",
            )
        terms = tuple(_term(str(name), inside[name]) for name in inside)
        columns = [term.encode(inside[term.name]) for term in terms]
        means = np.average(np.column_stack(columns), axis=0, weights=weight[weight > 0]) if columns else np.zeros(0)
        return cls(terms, np.asarray(means, dtype=np.float64))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns except the intercept."""
        return tuple(name for term in self.terms for name in term.columns)

    def matrix(self, people: pd.DataFrame | None, n: int) -> tuple[Floats, Booleans]:
        """Return the design matrix with intercept, shape (n, 1 + p), and whether a value was imputed, shape (n,).

        Raises
        ------
        MgRiskError
            ``intake_covariates.absent`` if a column is missing; ``intake_covariates.bad_length``.
        """
        intercept = np.ones((n, 1))
        if not self.terms:
            return intercept, np.zeros(n, dtype=np.bool_)
        absent = [term.name for term in self.terms if people is None or term.name not in people]
        if people is None or absent:
            raise _bad_covariates(
                "absent", "covariates of the model are missing", got=", ".join(absent), hint="add these columns"
            )
        _check_length(len(people), n)
        columns = np.column_stack([term.encode(people[term.name]) for term in self.terms])
        unknown = ~np.isfinite(columns)
        filled = np.asarray(np.hstack([intercept, np.where(unknown, self.means, columns)]), dtype=np.float64)
        return filled, np.asarray(unknown.any(axis=1), dtype=np.bool_)

    def to_dict(self) -> dict[str, Any]:
        """Return names, levels and means."""
        return {
            "terms": [{"name": term.name, "levels": list(term.levels)} for term in self.terms],
            "means": self.means.tolist(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Covariates:
        """Return the covariates written by `to_dict`."""
        terms = tuple(Term(str(row["name"]), tuple(row["levels"])) for row in content["terms"])
        return cls(terms, np.asarray(content["means"], dtype=np.float64))


def _term(name: str, values: pd.Series) -> Term:
    if pd.api.types.is_numeric_dtype(values):
        return Term(name)
    return Term(name, tuple(sorted({str(each) for each in values})))


def _check_length(got: int, n: int) -> None:
    if got != n:
        raise _bad_covariates(
            "bad_length",
            "covariates and amounts have different numbers of people",
            expected=str(n),
            got=str(got),
            hint="give one row for each person, in the same order",
        )


def _bad_covariates(code: str, message: str, *, hint: str, **found: str) -> MgRiskError:
    return bad_input(f"intake_covariates.{code}", message, where="covariates of usual intake", hint=hint, **found)


POINTS = 9
"""Number of quadrature points. For magnesium, results with 9 and 40 points agree to 1e-6."""


@cache
def gauss_hermite(points: int = POINTS) -> tuple[Floats, Floats]:
    """Return quadrature nodes and weights, shape (points,), for the mean over a standard normal variable.

    Examples
    --------
    >>> nodes, weights = gauss_hermite(9)
    >>> round(float(weights @ nodes**4), 12)
    3.0
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    weights /= weights.sum()
    for shared in (nodes, weights):
        shared.flags.writeable = False
    return nodes, weights


@dataclass(frozen=True)
class BoxCox:
    """A Box-Cox transformation of amounts that are rarely zero.

    Parameters
    ----------
    power
        Exponent, from 0 (logarithm) to 1 (linear).
    floor
        Smallest amount, in the unit of the amounts, above 0. Smaller amounts are set to it, as in the NCI macros (half
        of the smallest amount above zero), and the inverse is never below it.

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
            raise _bad_scale("power", "the exponent of a Box-Cox transformation is out of range", "0 to 1", self.power)
        if not (self.floor > 0.0 and np.isfinite(self.floor)):
            raise _bad_scale("floor", "the smallest amount of a Box-Cox scale is not positive", "above 0", self.floor)

    def forward(self, amount: ArrayLike) -> Floats:
        """Return amounts of any shape on the transformed scale; NaN stays NaN."""
        # np.maximum keeps NaN: a day without a recall stays missing.
        return np.asarray(boxcox(np.maximum(np.asarray(amount, dtype=np.float64), self.floor), self.power))

    def inverse(self, transformed: ArrayLike) -> Floats:
        """Return amounts for transformed values of any shape, never below the floor; NaN stays NaN."""
        lowest = boxcox(self.floor, self.power)
        return np.asarray(inv_boxcox(np.maximum(np.asarray(transformed, dtype=np.float64), lowest), self.power))

    def expected(self, centre: ArrayLike, *, variance: float) -> Floats:
        """Return the mean amount of days that are normally distributed around a centre on the transformed scale.

        Parameters
        ----------
        centre
            A person's mean on the transformed scale, any shape.
        variance
            Day-to-day variance on the transformed scale.

        Returns
        -------
        ndarray
            Shape of `centre`, in the unit of the amounts; increasing in `centre`.

        Examples
        --------
        >>> round(float(BoxCox(power=0.0, floor=1.0).expected(5.0, variance=0.1) / np.exp(5.05)), 9)
        1.0
        """
        nodes, weights = gauss_hermite()
        spread = np.asarray(centre, dtype=np.float64)[..., None] + np.sqrt(variance) * nodes
        # Not a matrix product, whose last digit depends on the number of people in the call.
        return np.asarray((self.inverse(spread) * weights).sum(axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """Return power and floor as plain numbers."""
        return {"power": self.power, "floor": self.floor}


def _bad_scale(name: str, message: str, expected: str, got: float) -> MgRiskError:
    return bad_input(
        f"box_cox.bad_{name}",
        message,
        where="Box-Cox scale",
        hint="use the value that fit_usual_intake chooses",
        expected=expected,
        got=str(got),
    )


_LOG_RATIO = (-12.0, 6.0)  # log ratio of between-person to within-person variance; the lower limit is practically 0


@dataclass(frozen=True, eq=False)
class RandomIntercept:
    """Estimates of the mixed model.

    Parameters
    ----------
    coefficients
        Coefficients of the columns of the design matrix, shape (p,).
    between, within
        Between-person and within-person variance, in squared units of the response.
    deviance
        Minus twice the weighted log-likelihood of the response, including all constants.
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
    """Recall days with their covariates: the part of the model that does not depend on the response or weights.

    Parameters
    ----------
    columns
        Design matrix, shape (n, k, p): people, days, columns. Values of absent days are ignored.
    present
        Whether each day is present, shape (n, k), at least one for each person.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> person, day = rng.normal(size=(5000, 1)), rng.normal(size=(5000, 2))
    >>> days = Days(np.ones((5000, 2, 1)), np.ones((5000, 2), dtype=bool))
    >>> found = days.fit(10 + 2 * person + day, np.ones(5000))
    >>> round(found.between, 1), round(found.within, 1)
    (4.0, 1.0)
    """

    def __init__(self, columns: Floats, present: Booleans) -> None:
        self.present = present
        self.count = present.sum(axis=1)
        self._mean, self._deviation = self._split(columns)

    def _split(self, values: Floats) -> tuple[Floats, Floats]:
        """Return each person's mean times the square root of the number of days, and the days' deviations from it."""
        mask = self.present.reshape(*self.present.shape, *(1,) * (values.ndim - 2))
        there = np.where(mask, values, 0.0)
        count = self.count.reshape(-1, *(1,) * (values.ndim - 2)).astype(np.float64)
        mean = there.sum(axis=1) / count
        return mean * np.sqrt(count), np.where(mask, there - mean[:, None], 0.0)

    def rank(self, weight: Floats) -> int:
        """Return the rank of the design matrix among people with a positive weight."""
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
            Shape (n, k); values of absent days are ignored.
        weight
            Weight of each person's likelihood contribution, shape (n,), at least 0, as in the pseudo-likelihood of
            Tooze et al. (2010). The scale of the weights affects only the deviance.

        Returns
        -------
        RandomIntercept

        Raises
        ------
        MgRiskError
            ``random_intercept.no_repeats`` if nobody with a positive weight has two days.

        Notes
        -----
        Maximum likelihood, not restricted (REML): with thousands of people the results differ in the fourth digit. For
        collinear columns the minimum-norm solution is used, so that a replicate without anyone of some group can still
        be fitted; `rank` detects collinear columns.
        """
        inside = weight > 0
        if not (self.count[inside] > 1).any():
            raise bad_input(
                "random_intercept.no_repeats",
                "nobody has two recall days, so that between- and within-person variance cannot be separated",
                where="usual intake",
                hint="provide the second recalls, or use cycles that have them (2003-2004 and later)",
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

        from scipy.optimize import minimize_scalar  # only for fitting: scoring starts faster without it

        best = minimize_scalar(
            lambda log_ratio: profile(log_ratio)[0], bounds=_LOG_RATIO, method="bounded", options={"xatol": 1e-7}
        )
        deviance, coefficients, within = profile(float(best.x))
        return RandomIntercept(coefficients, float(np.exp(best.x)) * within, within, deviance)
