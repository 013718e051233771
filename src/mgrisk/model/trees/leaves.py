"""The linear predictor of an xgboost ensemble by look-up tables: the same bits as xgboost, several times as fast.

A leaf is a value and the conditions on the path to it. A *group* is a set of leaves of one tree with at most eight
different splits in total. The outcomes of these splits for a row are a code of at most eight bits, which determines the
row's leaf in the group. A tree of depth 3 is one group of 7 splits; one of depth 4 is two groups of 8, both with the
root; one of depth 8 consists of pairs of leaves.

The booster is read from its JSON form (`read_ensemble`), whose thresholds and leaf values are the shortest decimals
that round to the stored float32 numbers, and so are read back exactly. Blocks of rows go through one group after the
other (`LeafSums`): the comparisons of a split are one loop over a block, and float32 values are summed in xgboost's own
order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mgrisk.compiled import compiled
from mgrisk.errors import MgRiskError, bad_bundle, bad_input
from mgrisk.types import Booleans, Floats, Integers, Singles

if TYPE_CHECKING:
    import xgboost

# A code has eight bits, so a path has at most eight conditions, a group at most 256 codes, and the entries of one
# player take 2 kB, which stay in the first cache while a block of rows is processed.
MAX_DEPTH = 8
# Limits memory for hostile files: each explained row takes n_players float64 numbers.
MAX_COLUMNS = 1 << 16
# Their margin is the sum of the leaves and the base score on the same scale (logit or identity).
OBJECTIVES = ("binary:logistic", "reg:squarederror")


class Split(NamedTuple):
    """Whether a row goes left: ``x[column] < threshold`` in float32, or `default_left` where missing."""

    column: int
    threshold: float
    default_left: bool


@dataclass(frozen=True)
class Leaf:
    """A leaf value (log-odds) and the splits on the path to it, each with whether the path goes left.

    `cover` has for each split the share of its training weight (sum of Hessians) that takes the side of the path.
    """

    value: float
    path: tuple[tuple[Split, bool], ...]
    cover: tuple[float, ...]


@dataclass(frozen=True)
class Ensemble:
    """The leaves of each tree, left to right, and the margin before any tree (log-odds)."""

    base_margin: float
    n_columns: int
    trees: tuple[tuple[Leaf, ...], ...]


class Groups(NamedTuple):
    """Splits and players of groups of leaves, as flat arrays for compiled code.

    Attributes
    ----------
    split_start, split_column, split_threshold, split_default_left
        The splits of group ``g`` are ``split_start[g]:split_start[g + 1]``, at most eight; the first of them is bit 0
        of the code. There is one more offset than groups.
    player_start, player
        The players that own the columns of these splits, with offsets in the same way.
    """

    split_start: Integers
    split_column: npt.NDArray[np.int32]
    split_threshold: Singles
    split_default_left: Booleans
    player_start: Integers
    player: npt.NDArray[np.int32]

    @property
    def n_entries(self) -> int:
        """Number of table entries: players × codes, summed over groups."""
        return int(np.sum(np.diff(self.player_start) << np.diff(self.split_start)))

    def check(self, *, n_columns: int, n_players: int) -> None:
        """Refuse indices out of bounds, which the compiled look-up does not check."""
        n_splits = self.split_column.size
        if not n_splits == self.split_threshold.size == self.split_default_left.size:
            raise bad_tables("split_threshold", f"{n_splits} splits", self.split_threshold.size)
        for name, start, length in (
            ("split_start", self.split_start, n_splits),
            ("player_start", self.player_start, self.player.size),
        ):
            # Compared, not subtracted: a difference of hostile int64 values may overflow into a valid one.
            if start.size == 0 or start[0] != 0 or start[-1] != length or (start[1:] < start[:-1]).any():
                raise bad_tables(name, f"offsets rising from 0 to {length}", start)
        if self.split_start.size != self.player_start.size:
            raise bad_tables("player_start", f"{self.split_start.size} offsets", self.player_start.size)
        if (np.diff(self.split_start) > MAX_DEPTH).any():
            raise bad_tables("split_start", f"at most {MAX_DEPTH} splits in a group", self.split_start)
        if (np.diff(self.player_start) > MAX_DEPTH).any():
            raise bad_tables("player_start", f"at most {MAX_DEPTH} players in a group", self.player_start)
        for name, index, limit in (
            ("split_column", self.split_column, n_columns),
            ("player", self.player, n_players),
        ):
            if ((index < 0) | (index >= limit)).any():
                raise bad_tables(name, f"indices from 0 to {limit - 1}", index)
        if not np.isfinite(self.split_threshold).all():
            raise bad_tables("split_threshold", "finite numbers", "others")


class Leaves(NamedTuple):
    """The leaves of groups, as flat arrays for compiled code, needed only while tables are built.

    Attributes
    ----------
    start, value
        The leaves of group ``g`` are ``start[g]:start[g + 1]``; their values are log-odds.
    slot_start, slot_player, slot_need, slot_want, slot_cover
        The players on the path of a leaf, with offsets in the same way. `slot_player` is an index within the group; a
        code meets the player's conditions if ``code & slot_need == slot_want``; `slot_cover` is the product of the
        covers of the player's splits.
    """

    start: Integers
    value: Floats
    slot_start: Integers
    slot_player: Integers
    slot_need: Integers
    slot_want: Integers
    slot_cover: Floats


def read_ensemble(booster: xgboost.Booster) -> Ensemble:
    """Read the leaves of a booster.

    All trees of the booster are used, as in ``Booster.predict``; slice a model with early stopping first
    (``booster[: booster.best_iteration + 1]``).

    Parameters
    ----------
    booster
        A gbtree of objective ``binary:logistic`` or ``reg:squarederror`` with numeric splits, one output and a depth of
        at most 8.

    Returns
    -------
    Ensemble
        Its margin is ``base_margin`` plus the value of one leaf of each tree.

    Raises
    ------
    MgRiskError
        ``explain.unsupported_booster`` or ``explain.tree_too_deep``.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    parameters = learner["learner_model_param"]
    objective = learner["objective"]["name"]
    if objective not in OBJECTIVES:
        raise _unsupported("objective", " or ".join(OBJECTIVES), str(objective), where="booster")
    _require("booster", learner["gradient_booster"]["name"], "gbtree")
    _require("num_target", int(parameters.get("num_target", "1")), 1)
    trees = learner["gradient_booster"]["model"]["trees"]
    return Ensemble(
        base_margin=_base_margin(parameters["base_score"], probability=objective == "binary:logistic"),
        n_columns=int(parameters["num_feature"]),
        trees=tuple(_leaves(tree, number=number) for number, tree in enumerate(trees)),
    )


