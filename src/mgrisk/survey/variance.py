"""Standard errors under the design: Taylor linearisation and the stratified delete-one-PSU jackknife (JKn).

Both treat PSUs as drawn with replacement within strata, the convention for the public
NHANES design variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.survey.design import WHERE, SinglePsu, SurveyDesign


def taylor_covariance(scores: ArrayLike, design: SurveyDesign) -> NDArray[np.float64]:
    """Covariance of the weighted totals of scores.

    For an estimator that is not a total, give its influence function: (y - mean) / sum of weights for a mean.

    Parameters
    ----------
    scores
        Score of each person before weighting, shape (n,) or (n, k), in any unit; only those with a positive
        analysis weight are looked at.
    design
        The full design with its domain.

    Returns
    -------
    ndarray, shape (k, k)
        Covariance in squared units of the scores. PSUs without members of the domain stay in as zeros.

    Raises
    ------
    MgRiskError
        ``design.bad_length``; ``design.missing_values`` for a score that is not finite inside the domain;
        ``design.single_psu`` where a stratum of the full design has one PSU only and the rule is to fail.

    Notes
    -----
    Binder (1983), Int. Stat. Rev. 51:279; the same numbers as `survey::svyrecvar` in R. Under the rule ``adjust``
    the total of a single PSU enters as it is: for an influence function, whose mean over the sample is 0, that is its
    distance from the mean of the sample; for a plain total it is far too much, in R as here.

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
            hint="give one row of scores for each row of the full design",
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
    # A single PSU has no spread to correct: certainty leaves a deviation of 0, adjust one from the whole sample.
    correction = np.divide(counts, counts - 1.0, out=np.ones_like(counts), where=counts > 1.0)
    covariance: NDArray[np.float64] = (centred * correction[stratum, None]).T @ centred
    return covariance


@dataclass(frozen=True, eq=False)
class Replicates:
    """Replicate weights, kept as one factor for each replicate and PSU.

    Parameters
    ----------
    factors
        What the weight of a PSU is multiplied by in a replicate, shape (R, n_clusters).
    scale
        What the squared deviation of a replicate counts for in the variance, shape (R,).
    design
        The design that the factors belong to.
    method
        ``JKn`` or ``bootstrap``.
    """

    factors: NDArray[np.float64]
    scale: NDArray[np.float64]
    design: SurveyDesign
    method: str = "JKn"

    def __len__(self) -> int:
        return int(self.scale.size)

    def replicate_weight(self, r: int) -> NDArray[np.float64]:
        """Return the analysis weights of replicate `r`, shape (n,); 0 outside the domain."""
        weight: NDArray[np.float64] = self.design.analysis_weight * self.factors[r, self.design.cluster]
        return weight

    def weights(self) -> Iterator[NDArray[np.float64]]:
        """Yield the analysis weights of one replicate after the other, each of shape (n,)."""
        for r in range(len(self)):
            yield self.replicate_weight(r)

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and the number of the replicates as a plain dict."""
        return {"method": self.method, "replicates": len(self), "df": self.design.df}


def jackknife(design: SurveyDesign) -> Replicates:
    """Delete each PSU of the full design in turn (JKn).

    Parameters
    ----------
    design
        The full design with its domain. PSUs without members of the domain are deleted too: the others of
        their stratum then weigh more.

    Returns
    -------
    Replicates
        One replicate for each PSU, in the order of `SurveyDesign.cluster`; none for a single PSU that counts as
        drawn with certainty.

    Raises
    ------
    MgRiskError
        ``design.single_psu`` where a stratum of the full design has one PSU only and the rule is to fail.

    Notes
    -----
    Rust and Rao (1996), Stat. Methods Med. Res. 5:283; ``as.svrepdesign(type = "JKn")`` in R: in a
    stratum of h PSUs the deleted one gets 0, the others h / (h - 1), and the replicate counts for
    (h - 1) / h. Under the rule ``adjust`` a single PSU is deleted as if strata were the PSUs: the other H - 1 strata
    get H / (H - 1), and the replicate counts for (H - 1) / H, as in R.

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


def replicate_variance(full: ArrayLike, estimates: ArrayLike, scale: ArrayLike) -> NDArray[np.float64]:
    """Variance from replicate estimates, centred at the estimate of the full sample.

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
        Shape () or (k,), squared units of the estimate; NaN where any replicate is NaN.

    Notes
    -----
    ``mse = TRUE`` in the R package survey: never smaller than the variance about the mean of the replicates.

    Examples
    --------
    >>> float(replicate_variance(2.0, [1.0, 3.0], [0.5, 0.5]))
    1.0
    """
    deviations = np.asarray(estimates, dtype=np.float64) - np.asarray(full, dtype=np.float64)
    variance = np.tensordot(np.asarray(scale, dtype=np.float64), deviations**2, axes=1)
    return np.asarray(variance, dtype=np.float64)


def missing_values(count: int) -> MgRiskError:
    """Return the error about values that are not finite inside the domain."""
    return bad_input(
        "design.missing_values",
        "values are missing inside the domain",
        where=f"{WHERE}: {count} rows with a positive weight",
        hint="take them out of the domain first: design.where(numpy.isfinite(values))",
    )


def psus_per_stratum(design: SurveyDesign) -> NDArray[np.float64]:
    """Return the number of PSUs of each stratum, shape (strata,); refuse single ones where the rule is to fail."""
    counts = np.bincount(design.cluster_stratum)
    if design.single_psu is SinglePsu.FAIL and (counts < 2).any():
        lonely = int(np.argmax(counts < 2))
        stratum = design.stratum[design.cluster_stratum[design.cluster] == lonely][0]
        raise bad_input(
            "design.single_psu",
            "a stratum has one PSU only, so that its variance cannot be estimated",
            where=f"{WHERE}: stratum {stratum}, {int((counts < 2).sum())} strata in all",
            hint="build the design from all rows of the cycle, then narrow it with where(); or set single_psu",
        )
    return counts.astype(np.float64)
