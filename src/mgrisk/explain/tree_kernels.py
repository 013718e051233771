"""The compiled loops of `trees`: filling the tables over a background, and looking up rows in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.extending import intrinsic

from mgrisk.compiled import compiled, copied, inner
from mgrisk.model.trees.leaves import MAX_DEPTH, Groups, Leaves
from mgrisk.types import Booleans, Floats, Integers, Singles

LANES: Final = 8
"""Rows that are looked up together, and the largest number of players of a group."""
# Rows processed together: their columns and sums (480 bytes a row with 40 columns) stay in the second cache. It is the
# fastest of 64 to 2048.
BLOCK_ROWS = 512
# SHARE[p, q] = p! q! / (p + q + 1)!, the share of one of p + q + 1 players.
_SIZES = range(MAX_DEPTH)
SHARE = np.array([[1.0 / ((p + q + 1) * math.comb(p + q, p)) for q in _SIZES] for p in _SIZES])


class Wide(NamedTuple):
    """The table of an ensemble, arranged for look-up.

    Attributes
    ----------
    entry
        For each group and code, the values of its players, padded with zeros to eight; flat.
    player
        The players of each group, padded to eight with the number of players.
    """

    entry: Floats
    player: Integers


def widen(groups: Groups, table: Floats, *, n_players: int) -> Wide:
    """Rearrange a table from codes within players to players within codes."""
    codes, players = 1 << np.diff(groups.split_start), np.diff(groups.player_start)
    wide = Wide(_on_a_line(LANES * int(codes.sum())), np.full(LANES * len(codes), n_players, dtype=np.int64))
    narrow_ends, wide_ends = np.cumsum(codes * players), np.cumsum(LANES * codes)
    for g, (n, d) in enumerate(zip(codes.tolist(), players.tolist(), strict=True)):
        place = wide.entry[wide_ends[g] - LANES * n : wide_ends[g]].reshape(n, LANES)
        place[:, :d] = table[narrow_ends[g] - n * d : narrow_ends[g]].reshape(d, n).T
        wide.player[LANES * g : LANES * g + d] = groups.player[groups.player_start[g] : groups.player_start[g + 1]]
    return wide


def _on_a_line(size: int) -> Floats:
    """Return zeros aligned to a cache line: eight numbers across two lines would take twice as long to read."""
    zeros = np.zeros(size + LANES)
    first = -(zeros.ctypes.data // zeros.itemsize) % LANES
    return zeros[first : first + size]


def _add_eight(
    typing: Any,
    entry: Any,
    first: Any,
    codes: Any,
    row: Any,
    sums: Any,
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    e: Any,
    f: Any,
    g: Any,
    h: Any,
) -> Any:
    """Add the entries of eight rows to the sums of eight players.

    Eight vectors are read, one for each row, transposed by 24 shuffles into one for each player, and added to the sums
    of that player. Otherwise each number would take two loads and a store.
    """
    wide, index = ir.VectorType(ir.DoubleType(), LANES), ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def content(which: int) -> Any:
            return context.make_array(signature.args[which])(context, builder, value=arguments[which]).data

        def mixed(one: Any, other: Any, order: list[int]) -> Any:
            return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), LANES), order))

        entries, code, total = content(0), content(2), content(4)
        vectors = []
        for lane in range(LANES):
            at = builder.load(builder.gep(code, [builder.add(arguments[3], index(lane))]))
            at = builder.add(arguments[1], builder.mul(builder.zext(at, index), index(LANES)))
            vectors.append(builder.load(builder.bitcast(builder.gep(entries, [at]), wide.as_pointer()), align=8))
        for distance, low, high in (
            (1, [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
            (2, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
            (4, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
        ):
            for lane in [each for each in range(LANES) if not each & distance]:
                one, other = vectors[lane], vectors[lane + distance]
                vectors[lane], vectors[lane + distance] = mixed(one, other, low), mixed(one, other, high)
        for lane in range(LANES):
            at = builder.gep(total, [builder.add(arguments[5 + lane], arguments[3])])
            at = builder.bitcast(at, wide.as_pointer())
            builder.store(builder.fadd(builder.load(at, align=8), vectors[lane]), at, align=8)
        return context.get_dummy_value()

    kinds = [entry, numba.int64, codes, numba.int64, sums, *[numba.int64] * LANES]
    return numba.void(*kinds), generate


# Cast, since numba's type describes the definition of an intrinsic, not its calls.
add_eight = cast(Callable[..., None], intrinsic(_add_eight))


@copied
def _row_codes(
    columns: Singles,
    row: int,
    column: npt.NDArray[np.int32],
    threshold: Singles,
    default_left: Booleans,
    first: int,
    last: int,
    codes: npt.NDArray[np.uint32],
) -> None:
    """Write the codes of the rows from `row` on for the splits from `first` to `last`; `columns` is X transposed."""
    codes[:] = 0
    for k in range(first, last):
        bit = np.uint32(1 << (k - first))
        x = columns[column[k], row : row + len(codes)]
        limit = threshold[k]
        # A comparison with NaN is false, so each kind of default is one comparison; both loops become SIMD.
        if default_left[k]:
            for r in range(len(codes)):
                codes[r] |= np.uint32(0) if x[r] >= limit else bit
        else:
            for r in range(len(codes)):
                codes[r] |= bit if x[r] < limit else np.uint32(0)


def room_for_sums(n_players: int) -> Floats:
    """Return the working memory of `explain`: a row of sums for each player and one for padding."""
    return _on_a_line((n_players + 1) * BLOCK_ROWS)


@compiled
def explain(
    columns: Singles,
    start: int,
    stop: int,
    groups: Groups,
    wide: Wide,
    sums: Floats,
    out: Floats,
) -> None:
    """Write the values of the rows from `start` to `stop`, by blocks of rows and groups of leaves.

    Parameters
    ----------
    columns
        The matrix, transposed: shape (n_columns, n).
    sums
        Working memory from `room_for_sums`.
    out
        Written; shape (n_players, n).
    """
    # Read once, since numba counts references for each array taken from a tuple.
    split_start, column, threshold = groups.split_start, groups.split_column, groups.split_threshold
    default_left, entry, player = groups.split_default_left, wide.entry, wide.player
    n_players = out.shape[0]
    codes = np.empty(BLOCK_ROWS, dtype=np.uint32)
    for first in range(start, stop, BLOCK_ROWS):
        size = min(BLOCK_ROWS, stop - first)
        sums[:] = 0.0
        at = 0
        for g in range(len(split_start) - 1):
            codes[size:] = 0
            _row_codes(
                columns, first, column, threshold, default_left, split_start[g], split_start[g + 1], codes[:size]
            )
            k = LANES * g
            a, b = player[k] * BLOCK_ROWS, player[k + 1] * BLOCK_ROWS
            c, d = player[k + 2] * BLOCK_ROWS, player[k + 3] * BLOCK_ROWS
            e, f = player[k + 4] * BLOCK_ROWS, player[k + 5] * BLOCK_ROWS
            i, j = player[k + 6] * BLOCK_ROWS, player[k + 7] * BLOCK_ROWS
            for r in range(0, size, LANES):
                add_eight(entry, at, codes, r, sums, a, b, c, d, e, f, i, j)
            at += LANES << (split_start[g + 1] - split_start[g])
        for p in range(n_players):
            for r in range(size):
                out[p, first + r] = sums[p * BLOCK_ROWS + r]


@copied
def _leaf_table(value: float, share: Floats, d: int, values: Floats) -> None:
    """Write the values of the `d` players of a leaf for each A, given the share of the background in each B."""
    full = (1 << d) - 1
    for satisfied in range(full + 1):
        values[satisfied] = 0.0
        lacking = full ^ satisfied
        q = 0
        for i in range(d):
            q += (lacking >> i) & 1
        # Only B that contain all of `lacking` have values: `lacking` and any part of `satisfied`.
        common = satisfied
        while True:
            p = d - q
            for i in range(d):
                p -= (common >> i) & 1
            amount = value * share[lacking | common]
            if amount != 0.0:
                for i in range(d):
                    if (lacking >> i) & 1:
                        values[satisfied, i] -= amount * SHARE[p, q - 1]
                    elif not (common >> i) & 1:
                        values[satisfied, i] += amount * SHARE[p - 1, q]
            if common == 0:
                break
            common = (common - 1) & satisfied


@inner
def _sets(leaves: Leaves, first: int, d: int, n_codes: int, set_of: Integers) -> None:
    """Write for each code the players of a leaf whose conditions it meets, as `d` bits."""
    for code in range(n_codes):
        satisfied = 0
        for i in range(d):
            if code & leaves.slot_need[first + i] == leaves.slot_want[first + i]:
                satisfied |= 1 << i
        set_of[code] = satisfied


@inner
def _add_leaf(
    leaves: Leaves,
    leaf: int,
    by_set: Floats,
    set_of: Integers,
    n_codes: int,
    values: Floats,
    entry: int,
    table: Floats,
) -> float:
    """Add the values of a leaf to the entries of its group, which begin at `entry`; return its part of the mean.

    `by_set` is the share of the background in each B, `set_of` the A of each code; `values` is working memory.
    """
    first = leaves.slot_start[leaf]
    d = leaves.slot_start[leaf + 1] - first
    _leaf_table(leaves.value[leaf], by_set, d, values)
    for i in range(d):
        offset = entry + leaves.slot_player[first + i] * n_codes
        for code in range(n_codes):
            table[offset + code] += values[set_of[code], i]
    mean: float = leaves.value[leaf] * by_set[(1 << d) - 1]
    return mean


@compiled
def fill(
    columns: Singles,
    share: Floats,
    groups: Groups,
    leaves: Leaves,
    table: Floats,
) -> float:
    """Add the values of all leaves into the table; return the weighted mean of the splitting trees."""
    codes = np.empty(columns.shape[1], dtype=np.uint32)
    by_code = np.empty(1 << MAX_DEPTH)
    by_set = np.empty(1 << MAX_DEPTH)
    set_of = np.empty(1 << MAX_DEPTH, dtype=np.int64)
    values = np.empty((1 << MAX_DEPTH, MAX_DEPTH))
    mean = 0.0
    entry = 0
    for g in range(len(groups.split_start) - 1):
        n_codes = 1 << (groups.split_start[g + 1] - groups.split_start[g])
        first, last = groups.split_start[g], groups.split_start[g + 1]
        _row_codes(
            columns, 0, groups.split_column, groups.split_threshold, groups.split_default_left, first, last, codes
        )
        by_code[:] = 0.0
        for r in range(len(codes)):
            by_code[codes[r]] += share[r]
        for leaf in range(leaves.start[g], leaves.start[g + 1]):
            first = leaves.slot_start[leaf]
            d = leaves.slot_start[leaf + 1] - first
            _sets(leaves, first, d, n_codes, set_of)
            by_set[:] = 0.0
            for code in range(n_codes):
                by_set[set_of[code]] += by_code[code]
            mean += _add_leaf(leaves, leaf, by_set, set_of, n_codes, values, entry, table)
        entry += n_codes * (groups.player_start[g + 1] - groups.player_start[g])
    return mean


@compiled
def fill_by_cover(groups: Groups, leaves: Leaves, table: Floats) -> float:
    """Do as `fill` with the training weights in the trees, taking the players of a leaf as independent."""
    by_set = np.empty(1 << MAX_DEPTH)
    set_of = np.empty(1 << MAX_DEPTH, dtype=np.int64)
    values = np.empty((1 << MAX_DEPTH, MAX_DEPTH))
    mean = 0.0
    entry = 0
    for g in range(len(groups.split_start) - 1):
        n_codes = 1 << (groups.split_start[g + 1] - groups.split_start[g])
        for leaf in range(leaves.start[g], leaves.start[g + 1]):
            first = leaves.slot_start[leaf]
            d = leaves.slot_start[leaf + 1] - first
            for chosen in range(1 << d):
                by_set[chosen] = 1.0
                for i in range(d):
                    cover = leaves.slot_cover[first + i]
                    by_set[chosen] *= cover if (chosen >> i) & 1 else 1.0 - cover
            _sets(leaves, first, d, n_codes, set_of)
            mean += _add_leaf(leaves, leaf, by_set, set_of, n_codes, values, entry, table)
        entry += n_codes * (groups.player_start[g + 1] - groups.player_start[g])
    return mean
