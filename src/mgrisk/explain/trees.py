"""Exact interventional Shapley values of a tree ensemble's margin, at the cost of looking them up.

The game of a row ``x`` against a background row ``z``: coalition ``S`` of players takes its columns from
``x``, all others from ``z``, and is worth the ensemble's margin. Columns that stand for one thing (the
one-hot columns of a source, a family of nutrients) are one player. For one leaf of value ``v``, let A be
the players on its path whose conditions ``x`` satisfies, and B those that ``z`` satisfies. Unless A and B
together are the whole path, every value is zero; else, with ``p = |A - B|`` and ``q = |B - A|``, a player
of A - B gets ``v (p-1)! q! / (p+q)!`` and one of B - A gets ``-v p! (q-1)! / (p+q)!``.

So the background enters only as a weighted histogram of B. It is taken once, over the *whole* background,
and summed into a table: for each code of a group of leaves (see `model.tree_paths`) the value of each of its
few players. Explaining a row is computing its codes and adding table entries, for a background of any size.

The margin itself is looked up by the same codes (`model.leaf_sums`), so that reasons cost little more than
the prediction does.

Source: the closed form is that of interventional TreeSHAP, Lundberg et al. (2020), Nature Machine
Intelligence 2:56-67; the library woodelf-explainer (PyPI) sums over a background in advance, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self, TypeVar, cast
from zipfile import BadZipFile

import numba
import numpy as np
import numpy.typing as npt
import xgboost as xgb

from mgrisk.errors import bad_input
from mgrisk.model.tree_paths import (
    MAX_COLUMNS,
    MAX_DEPTH,
    Groups,
    Leaves,
    bad_tables,
    checked_matrix,
    checked_owners,
    checked_share,
    group_leaves,
    read_ensemble,
)

# Rows that go through all groups together: their columns and sums (480 bytes a row at 40 columns) stay in the
# second cache, and a loop over them is long enough to be worth starting. Measured from 64 to 512.
BLOCK_ROWS = 512
# 1 GiB of float64. Depth 8 with 300 full trees would need more than half of it.
MAX_TABLE_ENTRIES = 1 << 27

# SHARE[p, q] = p! q! / (p + q + 1)!, the share of one player among the p + q + 1 that matter.
_SIZES = range(MAX_DEPTH)
SHARE = np.array([[1.0 / ((p + q + 1) * math.comb(p + q, p)) for q in _SIZES] for p in _SIZES])

_F = TypeVar("_F", bound=Callable[..., object])


def _compiled(function: _F) -> _F:
    """Compile with numba, keeping the types: the one place that meets its untyped decorator.

    All kernels stay in this file: numba's cache notices a change in the file of a kernel only, and would go
    on using the old code of one that was inlined from elsewhere.
    """
    return cast(_F, numba.njit(cache=True, nogil=True)(function))


@dataclass(frozen=True, eq=False)
class TreeTables:
    """Shapley values of an ensemble for every pattern of answers to its splits.

    Made by `build` or `from_arrays`; checked when made, read-only afterwards.

    Attributes
    ----------
    base
        Weighted mean of the margin over the background (log-odds): the value of knowing nothing.
    n_players, n_columns
        Columns of what `values` returns and of what it takes.
    groups
        The splits that are asked together, and their players.
    table
        For each group, for each of its players, one entry (log-odds) for each code; shape (n_entries,).
    """

    base: float
    n_players: int
    n_columns: int
    groups: Groups
    table: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        _check(self)
        for array in (*self.groups, self.table):
            array.flags.writeable = False

    @classmethod
    def build(
        cls,
        booster: xgb.Booster,
        *,
        owners: npt.NDArray[np.integer],
        n_players: int,
        background: npt.NDArray[np.float32],
        weight: npt.NDArray[np.float64],
    ) -> Self:
        """Sum the values of a booster over a weighted background.

        Parameters
        ----------
        booster
            A gbtree of objective ``binary:logistic`` or ``reg:squarederror``, numeric splits, depth at most 8. All its
            trees count.
        owners
            Player of each column, integers below `n_players`, shape (n_columns,).
        n_players
            Number of players; one that owns no column, or no column of a split, gets exactly zero.
        background
            float32, missing values NaN, shape (m, n_columns).
        weight
            Survey weight of each background row, finite, not negative, in any scale; shape (m,).

        Returns
        -------
        TreeTables

        Raises
        ------
        MgRiskError
            ``explain.unsupported_booster``, ``explain.tree_too_deep``, ``explain.tables_too_large``,
            ``explain.bad_owners``, ``explain.bad_matrix`` or ``explain.bad_weights``.

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> X = rng.normal(size=(500, 3)).astype(np.float32)
        >>> y = (X[:, 0] + X[:, 1] > 0).astype(np.float32)
        >>> parameters = {"objective": "binary:logistic", "max_depth": 3}
        >>> booster = xgb.train(parameters, xgb.DMatrix(X, y), num_boost_round=5)
        >>> tables = TreeTables.build(
        ...     booster, owners=np.array([0, 1, 1]), n_players=2, background=X, weight=np.ones(500)
        ... )
        >>> values = tables.values(X)
        >>> margin = booster.predict(xgb.DMatrix(X), output_margin=True)
        >>> bool(np.allclose(tables.base + values.sum(axis=1), margin, atol=1e-5))
        True
        """
        ensemble = read_ensemble(booster)
        n_columns = ensemble.n_columns
        owner = checked_owners(owners, n_columns=n_columns, n_players=n_players)
        columns = np.ascontiguousarray(checked_matrix(background, n_columns, where="background").T)
        share = checked_share(weight, n_rows=columns.shape[1])
        groups, leaves = group_leaves(ensemble, owners=owner)
        if groups.n_entries > MAX_TABLE_ENTRIES:
            raise bad_input(
                "explain.tables_too_large",
                "the look-up tables of this booster would not fit in memory",
                where="booster",
                hint="train shallower or fewer trees",
                expected=f"at most {MAX_TABLE_ENTRIES} entries",
                got=str(groups.n_entries),
            )
        table = np.zeros(groups.n_entries)
        stumps = math.fsum(tree[0].value for tree in ensemble.trees if not tree[0].path)
        base = ensemble.base_margin + stumps + _fill(columns, share, groups, leaves, table)
        return cls(base=base, n_players=n_players, n_columns=n_columns, groups=groups, table=table)

    def values(self, X: npt.NDArray[np.float32], *, n_threads: int = 1) -> npt.NDArray[np.float64]:
        """Return the Shapley values of each row, in log-odds.

        Parameters
        ----------
        X
            float32, missing values NaN, shape (n, n_columns).
        n_threads
            Threads to spread the rows over; no bit of the result depends on it. The work is done outside the
            GIL and holds no state, so that callers may as well run several calls at once.

        Returns
        -------
        ndarray
            Shape (n, n_players); `base` plus the sum of a row is its margin.

        Raises
        ------
        MgRiskError
            ``explain.bad_matrix``.
        """
        columns = np.ascontiguousarray(checked_matrix(X, self.n_columns, where="X").T).view()
        # numba compiles anew for a writable array: one kind, one compilation.
        columns.flags.writeable = False
        out = np.empty((len(X), self.n_players))

        def explain(part: slice) -> None:
            _explain(columns, part.start, self.groups, self.table, BLOCK_ROWS, out[part])

        if n_threads <= 1:
            explain(slice(0, len(X)))
            return out
        # Plain threads, not numba's: its default pool aborts the process when two threads call it at once.
        step = max(BLOCK_ROWS, -(-len(X) // n_threads))
        with ThreadPoolExecutor(max_workers=n_threads) as pool:
            list(pool.map(explain, [slice(first, first + step) for first in range(0, len(X), step)]))
        return out

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return everything as plain arrays, for ``np.savez``; `from_arrays` takes them back."""
        scalars = {"base": np.float64(self.base), "n_players": np.int64(self.n_players)}
        scalars["n_columns"] = np.int64(self.n_columns)
        arrays = {**scalars, **self.groups._asdict(), "table": self.table}
        return {name: np.asarray(array) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Self:
        """Take back what `to_arrays` gave, from a file that may have been damaged or forged.

        Parameters
        ----------
        arrays
            For example what ``np.load(path, allow_pickle=False)`` returned.

        Returns
        -------
        TreeTables
            Gives the same values bit for bit.

        Raises
        ------
        MgRiskError
            ``explain.bad_tables``: names, types, shapes or bounds are not those of a table.
        """
        if set(arrays) != set(_DTYPES):
            raise bad_tables("names", sorted(_DTYPES), sorted(arrays))
        try:
            # A copy: what was verified cannot be changed through another reference to it.
            found = {name: np.array(arrays[name], order="C") for name in _DTYPES}
        except (ValueError, OSError, EOFError, BadZipFile) as error:
            raise bad_tables("arrays", "plain numeric arrays", error) from error
        for name, (dtype, ndim) in _DTYPES.items():
            if found[name].dtype != dtype or found[name].ndim != ndim:
                shown = f"{found[name].dtype} of {found[name].ndim} dimensions"
                raise bad_tables(name, f"{np.dtype(dtype)} of {ndim} dimensions", shown)
        return cls(
            base=found["base"].item(),
            n_players=found["n_players"].item(),
            n_columns=found["n_columns"].item(),
            groups=Groups(**{name: found[name] for name in Groups._fields}),
            table=found["table"],
        )


_DTYPES: dict[str, tuple[type[np.generic], int]] = {
    "base": (np.float64, 0),
    "n_players": (np.int64, 0),
    "n_columns": (np.int64, 0),
    "split_start": (np.int64, 1),
    "split_column": (np.int32, 1),
    "split_threshold": (np.float32, 1),
    "split_default_left": (np.bool_, 1),
    "player_start": (np.int64, 1),
    "player": (np.int32, 1),
    "table": (np.float64, 1),
}


def _check(tables: TreeTables) -> None:
    for name, size in (("n_players", tables.n_players), ("n_columns", tables.n_columns)):
        if not 0 <= size <= MAX_COLUMNS:
            raise bad_tables(name, f"0 to {MAX_COLUMNS}", size)
    tables.groups.check(n_columns=tables.n_columns, n_players=tables.n_players)
    if tables.table.size != tables.groups.n_entries:
        raise bad_tables("table", f"{tables.groups.n_entries} entries", tables.table.size)
    if not (math.isfinite(tables.base) and np.isfinite(tables.table).all()):
        raise bad_tables("base, table", "finite numbers", "others")


@_compiled
def _row_codes(
    columns: npt.NDArray[np.float32], row: int, groups: Groups, g: int, codes: npt.NDArray[np.uint32]
) -> None:
    """Write the answers of the rows from `row` on to the splits of group `g`; `columns` is X transposed."""
    codes[:] = 0
    first = groups.split_start[g]
    for k in range(first, groups.split_start[g + 1]):
        bit = np.uint32(1 << (k - first))
        x = columns[groups.split_column[k], row : row + len(codes)]
        limit = groups.split_threshold[k]
        # A comparison with NaN is false, so each kind of default is one comparison; both loops become SIMD.
        if groups.split_default_left[k]:
            for r in range(len(codes)):
                codes[r] |= np.uint32(0) if x[r] >= limit else bit
        else:
            for r in range(len(codes)):
                codes[r] |= bit if x[r] < limit else np.uint32(0)


@_compiled
def _explain(
    columns: npt.NDArray[np.float32],
    row: int,
    groups: Groups,
    table: npt.NDArray[np.float64],
    block: int,
    out: npt.NDArray[np.float64],
) -> None:
    """Write the values of the rows from `row` on: blocks of rows outside, then groups, then their players."""
    sums = np.empty((out.shape[1], block), dtype=np.float64)
    codes = np.empty(block, dtype=np.uint32)
    for first in range(0, len(out), block):
        size = min(block, len(out) - first)
        sums[:] = 0.0
        entry = 0
        for g in range(len(groups.split_start) - 1):
            _row_codes(columns, row + first, groups, g, codes[:size])
            n_codes = 1 << (groups.split_start[g + 1] - groups.split_start[g])
            for k in range(groups.player_start[g], groups.player_start[g + 1]):
                entries = table[entry : entry + n_codes]
                total = sums[groups.player[k]]
                for r in range(size):
                    total[r] += entries[codes[r]]
                entry += n_codes
        for r in range(size):
            for p in range(out.shape[1]):
                out[first + r, p] = sums[p, r]


@_compiled
def _leaf_table(value: float, share: npt.NDArray[np.float64], d: int, values: npt.NDArray[np.float64]) -> None:
    """Write the values of the `d` players of a leaf for each A, given the background's share in each B."""
    full = (1 << d) - 1
    for satisfied in range(full + 1):
        values[satisfied] = 0.0
        lacking = full ^ satisfied
        q = 0
        for i in range(d):
            q += (lacking >> i) & 1
        # Only B that make up for what x lacks count: `lacking` and any part of `satisfied`.
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


@_compiled
def _fill(
    columns: npt.NDArray[np.float32],
    share: npt.NDArray[np.float64],
    groups: Groups,
    leaves: Leaves,
    table: npt.NDArray[np.float64],
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
        _row_codes(columns, 0, groups, g, codes)
        by_code[:] = 0.0
        for r in range(len(codes)):
            by_code[codes[r]] += share[r]
        for leaf in range(leaves.start[g], leaves.start[g + 1]):
            first = leaves.slot_start[leaf]
            d = leaves.slot_start[leaf + 1] - first
            by_set[:] = 0.0
            for code in range(n_codes):
                satisfied = 0
                for i in range(d):
                    if code & leaves.slot_need[first + i] == leaves.slot_want[first + i]:
                        satisfied |= 1 << i
                set_of[code] = satisfied
                by_set[satisfied] += by_code[code]
            mean += leaves.value[leaf] * by_set[(1 << d) - 1]
            _leaf_table(leaves.value[leaf], by_set, d, values)
            for i in range(d):
                offset = entry + leaves.slot_player[first + i] * n_codes
                for code in range(n_codes):
                    table[offset + code] += values[set_of[code], i]
        entry += n_codes * (groups.player_start[g + 1] - groups.player_start[g])
    return mean