def group_leaves(ensemble: Ensemble, *, owners: Integers) -> tuple[Groups, Leaves]:
    """Pack the leaves of an ensemble into groups: the largest subtrees with at most eight different splits.

    Parameters
    ----------
    ensemble
        The result of `read_ensemble`.
    owners
        Player of each column, shape (n_columns,).

    Returns
    -------
    tuple of Groups and Leaves
        Trees without a split are in neither; they belong to the base value.
    """
    split_start, player_start, leaf_start, slot_start = [0], [0], [0], [0]
    splits: list[Split] = []
    players: list[int] = []
    values: list[float] = []
    slots: list[tuple[int, int, int]] = []
    covers: list[float] = []
    for leaves in ensemble.trees:
        if not leaves[0].path:
            continue
        for group in _pack(leaves, level=0):
            asked = _distinct_splits(group)
            bit = {split: 1 << position for position, split in enumerate(asked)}
            members = sorted({int(owners[split.column]) for split in asked})
            splits += asked
            players += members
            for leaf in group:
                met = _slots(leaf, bit=bit, owners=owners)
                if met is None:
                    continue
                values.append(leaf.value)
                slots += [(members.index(player), need, want) for player, (need, want, _) in met.items()]
                covers += [cover for _, _, cover in met.values()]
                slot_start.append(len(slots))
            split_start.append(len(splits))
            player_start.append(len(players))
            leaf_start.append(len(values))
    groups = Groups(
        split_start=np.array(split_start, dtype=np.int64),
        split_column=np.array([split.column for split in splits], dtype=np.int32),
        split_threshold=np.array([split.threshold for split in splits], dtype=np.float32),
        split_default_left=np.array([split.default_left for split in splits], dtype=np.bool_),
        player_start=np.array(player_start, dtype=np.int64),
        player=np.array(players, dtype=np.int32),
    )
    by_column = np.array(slots, dtype=np.int64).reshape(-1, 3).T.copy()
    return groups, Leaves(
        start=np.array(leaf_start, dtype=np.int64),
        value=np.array(values, dtype=np.float64),
        slot_start=np.array(slot_start, dtype=np.int64),
        slot_player=by_column[0],
        slot_need=by_column[1],
        slot_want=by_column[2],
        slot_cover=np.array(covers, dtype=np.float64),
    )


