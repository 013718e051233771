"""The whole pipeline fitted again under bootstrap weights of the PSUs: learner, out-of-fold margins, calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.calibrators import fit_logistic_map
from mgrisk.model.learners import Fitted
from mgrisk.survey.bootstrap import rao_wu
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]
Refit = Callable[[Floats], Fitted]
"""Fits the chosen setting again, with everybody's weight multiplied by a factor, shape (n,)."""
OUT: Final = 1e-9
"""Factor of a PSU that was not drawn: no weight to speak of, but its people stay among the rows of the fit."""


def refit_deviations(
    refit: Refit,
    X: NDArray[np.float32],
    y: Floats,
    design: SurveyDesign,
    fold: NDArray[np.int64],
    log_odds: Floats,
    *,
    replicates: int,
    seed: int,
) -> Floats:
    """Fit the pipeline again and say by how much each person's calibrated log-odds moved.

    Parameters
    ----------
    refit
        The model with its chosen setting.
    X, y, fold
        Encoded matrix (n, n_columns), outcome and fold (n,), row for row with the design; any value outside the domain.
    design
        Full design of the development set with the analysis as its domain: m people in it have a positive weight.
    log_odds
        Calibrated log-odds of these, shape (m,).
    replicates, seed
        Of `survey.bootstrap.rao_wu`.

    Returns
    -------
    ndarray, shape (m, replicates)
        Log-odds of the refit less `log_odds`.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where a replicate cannot be calibrated, ``design.single_psu``,
        ``bootstrap.replicates``.

    Notes
    -----
    People whose PSU was not drawn stay among the rows with next to no weight, so that a penalty means the same as in
    the model; how parts of a sum are scaled is held, as the settings are.
    A replicate of strata with two PSUs is made of half the sample: a linear statistic gets its variance exactly, and
    what grows with the square of the noise (a tree that splits elsewhere) gets up to three times its own.
    """
    inside = np.flatnonzero(design.analysis_weight > 0)
    drawn = rao_wu(design, replicates=replicates, seed=seed)
    moved = np.empty((len(inside), replicates))
    for r, factors in enumerate(drawn.factors):
        factor = np.maximum(factors, OUT)[design.cluster]
        margin = np.zeros(len(design))
        for k in np.unique(fold[inside]):
            unseen = inside[fold[inside] == k]
            margin[unseen] = refit(np.where(fold == k, 0.0, factor)).margin(X[unseen])
        again = fit_logistic_map(margin, y, drawn.replicate_weight(r))
        moved[:, r] = again.intercept + again.slope * refit(factor).margin(X[inside]) - log_odds
    return moved
