"""Exact interventional Shapley values of a tree ensemble's linear predictor, by look-up tables.

In the game of a row ``x`` against a background row ``z``, a coalition ``S`` of players takes its columns from ``x`` and
all others from ``z``; its value is the ensemble's margin. Columns that belong together (one-hot columns of a feature, a
family of nutrients) are one player. For a leaf of value ``v``, let A be the players on its path whose conditions ``x``
meets, and B those whose conditions ``z`` meets. Unless A and B together are the whole path, all values are zero; else,
with ``p = |A - B|`` and ``q = |B - A|``, a player of A - B gets ``v (p-1)! q! / (p+q)!`` and one of B - A gets
``-v p! (q-1)! / (p+q)!``.

The background therefore enters only as a weighted histogram of B. It is computed once over the *whole* background and
summed into a table: for each code of a group of leaves (see `model.trees.leaves.Groups`) the value of each of its few
players. Explaining a row means computing its codes and adding table entries, whatever the size of the background.

Source: the closed form is that of interventional TreeSHAP, Lundberg et al. (2020), Nature Machine Intelligence
2:56-67; the library woodelf-explainer (PyPI) also sums over a background in advance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from mgrisk.config.checked import LARGEST
from mgrisk.errors import bad_input
from mgrisk.explain.tree_kernels import BLOCK_ROWS, Wide, explain, fill, fill_by_cover, room_for_sums, widen
from mgrisk.model.trees.leaves import (
    MAX_COLUMNS,
    Ensemble,
    Groups,
    Leaves,
    bad_tables,
    checked_matrix,
    checked_owners,
    checked_share,
    group_leaves,
    read_ensemble,
)
from mgrisk.types import Floats, Singles

if TYPE_CHECKING:
    import xgboost

# 1 GiB of float64. Depth 8 with 300 full trees would need more than half of it.
MAX_TABLE_ENTRIES = 1 << 27


@dataclass(frozen=True, eq=False)
class TreeTables:
    """Shapley values of an ensemble for every code of its groups of splits.

    Created by `build` or `from_arrays`, which check it; read-only.

    Attributes
    ----------
    base
        Weighted mean of the margin over the background (log-odds).
    n_players, n_columns
        Numbers of columns of the result and the argument of `values`.
    groups
        The splits of each group, and their players.
    table
        For each group, for each of its players, one entry (log-odds) for each code; shape (n_entries,).
    """

    base: float
    n_players: int
    n_columns: int
    groups: Groups
    table: Floats

    def __post_init__(self) -> None:
        _check(self)
        for array in (*self.groups, self.table):
            array.flags.writeable = False

    @classmethod
    def build(
        cls,
        booster: xgboost.Booster,
        *,
        owners: npt.NDArray[np.integer],
        n_players: int,
        background: Singles,
        weight: Floats,
    ) -> Self:
        """Sum the values of a booster over a weighted background.

        Parameters
        ----------
        booster
            A gbtree of objective ``binary:logistic`` or ``reg:squarederror``, numeric splits, depth at most 8. All its
            trees are used.
        owners
            Player of each column, integers below `n_players`, shape (n_columns,).
        n_players
            Number of players; one without a column that is split on has the value 0.
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
        >>> import xgboost
        >>> rng = np.random.default_rng(1)
        >>> X = rng.normal(size=(500, 3)).astype(np.float32)
        >>> y = (X[:, 0] + X[:, 1] > 0).astype(np.float32)
        >>> parameters = {"objective": "binary:logistic", "max_depth": 3}
        >>> booster = xgboost.train(parameters, xgboost.DMatrix(X, y), num_boost_round=5)
        >>> tables = TreeTables.build(
        ...     booster, owners=np.array([0, 1, 1]), n_players=2, background=X, weight=np.ones(500)
        ... )
        >>> values = tables.values(X)
        >>> margin = booster.predict(xgboost.DMatrix(X), output_margin=True)
        >>> bool(np.allclose(tables.base + values.sum(axis=1), margin, atol=1e-5))
        True
        """
        ensemble = read_ensemble(booster)
        columns = np.ascontiguousarray(checked_matrix(background, ensemble.n_columns, where="background").T)
        share = checked_share(weight, n_rows=columns.shape[1])
        return cls._filled(ensemble, owners, n_players, lambda *tables: fill(columns, share, *tables))

    @classmethod
    def path_dependent(cls, booster: xgboost.Booster, *, owners: npt.NDArray[np.integer], n_players: int) -> Self:
        """Sum the values of a booster over the training weights in its trees, in place of a background.

        With one player for each column these are the values of xgboost's ``pred_contribs`` and of `shap.TreeExplainer`
        without data. Reports do not use them, since their base value is not the mean of a population.

        Parameters, result and errors as for `build`.
        Source: Lundberg et al. (2020), Nature Machine Intelligence 2:56-67, algorithm 2.
        """
        return cls._filled(read_ensemble(booster), owners, n_players, fill_by_cover)

    @classmethod
    def _filled(
        cls,
        ensemble: Ensemble,
        owners: npt.NDArray[np.integer],
        n_players: int,
        fill_table: Callable[[Groups, Leaves, Floats], float],
    ) -> Self:
        n_columns = ensemble.n_columns
        owner = checked_owners(owners, n_columns=n_columns, n_players=n_players)
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
        base = ensemble.base_margin + stumps + fill_table(groups, leaves, table)
        return cls(base=base, n_players=n_players, n_columns=n_columns, groups=groups, table=table)

    def values(self, X: Singles, *, n_threads: int = 1) -> Floats:
        """Return the Shapley values of each row, in log-odds.

        Parameters
        ----------
        X
            float32, missing values NaN, shape (n, n_columns).
        n_threads
            Number of threads; the result does not depend on it. The work is done outside the GIL and is stateless, so
            that callers may also run several calls at once.

        Returns
        -------
        ndarray
            Shape (n, n_players), contiguous by player; `base` plus the sum of a row is its margin.

        Raises
        ------
        MgRiskError
            ``explain.bad_matrix``.
        """
        columns = np.ascontiguousarray(checked_matrix(X, self.n_columns, where="X").T).view()
        # numba would compile again for a writable array.
        columns.flags.writeable = False
        out = np.empty((self.n_players, len(X)))

        def part(first: int, last: int) -> None:
            explain(columns, first, last, self.groups, self._wide, room_for_sums(self.n_players), out)

        if n_threads <= 1:
            part(0, len(X))
            return out.T
        # Plain threads, not numba's: its default pool aborts the process when two threads call it at once.
        step = max(BLOCK_ROWS, -(-len(X) // n_threads))
        with ThreadPoolExecutor(max_workers=n_threads) as pool:
            list(pool.map(lambda first: part(first, min(first + step, len(X))), range(0, len(X), step)))
        return out.T

    @cached_property
    def _wide(self) -> Wide:
        return widen(self.groups, self.table, n_players=self.n_players)

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the tables as plain arrays, for ``np.savez``; `from_arrays` reads them back."""
        scalars = {"base": np.float64(self.base), "n_players": np.int64(self.n_players)}
        scalars["n_columns"] = np.int64(self.n_columns)
        arrays = {**scalars, **self.groups._asdict(), "table": self.table}
        return {name: np.asarray(array) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Self:
        """Read back the result of `to_arrays` from a file that may be damaged or forged.

        Parameters
        ----------
        arrays
            For example the result of ``np.load(path, allow_pickle=False)``.

        Returns
        -------
        TreeTables
            With exactly the same values.

        Raises
        ------
        MgRiskError
            ``explain.bad_tables``: names, types, shapes or bounds are not those of a table.
        """
        if set(arrays) != set(_DTYPES):
            raise bad_tables("names", sorted(_DTYPES), sorted(arrays))
        try:
            # A copy, which cannot be changed through another reference after it was checked.
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
    if not (abs(tables.base) <= LARGEST and (np.abs(tables.table) <= LARGEST).all()):
        raise bad_tables("base, table", "finite numbers", "others")