def bad_tables(name: str, expected: object, got: object) -> MgRiskError:
    """Return the error for tables that `build` cannot have produced."""
    return bad_bundle(
        "explain.bad_tables",
        f"the explanation tables are damaged ({name})",
        where="explanation tables",
        hint="restore the bundle from its source, or build the tables again",
        expected=str(expected),
        got=" ".join(str(got).split())[:200],
    )


def checked_owners(owners: npt.NDArray[np.integer], *, n_columns: int, n_players: int) -> Integers:
    """Return the players of the columns as int64, or refuse them (``explain.bad_owners``)."""
    owner = np.asarray(owners)
    shaped = owner.shape == (n_columns,) and np.issubdtype(owner.dtype, np.integer)
    if not shaped or not 0 <= n_players <= MAX_COLUMNS or (owner < 0).any() or (owner >= n_players).any():
        raise bad_input(
            "explain.bad_owners",
            "the players of the columns do not fit the booster",
            where="owners",
            hint="give one player number below n_players for each column of the booster, in its order",
            expected=f"{n_columns} integers from 0 to {n_players - 1}",
            got=f"{owner.dtype}, shape {owner.shape}",
        )
    return owner.astype(np.int64)


def checked_matrix(X: Singles, n_columns: int, *, where: str) -> Singles:
    """Return a float32 matrix of the booster's columns, or refuse it (``explain.bad_matrix``)."""
    # float64 is refused, not rounded: rounding could move a value across a threshold.
    if not isinstance(X, np.ndarray) or X.dtype != np.float32 or X.ndim != 2 or X.shape[1] != n_columns:
        raise bad_input(
            "explain.bad_matrix",
            "the matrix does not have the columns or the type of the booster",
            where=where,
            hint="give the columns of the booster in its order, converted with .astype(numpy.float32)",
            expected=f"float32 of shape (n, {n_columns})",
            got=f"{getattr(X, 'dtype', type(X).__name__)}, shape {np.shape(X)}",
        )
    return X


def checked_share(weight: Floats, *, n_rows: int) -> Floats:
    """Return the weights as shares of their total, or refuse them (``explain.bad_weights``)."""
    given = np.asarray(weight, dtype=np.float64)
    if given.shape != (n_rows,) or not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
        raise bad_input(
            "explain.bad_weights",
            "the weights of the background cannot be used",
            where="weight",
            hint="give one finite weight for each background row, none negative, not all zero",
            expected=f"shape ({n_rows},)",
            got=f"shape {given.shape}",
        )
    share: Floats = given / given.sum()
    return share


def _pack(leaves: Sequence[Leaf], *, level: int) -> list[Sequence[Leaf]]:
    """Split the leaves below one node into groups; they all share the first `level` conditions."""
    # One leaf has at most MAX_DEPTH splits, so the recursion ends there at the latest.
    if len(_distinct_splits(leaves)) <= MAX_DEPTH:
        return [leaves]
    sides = ([leaf for leaf in leaves if leaf.path[level][1] is left] for left in (True, False))
    return [group for side in sides for group in _pack(side, level=level + 1)]


