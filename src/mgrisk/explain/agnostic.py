"""SHAP values of any model: by permutations of the features, over a sample of the development people.

For models without an exact method (`attributions`), features are switched from background values to the person's own
in random order, and in its reverse. Base value plus SHAP values equal the log-odds exactly; their division among
features is an estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from mgrisk.types import Floats, Integers

PERMUTATIONS: Final = 4


def permutation_values(
    log_odds: Callable[[Floats], Floats], people: Floats, background: Floats, *, seed: int = 1
) -> tuple[float, Floats]:
    """Return base value and SHAP values of people.

    Parameters
    ----------
    log_odds
        Computes log-odds, shape (n,), from features, shape (n, n_features), NaN where missing.
    people, background
        Features of the people to explain, shape (n, n_features), and of the background, shape (m, n_features).
    seed
        Seed of the permutations.

    Returns
    -------
    float, ndarray
        Mean log-odds of the background; shape (n, n_features).

    Notes
    -----
    `shap.explainers.Permutation` (Štrumbelj and Kononenko 2014, Knowl. Inf. Syst. 41:647).

    Examples
    --------
    >>> people, background = np.array([[1.0, 2.0]]), np.zeros((1, 2))
    >>> base, values = permutation_values(lambda F: 3 * F[:, 0] - F[:, 1], people, background)
    >>> base, values.tolist()
    (0.0, [[3.0, -2.0]])
    """
    import shap

    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.explainers.Permutation(log_odds, masker, seed=seed)
    rounds = PERMUTATIONS * (2 * people.shape[1] + 1)
    found = explainer(people, max_evals=rounds, silent=True)
    return float(np.mean(log_odds(background))), np.asarray(found.values, dtype=np.float64)


def drawn(weight: Floats, size: int) -> Integers:
    """Return positions of a systematic sample with probability proportional to weight, shape (size,).

    The start is fixed; a person with a large weight may be drawn twice.

    Examples
    --------
    >>> drawn(np.array([1.0, 1.0, 1.0, 3.0]), 3).tolist()
    [0, 2, 3]
    """
    ticks = (np.arange(size) + 0.5) / size * weight.sum()
    places: Integers = np.searchsorted(np.cumsum(weight), ticks).astype(np.int64)
    return places
