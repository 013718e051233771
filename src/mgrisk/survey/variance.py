"""Variance under the design: Taylor linearisation, jackknife (JKn) and Rao-Wu bootstrap.

All treat PSUs as sampled with replacement within strata, the convention for the public NHANES design variables. Taylor
linearisation is for means and regressions. The stratified delete-one-PSU jackknife works for any smooth statistic. The
Rao-Wu rescaling bootstrap resamples PSUs within strata, and also works for statistics that are not smooth (a quantile,
a tuned model), where the jackknife may fail; its results depend on a seed and the number of replicates. `replicated`
estimates the uncertainty of any statistic from replicate weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit, stdtrit

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.survey.design import WHERE, SinglePsu, SurveyDesign
from mgrisk.types import Floats


def t_quantile(level: float, df: int) -> float:
    """Return the two-sided critical value of t; NaN without degrees of freedom.

    Examples
    --------
    >>> round(t_quantile(0.95, 15), 4)
    2.1314
    """
    if not 0.0 < level < 1.0:
        raise bad_input(
            "design.bad_level",
            "a confidence level is not between 0 and 1",
            where=WHERE,
            hint="use 0.95 for 95 %",
            got=str(level),
        )
    return float(stdtrit(df, 0.5 + level / 2.0)) if df > 0 else float("nan")


def logit_interval(estimate: float, se: float, *, level: float, df: int) -> tuple[float, float]:
    """Return the interval that is symmetric on the logit scale, for an estimate between 0 and 1.

    Parameters
    ----------
    estimate, se
        Estimate and its standard error on the original scale.
    level
        Confidence level.
    df
        Degrees of freedom of t.

    Returns
    -------
    tuple of float
        Lower and upper bound; NaN if the estimate is not strictly between 0 and 1.

    Examples
    --------
    >>> low, high = logit_interval(0.5, 0.1, level=0.95, df=15)
    >>> round(low, 3), round(high, 3)
    (0.299, 0.701)
    """
    # Rounding may give 1 - 1e-16 instead of 1, whose logit would be finite.
    if not 1e-12 < estimate < 1.0 - 1e-12:
        return float("nan"), float("nan")
    half = t_quantile(level, df) * se / (estimate * (1.0 - estimate))
    middle = float(logit(estimate))
    return float(expit(middle - half)), float(expit(middle + half))


def taylor_covariance(scores: ArrayLike, design: SurveyDesign) -> Floats:
    """Return the covariance matrix of the weighted totals of scores.

    For an estimator that is not a total, pass its influence function, for example (y - mean) / sum of weights for a
    mean.

    Parameters
    ----------
    scores
        Score of each person before weighting, shape (n,) or (n, k), in any unit; scores of people without a positive
        analysis weight are ignored.
    design
        The full design with its domain.

    Returns
    -------
    ndarray, shape (k, k)
        Covariance in squared units of the scores. PSUs without members of the domain count with a total of 0.

    Raises
    ------
    MgRiskError
        ``design.bad_length``; ``design.missing_values`` for a score that is not finite inside the domain;
        ``design.single_psu`` if a stratum of the full design has a single PSU and the rule is ``fail``.

    Notes
    -----
    Binder (1983), Int. Stat. Rev. 51:279; same results as `survey::svyrecvar` in R. Under the rule ``adjust`` the total
    of a single PSU is used uncentred: for an influence function, whose mean over the sample is 0, that is the deviation
    from the sample mean; for a plain total it greatly overestimates the variance, as in R.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0, 1.0, 1.0, 1.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> taylor_covariance([1.0, 3.0, 2.0, 2.0], design).tolist()
    [[4.0]]
    """
    counts = psus_per_stratum(design)
    array = np.asarray(scores, dtype=np.float64)
    if array.shape[:1] != (len(design),):
        raise bad_input(
            "design.bad_length",
            "scores have the wrong length",
            where=WHERE,
            hint="pass one row of scores for each row of the full design",
            expected=f"({len(design)}, k)",
            got=str(array.shape),
        )
    array = array.reshape(len(design), -1)
    inside = design.analysis_weight > 0
    weighted = array[inside] * design.analysis_weight[inside, None]
    if not np.isfinite(weighted).all():
        raise missing_values(int((~np.isfinite(weighted)).any(axis=1).sum()))

    cluster = design.cluster[inside]
    totals = np.column_stack(
        [np.bincount(cluster, column, minlength=design.n_clusters) for column in weighted.T]
    ).reshape(design.n_clusters, -1)
    stratum = design.cluster_stratum
    means = np.column_stack([np.bincount(stratum, column) / counts for column in totals.T])
    if design.single_psu is SinglePsu.ADJUST:
        means[counts == 1.0] = 0.0
    centred = totals - means[stratum]
    # No correction for a single PSU: its deviation is 0 (certainty) or from the whole sample (adjust).
    correction = np.divide(counts, counts - 1.0, out=np.ones_like(counts), where=counts > 1.0)
    covariance: Floats = (centred * correction[stratum, None]).T @ centred
    return covariance


@dataclass(frozen=True, eq=False)
class Replicates:
    """Replicate weights, stored as one factor for each replicate and PSU.

    Parameters
    ----------
    factors
        Factor of each PSU's weight in each replicate, shape (R, n_clusters).
    scale
        Factor of each replicate's squared deviation in the variance, shape (R,).
    design
        The design of the factors.
    method
        ``JKn`` or ``bootstrap``.
    """

    factors: Floats
    scale: Floats
    design: SurveyDesign
    method: str = "JKn"

    def __len__(self) -> int:
        return int(self.scale.size)

    def replicate_weight(self, r: int) -> Floats:
        """Return the analysis weights of replicate `r`, shape (n,); 0 outside the domain."""
        weight: Floats = self.design.analysis_weight * self.factors[r, self.design.cluster]
        return weight

    def weights(self) -> Iterator[Floats]:
        """Yield the analysis weights of each replicate, of shape (n,)."""
        for r in range(len(self)):
            yield self.replicate_weight(r)

    def to_dict(self) -> dict[str, Any]:
        """Return method and number of the replicates as a plain dict."""
        return {"method": self.method, "replicates": len(self), "df": self.design.df}


def jackknife(design: SurveyDesign) -> Replicates:
    """Return the weights of the stratified delete-one-PSU jackknife (JKn).

    Parameters
    ----------
    design
        The full design with its domain. PSUs without members of the domain are deleted too, which increases the weights
        of the others in their stratum.

    Returns
    -------
    Replicates
        One replicate for each PSU, in the order of `SurveyDesign.cluster`; none for a single PSU under the rule
        ``certainty``.

    Raises
    ------
    MgRiskError
        ``design.single_psu`` if a stratum of the full design has a single PSU and the rule is ``fail``.

    Notes
    -----
    Rust and Rao (1996), Stat. Methods Med. Res. 5:283; ``as.svrepdesign(type = "JKn")`` in R: in a stratum of h PSUs
    the factor is 0 for the deleted PSU and h / (h - 1) for the others, and the scale of the replicate is (h - 1) / h.
    Under the rule ``adjust`` a single PSU is deleted as if strata were PSUs: the factor of the other H - 1 strata is
    H / (H - 1), and the scale (H - 1) / H, as in R.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> jackknife(design).replicate_weight(0).tolist()
    [0.0, 4.0, 3.0, 4.0]
    """
    counts = psus_per_stratum(design)
    stratum = design.cluster_stratum
    size = counts[stratum]
    alone = size == 1.0
    spread = np.divide(size, size - 1.0, out=np.ones_like(size), where=~alone)
    together = stratum[:, None] == stratum[None, :]
    factors = np.where(together, spread[:, None], 1.0)
    np.fill_diagonal(factors, 0.0)
    scale = 1.0 / spread
    if not alone.any():
        return Replicates(factors=factors, scale=scale, design=design)
    if design.single_psu is SinglePsu.ADJUST and counts.size > 1:
        among_strata = counts.size / (counts.size - 1.0)
        factors[alone] = np.where(together[alone], 0.0, among_strata)
        scale[alone] = 1.0 / among_strata
        return Replicates(factors=factors, scale=scale, design=design)
    return Replicates(factors=factors[~alone], scale=scale[~alone], design=design)


def replicate_variance(full: ArrayLike, estimates: ArrayLike, scale: ArrayLike) -> Floats:
    """Return the variance from replicate estimates, centred at the estimate of the full sample.

    Parameters
    ----------
    full
        Estimate from the full sample, a number or shape (k,).
    estimates
        Estimates of the replicates, shape (R,) or (R, k).
    scale
        `Replicates.scale`, shape (R,).

    Returns
    -------
    ndarray
        Shape () or (k,), squared units of the estimate; NaN if any replicate is NaN.

    Notes
    -----
    ``mse = TRUE`` in the R package survey: never smaller than the variance around the mean of the replicates.

    Examples
    --------
    >>> float(replicate_variance(2.0, [1.0, 3.0], [0.5, 0.5]))
    1.0
    """
    deviations = np.asarray(estimates, dtype=np.float64) - np.asarray(full, dtype=np.float64)
    variance = np.tensordot(np.asarray(scale, dtype=np.float64), deviations**2, axes=1)
    return np.asarray(variance, dtype=np.float64)


def missing_values(count: int) -> MgRiskError:
    """Return the error for values that are not finite inside the domain."""
    return bad_input(
        "design.missing_values",
        "values are missing inside the domain",
        where=f"{WHERE}: {count} rows with a positive weight",
        hint="exclude them from the domain first: design.where(numpy.isfinite(values))",
    )


def psus_per_stratum(design: SurveyDesign) -> Floats:
    """Return the number of PSUs of each stratum, shape (strata,); single ones are an error under the rule ``fail``."""
    counts = np.bincount(design.cluster_stratum)
    if design.single_psu is SinglePsu.FAIL and (counts < 2).any():
        lonely = int(np.argmax(counts < 2))
        stratum = design.cluster_psu[design.cluster_stratum == lonely][0, 0]
        raise bad_input(
            "design.single_psu",
            "a stratum has only one PSU, so that its variance cannot be estimated",
            where=f"{WHERE}: stratum {stratum}, {int((counts < 2).sum())} strata in all",
            hint="build the design from all rows of the cycle, then restrict it with where(); or set single_psu",
        )
    return counts.astype(np.float64)


def rao_wu(design: SurveyDesign, *, replicates: int = 500, seed: int) -> Replicates:
    """Return the weights of the Rao-Wu bootstrap: h - 1 of the h PSUs of each stratum are sampled with replacement.

    Parameters
    ----------
    design
        The full design with its domain; PSUs without members of the domain are sampled too.
    replicates
        Number of replicates, at least 2. The relative simulation error of a standard error is about
        1 / sqrt(2 * replicates): 3 % for 500.
    seed
        Random seed; the same seed and design give the same weights.

    Returns
    -------
    Replicates
        The factor of a PSU sampled k times is k * h / (h - 1); the scale of each replicate is 1 / replicates. A single
        PSU under the rule ``certainty`` keeps its weight.

    Raises
    ------
    MgRiskError
        ``design.single_psu`` if a stratum has a single PSU and the rule is ``fail``; ``bootstrap.adjust`` if it is
        ``adjust``, for which there is no bootstrap; ``bootstrap.replicates``.

    Notes
    -----
    Rao and Wu (1988), JASA 83:231, as weights by Rao, Wu and Yue (1992), Surv. Methodol. 18:209, with m = h - 1 draws:
    1 - sqrt(m / (h - 1)) + sqrt(m / (h - 1)) * (h / m) * k becomes k * h / (h - 1), which is never negative.
    ``as.svrepdesign(type = "subbootstrap", mse = TRUE)`` of the R package survey gives factors with the same
    distribution, and the scale 1 / (replicates - 1).

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> drawn = rao_wu(design, replicates=20, seed=1)
    >>> sorted({float(factor) for factor in drawn.factors.ravel()})
    [0.0, 2.0]
    """
    if replicates < 2:
        raise bad_input(
            "bootstrap.replicates",
            "a bootstrap needs more replicates",
            where=WHERE,
            hint="use several hundred",
            expected="2 or more",
            got=str(replicates),
        )
    counts = psus_per_stratum(design).astype(np.int64)
    if design.single_psu is SinglePsu.ADJUST and (counts == 1).any():
        raise bad_input(
            "bootstrap.adjust",
            "a stratum has only one PSU, and there is no bootstrap under the rule adjust",
            where=WHERE,
            hint="use the jackknife or Taylor linearisation, or the rule certainty",
        )
    random = np.random.default_rng(seed)
    factors = np.ones((replicates, design.n_clusters))
    for stratum, size in enumerate(counts):
        if size == 1:
            continue
        drawn = random.multinomial(size - 1, np.full(size, 1.0 / size), size=replicates)
        factors[:, design.cluster_stratum == stratum] = drawn * (size / (size - 1.0))
    scale = np.full(replicates, 1.0 / replicates)
    return Replicates(factors=factors, scale=scale, design=design, method="bootstrap")


@dataclass(frozen=True, eq=False)
class Replicated:
    """A statistic of one or more numbers, recomputed with each set of replicate weights.

    Parameters
    ----------
    estimate
        Estimate with the full weights, shape (k,).
    replicates
        Estimates with each set of replicate weights, shape (R, k).
    covariance
        Covariance around the estimate of the full sample, shape (k, k); NaN if a replicate is undefined.
    df, n
        Degrees of freedom of the design; number of people in the domain with a positive weight.
    method
        ``JKn`` or ``bootstrap``.
    """

    estimate: Floats
    replicates: Floats
    covariance: Floats
    df: int
    n: int
    method: str

    @property
    def se(self) -> Floats:
        """Standard errors, shape (k,)."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, *, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return the bounds of t intervals with the degrees of freedom of the design, each of shape (k,)."""
        half = t_quantile(level, self.df) * self.se
        return self.estimate - half, self.estimate + half

    def frame(self) -> pd.DataFrame:
        """Return one row for each number: estimate, se, low, high, n, df."""
        low, high = self.interval()
        columns = {"estimate": self.estimate, "se": self.se, "low": low, "high": high}
        return pd.DataFrame(columns).assign(n=self.n, df=self.df)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dict of lists and numbers, without the replicate estimates."""
        return {
            "estimate": self.estimate.tolist(),
            "se": self.se.tolist(),
            "covariance": self.covariance.tolist(),
            "df": self.df,
            "n": self.n,
            "method": self.method,
            "replicates": len(self.replicates),
        }


def replicated(statistic: Callable[[Floats], ArrayLike], replicates: Replicates) -> Replicated:
    """Compute a statistic with the full weights and with each set of replicate weights.

    Parameters
    ----------
    statistic
        Function of analysis weights of shape (n,), 0 outside the domain; returns a number or shape (k,). It must ignore
        rows with weight 0.
    replicates
        Result of `jackknife` or `rao_wu`.

    Returns
    -------
    Replicated

    Raises
    ------
    MgRiskError
        ``replicated.shape`` if the statistic returns another shape for a replicate than for the full sample.

    Notes
    -----
    ``withReplicates(design, statistic)`` of the R package survey with ``mse = TRUE``.

    Examples
    --------
    >>> from mgrisk.survey.design import SurveyDesign, WeightLevel
    >>> from mgrisk.survey.variance import jackknife
    >>> design = SurveyDesign([1.0, 1.0, 1.0, 1.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> values = np.array([1.0, 3.0, 2.0, 2.0])
    >>> found = replicated(lambda weight: np.average(values, weights=weight), jackknife(design))
    >>> found.estimate.tolist(), found.se.tolist()
    ([2.0], [0.5])
    """
    full = np.atleast_1d(np.asarray(statistic(replicates.design.analysis_weight), dtype=np.float64))
    each = [np.atleast_1d(np.asarray(statistic(weight), dtype=np.float64)) for weight in replicates.weights()]
    odd = next((one for one in each if one.shape != full.shape), None)
    if odd is not None:
        raise bad_input(
            "replicated.shape",
            "a statistic returns different numbers of values for different weights",
            where=WHERE,
            hint="return NaN where a value is undefined",
            expected=str(full.shape),
            got=str(odd.shape),
        )
    values = np.vstack(each)
    deviations = values - full
    covariance = (deviations * replicates.scale[:, None]).T @ deviations
    design = replicates.design
    return Replicated(full, values, covariance, design.df, design.n, replicates.method)
