"""Each cycle predicted by a model that never saw it, with everything that was measured and with inputs taken away."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.calibrators import fit_logistic_map
from mgrisk.model.refits import Refit
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]


def left_out_log_odds(
    refit: Refit,
    X: NDArray[np.float32],
    y: Floats,
    design: SurveyDesign,
    fold: NDArray[np.int64],
    cycle: NDArray[np.int64],
    *,
    given: Mapping[str, NDArray[np.float32]],
) -> dict[str, Floats]:
    """Predict each cycle from the others, with the settings as they are.

    Model and calibration are both of the other cycles: the calibration is fitted on margins out of their folds.

    Parameters
    ----------
    refit
        Fits the model again, everybody's weight multiplied by a factor.
    X, y, fold, cycle
        Encoded matrix (n, n_columns), outcome, fold and cycle (n,), row for row with the design.
    design
        Full design of the development set with the analysis as its domain.
    given
        By name, what the model is given of each person when it predicts, shape (n, n_columns).

    Returns
    -------
    dict
        Calibrated log-odds by name, shape (n,); NaN outside the analysis.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where the other cycles cannot be calibrated.
    """
    inside = design.analysis_weight > 0
    found = {name: np.full(len(X), np.nan) for name in given}
    for left_out in np.unique(cycle[inside]):
        others = cycle != left_out
        margin = np.zeros(len(X))
        for k in np.unique(fold[inside & others]):
            unseen = inside & others & (fold == k)
            margin[unseen] = refit(np.where(others & (fold != k), 1.0, 0.0)).margin(X[unseen])
        calibrated = fit_logistic_map(margin, y, np.where(others, design.analysis_weight, 0.0))
        model = refit(np.where(others, 1.0, 0.0))
        rows = inside & ~others
        for name, matrix in given.items():
            found[name][rows] = calibrated.intercept + calibrated.slope * model.margin(matrix[rows])
    return found
