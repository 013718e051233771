"""Grouped SHAP values, with groups of features as players, and SHAP interaction values, both exact.

Nutrients are correlated, and so are waist and body mass index: correlated features share their importance, and each of
them appears small. In the game between groups (magnesium, diet, activity, body, background …) all features of a group
join together. The Shapley value of a group is the sum of the Owen values of its features (Owen 1977, in Mathematical
Economics and Game Theory, 76-88); it differs from the sum of the features' own Shapley values by interactions across
groups.

Interactions are exact interventional Shapley interaction values of trees. In the game of `trees` a leaf of value v
involves the players of P = A - B and Q = B - A alone. With p and q players in these, the interaction index (Grabisch
and Roubens 1999, Int. J. Game Theory 28:547) of a pair is

- v (p-2)! q! / (p+q-1)!  where both are in P,
- v p! (q-2)! / (p+q-1)!  where both are in Q,
- -v (p-1)! (q-1)! / (p+q-1)!  where one is in each.

As in shap, each of the two entries of a pair in the matrix is half of it, so that a feature's SHAP value is the sum of
its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import bad_input
from mgrisk.explain.attributions import Explainer, prepare, read_part, scaled_parts
from mgrisk.features.registry import Feature
from mgrisk.model.bundle import Bundle
from mgrisk.model.learners import Fitted
from mgrisk.model.trees.learners import FittedTrees
from mgrisk.model.trees.leaves import Leaf, checked_matrix, checked_owners, checked_share, read_ensemble
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats, Integers, Singles

if TYPE_CHECKING:
    import xgboost


@dataclass(frozen=True, eq=False)
class GroupedValues:
    """Grouped SHAP values of some people.

    Attributes
    ----------
    groups
        Names of the groups, in order of their first feature.
    values
        Shapley values of the game between groups, in calibrated log-odds, shape (n, n_groups).
    summed
        Sums of the features' own SHAP values, of the same shape: equal to `values` without interactions across groups.
    """

    groups: tuple[str, ...]
    values: Floats
    summed: Floats


def grouped_values(bundle: Bundle, background: Singles, weight: Floats, X: Singles) -> GroupedValues:
    """Explain people by groups of features.

    Parameters
    ----------
    bundle
        A bundle with its attributions.
    background, weight
        Encoded matrix (m, n_columns) and survey weights (m,) of the whole development analysis population, as for
        `attributions.build`.
    X
        Encoded matrix of the people to explain, shape (n, n_columns).

    Returns
    -------
    GroupedValues
        Both `values` and `summed` add up to the calibrated log-odds, with the base value of each person
        (`Explanation.base_values`).
    """
    groups = tuple(dict.fromkeys(feature.group for feature in bundle.features))
    of_feature = np.array([groups.index(feature.group) for feature in bundle.features], dtype=np.int64)
    owners, slope = of_feature[bundle.encoder.owners], bundle.calibrator.slope
    values = np.zeros((len(X), len(groups)))
    for scale, part in scaled_parts(bundle.fitted):
        whole = read_part(part, prepare(part, owners, len(groups), background, weight), owners, len(groups))
        values += slope * scale * whole.values(X)
    summed = _sum_by(Explainer(bundle).values(X), of_feature, len(groups))
    return GroupedValues(groups, values, summed)


def tree_parts(fitted: Fitted) -> list[tuple[float, xgboost.Booster]]:
    """Return the tree parts of a model with their scales."""
    parts = scaled_parts(fitted)
    return [(scale, part.booster[: part.trees]) for scale, part in parts if isinstance(part, FittedTrees)]


def summarise_groups(found: GroupedValues, design: SurveyDesign) -> list[dict[str, Any]]:
    """Return one record for each group, most important first.

    Parameters
    ----------
    found
        Values of all people in the domain of the design, in order.
    design
        Full design.

    Returns
    -------
    list of dict
        {group, importance, se, low, high, summed}: weighted mean absolute value of the group with its design-based
        interval, and that of the sum of its features' own values.
    """
    records: list[dict[str, Any]] = []
    for place, group in enumerate(found.groups):
        whole = mean_size(found.values[:, place], design)
        apart = mean_size(found.summed[:, place], design)
        records.append(
            {
                "group": group,
                "importance": whole.estimate,
                "se": whole.se,
                "low": whole.low,
                "high": whole.high,
                "summed": apart.estimate,
            }
        )
    return sorted(records, key=lambda record: -float(record["importance"]))


def mean_size(values: Floats, design: SurveyDesign) -> estimates.Estimate:
    """Return the weighted mean absolute value, with its interval; `values` are for the domain of the design alone."""
    size = np.zeros(len(design))
    size[design.analysis_weight > 0] = np.abs(values)
    return estimates.mean(size, design)


def _sum_by(values: Floats, owner: Sequence[int] | Integers, n: int) -> Floats:
    total = np.zeros((len(values), n))
    for column, place in enumerate(owner):
        total[:, place] += values[:, column]
    return total


# A leaf with d players takes 4^d d^2 table entries.
MOST_PLAYERS: Final = 6


def interaction_values(
    booster: xgboost.Booster,
    *,
    owners: NDArray[np.integer],
    n_players: int,
    background: Singles,
    weight: Floats,
    X: Singles,
) -> Floats:
    """Return the interaction values of each pair of players for each row.

    Parameters
    ----------
    booster, owners, n_players, background, weight
        As for `TreeTables.build`.
    X
        Rows to explain, shape (n, n_columns).

    Returns
    -------
    ndarray
        Shape (n, n_players, n_players), symmetric, in log-odds, zero on the diagonal: half the interaction index of a
        pair in each of its two entries.

    Raises
    ------
    MgRiskError
        ``explain.too_many_players`` where a path has more than six players; those of `TreeTables.build`.
    """
    ensemble = read_ensemble(booster)
    owner = checked_owners(owners, n_columns=ensemble.n_columns, n_players=n_players)
    rows = checked_matrix(X, ensemble.n_columns, where="X")
    behind = checked_matrix(background, ensemble.n_columns, where="background")
    share = checked_share(weight, n_rows=len(behind))
    found = np.zeros((len(rows), n_players, n_players))
    for leaf in (leaf for tree in ensemble.trees for leaf in tree):
        players = sorted({int(owner[split.column]) for split, _ in leaf.path})
        if len(players) < 2:
            continue
        if len(players) > MOST_PLAYERS:
            raise bad_input(
                "explain.too_many_players",
                "the trees are too deep for interaction values",
                where="booster",
                hint="train trees of depth 6 or less",
                expected=f"at most {MOST_PLAYERS} features on a path",
                got=str(len(players)),
            )
        satisfied = np.bincount(_codes(leaf, behind, owner, players), weights=share, minlength=1 << len(players))
        table = leaf.value * np.einsum("abij,b->aij", _shares(len(players)), satisfied)
        found[:, np.array(players)[:, None], np.array(players)] += table[_codes(leaf, rows, owner, players)]
    return found


def strongest_pairs(
    values: Floats, features: Sequence[Feature], design: SurveyDesign, *, most: int = 10
) -> list[dict[str, Any]]:
    """Return one record for each of the strongest pairs.

    Parameters
    ----------
    values
        Interaction values of all people in the domain, shape (n, n_features, n_features), in calibrated log-odds.
    features, design
        The features, and the full design.
    most
        Number of pairs.

    Returns
    -------
    list of dict
        {first, second, first_label, second_label, importance, se, low, high}: weighted mean absolute interaction index
        with its interval, strongest first; pairs without interaction are left out.
    """
    records: list[dict[str, Any]] = []
    for i, one in enumerate(features):
        for j, other in enumerate(features[:i]):
            both = 2.0 * values[:, i, j]
            if not both.any():
                continue
            size = mean_size(both, design)
            records.append(
                {
                    "first": other.name,
                    "second": one.name,
                    "first_label": other.label,
                    "second_label": one.label,
                    "importance": size.estimate,
                    "se": size.se,
                    "low": size.low,
                    "high": size.high,
                }
            )
    return sorted(records, key=lambda record: -float(record["importance"]))[:most]


def _codes(leaf: Leaf, X: Singles, owner: Integers, players: Sequence[int]) -> Integers:
    """Return the players on a leaf's path whose conditions each row meets, as bits, shape (n,)."""
    place: Mapping[int, int] = {player: bit for bit, player in enumerate(players)}
    satisfied = np.ones((len(players), len(X)), dtype=np.bool_)
    for split, left in leaf.path:
        x = X[:, split.column]
        goes_left = np.where(np.isnan(x), split.default_left, x < np.float32(split.threshold))
        satisfied[place[int(owner[split.column])]] &= goes_left == left
    codes: Integers = (satisfied.astype(np.int64) << np.arange(len(players))[:, None]).sum(axis=0)
    return codes


@lru_cache(maxsize=MOST_PLAYERS)
def _shares(d: int) -> Floats:
    """Return half the index of each pair of d players, for each A and B and a leaf of value 1, (2^d, 2^d, d, d)."""
    full = (1 << d) - 1
    shares = np.zeros((full + 1, full + 1, d, d))
    for a in range(full + 1):
        for b in range(full + 1):
            if a | b != full:
                continue
            sign = np.array([((a & ~b) >> i & 1) - ((b & ~a) >> i & 1) for i in range(d)])
            p, q = int((sign > 0).sum()), int((sign < 0).sum())
            for i in range(d):
                for j in range(d):
                    if i != j and sign[i] and sign[j]:
                        shares[a, b, i, j] = 0.5 * _index(p, q, int(sign[i] + sign[j]))
    return shares


def _index(p: int, q: int, kind: int) -> float:
    whole = factorial(p + q - 1)
    if kind == 0:
        return -factorial(p - 1) * factorial(q - 1) / whole
    both = factorial(p - 2) * factorial(q) if kind > 0 else factorial(p) * factorial(q - 2)
    return both / whole
