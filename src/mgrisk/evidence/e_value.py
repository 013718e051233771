"""The E-value: how strongly an unmeasured confounder must go along with exposure and outcome to explain a ratio."""

from __future__ import annotations

import math


def e_value(ratio: float) -> float:
    """Return the E-value of a risk ratio.

    Parameters
    ----------
    ratio
        Risk ratio, above 0; below 1 its inverse is taken.

    Returns
    -------
    float
        The smallest risk ratio, with exposure and with outcome both, that an unmeasured confounder needs to move the
        estimate to 1, given what is adjusted for.

    Notes
    -----
    VanderWeele and Ding (2017), Ann. Intern. Med. 167:268.

    Examples
    --------
    >>> round(e_value(3.9), 2)
    7.26
    """
    above = max(ratio, 1.0 / ratio)
    return above + math.sqrt(above * (above - 1.0))


def of_the_limit(low: float, high: float) -> float:
    """Return the E-value of the limit of an interval that lies nearer to 1; 1 where the interval holds 1.

    Examples
    --------
    >>> of_the_limit(0.8, 1.2), round(of_the_limit(1.8, 8.7), 1)
    (1.0, 3.0)
    """
    if low <= 1.0 <= high:
        return 1.0
    return e_value(low if low > 1.0 else high)


def risk_ratio(odds_ratio: float, *, share: float) -> float:
    """Return a risk ratio near an odds ratio: itself for a rare outcome, its square root for one of 15 % and more.

    Parameters
    ----------
    odds_ratio
        Above 0.
    share
        Of the population with the outcome.

    Notes
    -----
    VanderWeele (2017), Biometrics 73:986, as in VanderWeele and Ding (2017).

    Examples
    --------
    >>> risk_ratio(0.64, share=0.05), risk_ratio(0.64, share=0.5)
    (0.64, 0.8)
    """
    return odds_ratio if share < 0.15 else math.sqrt(odds_ratio)
