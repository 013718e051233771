"""Usual intake from one or two 24-hour recalls: the amount-only NCI method, with survey weights.

Intake varies so much from day to day that about half of the variance between people on a single day is within-person
variation. Ignoring it biases the share below a requirement and attenuates associations. The model separates the two
variances, and gives the distribution of usual intake and a prediction with its error for each person. It is meant for
nutrients that nearly everyone consumes nearly every day, such as magnesium; see docs/decisions/0006-usual-intake.md.

This module fits the model under a survey design and estimates population figures with standard errors. The fitted model
is in `usual_intake_model`, its parts in `mixed_model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.features.mixed_model import BoxCox, Covariates, Days, RandomIntercept
from mgrisk.features.usual_intake_model import QUANTILES, WHERE, UsualIntakeModel, amounts, day_shape
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.variance import Replicates, logit_interval, replicate_variance, t_quantile
from mgrisk.types import Floats


def fit_usual_intake(
    amount: ArrayLike,
    *,
    design: SurveyDesign,
    people: pd.DataFrame | None = None,
    weekend: ArrayLike | None = None,
    sequence: bool = True,
    power: float | None = None,
) -> UsualIntakeModel:
    """Fit the amount-only NCI model.

    Parameters
    ----------
    amount
        Amount on each recall day, shape (n, k), NaN for no recall; the first column is the first recall. Only people in
        the domain of the design are used. Zero is set to half of the smallest amount above zero.
    design
        Survey design with the weights of the first recall (WTDRD1); the second recall is assumed missing at random.
    people
        Covariates by name, one row for each person, numbers or texts, such as sex, age group and race/ethnicity. For
        regression calibration, include all covariates of the outcome model.
    weekend
        Whether a day was Friday, Saturday or Sunday, shape (n, k); None for a model without a weekend effect.
    sequence
        Whether to estimate an effect of later recalls, with the first recall as the level of usual intake. False treats
        all recalls as equally valid; the estimate for men in NHANES 2011-2014 is then 3 % lower.
    power
        Exponent of the Box-Cox transformation, 0 to 1; by default estimated by maximum likelihood.

    Returns
    -------
    UsualIntakeModel

    Raises
    ------
    MgRiskError
        ``usual_intake.bad_amount``, ``usual_intake.bad_length``, ``usual_intake.no_recall``,
        ``usual_intake.no_amount``, ``usual_intake.missing_weekend``, ``usual_intake.collinear``,
        ``random_intercept.no_repeats``, and the errors of `Covariates.fit` and `BoxCox`.

    Notes
    -----
    Tooze et al. (2006), J. Am. Diet. Assoc. 106:1575; Tooze et al. (2010), Stat. Med. 29:2857. The first recall is
    assumed to be unbiased and later ones to be shifted on the transformed scale; usual intake is at the level of the
    first recall, with 4/7 weekdays and 3/7 weekend days.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> rng = np.random.default_rng(7)
    >>> habit = np.exp(rng.normal(5.7, 0.3, (4000, 1)))
    >>> days = habit * np.exp(rng.normal(-0.06, 0.35, (4000, 2)))
    >>> design = SurveyDesign(np.ones(4000), np.zeros(4000), np.arange(4000), WeightLevel.RECALL1)
    >>> model = fit_usual_intake(days, design=design)
    >>> 0.38 < model.attenuation() < 0.46
    True
    """
    recalls = RecalledDays(amount, design=design, people=people, weekend=weekend, sequence=sequence)
    return recalls.fit(design.analysis_weight, power=power)


@dataclass(frozen=True, eq=False)
class UsualIntakeEstimates:
    """Estimates of usual intake in a population, with standard errors from replicate weights.

    Parameters
    ----------
    model
        Model fitted with the full weights.
    statistics
        Names: ``mean``, ``sd``, ``q05`` and so on, ``below_cut_point``, ``attenuation_1_day``, ``attenuation_2_days``.
    estimates, ses
        Shape (k,); standard errors include the error of the model fit, and are NaN without replicates.
    n, df
        Number of people in the domain with a positive weight; degrees of freedom of the design.
    """

    model: UsualIntakeModel
    statistics: tuple[str, ...]
    estimates: Floats
    ses: Floats
    n: int
    df: int

    def frame(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row for each statistic: statistic, estimate, se, low, high, n, df; logit intervals for shares."""
        half = t_quantile(level, self.df) * self.ses
        low, high = self.estimates - half, self.estimates + half
        for at, name in enumerate(self.statistics):
            if name == "below_cut_point" or name.startswith("attenuation"):
                bounds = logit_interval(float(self.estimates[at]), float(self.ses[at]), level=level, df=self.df)
                low[at], high[at] = bounds
        columns = {"statistic": self.statistics, "estimate": self.estimates, "se": self.ses, "low": low, "high": high}
        return pd.DataFrame(columns).assign(n=self.n, df=self.df)

    def to_dict(self) -> dict[str, Any]:
        """Return the estimates as records, and the model."""
        records: list[dict[str, Any]] = self.frame().to_dict(orient="records")  # type: ignore[assignment]
        return {"estimates": records, "model": self.model.to_dict()}


