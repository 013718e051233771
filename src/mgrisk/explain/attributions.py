"""Attributions on the calibrated log-odds: one number for each feature that add up exactly to the reported risk.

Interventional Shapley values with the whole survey-weighted development population as background. The margin's
values, times the calibrator's slope, are the values of the calibrated log-odds; the base is the weighted mean of
the calibrated log-odds in that population. One code path for all learners: trees by tables (`trees`), additive
models term by term, where a feature's value is its term less the population's mean of it, sums part by part.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import bad_bundle
from mgrisk.explain.trees import TreeTables
from mgrisk.features.registry import Feature
from mgrisk.model.boosted_trees import FittedTrees
from mgrisk.model.bundle import Bundle
from mgrisk.model.encode import Encoder
from mgrisk.model.learners import Fitted
from mgrisk.model.splines import FittedSplines
from mgrisk.model.summed import FittedSum

PART: Final = "attributions.npz"


@dataclass(frozen=True)
class Explanation:
    """Attributions of some people, in the shape of `shap.Explanation`.

    Attributes
    ----------
    values
        Contribution of each feature to the calibrated log-odds, shape (n, n_features).
    base_value
        Weighted mean of the calibrated log-odds in the development population.
    features
        The features, in column order.
    data
        The features' values, one column each; same index as the people given.
    """

    values: NDArray[np.float64]
    base_value: float
    features: tuple[Feature, ...]
    data: pd.DataFrame

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """Base plus all contributions: the logit of the reported risk, shape (n,)."""
        total: NDArray[np.float64] = self.base_value + self.values.sum(axis=1)
        return total

    def frame(self) -> pd.DataFrame:
        """Return the contributions with a `base_value` column, one row for each person."""
        names = [feature.name for feature in self.features]
        table = pd.DataFrame(self.values, columns=names, index=self.data.index)
        table.insert(0, "base_value", self.base_value)
        return table

    def to_shap(self) -> object:
        """Return a `shap.Explanation`, for shap's plots."""
        import shap

        return shap.Explanation(
            values=self.values,
            base_values=np.full(len(self.values), self.base_value),
            data=self.data.to_numpy(dtype=object),
            feature_names=[feature.label_with_unit for feature in self.features],
        )


def build(fitted: Fitted, encoder: Encoder, background: NDArray[np.float32], weight: NDArray[np.float64]) -> bytes:
    """Return the content of attributions.npz: what explaining needs, computed once over the background.

    Parameters
    ----------
    fitted, encoder
        The margin and its columns.
    background, weight
        Encoded matrix (m, n_columns) and survey weights (m,) of the development analysis, whole.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, (_, part) in enumerate(_scaled_parts(fitted)):
        of_part: Mapping[str, NDArray[np.generic]]
        if isinstance(part, FittedTrees):
            of_part = TreeTables.build(
                part.booster[: part.trees],
                owners=encoder.owners,
                n_players=len(encoder.features),
                background=background,
                weight=weight,
            ).to_arrays()
        else:
            assert isinstance(part, FittedSplines)
            of_part = {"column_means": np.average(part.contributions(background), axis=0, weights=weight)}
        arrays |= {f"{number}.{name}": array for name, array in of_part.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # stub wants allow_pickle's type for all
    return content.getvalue()


def _scaled_parts(fitted: Fitted) -> list[tuple[float, Fitted]]:
    """Return the parts of a sum with their scales; a model that is no sum is its only part."""
    if isinstance(fitted, FittedSum):
        return list(zip(fitted.scales.scales, fitted.parts, strict=True))
    return [(1.0, fitted)]


@dataclass(frozen=True)
class _TreePart:
    tables: TreeTables

    @property
    def base(self) -> float:
        return self.tables.base

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.tables.values(X)


@dataclass(frozen=True)
class _SplinePart:
    fitted: FittedSplines
    column_means: NDArray[np.float64]
    owners: NDArray[np.int64]
    n_features: int

    @property
    def base(self) -> float:
        return self.fitted.intercept + float(self.column_means.sum())

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        parts = self.fitted.contributions(X) - self.column_means
        grouped = np.zeros((len(X), self.n_features))
        for column, owner in enumerate(self.owners):
            grouped[:, owner] += parts[:, column]
        return grouped


class Explainer:
    """Explains the reported risk of a bundle.

    The values of a sum are the scaled sums of those of its parts (linearity of the Shapley value).

    Parameters
    ----------
    bundle
        A loaded bundle with its attributions part.

    Raises
    ------
    MgRiskError
        `bundle.no_attributions` or `bundle.bad_attributions`.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        arrays = _arrays(bundle)
        calibrator = bundle.calibrator
        self._parts: list[tuple[float, _TreePart | _SplinePart]] = []
        for number, (scale, part) in enumerate(_scaled_parts(bundle.fitted)):
            prefix = f"{number}."
            held = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            self._parts.append((calibrator.slope * scale, _part(part, held, bundle.encoder)))
        intercept = bundle.fitted.scales.intercept if isinstance(bundle.fitted, FittedSum) else 0.0
        self.base_value = (
            calibrator.intercept + calibrator.slope * intercept + sum(scale * part.base for scale, part in self._parts)
        )

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return contributions to the calibrated log-odds, shape (n, n_features), of an encoded matrix."""
        total = np.zeros((len(X), len(self.bundle.features)))
        for scale, part in self._parts:
            total += scale * part.values(X)
        return total

    def explain(self, given: pd.DataFrame) -> Explanation:
        """Explain people given by their typed features."""
        frame, X = self.bundle.encode(given)
        return Explanation(self.values(X), self.base_value, self.bundle.features, frame)


def _part(fitted: Fitted, arrays: Mapping[str, NDArray[np.generic]], encoder: Encoder) -> _TreePart | _SplinePart:
    if isinstance(fitted, FittedTrees):
        return _TreePart(TreeTables.from_arrays(arrays))
    assert isinstance(fitted, FittedSplines)
    means = _column_means(arrays, n_columns=len(encoder.columns))
    return _SplinePart(fitted, means, encoder.owners, len(encoder.features))


def _arrays(bundle: Bundle) -> dict[str, NDArray[np.generic]]:
    if PART not in bundle.parts:
        raise bad_bundle(
            "bundle.no_attributions",
            "the bundle has no attributions, so that its risks cannot be explained",
            where=str(bundle.about.get("name")),
            hint="run the pipeline again; its train step writes them",
        )
    try:
        with np.load(io.BytesIO(bundle.parts[PART]), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, TypeError, BadZipFile, zlib.error) as problem:
        raise _bad(str(problem)) from None


def _column_means(arrays: Mapping[str, NDArray[np.generic]], *, n_columns: int) -> NDArray[np.float64]:
    means = arrays.get("column_means")
    if means is None or means.dtype != np.float64 or means.shape != (n_columns,) or not np.isfinite(means).all():
        raise _bad("column_means are missing or of another shape")
    return means.astype(np.float64)


def _bad(what: str) -> Exception:
    return bad_bundle(
        "bundle.bad_attributions",
        f"{PART}: {what}",
        where=PART,
        hint="the bundle is damaged; take a fresh copy",
    )
