"""How each kind of model is explained: interventional Shapley values of its margin, prepared once over a background.

Trees by tables of patterns (`trees`); splines column by column, a part of the margin less the population's mean of it;
shapes likewise, where a pair's table is shared between its two columns by the definition of the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import bad_bundle
from mgrisk.explain.trees import TreeTables
from mgrisk.model.boosted_trees import FittedTrees
from mgrisk.model.learners import Fitted
from mgrisk.model.shapes import FittedShapes, Shape
from mgrisk.model.splines import FittedSplines

PART: Final = "attributions.npz"
Arrays = Mapping[str, NDArray[np.generic]]


class Explained(Protocol):
    """A part of a model with what explaining it needs."""

    @property
    def base(self) -> float:
        """Weighted mean of the part's margin in the background."""

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the contribution of each player to the part's margin, shape (n, n_players)."""


def prepare(
    fitted: Fitted,
    owners: NDArray[np.int64],
    n_players: int,
    background: NDArray[np.float32],
    weight: NDArray[np.float64],
) -> Arrays:
    """Return the arrays that explaining a part needs.

    Parameters
    ----------
    fitted
        A model that is no sum.
    owners, n_players
        Player of each encoded column, shape (n_columns,), and how many there are: features, or groups of them.
    background, weight
        Encoded matrix (m, n_columns) and survey weights (m,), whole.
    """
    if isinstance(fitted, FittedTrees):
        return TreeTables.build(
            fitted.booster[: fitted.trees],
            owners=owners,
            n_players=n_players,
            background=background,
            weight=weight,
        ).to_arrays()
    if isinstance(fitted, FittedSplines):
        return {"column_means": np.average(fitted.contributions(background), axis=0, weights=weight)}
    assert isinstance(fitted, FittedShapes)
    shared = [_share_out(shape, background, weight) for shape in fitted.shapes]
    arrays: dict[str, NDArray[np.generic]] = {"means": np.array([mean for mean, _ in shared])}
    for number, (_, tables) in enumerate(shared):
        arrays |= {f"shape-{number}-{place}": table for place, table in enumerate(tables)}
    return arrays


def read_part(fitted: Fitted, arrays: Arrays, owners: NDArray[np.int64], n_players: int) -> Explained:
    """Return a part ready to explain, from what `prepare` made for the same players.

    Raises
    ------
    MgRiskError
        `bundle.bad_attributions`, or those of `TreeTables.from_arrays`.
    """
    if isinstance(fitted, FittedTrees):
        of_trees = TreeTables.from_arrays(arrays)
        if (of_trees.n_columns, of_trees.n_players) != (len(owners), n_players):
            raise bad_attributions("its tables are of other columns or features than the bundle's")
        return _Trees(of_trees)
    if isinstance(fitted, FittedSplines):
        return _Splines(fitted, _floats(arrays, "column_means", owners.shape), owners, n_players)
    assert isinstance(fitted, FittedShapes)
    means = _floats(arrays, "means", (len(fitted.shapes),))
    tables = tuple(
        tuple(_floats(arrays, f"shape-{number}-{place}", shape.scores.shape) for place in range(len(shape.columns)))
        for number, shape in enumerate(fitted.shapes)
    )
    return _Shapes(fitted, fitted.intercept + float(means.sum()), tables, owners, n_players)


def bad_attributions(what: str) -> Exception:
    """Return the error about attributions that `prepare` cannot have made."""
    hint = "the bundle is damaged; take a fresh copy"
    return bad_bundle("bundle.bad_attributions", f"{PART}: {what}", where=PART, hint=hint)


@dataclass(frozen=True)
class _Trees:
    tables: TreeTables

    @property
    def base(self) -> float:
        return self.tables.base

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.tables.values(X)


@dataclass(frozen=True)
class _Splines:
    fitted: FittedSplines
    column_means: NDArray[np.float64]
    owners: NDArray[np.int64]
    n_players: int

    @property
    def base(self) -> float:
        return self.fitted.intercept + float(self.column_means.sum())

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        parts = self.fitted.contributions(X) - self.column_means
        grouped = np.zeros((len(X), self.n_players), order="F")
        for column, owner in enumerate(self.owners):
            grouped[:, owner] += parts[:, column]
        return grouped


@dataclass(frozen=True)
class _Shapes:
    fitted: FittedShapes
    base: float
    tables: tuple[tuple[NDArray[np.float64], ...], ...]
    owners: NDArray[np.int64]
    n_players: int

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        grouped = np.zeros((len(X), self.n_players), order="F")
        for shape, tables in zip(self.fitted.shapes, self.tables, strict=True):
            bins = shape.bins(X)
            for column, table in zip(shape.columns, tables, strict=True):
                grouped[:, self.owners[column]] += table[bins]
        return grouped


def _share_out(
    shape: Shape, background: NDArray[np.float32], weight: NDArray[np.float64]
) -> tuple[float, tuple[NDArray[np.float64], ...]]:
    """Return the weighted mean of a table and what each of its columns gets, by bin.

    With two columns, f(x, y) is worth E f(x, Y) where x alone is known: half of what each adds first and last.
    """
    share = np.zeros(shape.scores.shape)
    np.add.at(share, shape.bins(background), weight / weight.sum())
    mean = float((share * shape.scores).sum())
    if len(shape.columns) == 1:
        return mean, (shape.scores - mean,)
    # Each column alone is set against the background's distribution of the other, whatever goes with what.
    of_first, of_second = share.sum(axis=1), share.sum(axis=0)
    first_known = (shape.scores @ of_second)[:, None]
    second_known = (of_first @ shape.scores)[None, :]
    first = 0.5 * ((first_known - mean) + (shape.scores - second_known))
    second = 0.5 * ((second_known - mean) + (shape.scores - first_known))
    return mean, (first, second)


def _floats(arrays: Arrays, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    found = arrays.get(name)
    if found is None or found.dtype != np.float64 or found.shape != shape or not np.isfinite(found).all():
        raise bad_attributions(f"{name} is missing or of another shape")
    return found.astype(np.float64)