def estimate_usual_intake(
    recalls: RecalledDays,
    *,
    domain: ArrayLike | None = None,
    cut_points: ArrayLike | None = None,
    probabilities: ArrayLike = QUANTILES,
    replicates: Replicates | None = None,
) -> UsualIntakeEstimates:
    """Fit the model and estimate usual intake in a population, with standard errors if replicate weights are given.

    Parameters
    ----------
    recalls
        Recalled amounts and covariates.
    domain
        People to describe, shape (n,), bool; by default everyone in the fit.
    cut_points
        One number or one for each person, for example estimated average requirements, mg/d.
    probabilities
        Probabilities of the quantiles, shape (k,), strictly between 0 and 1.
    replicates
        Replicate weights of the same design, from `survey.variance.jackknife`; the model, including the Box-Cox
        exponent, is refitted with each.

    Returns
    -------
    UsualIntakeEstimates

    Raises
    ------
    MgRiskError
        ``random_intercept.no_repeats``; ``usual_intake.other_design`` if the replicates are of another design.
    """
    design, people = recalls.design, recalls.people
    if replicates is not None and len(replicates.design) != len(design):
        raise _bad("other_design", "the replicates are of another design", hint="use jackknife(design)")
    described = design if domain is None else design.where(domain)
    wanted = np.asarray(probabilities, dtype=np.float64).reshape(-1)

    def figures(weight: Floats) -> tuple[UsualIntakeModel, Floats]:
        model = recalls.fit(weight)
        population = model.population(people, np.where(described.domain, weight, 0.0))
        found = population.describe(probabilities=wanted)
        below = [] if cut_points is None else [population.share_below(cut_points)]
        lambdas = [model.attenuation(days) for days in (1, 2)]
        return model, np.array([found.mean, found.sd, *found.quantiles, *below, *lambdas])

    names = ["mean", "sd", *(f"q{100 * p:04.1f}".removesuffix(".0") for p in wanted)]
    names += [] if cut_points is None else ["below_cut_point"]
    names += ["attenuation_1_day", "attenuation_2_days"]
    model, full = figures(design.analysis_weight)
    ses = np.full(full.shape, np.nan)
    if replicates is not None:
        each = np.vstack([figures(weight)[1] for weight in replicates.weights()])
        ses = np.sqrt(replicate_variance(full, each, replicates.scale))
    return UsualIntakeEstimates(model, tuple(names), full, ses, described.n, described.df)


