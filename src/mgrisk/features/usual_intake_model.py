"""A fitted model of usual intake: predictions for people, figures for populations, and its form in a file.

*Back-transformation.* Amounts are modelled on a Box-Cox scale. The mean of a person's days on the natural scale is not
the back-transformed mean of the transformed days. What comes back is therefore the mean over the within-person error,
by quadrature.

*Distribution.* Usual intake rises with a person's own mean on the transformed scale, which is normal about what the
covariates say. The distribution in the population is therefore a weighted sum of normal distribution functions, seen
through a rising curve, and needs neither the simulated people of the NCI macro DISTRIB nor their noise.
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
        from scipy.optimize import brentq  # only fitting needs it, and scoring is to start at once

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
            raise _bad_distribution(
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
        from scipy.optimize import brentq  # only fitting needs it, and scoring is to start at once

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
            One number, or one for each person, shape (n,), in the unit of the amounts a day. Those of people with
            weight 0 are not looked at.

        Raises
        ------
        MgRiskError
            ``intake_distribution.bad_cut_point`` where one that counts is missing or the shape is wrong.
        """
        cuts = np.asarray(cut_points, dtype=np.float64)
        if cuts.shape not in {(), self._weight.shape}:
            raise _bad_distribution(
                "bad_cut_point", "cut-points have the wrong shape", expected=f"() or {self._weight.shape}"
            )
        inside = np.broadcast_to(cuts, self._weight.shape)[self._inside]
        if not np.isfinite(inside).all():
            raise _bad_distribution(
                "bad_cut_point", "a person in the domain has no cut-point", hint="leave them out with where()"
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
    """The best guess at each person's usual intake.

    Parameters
    ----------
    usual
        Expected usual intake given the person's recalls and covariates, shape (n,), in the unit of the amounts a day.
    se
        Standard deviation of the usual intake about it, the same unit: what is unknown about the person. The error
        of the model's own estimates, small beside it, is not in it.
    recalls
        Number of recalls used, shape (n,).
    covariates_missing
        Whether a covariate was missing or unknown, so that the population mean stood in, shape (n,).
    """

    usual: Floats
    se: Floats
    recalls: Integers
    covariates_missing: Booleans

    def frame(self, index: pd.Index | None = None) -> pd.DataFrame:
        """Return usual, se, recalls and flag (empty, no_recall, covariate_missing, or both with a space between)."""
        no_recall = np.where(self.recalls == 0, "no_recall", "")
        missing = np.where(self.covariates_missing, "covariate_missing", "")
        flags = [" ".join(word for word in words if word) for words in zip(no_recall, missing, strict=True)]
        columns = {"usual": self.usual, "se": self.se, "recalls": self.recalls, "flag": flags}
        return pd.DataFrame(columns, index=index)

    def to_dict(self) -> dict[str, Any]:
        """Return how many people have how many recalls, and how many lack a covariate."""
        return {
            "people": self.usual.size,
            "recalls": {int(k): int((self.recalls == k).sum()) for k in np.unique(self.recalls)},
            "covariates_missing": int(self.covariates_missing.sum()),
        }


class _Own(NamedTuple):
    """A person's own mean on the transformed scale given the recalls: normal with this mean and SD, shape (n,) each."""

    mean: Floats
    sd: Floats
    recalls: Integers
    covariates_missing: Booleans


@dataclass(frozen=True, eq=False)
class UsualIntakeModel:
    """A fitted model; it needs no data to predict, and goes into a file as JSON.

    Parameters
    ----------
    transform
        The Box-Cox scale.
    covariates
        What is known of a person, and how it is coded.
    coefficients
        Intercept and covariates, shape (1 + p,), on the transformed scale.
    weekend, sequence
        How much higher weekend days, and days after the first recall, lie on that scale; 0 where not in the model.
    between, within
        Variance between people with the same covariates, and from day to day, on that scale.
    n, n_repeated, deviance
        People, those with two or more recalls, and minus twice the log-likelihood, for weights with mean 1.
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
        """The way from the transformed scale to usual intake."""
        return UsualScale(self.transform, self.within, self.weekend)

    def attenuation(self, days: int = 1) -> float:
        """Return by how much the mean of some days, on the transformed scale, dilutes an association.

        The regression slope of a person's own mean on the mean of `days` recalls, given the covariates:
        between / (between + within / days). Rosner, Willett and Spiegelman (1989), Stat. Med. 8:1051.
        """
        return self.between / (self.between + self.within / days)

    def predict(
        self, amount: ArrayLike, people: pd.DataFrame | None = None, *, weekend: ArrayLike | None = None
    ) -> PersonalIntake:
        """Return the best prediction of each person's usual intake.

        Parameters
        ----------
        amount
            Amount on each recalled day, shape (n, k), NaN for no recall; the first column is the first recall.
        people
            Covariates by name, one row for each person; missing or unknown ones are replaced by their mean and flagged.
        weekend
            Whether a day was Friday to Sunday, shape (n, k); NaN, or None for all, counts as 3/7.

        Returns
        -------
        PersonalIntake
            Without a recall the mean of people with the same covariates, with the whole spread between people as error.

        Raises
        ------
        MgRiskError
            ``usual_intake.bad_amount``, ``usual_intake.bad_length``, ``intake_covariates.absent``.

        Notes
        -----
        Kipnis et al. (2009), Biometrics 65:1003: the expectation given the recalls, which is what regression
        calibration needs, provided that the covariates of the outcome model are among those of this one. The random
        effect is exactly normal given the recalls: quadrature about its mean needs no search, as macro INDIVINT makes.
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
        """Return quantiles of what each person's usual intake may be, given the recalls, shape (n, p).

        Parameters
        ----------
        amount, people, weekend
            As for `predict`.
        probabilities
            Shape (p,), strictly between 0 and 1.

        Notes
        -----
        Usual intake rises with a person's own mean on the transformed scale, which is normal given the recalls: its
        quantiles are those of the normal distribution, carried over. Of people like this person, with the same recalls
        and covariates, a share `p` eats less; the error of the model's own estimates is not in it.
        """
        own = self._given(amount, people, weekend)
        return self.scale.usual(own.mean[:, None] + own.sd[:, None] * ndtri(np.asarray(probabilities)))

    def _given(self, amount: ArrayLike, people: pd.DataFrame | None, weekend: ArrayLike | None) -> _Own:
        days = amounts(amount)
        design, missing = self.covariates.matrix(people, len(days))
        # Not by matrix products: their last digit depends on how many people are predicted at once.
        centre = (design * self.coefficients).sum(axis=1)
        expected = centre[:, None] + self._shifts(days.shape, weekend)
        here = np.isfinite(days)
        count = here.sum(axis=1)
        residual = np.where(here, self.transform.forward(days) - expected, 0.0).sum(axis=1)
        own = self.between * residual / (self.within + count * self.between)
        unknown = self.between * self.within / (self.within + count * self.between)
        return _Own(centre + own, np.sqrt(unknown), count.astype(np.int64), missing)

    def distribution(
        self, people: pd.DataFrame | None, design: SurveyDesign, *, probabilities: ArrayLike = QUANTILES
    ) -> IntakeDistribution:
        """Return quantiles, mean and spread of usual intake in the domain of a design.

        Parameters
        ----------
        people
            Covariates, one row for each row of the design.
        design
            Its analysis weights say who counts and how much; it may be narrower than that of the fit.
        probabilities
            Shape (k,), strictly between 0 and 1.
        """
        return self.population(people, design.analysis_weight).describe(probabilities=probabilities)

    def share_below(self, cut_points: ArrayLike, people: pd.DataFrame | None, design: SurveyDesign) -> float:
        """Return the share of the domain whose usual intake is below a cut-point: one for all, or one for each row.

        Notes
        -----
        With estimated average requirements as cut-points this estimates the prevalence of inadequate intake
        (Institute of Medicine 2000, Dietary Reference Intakes: applications in dietary assessment, chapter 4).
        """
        return self.population(people, design.analysis_weight).share_below(cut_points)

    def population(self, people: pd.DataFrame | None, weight: Floats) -> Population:
        """Return people as the model sees them, each with a weight, shape (n,), for figures under other weights."""
        design, _ = self.covariates.matrix(people, weight.size)
        return Population(self.scale, design @ self.coefficients, weight, between=self.between)

    def _shifts(self, shape: tuple[int, ...], weekend: ArrayLike | None) -> Floats:
        share = np.full(shape, WEEKEND_SHARE) if weekend is None else day_shape(weekend, shape)
        later = np.arange(shape[1]) > 0
        return self.weekend * np.where(np.isfinite(share), share, WEEKEND_SHARE) + self.sequence * later

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain numbers, lists and words: what goes into a bundle."""
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
        """Return the model that `to_dict` wrote.

        Raises
        ------
        MgRiskError
            ``usual_intake.bad_file`` where it is of another format or damaged.
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
            raise ValueError(f"covariates.means or coefficients is not that of {columns} columns")
        return self


def amounts(values: ArrayLike) -> Floats:
    """Return recalled amounts as people by days, shape (n, k), or refuse them (``usual_intake.bad_amount``)."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    wrong = np.isinf(array) | (array < 0)
    if array.ndim != 2 or wrong.any():
        raise bad_input(
            "usual_intake.bad_amount",
            "recalled amounts are negative, infinite or not in the shape of people and days",
            where=WHERE if array.ndim != 2 else f"{WHERE}: {int(wrong.any(axis=1).sum())} people",
            hint="give a column for each recall, NaN where there is none",
            expected="(n, days)",
            got=str(array.shape),
        )
    return array


def day_shape(values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Return marks of weekend days in the shape of the amounts, or refuse them (``usual_intake.bad_length``)."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise bad_input(
            "usual_intake.bad_length",
            "the marks of weekend days have another shape than the amounts",
            where=WHERE,
            hint="give one mark for each recall, NaN where there is none",
            expected=str(shape),
            got=str(array.shape),
        )
    return array
