"""How many people a model of so many columns needs: the criteria of Riley for a binary outcome."""

from __future__ import annotations

from math import ceil, exp, log, nan
from typing import Final

SHRINKAGE: Final = 0.9
OPTIMISM: Final = 0.05
MARGIN: Final = 0.05


def cox_snell(*, log_loss: float, prevalence: float) -> float:
    """Return the Cox-Snell R² of a model from its mean log loss.

    Parameters
    ----------
    log_loss
        Mean negative log likelihood of people it has not seen, in nats.
    prevalence
        Share of cases among them, strictly between 0 and 1.

    Examples
    --------
    >>> round(cox_snell(log_loss=0.18, prevalence=0.0526), 4)
    0.0509
    """
    null = -(prevalence * log(prevalence) + (1.0 - prevalence) * log(1.0 - prevalence))
    return 1.0 - exp(-2.0 * (null - log_loss))


def people_needed(parameters: int, *, prevalence: float, r_squared: float) -> int:
    """Return the smallest development sample that meets all three criteria.

    Parameters
    ----------
    parameters
        Candidate parameters: columns, not features.
    prevalence
        Share of cases, strictly between 0 and 1.
    r_squared
        Expected Cox-Snell R², above 0.

    Returns
    -------
    int
        People for a shrinkage of at least 0.9, an optimism of R² of at most 0.05, and a prevalence known to 0.05. They
        are of a simple random sample: multiply by the design effect.

    Notes
    -----
    Riley et al. (2020), BMJ 368:m441; the numbers of ``pmsampsize(type = "b")``.

    Examples
    --------
    >>> people_needed(20, prevalence=0.0526, r_squared=0.0497)
    3521
    """
    if not 0.0 < r_squared < 1.0:
        raise ValueError(f"R² of {r_squared} is not between 0 and 1")

    def shrunk(shrinkage: float) -> float:
        return parameters / ((shrinkage - 1.0) * log(1.0 - r_squared / shrinkage)) if r_squared < shrinkage else nan

    null = prevalence * log(prevalence) + (1.0 - prevalence) * log(1.0 - prevalence)
    largest = 1.0 - exp(2.0 * null)
    optimism = r_squared / (r_squared + OPTIMISM * largest)
    overall = (1.96 / MARGIN) ** 2 * prevalence * (1.0 - prevalence)
    return ceil(max(shrunk(SHRINKAGE), shrunk(optimism), overall))
