"""Confidence intervals from an estimate, its standard error and the degrees of freedom of the design."""

from __future__ import annotations

from scipy.special import expit, logit
from scipy.stats import t as student

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE


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
            hint="write 95 % as 0.95",
            got=str(level),
        )
    return float(student.ppf(0.5 + level / 2.0, df)) if df > 0 else float("nan")


def logit_interval(estimate: float, se: float, *, level: float, df: int) -> tuple[float, float]:
    """Return the interval that is symmetric on the logit, for an estimate between 0 and 1.

    Parameters
    ----------
    estimate, se
        Estimate and its standard error on the natural scale.
    level
        Confidence level.
    df
        Degrees of freedom of t.

    Returns
    -------
    tuple of float
        Lower and upper bound; NaN where the estimate is not strictly between 0 and 1.

    Examples
    --------
    >>> low, high = logit_interval(0.5, 0.1, level=0.95, df=15)
    >>> round(low, 3), round(high, 3)
    (0.299, 0.701)
    """
    # Sums in another order leave 1 - 1e-16 where the answer is 1, and its log odds would look like knowledge.
    if not 1e-12 < estimate < 1.0 - 1e-12:
        return float("nan"), float("nan")
    half = t_quantile(level, df) * se / (estimate * (1.0 - estimate))
    middle = float(logit(estimate))
    return float(expit(middle - half)), float(expit(middle + half))
