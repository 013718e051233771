"""Attributions on the calibrated log-odds: one number for each feature that add up exactly to the reported risk.

Interventional Shapley values with the whole survey-weighted development population as background. The margin's
values, times the calibrator's slope, are the values of the calibrated log-odds; the base is the weighted mean of
the calibrated log-odds in that population. One code path for all learners: each part of a sum by its kind (`parts`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.artifacts import read_arrays
from mgrisk.errors import bad_bundle
from mgrisk.explain.parts import PART, Explained, bad_attributions, prepare, read_part
from mgrisk.features.registry import Feature
from mgrisk.model.bundle import Bundle
from mgrisk.model.encode import Encoder
from mgrisk.model.learners import Fitted
from mgrisk.model.summed import FittedSum


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
    for number, (_, part) in enumerate(scaled_parts(fitted)):
        of_part = prepare(part, encoder.owners, len(encoder.features), background, weight)
        arrays |= {f"{number}.{name}": array for name, array in of_part.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # stub wants allow_pickle's type for all
    return content.getvalue()


def scaled_parts(fitted: Fitted) -> list[tuple[float, Fitted]]:
    """Return the parts of a sum with their scales; a model that is no sum is its only part."""
    if isinstance(fitted, FittedSum):
        return list(zip(fitted.scales.scales, fitted.parts, strict=True))
    return [(1.0, fitted)]


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

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return contributions to the calibrated log-odds, shape (n, n_features), of an encoded matrix.

        Those of a feature lie in one piece in memory.
        """
        (scale, part), *others = self._parts
        total = part.values(X)
        total *= scale
        for scale, part in others:
            total += scale * part.values(X)
        return total

    def explain(self, given: pd.DataFrame) -> Explanation:
        """Explain people given by their typed features."""
        frame, X = self.bundle.encode(given)
        return Explanation(self.values(X), self.base_value, self.bundle.features, frame)


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
