"""Rao-Wu rescaling bootstrap: replicate weights from PSUs that are drawn again within their strata.

Where a statistic is not smooth (a quantile, a tuned model) the jackknife may fail and the bootstrap does not. Its
answer depends on a seed and on the number of replicates; the jackknife's on neither.
"""

from __future__ import annotations

import numpy as np

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE, SinglePsu, SurveyDesign
from mgrisk.survey.variance import Replicates, psus_per_stratum


def rao_wu(design: SurveyDesign, *, replicates: int = 500, seed: int) -> Replicates:
    """Draw h - 1 of the h PSUs of each stratum, with replacement, again and again.

    Parameters
    ----------
    design
        The full design with its domain; PSUs without members of the domain are drawn too.
    replicates
        Number of replicates, at least 2. The relative simulation error of a standard error is about
        1 / sqrt(2 * replicates): 3 % for 500.
    seed
        Seed of the draws; the same seed and design give the same weights.

    Returns
    -------
    Replicates
        A PSU that was drawn k times weighs k * h / (h - 1) times its weight; each replicate counts for
        1 / replicates about the estimate of the full sample. A single PSU that counts as certain keeps its weight.

    Raises
    ------
    MgRiskError
        ``design.single_psu`` where the rule for single PSUs is to fail; ``bootstrap.adjust`` where it is to adjust, for
        which there is no bootstrap; ``bootstrap.replicates``.

    Notes
    -----
    Rao and Wu (1988), JASA 83:231, in the form of weights of Rao, Wu and Yue (1992), Surv. Methodol. 18:209, with
    m = h - 1 draws: 1 - sqrt(m / (h - 1)) + sqrt(m / (h - 1)) * (h / m) * k becomes k * h / (h - 1), never negative.
    ``as.svrepdesign(type = "subbootstrap", mse = TRUE)`` of the R package survey makes the same factors from its own
    random numbers and counts each replicate for 1 / (replicates - 1).

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> drawn = rao_wu(design, replicates=20, seed=1)
    >>> sorted({float(factor) for factor in drawn.factors.ravel()})
    [0.0, 2.0]
    """
    if replicates < 2:
        raise bad_input(
            "bootstrap.replicates",
            "a bootstrap needs more replicates",
            where=WHERE,
            hint="take some hundreds",
            expected="2 or more",
            got=str(replicates),
        )
    counts = psus_per_stratum(design).astype(np.int64)
    if design.single_psu is SinglePsu.ADJUST and (counts == 1).any():
        raise bad_input(
            "bootstrap.adjust",
            "a stratum has one PSU only, and the rule adjust has no bootstrap",
            where=WHERE,
            hint="use the jackknife or Taylor linearisation, or the rule certainty",
        )
    random = np.random.default_rng(seed)
    factors = np.ones((replicates, design.n_clusters))
    for stratum, size in enumerate(counts):
        if size == 1:
            continue
        drawn = random.multinomial(size - 1, np.full(size, 1.0 / size), size=replicates)
        factors[:, design.cluster_stratum == stratum] = drawn * (size / (size - 1.0))
    scale = np.full(replicates, 1.0 / replicates)
    return Replicates(factors=factors, scale=scale, design=design, method="bootstrap")
