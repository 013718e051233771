"""Any statistic with its uncertainty from replicate weights, alike for the jackknife and the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE
from mgrisk.survey.intervals import t_quantile
from mgrisk.survey.variance import Replicates

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Replicated:
    """A statistic of one or more numbers, recomputed with every set of replicate weights.

    Parameters
    ----------
    estimate
        From the full weights, shape (k,).
    replicates
        From each set of replicate weights, shape (R, k).
    covariance
        About the estimate of the full sample, shape (k, k); NaN where a replicate is undefined.
    df, n
        Degrees of freedom of the design; people in the domain with a positive weight.
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
        """Return the bounds of intervals on t with the degrees of freedom of the design, each of shape (k,)."""
        half = t_quantile(level, self.df) * self.se
        return self.estimate - half, self.estimate + half

    def frame(self) -> pd.DataFrame:
        """Return one row for each number: estimate, se, low, high, n, df."""
        low, high = self.interval()
        columns = {"estimate": self.estimate, "se": self.se, "low": low, "high": high}
        return pd.DataFrame(columns).assign(n=self.n, df=self.df)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dict of lists and numbers, without the replicates."""
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
        Called with analysis weights of shape (n,), 0 outside the domain; answers with a number or shape (k,).
        It must ignore rows of weight 0.
    replicates
        From `variance.jackknife` or `bootstrap.rao_wu`.

    Returns
    -------
    Replicated

    Raises
    ------
    MgRiskError
        ``replicated.shape`` where replicates answer with another number of numbers than the full sample.

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
            "a statistic answers with different numbers of values for different weights",
            where=WHERE,
            hint="let it answer with NaN where a value is undefined",
            expected=str(full.shape),
            got=str(odd.shape),
        )
    values = np.vstack(each)
    deviations = values - full
    covariance = (deviations * replicates.scale[:, None]).T @ deviations
    design = replicates.design
    return Replicated(full, values, covariance, design.df, design.n, replicates.method)
