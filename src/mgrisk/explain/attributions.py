"""SHAP values on the calibrated log-odds: one number for each feature; base value plus all numbers is the log-odds.

They are interventional Shapley values with the whole survey-weighted development population as background. The values
of the linear predictor times the calibrator's slope are those of the calibrated log-odds; the base value is the
weighted mean of the calibrated log-odds in that population.

Each kind of model has an exact method. An additive model explains itself, whatever inputs are absent
(`model.additive`). The others are prepared once over the background (`prepare`): trees by tables of codes (`trees`),
shape functions column by column, with a pair's table divided between its columns by the definition of the Shapley
value. The values of an ensemble are the scaled sums of those of its parts.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.config.checked import LARGEST
from mgrisk.errors import bad_bundle
from mgrisk.features.compute import to_columns
from mgrisk.features.registry import Feature
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.curves import FittedSplines
from mgrisk.model.explainable_boosting import FittedShapes, Shape
from mgrisk.model.learners import Encoder, Fitted
from mgrisk.model.stacking import FittedSum
from mgrisk.model.trees.learners import FittedTrees
from mgrisk.storage.files import read_arrays
from mgrisk.types import Floats, Integers, Singles

if TYPE_CHECKING:
    from mgrisk.explain.for_shap import ShapExplanation
    from mgrisk.explain.trees import TreeTables

PART: Final = "attributions.npz"
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class LookUpTable:
    """A table that contributions are read off: entries by the bins of a few encoded columns.

    Attributes
    ----------
    columns, cuts
        The columns, and the increasing cut points of each. The bin of a value is the number of cuts up to it.
    missing
        The bin of a missing value in each column.
    players
        Whose contributions it holds.
    entries
        For each player an array with an axis for each column, in log-odds.
    """

    columns: tuple[int, ...]
    cuts: tuple[Floats, ...]
    missing: tuple[int, ...]
    players: tuple[int, ...]
    entries: Floats


class Explained(Protocol):
    """A part of a model, ready to explain."""

    @property
    def base(self) -> float:
        """Weighted mean of the part's linear predictor in the background."""

    @property
    def tables(self) -> list[LookUpTable] | None:
        """What its contributions are the sums of; None where it has curves."""

    def values(self, X: Singles) -> Floats:
        """Return the Shapley value of each player for the part's linear predictor, shape (n, n_players)."""


def prepare(
    fitted: Fitted,
    owners: Integers,
    n_players: int,
    background: Singles,
    weight: Floats,
) -> Arrays:
    """Return the arrays needed to explain a part.

    Parameters
    ----------
    fitted
        A model that is not an ensemble of parts.
    owners, n_players
        Player of each encoded column, shape (n_columns,), and the number of players: features, or groups of them.
    background, weight
        Encoded matrix (m, n_columns) and survey weights (m,) of the whole background.
    """
    if isinstance(fitted, Additive):
        return {}
    if isinstance(fitted, FittedTrees):
        from mgrisk.explain.trees import TreeTables  # numba: a third of a second, for trees alone

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


def read_part(fitted: Fitted, arrays: Arrays, owners: Integers, n_players: int) -> Explained:
    """Return a part ready to explain, from the arrays that `prepare` returned for the same players.

    Raises
    ------
    MgRiskError
        `bundle.bad_attributions`, or those of `TreeTables.from_arrays`.
    """
    if isinstance(fitted, Additive):
        return _Additive(fitted, owners, n_players)
    if isinstance(fitted, FittedTrees):
        from mgrisk.explain.trees import TreeTables  # as in `prepare`

        of_trees = TreeTables.from_arrays(arrays)
        if (of_trees.n_columns, of_trees.n_players) != (len(owners), n_players):
            raise bad_attributions("its tables are for other columns or features than the bundle's")
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
    """Return the error for attributions that `prepare` cannot have produced."""
    hint = "the bundle is damaged; take a fresh copy"
    return bad_bundle("bundle.bad_attributions", f"{PART}: {what}", where=PART, hint=hint)


@dataclass(frozen=True)
class _Additive:
    fitted: Additive
    owners: Integers
    n_players: int
    tables: None = None

    @property
    def base(self) -> float:
        return self.fitted.intercept

    def values(self, X: Singles) -> Floats:
        return _sum_by(self.fitted.answer(X).contributions, self.owners[self.fitted.first], self.n_players)


def _sum_by(values: Floats, owner: Integers, n: int) -> Floats:
    """Sum rows of (p, n_people) by owner; shape (n_people, n), contiguous by owner."""
    grouped = np.zeros((n, values.shape[1]))
    for row, place in zip(values, owner, strict=True):
        grouped[place] += row
    return grouped.T


