"""Multiple imputation of the encoded matrix: a sensitivity analysis for the models' own handling of missing values.

Chained equations: in several rounds each column with missing values is regressed on all others by Bayesian ridge, and
the missing values are drawn from the predictive distribution. Each imputation is fitted to a bootstrap sample of PSUs,
so that the imputations differ by the sampling error of the regressions, too (Rubin and Schenker 1986). Only training
people are used. The outcome is no predictor, since it is unknown in scoring; the logarithm of the survey weight is one,
since selection depends on the design (Reiter, Raghunathan and Kinney 2006, Survey Methodology 32:143-149). Drawn
numbers stay within the observed range; for a category a level is drawn. The implementation is scikit-learn's
`IterativeImputer`.

Source: van Buuren and Groothuis-Oudshoorn (2011), J. Stat. Software 45(3).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # makes the next import possible
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge

from mgrisk.model.learners import Column
from mgrisk.survey.variance import t_quantile
from mgrisk.types import Floats, Singles

ROUNDS: Final = 5


@dataclass(frozen=True)
class Pooled:
    """An estimate from several completed data sets.

    Attributes
    ----------
    estimate, se
        Mean of the estimates, and the root of the total variance.
    between
        Share of the variance between the completed data sets, which is due to missing values.
    """

    estimate: float
    se: float
    between: float


class Imputer:
    """Draws missing values from a model fitted to training people.

    Parameters
    ----------
    columns
        The encoded columns; those of one category are drawn together.
    X, weight, cluster
        Encoded matrix (n, n_columns), NaN where missing, survey weights and PSUs (n,) of the training people.
    seed
        Seed of this imputation; another seed gives another draw.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        X: Singles,
        weight: Floats,
        cluster: NDArray[np.integer],
        *,
        seed: int,
    ) -> None:
        self._columns = columns
        self._random = np.random.default_rng(seed)
        members = [np.flatnonzero(cluster == each) for each in np.unique(cluster)]
        chosen = np.concatenate([members[k] for k in self._random.integers(len(members), size=len(members))])
        X, weight = X[chosen], weight[chosen]
        # A column that is missing in all rows cannot be imputed and stays missing.
        self._used = np.flatnonzero(np.isfinite(X).any(axis=0))
        low, high = (edge(X[:, self._used], axis=0) for edge in (np.nanmin, np.nanmax))
        self._imputer: Any = IterativeImputer(
            BayesianRidge(),
            sample_posterior=True,
            max_iter=ROUNDS,
            min_value=np.append(low, -np.inf),
            max_value=np.append(high, np.inf),
            random_state=seed,
        )
        with warnings.catch_warnings():
            # Random draws do not converge, and are not meant to.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._imputer.fit(self._with_weight(X, weight))

    def draw(self, X: Singles, weight: Floats) -> Singles:
        """Return the matrix with missing values drawn, shape (n, n_columns)."""
        completed = X.astype(np.float64)
        drawn = self._imputer.transform(self._with_weight(X, weight))[:, :-1]
        completed[:, self._used] = np.where(np.isnan(X[:, self._used]), drawn, X[:, self._used])
        for owner in {column.owner for column in self._columns if column.level is not None}:
            places = np.flatnonzero([column.owner == owner for column in self._columns])
            gaps = np.ix_(np.flatnonzero(np.isnan(X[:, places[0]])), places)
            completed[gaps] = self._levels(completed[gaps])
        return completed.astype(np.float32)

    def _levels(self, drawn: Floats) -> Floats:
        """Draw one level for each row, drawn numbers being its probabilities; of two levels only one has a column."""
        shares = np.clip(np.nan_to_num(drawn), 1e-6, 1.0)
        if shares.shape[1] == 1:
            return (self._random.random(shares.shape) < shares).astype(np.float64)
        ends = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
        chosen = (self._random.random((len(shares), 1)) > ends[:, :-1]).sum(axis=1)
        levels: Floats = np.eye(shares.shape[1])[chosen]
        return levels

    def _with_weight(self, X: Singles, weight: Floats) -> Floats:
        return np.column_stack([X[:, self._used].astype(np.float64), np.log(weight)])


def pool(estimates: Sequence[float], errors: Sequence[float]) -> Pooled:
    """Pool estimates of completed data sets by Rubin's rules.

    Parameters
    ----------
    estimates, errors
        Estimate and standard error of each of at least two completed data sets.

    Examples
    --------
    >>> pool([1.0, 3.0], [1.0, 1.0])
    Pooled(estimate=2.0, se=2.0, between=0.75)
    """
    m = len(estimates)
    within = float(np.mean(np.square(errors)))
    between = (1 + 1 / m) * float(np.var(estimates, ddof=1))
    total = within + between
    return Pooled(float(np.mean(estimates)), float(np.sqrt(total)), between / total if total > 0 else 0.0)


def interval(pooled: Pooled, *, imputations: int, df: int, level: float = 0.95) -> tuple[float, float]:
    """Return the t interval of a pooled estimate with the degrees of freedom of Barnard and Rubin (1999).

    Parameters
    ----------
    pooled
        As returned by `pool`.
    imputations
        Number of data sets pooled.
    df
        Degrees of freedom of the design.
    """
    of_gaps = np.inf if pooled.between == 0 else (imputations - 1) / pooled.between**2
    of_sample = (df + 1) / (df + 3) * df * (1 - pooled.between)
    both = 1 / (1 / of_gaps + 1 / of_sample) if of_sample > 0 else 1.0
    reach = t_quantile(level, max(int(both), 1)) * pooled.se
    return pooled.estimate - reach, pooled.estimate + reach
