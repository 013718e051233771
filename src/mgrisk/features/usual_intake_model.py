"""A fitted model of usual intake: predictions for people, estimates for populations, and its file format.

*Back-transformation.* Amounts are modelled on a Box-Cox scale. The mean of a person's days on the original scale is not
the back-transformed mean of the transformed days. Usual intake is therefore computed as the mean over the within-person
error, by quadrature.

*Distribution.* Usual intake is an increasing function of a person's mean on the transformed scale, which is normally
distributed given the covariates. The distribution in the population is therefore a weighted sum of normal distribution
functions at back-transformed arguments. Unlike in the NCI macro DISTRIB, no people are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from mgrisk.config.checked import Checked, Count, Finite, NotNegative, Numbers, Positive
from mgrisk.errors import MgRiskError, bad_bundle, bad_input
from mgrisk.features.mixed_model import BoxCox, Covariates, gauss_hermite
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Booleans, Floats, Integers

WEEKEND_SHARE = 3.0 / 7.0
"""Share of Friday, Saturday and Sunday, when intake in the US differs from other days (Tooze et al. 2010)."""
_FAR = 9.0  # standard deviations that bound the search for quantiles


@dataclass(frozen=True)
class UsualScale:
    """Conversion of a person's mean on the transformed scale to usual intake.

    Parameters
    ----------
    transform
        The Box-Cox scale of a day's amount.
    within
        Day-to-day variance on that scale.
    weekend
        Difference of weekend days from weekdays on that scale.

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
        """Return usual intake (4/7 weekdays, 3/7 weekend) from weekday means on the transformed scale, any shape."""
        at = np.asarray(centre, dtype=np.float64)
        weekdays = self.transform.expected(at, variance=self.within)
        if self.weekend == 0.0:
            return weekdays
        weekends = self.transform.expected(at + self.weekend, variance=self.within)
        return (1.0 - WEEKEND_SHARE) * weekdays + WEEKEND_SHARE * weekends

    def mean_for(self, amount: float) -> float:
        """Return the weekday mean on the transformed scale for a usual intake; minus infinity up to the floor."""
        from scipy.optimize import brentq  # not for scoring, which starts faster without it

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
    """Distribution of usual intake in a population.

    Parameters
    ----------
    probabilities, quantiles
        Shape (k,); quantiles in the unit of the amounts per day.
    mean, sd
        Mean and standard deviation of usual intake, in the same unit.
    n, population
        Number of people, and the sum of their weights.
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
    """A weighted population whose individual means are normally distributed given the covariates.

    Parameters
    ----------
    scale
        Conversion from the transformed scale to usual intake.
    centre
        Expected weekday mean of each person given the covariates, shape (n,), transformed scale.
    weight
        Shape (n,), at least 0, not all 0.
    between
        Between-person variance given the covariates, above 0.

    Raises
    ------
    MgRiskError
        ``intake_distribution.nobody`` if no weight is positive.

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
            raise _bad_distribution(
                "nobody",
                "nobody in this domain has a weight",
                hint="choose a larger domain",
                expected="at least 1 person",
            )
        self.scale, self.between = scale, between
        self._inside, self._weight, self._n = inside, weight, int(inside.sum())
        # People with the same covariates have the same distribution, so that only a few need computing.
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
        from scipy.optimize import brentq  # not for scoring, which starts faster without it

        wanted = np.asarray(probabilities, dtype=np.float64).reshape(-1)
        if not ((wanted > 0.0) & (wanted < 1.0)).all():
            raise _bad_distribution(
                "bad_probability", "a probability is not strictly between 0 and 1", hint="the median is 0.5"
            )
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
            One number, or one for each person, shape (n,), in the unit of the amounts per day. Those of people with
            weight 0 are ignored.

        Raises
        ------
        MgRiskError
            ``intake_distribution.bad_cut_point`` if one of a person with a weight is missing, or the shape is wrong.
        """
        cuts = np.asarray(cut_points, dtype=np.float64)
        if cuts.shape not in {(), self._weight.shape}:
            raise _bad_distribution(
                "bad_cut_point", "cut-points have the wrong shape", expected=f"() or {self._weight.shape}"
            )
        inside = np.broadcast_to(cuts, self._weight.shape)[self._inside]
        if not np.isfinite(inside).all():
            raise _bad_distribution(
                "bad_cut_point", "a person in the domain has no cut-point", hint="exclude them with where()"
            )
        values, which = np.unique(inside, return_inverse=True)
        at = np.array([self.scale.mean_for(float(value)) for value in values])[which.reshape(-1)]
        below = ndtr((at - self._centre[self._pattern]) / np.sqrt(self.between))
        return float(np.average(below, weights=self._weight[self._inside]))


def _bad_distribution(
    code: str, message: str, *, hint: str = "see the documentation of share_below", **found: str
) -> MgRiskError:
    return bad_input(f"intake_distribution.{code}", message, where="usual intake", hint=hint, **found)


WHERE = "usual intake"
FORMAT = 1
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class PersonalIntake:
    """Predicted usual intake of each person.

    Parameters
    ----------
    usual
        Expected usual intake given the person's recalls and covariates, shape (n,), in the unit of the amounts per
        day.
    se
        Conditional standard deviation of the person's usual intake, in the same unit. It does not include the much
        smaller sampling error of the model.
    recalls
        Number of recalls used, shape (n,).
    covariates_missing
        Whether a covariate was missing or unknown and replaced by the population mean, shape (n,).
    """

    usual: Floats
    se: Floats
    recalls: Integers
    covariates_missing: Booleans

    def frame(self, index: pd.Index | None = None) -> pd.DataFrame:
        """Return usual, se, recalls and flag (empty, no_recall, covariate_missing, or both separated by a space)."""
        no_recall = np.where(self.recalls == 0, "no_recall", "")
        missing = np.where(self.covariates_missing, "covariate_missing", "")
        flags = [" ".join(word for word in words if word) for words in zip(no_recall, missing, strict=True)]
        columns = {"usual": self.usual, "se": self.se, "recalls": self.recalls, "flag": flags}
        return pd.DataFrame(columns, index=index)

    def to_dict(self) -> dict[str, Any]:
        """Return the number of people by number of recalls, and the number with a missing covariate."""
        return {
            "people": self.usual.size,
            "recalls": {int(k): int((self.recalls == k).sum()) for k in np.unique(self.recalls)},
            "covariates_missing": int(self.covariates_missing.sum()),
        }


class _PersonMean(NamedTuple):
    """Normal distribution (mean and SD) of a person's mean on the transformed scale given the recalls, shape (n,)."""

    mean: Floats
    sd: Floats
    recalls: Integers
    covariates_missing: Booleans