@dataclass(frozen=True)
class _Trees:
    of_trees: TreeTables

    @property
    def base(self) -> float:
        return self.of_trees.base

    @property
    def tables(self) -> list[LookUpTable]:
        groups, found, start = self.of_trees.groups, [], 0
        for g in range(len(groups.split_start) - 1):
            splits = slice(*groups.split_start[g : g + 2])
            players = groups.player[slice(*groups.player_start[g : g + 2])]
            d = splits.stop - splits.start
            entries = self.of_trees.table[start : start + len(players) * 2**d]
            start += len(entries)
            # Bit k of a code says that split k goes left, below its threshold; axes of an array begin at the last bit.
            by_bit = entries.reshape(len(players), *(2,) * d).transpose(0, *range(d, 0, -1))
            found.append(
                LookUpTable(
                    columns=tuple(groups.split_column[splits].tolist()),
                    cuts=tuple(groups.split_threshold[splits].astype(np.float64)[:, None]),
                    missing=tuple(0 if left else 1 for left in groups.split_default_left[splits]),
                    players=tuple(players.tolist()),
                    entries=np.flip(by_bit, axis=tuple(range(1, d + 1))),
                )
            )
        return found

    def values(self, X: Singles) -> Floats:
        return self.of_trees.values(X)


@dataclass(frozen=True)
class _Splines:
    fitted: FittedSplines
    column_means: Floats
    owners: Integers
    n_players: int
    tables: None = None

    @property
    def base(self) -> float:
        return self.fitted.intercept + float(self.column_means.sum())

    def values(self, X: Singles) -> Floats:
        parts = self.fitted.contributions(X) - self.column_means
        return _sum_by(parts.T, self.owners, self.n_players)


@dataclass(frozen=True)
class _Shapes:
    fitted: FittedShapes
    base: float
    of_columns: tuple[tuple[Floats, ...], ...]
    owners: Integers
    n_players: int

    @property
    def tables(self) -> list[LookUpTable]:
        return [
            LookUpTable(
                columns=shape.columns,
                cuts=shape.cuts,
                missing=tuple(len(cuts) + 1 for cuts in shape.cuts),
                players=tuple(int(self.owners[column]) for column in shape.columns),
                # Of a shape bin 0 is that of a missing value; here it comes last.
                entries=np.roll(np.stack(entries), -1, axis=tuple(range(1, len(shape.columns) + 1))),
            )
            for shape, entries in zip(self.fitted.shapes, self.of_columns, strict=True)
        ]

    def values(self, X: Singles) -> Floats:
        grouped = np.zeros((len(X), self.n_players), order="F")
        for shape, tables in zip(self.fitted.shapes, self.of_columns, strict=True):
            bins = shape.bins(X)
            for column, table in zip(shape.columns, tables, strict=True):
                grouped[:, self.owners[column]] += table[bins]
        return grouped


def _share_out(shape: Shape, background: Singles, weight: Floats) -> tuple[float, tuple[Floats, ...]]:
    """Return the weighted mean of a table, and the Shapley values of its columns by bin.

    With two columns, the value of f(x, y) with x alone known is E f(x, Y). A column's Shapley value is the mean of what
    it adds as the first and as the second.
    """
    share = np.zeros(shape.scores.shape)
    np.add.at(share, shape.bins(background), weight / weight.sum())
    mean = float((share * shape.scores).sum())
    if len(shape.columns) == 1:
        return mean, (shape.scores - mean,)
    # Interventional: each column is combined with the marginal distribution of the other.
    of_first, of_second = share.sum(axis=1), share.sum(axis=0)
    first_known = (shape.scores @ of_second)[:, None]
    second_known = (of_first @ shape.scores)[None, :]
    first = 0.5 * ((first_known - mean) + (shape.scores - second_known))
    second = 0.5 * ((second_known - mean) + (shape.scores - first_known))
    return mean, (first, second)


def _floats(arrays: Arrays, name: str, shape: tuple[int, ...]) -> Floats:
    found = arrays.get(name)
    if found is None or found.dtype != np.float64 or found.shape != shape or not (np.abs(found) <= LARGEST).all():
        raise bad_attributions(f"{name} is missing or of another shape")
    return found.astype(np.float64)


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some people, as in `shap.Explanation`.

    Attributes
    ----------
    values
        SHAP value of each feature on the calibrated log-odds, shape (n, n_features).
    base_values
        Base value of each person, shape (n,): the weighted mean of the calibrated log-odds in the development
        population; for an additive model, the log-odds where all observed inputs are average, which depends on the
        absent ones.
    features
        The features, in column order.
    data
        The features' values, one column each, with the index of the people given.
    """

    values: Floats
    base_values: Floats
    features: tuple[Feature, ...]
    data: pd.DataFrame

    @property
    def log_odds(self) -> Floats:
        """Base value plus all SHAP values: the logit of the reported risk, shape (n,)."""
        total: Floats = self.base_values + self.values.sum(axis=1)
        return total

    def frame(self) -> pd.DataFrame:
        """Return the SHAP values with a `base_value` column, one row for each person."""
        names = [feature.name for feature in self.features]
        table = pd.DataFrame(self.values, columns=names, index=self.data.index)
        table.insert(0, "base_value", self.base_values)
        return table

    def to_shap(self) -> ShapExplanation:
        """Return a `shap.Explanation` for shap's plots; categories are codes in `data`, and text in `display_data`."""
        from mgrisk.explain.for_shap import ShapExplanation  # shap: two seconds, which scoring does without

        return ShapExplanation(
            values=self.values,
            base_values=self.base_values,
            data=np.column_stack([to_columns(self.data, self.features)[feature.name] for feature in self.features]),
            display_data=self.data.to_numpy(dtype=object),
            index=self.data.index,
            feature_names=[feature.name for feature in self.features],
        )


