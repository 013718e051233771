"""The kinds of fitted models that a bundle may hold, and how each is read back."""

from __future__ import annotations

from collections.abc import Mapping

from mgrisk.model import boosted_trees, shapes, splines, summed
from mgrisk.model.boosted_trees import FittedTrees
from mgrisk.model.learners import Fitted, bad_model
from mgrisk.model.shapes import FittedShapes
from mgrisk.model.splines import FittedSplines
from mgrisk.model.summed import FittedSum


def read_fitted(files: Mapping[str, bytes], *, n_columns: int, threads: int) -> Fitted:
    """Read a fitted model back; which kind it is, its files say.

    Parameters
    ----------
    files
        Files of a bundle by name.
    n_columns
        Encoded columns that the bundle's features have.
    threads
        Threads for tree ensembles.

    Raises
    ------
    MgRiskError
        `bundle.bad_model`.
    """
    if summed.FILE in files:
        scales, parts = summed.part_files(files)
        # A part is never a sum: a hostile bundle cannot nest without end.
        return FittedSum(scales, tuple(_read_part(part, n_columns=n_columns, threads=threads) for part in parts))
    return _read_part(files, n_columns=n_columns, threads=threads)


def _read_part(files: Mapping[str, bytes], *, n_columns: int, threads: int) -> Fitted:
    if splines.FILE in files:
        return FittedSplines.from_files(files, n_columns=n_columns)
    if boosted_trees.FILE in files:
        return FittedTrees.from_files(files, n_columns=n_columns, threads=threads)
    if shapes.FILE in files:
        return FittedShapes.from_files(files, n_columns=n_columns)
    raise bad_model(f"{splines.FILE}, {boosted_trees.FILE} or {shapes.FILE}", "is missing")
