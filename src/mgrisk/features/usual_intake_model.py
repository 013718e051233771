"""A fitted model of usual intake: predictions for people, figures for populations, and its form in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mgrisk.errors import bad_bundle, bad_input
from mgrisk.features.box_cox import BoxCox, gauss_hermite
from mgrisk.features.intake_covariates import Covariates
from mgrisk.features.intake_distribution import WEEKEND_SHARE, IntakeDistribution, Population, UsualScale
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]

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
    recalls: NDArray[np.int64]
    covariates_missing: NDArray[np.bool_]

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
        nodes, weights = gauss_hermite()
        usual = self.scale.usual((centre + own)[:, None] + np.sqrt(unknown)[:, None] * nodes)
        mean = (usual * weights).sum(axis=1)
        se = np.sqrt(((usual - mean[:, None]) ** 2 * weights).sum(axis=1))
        return PersonalIntake(mean, se, count.astype(np.int64), missing)

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
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}")
            rest = {key: value for key, value in content.items() if key != "format"}
            rest["transform"] = BoxCox(**content["transform"])
            rest["covariates"] = Covariates.from_dict(content["covariates"])
            rest["coefficients"] = np.asarray(content["coefficients"], dtype=np.float64)
            return cls(**rest)
        except (KeyError, TypeError, ValueError) as error:
            raise bad_bundle(
                "usual_intake.bad_file",
                "the usual-intake model cannot be read",
                where=WHERE,
                hint="write it again with this version of mgrisk",
                got=f"{type(error).__name__}: {error}",
            ) from error


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
