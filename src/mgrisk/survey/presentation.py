"""Whether a share is precise enough to be shown: the NCHS data presentation standards for proportions.

A small group gives a number all the same. The standards say when to keep it back, when a statistician must look, and
when it may stand in a table.
"""

from __future__ import annotations

from typing import Final

from scipy.special import betaincinv

from mgrisk.survey.estimates import Estimate
from mgrisk.survey.variance import t_quantile

PRESENT: Final = "present"
SMALLEST: Final = 30.0
"""Effective people below which a share is kept back."""
WIDEST: Final = 0.30
"""Width of the interval from which on a share is kept back."""
NARROW: Final = 0.05
"""Width of the interval up to which the relative width does not matter."""
WIDEST_RELATIVE: Final = 1.30
FEWEST_DF: Final = 8


def korn_graubard(share: Estimate, *, level: float = 0.95) -> tuple[float, float]:
    """Return the exact binomial interval for the effective number of people.

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
    Korn and Graubard (1998), Surv. Methodol. 24:193: Clopper and Pearson with n_eff = p (1 - p) / se^2, times the
    square of t with n - 1 over t with the degrees of freedom of the design, never above n. For a share of exactly 0
    or 1 n_eff is n. As in the SAS macro that NCHS published with its standards (calculate_KornGraubard_CIs 2.0);
    without the limit of n the same as ``svyciprop(method = "beta")`` of the R package survey.

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
    """Say whether a share may be shown; see `presentation_code`, with Korn and Graubard's interval.

    Examples
    --------
    >>> presentation(Estimate(0.1, 0.02, 0.06, 0.14, n=400, df=15))
    'present'
    """
    low, high = korn_graubard(share)
    return presentation_code(share, low, high)


def presentation_code(share: Estimate, low: float, high: float) -> str:
    """Say whether a share with this interval may be shown.

    Parameters
    ----------
    share
        Estimate between 0 and 1, standard error, people and degrees of freedom.
    low, high
        Its 95 % interval.

    Returns
    -------
    str
        ``suppress:effective_size``, ``suppress:width`` or ``suppress:relative_width``: not to be shown as an estimate.
        ``review:none`` (exactly 0 or 1) or ``review:df``: shown with a mark. ``present``.

    Notes
    -----
    Parker et al. (2017), Vital Health Stat 2(175): kept back with fewer than 30 people or effective people, an interval
    of 0.30 or wider, or one wider than 0.05 and than 130 % of the share; reviewed at 0 or 1 and below 8 degrees of
    freedom. Limits as in the SAS macro that NCHS published with it.

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