class RecalledDays:
    """Recalled amounts and covariates, coded once so that the model can be fitted with different weights.

    Parameters
    ----------
    amount, design, people, weekend, sequence
        As for `fit_usual_intake`.

    Raises
    ------
    MgRiskError
        As `fit_usual_intake`, except the errors of the fit itself.
    """

    def __init__(
        self,
        amount: ArrayLike,
        *,
        design: SurveyDesign,
        people: pd.DataFrame | None = None,
        weekend: ArrayLike | None = None,
        sequence: bool = True,
    ) -> None:
        self.design, self.people = design, people
        days = amounts(amount)
        if len(days) != len(design):
            raise _bad(
                "bad_length", "amounts and design differ in length", hint="pass one row for each row of the design"
            )
        inside = design.analysis_weight > 0
        silent = inside & ~np.isfinite(days).any(axis=1)
        if silent.any():
            raise _bad(
                "no_recall",
                f"{int(silent.sum())} people in the domain have no recall",
                hint="exclude them with design.where(), or use weights of the first recall",
            )
        self.inside, self.covariates = inside, Covariates.fit(people, design.analysis_weight)
        self.amount, here = days[inside], np.isfinite(days[inside])
        columns, _ = self.covariates.matrix(None if people is None else people[inside], int(inside.sum()))
        by_day = [np.repeat(columns[:, None, :], days.shape[1], axis=1)]
        self.has_weekend, self.has_sequence = weekend is not None, sequence and bool(here[:, 1:].any())
        if weekend is not None:
            marks = day_shape(weekend, days.shape)[inside]
            if not np.isfinite(marks[here]).all():
                raise _bad("missing_weekend", "the day of the week of a recall is missing", hint="leave weekend out")
            by_day.append(marks[..., None])
        if self.has_sequence:
            by_day.append(np.broadcast_to(np.arange(days.shape[1]) > 0, here.shape)[..., None].astype(np.float64))
        self.days = Days(np.concatenate(by_day, axis=2), here)
        if self.days.rank(design.analysis_weight[inside]) < sum(part.shape[2] for part in by_day):
            raise _bad(
                "collinear",
                "a covariate is constant or collinear with others",
                hint="leave one of them out",
                got=", ".join(self.covariates.columns) or "weekend and sequence",
            )
        above_zero = self.amount[here & (np.nan_to_num(self.amount) > 0)]
        if not above_zero.size:
            raise _bad("no_amount", "all recalled amounts are zero", hint="check the column")
        # Half of the smallest amount, as in the macro MIXTRAN; the same in each replicate.
        self.floor = float(above_zero.min()) / 2.0
        self.log_amount = np.where(here, np.log(np.fmax(self.amount, self.floor)), 0.0)

    def fit(self, full_weight: Floats, *, power: float | None = None) -> UsualIntakeModel:
        """Fit the model with one weight per row of the design, shape (n,); parameters as for `fit_usual_intake`."""
        weight = full_weight[self.inside] / full_weight[self.inside].mean()
        logs = float(weight @ self.log_amount.sum(axis=1))

        def at(exponent: float) -> RandomIntercept:
            return self.days.fit(BoxCox(exponent, self.floor).forward(self.amount), weight)

        def deviance(exponent: float) -> float:
            # With the Jacobian of the transformation, so that deviances of different exponents are comparable.
            return at(exponent).deviance - 2.0 * (exponent - 1.0) * logs

        if power is None:
            from scipy.optimize import minimize_scalar  # only for fitting: scoring starts faster without it

            power = float(minimize_scalar(deviance, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-5}).x)
        found = at(power)
        effects = list(found.coefficients[1 + len(self.covariates.columns) :])
        return UsualIntakeModel(
            transform=BoxCox(power, self.floor),
            covariates=self.covariates,
            coefficients=found.coefficients[: 1 + len(self.covariates.columns)],
            weekend=float(effects.pop(0)) if self.has_weekend else 0.0,
            sequence=float(effects.pop(0)) if self.has_sequence else 0.0,
            between=found.between,
            within=found.within,
            n=int((weight > 0).sum()),
            n_repeated=int((self.days.count[weight > 0] > 1).sum()),
            deviance=float(deviance(power)),
        )


def _bad(code: str, message: str, *, hint: str, **found: str) -> MgRiskError:
    return bad_input(f"usual_intake.{code}", message, where=WHERE, hint=hint, **found)
