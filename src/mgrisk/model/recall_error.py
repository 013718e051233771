"""Uncertainty of a person's risk because usual magnesium intake is estimated from a few recalled days."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mgrisk.features.compute import complete
from mgrisk.features.mixed_model import gauss_hermite
from mgrisk.features.usual_magnesium import MODEL, SE, USUAL
from mgrisk.model.bundle import Bundle
from mgrisk.types import Floats

NODES: Final = 9


def recall_se(bundle: Bundle, given: pd.DataFrame) -> Floats:
    """Return the standard deviation of the log-odds over a person's possible usual magnesium intakes, shape (n,).

    Usual intake given the recalls is normal about the prediction of `features.usual_magnesium`, with its standard
    error, and not below 0. Features that derive from usual magnesium vary with it; recalled amounts are fixed.

    Parameters
    ----------
    bundle
        A bundle with features of usual magnesium.
    given
        Typed features as for `Bundle.encode`.

    Returns
    -------
    ndarray
        In calibrated log-odds. NaN where the model does not use usual magnesium, where a person has no recall, and
        where the usual intake itself is given, whose error is not known.
    """
    usual = next((feature for feature in bundle.family if feature.fitted == MODEL), None)
    if usual is None:
        return np.full(len(given), np.nan)
    known = complete(given, bundle.family, models=bundle.models)
    personal = bundle.models[MODEL].predict(known[list(usual.derived_from)])
    mean, se = (personal[name].to_numpy(dtype=np.float64) for name in (USUAL, SE))
    if USUAL in given:
        mean = np.where(given[USUAL].notna(), np.nan, mean)
    nodes, weights = gauss_hermite(NODES)
    log_odds = np.empty((len(given), NODES))
    for index, node in enumerate(nodes):
        _, X = bundle.encode(given.assign(**{USUAL: np.maximum(mean + node * se, 0.0)}))
        log_odds[:, index] = bundle.calibrator.log_odds(bundle.fitted.margin(X))
    centre = (log_odds * weights).sum(axis=1)
    spread: Floats = np.sqrt((weights * (log_odds - centre[:, None]) ** 2).sum(axis=1))
    return np.where(np.isnan(mean), np.nan, spread)


def recall_share(recall: Floats, sampling: Floats) -> Floats:
    """Return the share of recall error in the variance of recall error plus sampling error.

    The interval of the scored file does not include recall error, since its risk is that of people with the same
    answers. The share refers to the wider interval for the risk given the person's true usual intake.

    Parameters
    ----------
    recall, sampling
        Standard errors in log-odds, shape (n,) each: `recall_se`, and that of `Bundle.predict`.

    Examples
    --------
    >>> recall_share(np.array([0.3]), np.array([0.4])).round(2).tolist()
    [0.36]
    """
    share: Floats = recall**2 / (recall**2 + sampling**2)
    return share
