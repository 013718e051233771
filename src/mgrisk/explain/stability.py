"""Would the reasons be the same, had other people been drawn? Refits of the reported model, explained beside it.

Three things change from refit to refit, each by itself: which PSUs were drawn, which fold was left out, and the seed of
learners that draw. A first reason that few refits give says more of the sample than of the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgrisk.explain.agreement import across, compare

Floats = NDArray[np.float64]


def firmness(values: Floats, refits: Sequence[Floats]) -> Floats:
    """Return the share of refits that give a person the same first reason, shape (n,).

    Parameters
    ----------
    values
        Contributions by the model that is reported, in log-odds, shape (n, n_features).
    refits
        The same people explained by each refit; at least one.

    Returns
    -------
    ndarray
        Share in which the largest contribution is of the same feature and has the same sign.

    Examples
    --------
    >>> reported = np.array([[0.5, -0.1], [0.1, -0.2]])
    >>> firmness(reported, [np.array([[0.4, -0.2], [0.3, -0.2]]), np.array([[0.3, 0.1], [0.1, -0.4]])])
    array([1. , 0.5])
    """
    rows = np.arange(len(values))
    first = np.argmax(np.abs(values), axis=1)
    sign = np.sign(values[rows, first])
    same = [(np.argmax(np.abs(each), axis=1) == first) & (np.sign(each[rows, first]) == sign) for each in refits]
    share: Floats = np.mean(same, axis=0, dtype=np.float64)
    return share


def stability(values: Floats, refits: Sequence[Floats], weight: Floats) -> dict[str, Any]:
    """Summarise refits of one kind.

    Parameters
    ----------
    values, refits
        As for `firmness`.
    weight
        Analysis weight of each person, shape (n,), all positive.

    Returns
    -------
    dict
        {refits, same_first, in_common, always_first, log_odds, ranks}: how many there are; weighted share of people
        whose first reason is the same, and of their first three reasons in common, on average over the refits; share
        whose first reason is the same in all of them; lowest correlation of the log-odds; {low, high} of each
        feature's rank of importance, the reported model among them.
    """
    pairs = [compare(values, each, weight) for each in refits]
    found = across(values, refits, weight)
    return {
        "refits": len(refits),
        "same_first": float(np.mean([pair["same_first"] for pair in pairs])),
        "in_common": float(np.mean([pair["in_common"] for pair in pairs])),
        "always_first": found["always_first"],
        "log_odds": min(pair["log_odds"] for pair in pairs),
        "ranks": found["ranks"],
    }
