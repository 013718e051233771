"""Design-based totals, means, shares, ratios, quantiles and standardised means, with standard errors and intervals.

All intervals use t with the degrees of freedom of the design. A missing value inside the domain is an error: the caller
must exclude it explicitly with ``design.where``. Directly standardised means and shares are weighted to the age
distribution of a standard population.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.variance import logit_interval, missing_values, t_quantile, taylor_covariance
from mgrisk.types import Floats


@dataclass(frozen=True)
class Estimate:
    """One estimate with its uncertainty.

    Parameters
    ----------
    estimate, se, low, high
        Estimate, standard error and interval, in the unit of the values; NaN if undefined.
    n
        Number of people in the domain with a positive weight.
    df
        Degrees of freedom of the design in the domain.
    """

    estimate: float
    se: float
    low: float
    high: float
    n: int
    df: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dict."""
        return asdict(self)


UNDEFINED: Final = Estimate(float("nan"), float("nan"), float("nan"), float("nan"), 0, 0)
"""The estimate of a group in which nobody has a value."""


@dataclass(frozen=True)
class GroupedEstimates:
    """Estimates by group.

    Parameters
    ----------
    estimates
        Estimate of each group.
    """

    estimates: dict[Hashable, Estimate]

    def __getitem__(self, group: Hashable) -> Estimate:
        return self.estimates[group]

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)

    def frame(self) -> pd.DataFrame:
        """Return one row for each group: group, estimate, se, low, high, n, df."""
        return pd.DataFrame([{"group": group, **one.to_dict()} for group, one in self.estimates.items()])

    def to_dict(self) -> dict[Hashable, dict[str, Any]]:
        """Return the estimates as plain dicts by group."""
        return {group: one.to_dict() for group, one in self.estimates.items()}


def total(values: ArrayLike, design: SurveyDesign, *, level: float = 0.95) -> Estimate:
    """Estimate the total of values over the population in the domain.

    Parameters
    ----------
    values
        Shape (n,), any unit, one for each row of the full design; ignored outside the domain.
    design
        The full design with its domain.
    level
        Confidence level.

    Returns
    -------
    Estimate

    Raises
    ------
    MgRiskError
        ``design.bad_length``, ``design.missing_values``, ``design.empty_domain``, ``design.single_psu``.

    Notes
    -----
    ``svytotal`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([10.0, 20.0, 30.0, 40.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> total([1, 1, 0, 1], design).estimate
    70.0
    """
    array = complete_values(values, design)
    estimate = float(design.analysis_weight @ array)
    return _symmetric(estimate, _linear_se(array, design), design, level)


def mean(values: ArrayLike, design: SurveyDesign, *, level: float = 0.95) -> Estimate:
    """Estimate the mean of values in the domain.

    Parameters, errors and missing values as for `total`. Source: ``svymean`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0, 1.0, 1.0, 1.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> result = mean([1.0, 3.0, 2.0, 2.0], design)
    >>> result.estimate, result.se, result.df
    (2.0, 0.5, 2)
    """
    return ratio(values, np.ones(len(design)), design, level=level)


def proportion(values: ArrayLike, design: SurveyDesign, *, level: float = 0.95) -> Estimate:
    """Estimate the share of the domain for whom `values` is 1 (or True).

    Parameters, errors and missing values as for `total`; ``design.not_binary`` for values other than 0 and 1.
    The interval is symmetric on the logit scale and within 0 and 1; its bounds are NaN for a share of exactly
    0 or 1. Source: ``svyciprop(method = "xlogit")`` of the R package survey, the closed form of its "logit".

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> share = proportion([0, 1, 0, 1, 1, 0, 0, 0], design)
    >>> share.estimate, round(share.low, 3), round(share.high, 3)
    (0.375, 0.057, 0.856)
    """
    array = complete_values(values, design)
    if not np.isin(array, (0.0, 1.0)).all():
        raise bad_input(
            "design.not_binary",
            "a proportion needs values of 0 and 1",
            where=WHERE,
            hint="use a condition, for example values == 1, or mean",
        )
    plain = mean(array, design, level=level)
    low, high = logit_interval(plain.estimate, plain.se, level=level, df=design.df)
    return Estimate(plain.estimate, plain.se, low, high, plain.n, plain.df)


def ratio(numerator: ArrayLike, denominator: ArrayLike, design: SurveyDesign, *, level: float = 0.95) -> Estimate:
    """Estimate the ratio of two totals in the domain.

    Parameters, errors and missing values as for `total`; ``design.zero_denominator`` if the denominator is
    zero. Source: ``svyratio`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.RECALL1)
    >>> ratio([300.0, 200.0, 400.0, 300.0], [2.0, 1.0, 2.0, 1.0], design).estimate
    200.0
    """
    top = complete_values(numerator, design)
    bottom = complete_values(denominator, design)
    base = float(design.analysis_weight @ bottom)
    if base == 0.0:
        raise bad_input(
            "design.zero_denominator",
            "the denominator of a ratio is zero",
            where=WHERE,
            hint="check its values in the domain",
        )
    estimate = float(design.analysis_weight @ top) / base
    # Residuals before the division, so that a ratio that is the same for everyone has a variance of exactly 0.
    return _symmetric(estimate, _linear_se((top - estimate * bottom) / base, design), design, level)