def build(fitted: Fitted, encoder: Encoder, background: Singles, weight: Floats) -> dict[str, bytes]:
    """Return attributions.npz by its name: tables for explanation, computed once over the background.

    Empty for an additive model, which needs none.

    Parameters
    ----------
    fitted, encoder
        The model and the encoder of its columns.
    background, weight
        Encoded matrix (m, n_columns) and survey weights (m,) of the whole development analysis population.
    """
    if isinstance(fitted, Additive):
        return {}
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, (_, part) in enumerate(scaled_parts(fitted)):
        of_part = prepare(part, encoder.owners, len(encoder.features), background, weight)
        arrays |= {f"{number}.{name}": array for name, array in of_part.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # stub wants allow_pickle's type for all
    return {PART: content.getvalue()}


def scaled_parts(fitted: Fitted) -> list[tuple[float, Fitted]]:
    """Return the parts of an ensemble with their scales; any other model is its only part."""
    if isinstance(fitted, FittedSum):
        return list(zip(fitted.scales.scales, fitted.parts, strict=True))
    return [(1.0, fitted)]


class Explainer:
    """Explains the reported risk of a bundle.

    The values of an ensemble are the scaled sums of those of its parts (linearity of the Shapley value).

    Parameters
    ----------
    bundle
        A loaded bundle, with its attributions where it is not additive.

    Attributes
    ----------
    base_value
        The base value; for an additive model, that of people without absent inputs.

    Raises
    ------
    MgRiskError
        `bundle.no_attributions` or `bundle.bad_attributions`.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        if isinstance(bundle.fitted, Additive):
            self.base_value = float(bundle.calibrator.log_odds(np.array(bundle.fitted.intercept)))
            return
        arrays = _arrays(bundle)
        calibrator, owners = bundle.calibrator, bundle.encoder.owners
        self._parts: list[tuple[float, Explained]] = []
        for number, (scale, part) in enumerate(scaled_parts(bundle.fitted)):
            prefix = f"{number}."
            held = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            self._parts.append((calibrator.slope * scale, read_part(part, held, owners, len(bundle.features))))
        intercept = bundle.fitted.scales.intercept if isinstance(bundle.fitted, FittedSum) else 0.0
        self.base_value = (
            calibrator.intercept + calibrator.slope * intercept + sum(scale * part.base for scale, part in self._parts)
        )

    def values(self, X: Singles) -> Floats:
        """Return SHAP values on the calibrated log-odds, shape (n, n_features), of an encoded matrix.

        They are contiguous by feature.
        """
        if isinstance(self.bundle.fitted, Additive):
            return self._of_additive(X)[1]
        (scale, part), *others = self._parts
        total = part.values(X)
        total *= scale
        for scale, part in others:
            total += scale * part.values(X)
        return total

    def tables(self) -> list[LookUpTable] | None:
        """Return the tables that contributions to the calibrated log-odds are sums of; None where there are curves."""
        if isinstance(self.bundle.fitted, Additive):
            return None
        found = []
        for scale, part in self._parts:
            tables = part.tables
            if tables is None:
                return None
            found += [replace(each, entries=scale * each.entries) for each in tables]
        return found

    def _of_additive(self, X: Singles) -> tuple[Floats, Floats]:
        """Return base values (n,) and SHAP values (n, n_features), as the bundle predicts them."""
        found = self.bundle.predict(X)
        assert found.contributions is not None
        assert found.base is not None
        return found.base, found.contributions.T

    def explain(self, given: pd.DataFrame) -> Explanation:
        """Explain people given by their typed features."""
        return self.explain_encoded(*self.bundle.encode(given))

    def explain_encoded(self, frame: pd.DataFrame, X: Singles) -> Explanation:
        """Explain people given as `Bundle.encode` returns them."""
        if isinstance(self.bundle.fitted, Additive):
            base, values = self._of_additive(X)
            return Explanation(values, base, self.bundle.features, frame)
        return Explanation(self.values(X), np.full(len(X), self.base_value), self.bundle.features, frame)


def _arrays(bundle: Bundle) -> dict[str, NDArray[np.generic]]:
    if PART not in bundle.parts:
        raise bad_bundle(
            "bundle.no_attributions",
            "the bundle has no attributions, so that its risks cannot be explained",
            where=str(bundle.about.get("name")),
            hint="run the pipeline again; its train step writes them",
        )
    try:
        return read_arrays(bundle.parts[PART])
    except ValueError as problem:
        raise bad_attributions(str(problem)) from None
