"""Stability of explanations: under refitting of one model, and agreement between models.

Refits vary the PSUs drawn, the fold left out, or the random seed of the algorithm, one at a time (`stability`).
Agreement compares explanations of the same people by two models (`compare`): models with similar predictions may still
give different reasons. A first reason that few refits give, or that changes with the model, depends more on the sample
or the model than on the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from mgrisk.types import Floats, Integers

REASONS = 3


def compare(values: Floats, others: Floats, weight: Floats, *, reasons: int = REASONS) -> dict[str, Any]:
    """Compare two explanations of the same people.

    Parameters
    ----------
    values, others
        Contributions in calibrated log-odds, shape (n, n_features), of the same features.
    weight
        Analysis weight of each person, shape (n,), all positive.
    reasons
        Number of the largest contributions that are a person's reasons.

    Returns
    -------
    dict
        {same_first, in_common, log_odds, importance, features}: weighted share of people whose largest contribution is
        of the same feature with the same sign; weighted mean share of reasons in common; correlation of the summed
        contributions; rank correlation of the mean absolute contributions; and the correlation of each feature's
        contributions, None where one model does not use it.
    """
    first, second = _order(values)[:, 0], _order(others)[:, 0]
    rows = np.arange(len(values))
    same_sign = np.sign(values[rows, first]) == np.sign(others[rows, second])
    return {
        "same_first": float(np.average((first == second) & same_sign, weights=weight)),
        "in_common": float(np.average(_in_common(values, others, reasons), weights=weight)),
        "log_odds": _correlation(values.sum(axis=1), others.sum(axis=1), weight),
        "importance": _correlation(
            rankdata(np.average(np.abs(values), axis=0, weights=weight)),
            rankdata(np.average(np.abs(others), axis=0, weights=weight)),
            np.ones(values.shape[1]),
        ),
        "features": [_correlation(a, b, weight) for a, b in zip(values.T, others.T, strict=True)],
    }


def across(values: Floats, others: Sequence[Floats], weight: Floats) -> dict[str, Any]:
    """Summarise agreement of reasons between several models: other algorithms, or refits of one.

    Parameters
    ----------
    values
        Contributions by the reported model, shape (n, n_features).
    others
        Contributions of the same people by each other model; at least one.
    weight
        As for `compare`.

    Returns
    -------
    dict
        {models, always_first, ranks}: number of models including the reported one; weighted share of people whose first
        reason is the same feature in all of them; and {low, high} of each feature's rank of importance over them.
    """
    all_models = [values, *others]
    first = _order(values)[:, 0]
    always = np.all([_order(each)[:, 0] == first for each in others], axis=0)
    ranks = np.array([rankdata(-np.average(np.abs(each), axis=0, weights=weight)) for each in all_models])
    return {
        "models": len(all_models),
        "always_first": float(np.average(always, weights=weight)),
        "ranks": [
            {"low": float(low), "high": float(high)}
            for low, high in zip(ranks.min(axis=0), ranks.max(axis=0), strict=True)
        ],
    }


def _order(values: Floats) -> Integers:
    order: Integers = np.argsort(-np.abs(values), axis=1, kind="stable")
    return order


def _in_common(values: Floats, others: Floats, reasons: int) -> Floats:
    mine, theirs = _order(values)[:, :reasons], _order(others)[:, :reasons]
    shared: Floats = (mine[:, :, None] == theirs[:, None, :]).any(axis=2).mean(axis=1)
    return shared


def _correlation(a: Floats, b: Floats, weight: Floats) -> float | None:
    a, b = a - np.average(a, weights=weight), b - np.average(b, weights=weight)
    spread = float(np.sqrt(np.average(a**2, weights=weight) * np.average(b**2, weights=weight)))
    return float(np.average(a * b, weights=weight) / spread) if spread > 1e-12 else None


def first_reason_stability(values: Floats, refits: Sequence[Floats]) -> Floats:
    """Return the share of refits that give a person the same first reason, shape (n,).

    Parameters
    ----------
    values
        Contributions by the reported model, in log-odds, shape (n, n_features).
    refits
        Contributions of the same people by each refit; at least one.

    Returns
    -------
    ndarray
        Share of refits whose largest contribution is of the same feature and has the same sign.

    Examples
    --------
    >>> reported = np.array([[0.5, -0.1], [0.1, -0.2]])
    >>> first_reason_stability(reported, [np.array([[0.4, -0.2], [0.3, -0.2]]), np.array([[0.3, 0.1], [0.1, -0.4]])])
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
        As for `first_reason_stability`.
    weight
        Analysis weight of each person, shape (n,), all positive.

    Returns
    -------
    dict
        {refits, same_first, in_common, always_first, log_odds, ranks}: number of refits; weighted share of people with
        the same first reason, and weighted mean share of the first three reasons in common, both averaged over refits;
        share of people with the same first reason in all refits; lowest correlation of the log-odds, None where a refit
        predicts a constant; {low, high} of each feature's rank of importance, including the reported model.
    """
    pairs = [compare(values, each, weight) for each in refits]
    found = across(values, refits, weight)
    correlations = [pair["log_odds"] for pair in pairs]
    return {
        "refits": len(refits),
        "same_first": float(np.mean([pair["same_first"] for pair in pairs])),
        "in_common": float(np.mean([pair["in_common"] for pair in pairs])),
        "always_first": found["always_first"],
        "log_odds": None if None in correlations else min(correlations),
        "ranks": found["ranks"],
    }
