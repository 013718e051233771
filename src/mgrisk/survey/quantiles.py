"""Weighted quantiles: of a sample, and of a population with an interval under the design."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.estimates import Estimate, complete_values, mean
from mgrisk.survey.intervals import t_quantile

Floats = NDArray[np.float64]


def quantile(values: ArrayLike, design: SurveyDesign, *, probability: float, level: float = 0.95) -> Estimate:
    """Estimate a quantile of values in the domain, with Woodruff's interval.

    Parameters, errors and missing values as for `total`; `probability` lies strictly between 0 and 1
    (``design.bad_probability``). A bound is NaN where the interval of the distribution function leaves 0
    to 1. The standard error is the length of the interval over twice the critical value. Source: Woodruff
    (1952), JASA 47:635; ``svyquantile(qrule = "math", interval.type = "mean")`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.RECALL1)
    >>> quantile(np.arange(8.0), design, probability=0.5).estimate
    3.0
    """
    array = complete_values(values, design)
    weight = design.analysis_weight
    estimate = float(weighted_quantile(array, weight, [probability])[0])
    below = mean(array <= estimate, design, level=level)
    low, high = (
        float(weighted_quantile(array, weight, [bound])[0]) if 0.0 < bound < 1.0 else float("nan")
        for bound in (below.low, below.high)
    )
    se = (high - low) / (2.0 * t_quantile(level, below.df))
    return Estimate(estimate, se, low, high, below.n, below.df)


def weighted_quantile(values: ArrayLike, weight: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Quantiles of a weighted sample: the smallest value with at least that share of weight up to it.

    Parameters
    ----------
    values
        Shape (n,), any unit; values with weight 0 do not count.
    weight
        Shape (n,), at least 0.
    probabilities
        Shape (k,), strictly between 0 and 1.

    Returns
    -------
    ndarray, shape (k,)
        Observed values: no interpolation, so that doubled rows and doubled weights give the same answer.

    Raises
    ------
    MgRiskError
        ``design.bad_probability``.

    Examples
    --------
    >>> weighted_quantile([1.0, 2.0, 3.0], [1.0, 1.0, 2.0], [0.5, 0.51]).tolist()
    [2.0, 3.0]
    """
    wanted = np.asarray(probabilities, dtype=np.float64)
    if not ((wanted > 0.0) & (wanted < 1.0)).all():
        raise bad_input(
            "design.bad_probability",
            "the probability of a quantile is not strictly between 0 and 1",
            where=WHERE,
            hint="write the median as 0.5",
        )
    all_weights = np.asarray(weight, dtype=np.float64)
    counts = all_weights > 0
    array = np.asarray(values, dtype=np.float64)[counts]
    order = np.argsort(array, kind="stable")
    cumulated = np.cumsum(all_weights[counts][order])
    # A share that is met but for rounding is met: otherwise the scale of the weights would decide.
    position = np.searchsorted(cumulated, (wanted - 1e-10) * cumulated[-1])
    chosen: Floats = array[order][position]
    return chosen