def complete_values(values: ArrayLike, design: SurveyDesign) -> Floats:
    """Return the values as floats, 0 outside the domain, shape (n,); missing values inside it are an error."""
    array = np.array(values, dtype=np.float64)
    if array.shape != (len(design),):
        raise wrong_length(array.shape, design)
    inside = design.analysis_weight > 0
    if not inside.any():
        raise bad_input(
            "design.empty_domain",
            "nobody in the domain has a positive weight",
            where=f"{WHERE}, level {design.level}",
            hint="check the domain, and that its variables were measured in this subsample",
        )
    missing = ~np.isfinite(array) & inside
    if missing.any():
        raise missing_values(int(missing.sum()))
    # Values outside the domain must not affect sums: 0 times NaN is NaN.
    array[~inside] = 0.0
    return array


def wrong_length(shape: tuple[int, ...], design: SurveyDesign) -> MgRiskError:
    """Return the error for values that do not have one for each row of the design."""
    return bad_input(
        "design.bad_length",
        "values have the wrong length",
        where=WHERE,
        hint="pass one value for each row of the full design, including rows outside the domain",
        expected=f"({len(design)},)",
        got=str(shape),
    )


def _linear_se(scores: Floats, design: SurveyDesign) -> float:
    return float(np.sqrt(taylor_covariance(scores, design)[0, 0]))


def _symmetric(estimate: float, se: float, design: SurveyDesign, level: float) -> Estimate:
    df = design.df
    half = t_quantile(level, df) * se
    return Estimate(estimate, se, estimate - half, estimate + half, design.n, df)


def quantile(values: ArrayLike, design: SurveyDesign, *, probability: float, level: float = 0.95) -> Estimate:
    """Estimate a quantile of values in the domain, with Woodruff's interval.

    Parameters, errors and missing values as for `total`; `probability` is strictly between 0 and 1
    (``design.bad_probability``). A bound is NaN if the interval of the distribution function extends beyond 0
    or 1. The standard error is the length of the interval divided by twice the critical value. Source: Woodruff
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
    """Return quantiles of a weighted sample: the smallest value with at least that share of the weight up to it.

    Parameters
    ----------
    values
        Shape (n,), any unit; values with weight 0 are ignored.
    weight
        Shape (n,), at least 0.
    probabilities
        Shape (k,), strictly between 0 and 1.

    Returns
    -------
    ndarray, shape (k,)
        Observed values without interpolation, so that doubled rows and doubled weights give the same result.

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
            hint="use 0.5 for the median",
        )
    all_weights = np.asarray(weight, dtype=np.float64)
    counts = all_weights > 0
    array = np.asarray(values, dtype=np.float64)[counts]
    order = np.argsort(array, kind="stable")
    cumulated = np.cumsum(all_weights[counts][order])
    # With a tolerance for rounding errors, so that the result does not depend on the scale of the weights.
    position = np.searchsorted(cumulated, (wanted - 1e-10) * cumulated[-1])
    chosen: Floats = array[order][position]
    return chosen


def standardised_mean(
    values: ArrayLike,
    groups: ArrayLike,
    design: SurveyDesign,
    *,
    standard: Mapping[str, float],
    level: float = 0.95,
) -> Estimate:
    """Estimate the directly standardised mean: the mean of group means, weighted by a standard population.

    Parameters
    ----------
    values
        Shape (n,), any unit, or 0 and 1 for a share; ignored outside the domain.
    groups
        Group of each person, shape (n,), a key of `standard`; ignored outside the domain.
    design
        The full design with its domain.
    standard
        Size of each group in the standard population, in any unit.
    level
        Confidence level.

    Returns
    -------
    Estimate
        With a t interval. The standard population is treated as known.

    Raises
    ------
    MgRiskError
        ``design.missing_values`` for a missing value or group in the domain, ``standard.unknown_group``,
        ``standard.empty_group`` for a group of the standard without people in the domain, and as `estimates.mean`.

    Notes
    -----
    The variance is that of a fixed linear combination of the group means, as in SUDAAN and at NCHS:
    ``svycontrast(svyby(~y, ~group, design, svymean, covmat = TRUE), shares)`` of the R package survey. R's
    `svystandardize` treats the adjusted weights as fixed, which gives slightly different results.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> standardised_mean([0.0, 4.0] * 4, ["old", "young"] * 4, design, standard={"old": 3, "young": 1}).estimate
    1.0
    """
    array = complete_values(values, design)
    inside = design.analysis_weight > 0
    label = pd.Series(np.asarray(groups, dtype=object))
    if len(label) != len(design):
        raise bad_input(
            "design.bad_length",
            "groups have the wrong length",
            where=WHERE,
            hint="pass one group for each row of the full design, including rows outside the domain",
            expected=str(len(design)),
            got=str(len(label)),
        )
    missing = label.isna().to_numpy() & inside
    if missing.any():
        raise missing_values(int(missing.sum()))
    unknown = set(label[inside]) - set(standard)
    if unknown:
        raise bad_input(
            "standard.unknown_group",
            "a group of the domain is not in the standard population",
            where=WHERE,
            hint="exclude it from the domain, or add it to the standard",
            expected=", ".join(standard),
            got=", ".join(sorted(map(str, unknown))),
        )
    whole = float(sum(standard.values()))
    estimate, scores = 0.0, np.zeros(len(design))
    for name, size in standard.items():
        member = (label == name).to_numpy() & inside
        weight = design.analysis_weight[member]
        if not member.any():
            raise bad_input(
                "standard.empty_group",
                f"nobody in the domain is in the group {name} of the standard population",
                where=WHERE,
                hint="use a standard with fewer groups, or a larger domain",
            )
        of_group = float(weight @ array[member]) / float(weight.sum())
        share = size / whole
        estimate += share * of_group
        scores[member] = share * (array[member] - of_group) / float(weight.sum())
    se = float(np.sqrt(taylor_covariance(scores, design)[0, 0]))
    half = t_quantile(level, design.df) * se
    return Estimate(estimate, se, estimate - half, estimate + half, design.n, design.df)