def _distinct_splits(leaves: Sequence[Leaf]) -> list[Split]:
    return list(dict.fromkeys(split for leaf in leaves for split, _ in leaf.path))


def _slots(leaf: Leaf, *, bit: Mapping[Split, int], owners: Integers) -> dict[int, tuple[int, int, float]] | None:
    """Return bits needed, bits wanted and cover of each player on the path; None for a leaf that no row reaches."""
    met: dict[int, tuple[int, int, float]] = {}
    side: dict[Split, bool] = {}
    for (split, left), share in zip(leaf.path, leaf.cover, strict=True):
        # Both sides of the same split on one path: no row reaches this leaf.
        if side.setdefault(split, left) is not left:
            return None
        player = int(owners[split.column])
        need, want, cover = met.get(player, (0, 0, 1.0))
        met[player] = (need | bit[split], want | (bit[split] if left else 0), cover * share)
    return met


def _leaves(tree: Mapping[str, Any], *, number: int) -> tuple[Leaf, ...]:
    where = f"tree {number}"
    if any(tree["split_type"]):
        raise _unsupported("splits", "numeric splits only", "a categorical split", where=where)
    _require("size_leaf_vector", int(tree["tree_param"]["size_leaf_vector"]), 1, where=where)
    leaves: list[Leaf] = []
    weight = np.array(tree["sum_hessian"], dtype=np.float32).astype(np.float64)

    def walk(node: int, path: tuple[tuple[Split, bool], ...], cover: tuple[float, ...]) -> None:
        # np.float32 first: the JSON decimal stands for a float32, not for the nearest double.
        number_here = float(np.float32(tree["split_conditions"][node]))
        left = tree["left_children"][node]
        if left == -1:
            leaves.append(Leaf(value=number_here, path=path, cover=cover))
            return
        if len(path) == MAX_DEPTH:
            raise bad_bundle(
                "explain.tree_too_deep",
                "a tree is too deep for exact look-up tables",
                where=where,
                hint="train with max_depth=8 or less; 3 or 4 is explained fastest",
                expected=f"depth of at most {MAX_DEPTH}",
                got=f"{MAX_DEPTH + 1} or more",
            )
        split = Split(int(tree["split_indices"][node]), number_here, bool(tree["default_left"][node]))
        for child, goes_left in ((left, True), (tree["right_children"][node], False)):
            share = float(weight[child] / weight[node]) if weight[node] > 0 else 0.0
            walk(child, (*path, (split, goes_left)), (*cover, share))

    walk(0, (), ())
    return tuple(leaves)


def _base_margin(base_score: str, *, probability: bool) -> float:
    """Return the margin of a base score, which xgboost 3 writes as a vector: ``"[4.7E-1]"``."""
    scores = np.atleast_1d(json.loads(base_score))
    if scores.size == 1 and not probability:
        return float(scores[0])
    if scores.size != 1 or not 0.0 < scores[0] < 1.0:
        raise _unsupported("base_score", "one probability", base_score, where="learner_model_param")
    return math.log(scores[0] / (1.0 - scores[0]))


def _require(name: str, got: object, expected: object, *, where: str = "booster") -> None:
    if got != expected:
        raise _unsupported(name, str(expected), str(got), where=where)


def _unsupported(name: str, expected: str, got: str, *, where: str) -> MgRiskError:
    return bad_bundle(
        "explain.unsupported_booster",
        f"this booster cannot be explained exactly ({name})",
        where=where,
        hint=f"use a gbtree of objective {' or '.join(OBJECTIVES)} with numeric columns and one output",
        expected=expected,
        got=got,
    )


BLOCK_ROWS = 512
PROBES = 256