@dataclass(frozen=True, eq=False)
class UsualIntakeModel:
    """A fitted usual-intake model, stored as JSON.

    Parameters
    ----------
    transform
        The Box-Cox scale.
    covariates
        The covariates and their coding.
    coefficients
        Intercept and coefficients of the covariates, shape (1 + p,), on the transformed scale.
    weekend, sequence
        Effects of weekend days, and of recalls after the first, on that scale; 0 if not in the model.
    between, within
        Between-person variance given the covariates, and within-person (day-to-day) variance, on that scale.
    n, n_repeated, deviance
        Number of people, number with two or more recalls, and minus twice the log-likelihood (weights with mean 1).
    """

    transform: BoxCox
    covariates: Covariates
    coefficients: Floats
    weekend: float
    sequence: float
    between: float
    within: float
    n: int
    n_repeated: int
    deviance: float

    @property
    def scale(self) -> UsualScale:
        """Conversion from the transformed scale to usual intake."""
        return UsualScale(self.transform, self.within, self.weekend)

    def attenuation(self, days: int = 1) -> float:
        """Return the attenuation factor of the mean of `days` recalls on the transformed scale.

        It is the regression slope of a person's true mean on the mean of the recalls, given the covariates:
        between / (between + within / days). Rosner, Willett and Spiegelman (1989), Stat. Med. 8:1051.
        """
        return self.between / (self.between + self.within / days)

    def predict(
        self, amount: ArrayLike, people: pd.DataFrame | None = None, *, weekend: ArrayLike | None = None
    ) -> PersonalIntake:
        """Return the expected usual intake of each person given the recalls.

        Parameters
        ----------
        amount
            Amount on each recall day, shape (n, k), NaN for no recall; the first column is the first recall.
        people
            Covariates by name, one row for each person; missing or unknown values are set to their mean and flagged.
        weekend
            Whether a day was Friday to Sunday, shape (n, k); NaN, or None for all, counts as 3/7.

        Returns
        -------
        PersonalIntake
            For a person without a recall, the mean of people with the same covariates, and the full between-person SD.

        Raises
        ------
        MgRiskError
            ``usual_intake.bad_amount``, ``usual_intake.bad_length``, ``intake_covariates.absent``.

        Notes
        -----
        Kipnis et al. (2009), Biometrics 65:1003: the expectation given the recalls, as regression calibration needs,
        provided that this model includes the covariates of the outcome model. The random effect is exactly normal given
        the recalls, so that the quadrature needs no search for its mode as in the macro INDIVINT.
        """
        own = self._given(amount, people, weekend)
        nodes, weights = gauss_hermite()
        usual = self.scale.usual(own.mean[:, None] + own.sd[:, None] * nodes)
        mean = (usual * weights).sum(axis=1)
        se = np.sqrt(((usual - mean[:, None]) ** 2 * weights).sum(axis=1))
        return PersonalIntake(mean, se, own.recalls, own.covariates_missing)

    def quantiles(
        self,
        amount: ArrayLike,
        people: pd.DataFrame | None = None,
        *,
        weekend: ArrayLike | None = None,
        probabilities: ArrayLike,
    ) -> Floats:
        """Return quantiles of each person's usual intake, a random variable given the recalls, shape (n, p).

        Parameters
        ----------
        amount, people, weekend
            As for `predict`.
        probabilities
            Shape (p,), strictly between 0 and 1.

        Notes
        -----
        Usual intake is an increasing function of a person's mean on the transformed scale, which is normal given the
        recalls, so that its quantiles are the back-transformed normal quantiles. Among people with the same recalls and
        covariates a share `p` has a lower usual intake. The sampling error of the model is not included.
        """
        own = self._given(amount, people, weekend)
        return self.scale.usual(own.mean[:, None] + own.sd[:, None] * ndtri(np.asarray(probabilities)))

    def _given(self, amount: ArrayLike, people: pd.DataFrame | None, weekend: ArrayLike | None) -> _PersonMean:
        days = amounts(amount)
        design, missing = self.covariates.matrix(people, len(days))
        # Not matrix products, whose last digit depends on the number of people predicted at once.
        centre = (design * self.coefficients).sum(axis=1)
        expected = centre[:, None] + self._shifts(days.shape, weekend)
        here = np.isfinite(days)
        count = here.sum(axis=1)
        residual = np.where(here, self.transform.forward(days) - expected, 0.0).sum(axis=1)
        own = self.between * residual / (self.within + count * self.between)
        unknown = self.between * self.within / (self.within + count * self.between)
        return _PersonMean(centre + own, np.sqrt(unknown), count.astype(np.int64), missing)

    def distribution(
        self, people: pd.DataFrame | None, design: SurveyDesign, *, probabilities: ArrayLike = QUANTILES
    ) -> IntakeDistribution:
        """Return quantiles, mean and standard deviation of usual intake in the domain of a design.

        Parameters
        ----------
        people
            Covariates, one row for each row of the design.
        design
            Survey design, whose domain may be smaller than that of the fit.
        probabilities
            Shape (k,), strictly between 0 and 1.
        """
        return self.population(people, design.analysis_weight).describe(probabilities=probabilities)

    def share_below(self, cut_points: ArrayLike, people: pd.DataFrame | None, design: SurveyDesign) -> float:
        """Return the share of the domain with usual intake below a cut-point (one for all, or one for each row).

        Notes
        -----
        With estimated average requirements as cut-points, this estimates the prevalence of inadequate intake
        (Institute of Medicine 2000, Dietary Reference Intakes: applications in dietary assessment, chapter 4).
        """
        return self.population(people, design.analysis_weight).share_below(cut_points)

    def population(self, people: pd.DataFrame | None, weight: Floats) -> Population:
        """Return the population of `people` with the given weights, shape (n,)."""
        design, _ = self.covariates.matrix(people, weight.size)
        return Population(self.scale, design @ self.coefficients, weight, between=self.between)

    def _shifts(self, shape: tuple[int, ...], weekend: ArrayLike | None) -> Floats:
        share = np.full(shape, WEEKEND_SHARE) if weekend is None else day_shape(weekend, shape)
        later = np.arange(shape[1]) > 0
        return self.weekend * np.where(np.isfinite(share), share, WEEKEND_SHARE) + self.sequence * later

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain numbers, lists and texts, as stored in a bundle."""
        return {
            "format": FORMAT,
            "transform": self.transform.to_dict(),
            "covariates": self.covariates.to_dict(),
            "coefficients": self.coefficients.tolist(),
            **{name: getattr(self, name) for name in ("weekend", "sequence", "between", "within")},
            **{name: getattr(self, name) for name in ("n", "n_repeated", "deviance")},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> UsualIntakeModel:
        """Return the model written by `to_dict`.

        Raises
        ------
        MgRiskError
            ``usual_intake.bad_file`` if it has another format or is damaged.
        """
        try:
            found = _File.of(content)
        except ValueError as problem:
            raise bad_bundle(
                "usual_intake.bad_file",
                "the usual-intake model cannot be read",
                where=WHERE,
                hint="write it again with this version of mgrisk",
                got=str(problem),
            ) from None
        numbers = found.model_dump(exclude={"format", "transform", "covariates", "coefficients"})
        return cls(
            transform=BoxCox(found.transform.power, found.transform.floor),
            covariates=Covariates.from_dict(found.covariates.model_dump()),
            coefficients=np.array(found.coefficients),
            **numbers,
        )


class _BoxCox(Checked):
    power: float = Field(ge=0, le=1)
    floor: Positive


class _Term(Checked):
    name: str
    levels: list[str]


class _Covariates(Checked):
    terms: list[_Term]
    means: Numbers


class _File(Checked, extra="forbid"):
    format: Literal[1]
    transform: _BoxCox
    covariates: _Covariates
    coefficients: Numbers
    weekend: Finite
    sequence: Finite
    between: NotNegative
    within: Positive
    n: Count
    n_repeated: Count
    deviance: Finite

    @model_validator(mode="after")
    def _of_the_same_columns(self) -> Self:
        columns = sum(max(len(term.levels) - 1, 0) if term.levels else 1 for term in self.covariates.terms)
        if len(self.covariates.means) != columns or len(self.coefficients) != 1 + columns:
            raise ValueError(f"covariates.means or coefficients does not fit {columns} columns")
        return self


def amounts(values: ArrayLike) -> Floats:
    """Return recalled amounts as people by days, shape (n, k); raises ``usual_intake.bad_amount``."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    wrong = np.isinf(array) | (array < 0)
    if array.ndim != 2 or wrong.any():
        raise bad_input(
            "usual_intake.bad_amount",
            "recalled amounts are negative, infinite or not in the shape of people and days",
            where=WHERE if array.ndim != 2 else f"{WHERE}: {int(wrong.any(axis=1).sum())} people",
            hint="use one column for each recall, with NaN for no recall",
            expected="(n, days)",
            got=str(array.shape),
        )
    return array


def day_shape(values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Return weekend indicators in the shape of the amounts; raises ``usual_intake.bad_length``."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise bad_input(
            "usual_intake.bad_length",
            "the weekend indicators and the amounts have different shapes",
            where=WHERE,
            hint="use one indicator for each recall, with NaN for no recall",
            expected=str(shape),
            got=str(array.shape),
        )
    return array
