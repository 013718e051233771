"""Design-based totals, means, shares and ratios, each with its standard error and interval.

All intervals are on t with the degrees of freedom of the design. A missing value inside the domain is an
error and never quietly left out: whether leaving it out is right is for the caller to say, with
``design.where``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.intervals import logit_interval, t_quantile
from mgrisk.survey.variance import missing_values, taylor_covariance

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """One number with its uncertainty.

    Parameters
    ----------
    estimate, se, low, high
        Estimate, standard error and interval, in the unit of the values; NaN where undefined.
    n
        People in the domain with a positive weight.
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


@dataclass(frozen=True)
class GroupedEstimates:
    """One estimate for each group, in the order of the groups' names.

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

    Parameters, errors and missing values as for `total`; ``design.not_binary`` for other values than 0 and 1.
    The interval is symmetric on the logit and lies within 0 and 1; its bounds are NaN for a share of exactly
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
            "a proportion is asked for values other than 0 and 1",
            where=WHERE,
            hint="give a condition, for example values == 1, or use mean",
        )
    plain = mean(array, design, level=level)
    low, high = logit_interval(plain.estimate, plain.se, level=level, df=design.df)
    return Estimate(plain.estimate, plain.se, low, high, plain.n, plain.df)


def ratio(numerator: ArrayLike, denominator: ArrayLike, design: SurveyDesign, *, level: float = 0.95) -> Estimate:
    """Estimate the ratio of two totals in the domain.

    Parameters, errors and missing values as for `total`; ``design.zero_denominator`` where the denominator
    adds up to zero. Source: ``svyratio`` of the R package survey.

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
            "the denominator of a ratio adds up to zero",
            where=WHERE,
            hint="check its values in the domain",
        )
    estimate = float(design.analysis_weight @ top) / base
    # Residuals before the division, so that a ratio that everybody shares has exactly no variance.
    return _symmetric(estimate, _linear_se((top - estimate * bottom) / base, design), design, level)


def by(
    groups: ArrayLike,
    statistic: Callable[..., Estimate],
    values: ArrayLike,
    design: SurveyDesign,
    *,
    level: float = 0.95,
) -> GroupedEstimates:
    """Apply a statistic to each group as a domain of the full design.

    Parameters
    ----------
    groups
        Group of each person, shape (n,): strings, integers or booleans; ignored outside the domain.
    statistic
        Called as ``statistic(values, design, level=level)``, for example `mean` or `proportion`.
    values
        As the statistic wants them, first axis n.
    design
        The full design with its domain.
    level
        Confidence level.

    Returns
    -------
    GroupedEstimates

    Raises
    ------
    MgRiskError
        ``design.missing_values`` for a missing group inside the domain, and what the statistic raises.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> by(["f", "m"] * 4, mean, np.arange(8.0), design).frame()["estimate"].tolist()
    [3.0, 4.0]
    """
    labels = pd.Series(np.asarray(groups))
    if len(labels) != len(design):
        raise _wrong_length(labels.shape, design)
    inside = design.analysis_weight > 0
    missing = labels.isna().to_numpy() & inside
    if missing.any():
        raise missing_values(int(missing.sum()))
    found: dict[Hashable, Estimate] = {}
    for name in sorted(labels[inside].unique().tolist()):
        members = (labels == name).fillna(False).to_numpy(dtype=np.bool_)
        found[name] = statistic(values, design.where(members), level=level)
    return GroupedEstimates(found)


def complete_values(values: ArrayLike, design: SurveyDesign) -> Floats:
    """Return the values as floats, 0 outside the domain; refuse what is missing inside it, shape (n,)."""
    array = np.array(values, dtype=np.float64)
    if array.shape != (len(design),):
        raise _wrong_length(array.shape, design)
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
    # Whatever stands outside the domain must not reach a sum: 0 times NaN is NaN.
    array[~inside] = 0.0
    return array


def _wrong_length(shape: tuple[int, ...], design: SurveyDesign) -> MgRiskError:
    return bad_input(
        "design.bad_length",
        "values have the wrong length",
        where=WHERE,
        hint="give one value for each row of the full design, outside the domain too",
        expected=f"({len(design)},)",
        got=str(shape),
    )


def _linear_se(scores: Floats, design: SurveyDesign) -> float:
    return float(np.sqrt(taylor_covariance(scores, design)[0, 0]))


def _symmetric(estimate: float, se: float, design: SurveyDesign, level: float) -> Estimate:
    df = design.df
    half = t_quantile(level, df) * se
    return Estimate(estimate, se, estimate - half, estimate + half, design.n, df)