@dataclass(frozen=True, eq=False)
class LeafSums:
    """The leaf values of an ensemble by code.

    Attributes
    ----------
    base
        Margin before any tree.
    groups
        The splits of each group.
    value
        Value of the leaf of each code, 0 where the leaf is in another group of the tree.
    start
        Where the values of each group begin, shape (n_groups,).
    """

    base: np.float32
    groups: Groups
    value: Singles
    start: Integers

    @classmethod
    def of(cls, booster: xgboost.Booster) -> Self | None:
        """Read a booster; None where its kind or depth is not supported.

        The tables are used only if they return what xgboost returns for rows on both sides of many splits.
        """
        try:
            ensemble = read_ensemble(booster)
        except MgRiskError:
            return None
        if not all(tree[0].path for tree in ensemble.trees):
            return None
        groups, leaves = group_leaves(ensemble, owners=np.arange(ensemble.n_columns))
        sizes = 1 << np.diff(groups.split_start)
        tables = [_by_code(leaves, g, size) for g, size in enumerate(sizes.tolist())]
        value, start = np.concatenate(tables), np.cumsum(sizes) - sizes
        probes = _probes(groups, n_columns=ensemble.n_columns)
        expected = booster.inplace_predict(probes, predict_type="margin")
        # xgboost may round the logarithm of the base score to the next float32 on either side.
        base = np.float32(ensemble.base_margin)
        for near in (base, np.nextafter(base, np.float32(np.inf)), np.nextafter(base, np.float32(-np.inf))):
            found = cls(near, groups, value, start)
            if np.array_equal(found.margin(probes), expected):
                return found
        return None

    def margin(self, X: Singles) -> Singles:
        """Return the margin of each row, shape (n,)."""
        columns = np.ascontiguousarray(X.T)
        out = np.empty(len(X), dtype=np.float32)
        _add_up(columns, self.base, self.groups, self.value, self.start, out)
        return out


def _probes(groups: Groups, *, n_columns: int) -> Singles:
    """Return rows whose values are thresholds, a little less, or missing."""
    random = np.random.default_rng(0)
    rows = np.full((PROBES, n_columns), np.nan, dtype=np.float32)
    for column in np.unique(groups.split_column):
        limits = groups.split_threshold[groups.split_column == column]
        below = np.nextafter(limits, np.float32(-np.inf))
        rows[:, column] = random.choice(np.concatenate([limits, below, [np.float32(np.nan)]]), PROBES)
    return rows


def _by_code(leaves: Leaves, g: int, size: int) -> Singles:
    code = np.arange(size)
    value = np.zeros(size, dtype=np.float32)
    for leaf in range(leaves.start[g], leaves.start[g + 1]):
        slots = slice(leaves.slot_start[leaf], leaves.slot_start[leaf + 1])
        need, want = np.bitwise_or.reduce(leaves.slot_need[slots]), np.bitwise_or.reduce(leaves.slot_want[slots])
        value[code & need == want] = leaves.value[leaf]
    return value


@compiled
def _add_up(
    columns: Singles,
    base: np.float32,
    groups: Groups,
    value: Singles,
    start: Integers,
    out: Singles,
) -> None:
    split_start, column, limit = groups.split_start, groups.split_column, groups.split_threshold
    default_left = groups.split_default_left
    codes = np.empty(BLOCK_ROWS, dtype=np.uint32)
    for first in range(0, len(out), BLOCK_ROWS):
        size = min(BLOCK_ROWS, len(out) - first)
        total = out[first : first + size]
        total[:] = base
        for g in range(len(start)):
            codes[:size] = 0
            for k in range(split_start[g], split_start[g + 1]):
                bit = np.uint32(1 << (k - split_start[g]))
                x, edge = columns[column[k], first : first + size], limit[k]
                # A comparison with NaN is false, so each kind of default is one comparison; both loops become SIMD.
                if default_left[k]:
                    for r in range(size):
                        codes[r] |= np.uint32(0) if x[r] >= edge else bit
                else:
                    for r in range(size):
                        codes[r] |= bit if x[r] < edge else np.uint32(0)
            leaf = value[start[g] :]
            for r in range(size):
                total[r] += leaf[codes[r]]
