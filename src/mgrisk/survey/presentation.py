"""The NCHS data presentation standards for proportions: whether an estimate is reliable enough to be shown.

The standards define when a proportion is suppressed, when it needs statistical review, and when it may be presented.
"""

from __future__ import annotations

from typing import Final

from scipy.special import betaincinv

from mgrisk.survey.estimates import Estimate
from mgrisk.survey.variance import t_quantile

PRESENT: Final = "present"
SMALLEST: Final = 30.0
"""Effective sample size below which a share is suppressed."""
WIDEST: Final = 0.30
"""Width of the interval from which on a share is suppressed."""
NARROW: Final = 0.05
"""Width of the interval up to which the relative width is not considered."""
WIDEST_RELATIVE: Final = 1.30
FEWEST_DF: Final = 8


def korn_graubard(share: Estimate, *, level: float = 0.95) -> tuple[float, float]:
    """Return the exact binomial (Korn-Graubard) interval for the effective sample size.

    Parameters
    ----------
    share
        A proportion with its design-based standard error, for example from `estimates.proportion`.
    level
        Confidence level.

    Returns
    -------
    tuple of float
        Lower and upper bound, 0 to 1; NaN without degrees of freedom.

    Notes
    -----
    Korn and Graubard (1998), Surv. Methodol. 24:193: Clopper-Pearson interval with n_eff = p (1 - p) / se^2, multiplied
    by the squared ratio of t with n - 1 to t with the design's degrees of freedom, and limited to n. For a share of
    exactly 0 or 1, n_eff is n. As in the SAS macro that NCHS published with its standards (calculate_KornGraubard_CIs
    2.0); without the limit to n the same as ``svyciprop(method = "beta")`` of the R package survey.

    Examples
    --------
    >>> low, high = korn_graubard(Estimate(0.1, 0.02, 0.06, 0.14, n=400, df=15))
    >>> round(low, 4), round(high, 4)
    (0.0614, 0.1515)
    """
    p, n = share.estimate, float(share.n)
    if 0.0 < p < 1.0 and share.se > 0.0:
        adjusted = (t_quantile(level, share.n - 1) / t_quantile(level, share.df)) ** 2
        n = min(n, p * (1.0 - p) / share.se**2 * adjusted)
    tail = (1.0 - level) / 2.0
    low = 0.0 if p == 0.0 else float(betaincinv(n * p, n * (1.0 - p) + 1.0, tail))
    high = 1.0 if p == 1.0 else float(betaincinv(n * p + 1.0, n * (1.0 - p), 1.0 - tail))
    return low, high


def presentation(share: Estimate) -> str:
    """Return the `presentation_code` of a share with its Korn-Graubard interval.

    Examples
    --------
    >>> presentation(Estimate(0.1, 0.02, 0.06, 0.14, n=400, df=15))
    'present'
    """
    low, high = korn_graubard(share)
    return presentation_code(share, low, high)


def presentation_code(share: Estimate, low: float, high: float) -> str:
    """Return whether a share may be shown under the NCHS presentation standards.

    Parameters
    ----------
    share
        Estimate between 0 and 1, with standard error, n and degrees of freedom.
    low, high
        Bounds of its 95 % interval.

    Returns
    -------
    str
        ``suppress:effective_size``, ``suppress:width`` or ``suppress:relative_width``: not to be shown;
        ``review:none`` (exactly 0 or 1) or ``review:df``: shown with a mark; or ``present``.

    Notes
    -----
    Parker et al. (2017), Vital Health Stat 2(175): suppressed if the sample size or effective sample size is below 30,
    the interval is 0.30 or wider, or it is wider than 0.05 and than 130 % of the share; reviewed at 0 or 1 and below 8
    degrees of freedom. Limits as in the SAS macro that NCHS published with it.

    Examples
    --------
    >>> presentation_code(Estimate(0.5, 0.1, 0.3, 0.7, n=400, df=15), 0.3, 0.7)
    'suppress:effective_size'
    """
    p = share.estimate
    certain = not 0.0 < p < 1.0
    effective = share.n if certain or not share.se > 0.0 else min(share.n, p * (1.0 - p) / share.se**2)
    width = high - low
    if not effective >= SMALLEST:
        return "suppress:effective_size"
    if not width < WIDEST:
        return "suppress:width"
    if width > NARROW and width > WIDEST_RELATIVE * p:
        return "suppress:relative_width"
    if certain:
        return "review:none"
    return "review:df" if share.df < FEWEST_DF else PRESENT
