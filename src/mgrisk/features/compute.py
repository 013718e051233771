"""Compute features: from NHANES variables for training, and the derived ones alike for training and scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import pandas as pd

from mgrisk.features.registry import Feature
from mgrisk.nhanes.eras import exists_in

Compute = Callable[[pd.DataFrame], pd.Series]


def from_nhanes(raw: pd.DataFrame, chosen: Sequence[Feature]) -> pd.DataFrame:
    """Compute features from harmonised NHANES variables.

    Parameters
    ----------
    raw
        Frame of `nhanes.harmonise`, with ``cycle`` and the sources of each feature.
    chosen
        Registry rows.

    Returns
    -------
    pandas.DataFrame
        Same index; float64 for numbers, categorical with the registry's levels for categories. Missing in cycles
        that did not ask or measure it (`nhanes/eras.toml`), where an empty answer would be taken for "no" or 0.
    """
    computed = {
        feature.name: _function(feature, feature.name)(raw).where(
            raw["cycle"].map({years: exists_in(feature.name, years) for years in raw["cycle"].unique()}).astype(bool)
        )
        for feature in chosen
    }
    return typed(pd.DataFrame(computed, index=raw.index), chosen)


def complete(given: pd.DataFrame, chosen: Sequence[Feature]) -> pd.DataFrame:
    """Fill features that follow from others where they are not given, and apply NHANES's top codes.

    Parameters
    ----------
    given
        Typed features; a feature without a column counts as missing.
    chosen
        Registry rows, ancestors first (`registry.with_ancestors`).
    """
    columns: dict[str, pd.Series] = {}
    for feature in chosen:
        values = given[feature.name] if feature.name in given else pd.Series(float("nan"), index=given.index)
        if feature.derived_from:
            derived = _function(feature, f"derive_{feature.name}")(pd.DataFrame(columns, index=given.index))
            values = values.where(values.notna(), derived)
        if feature.cap is not None:
            values = values.clip(upper=feature.cap)
        columns[feature.name] = values
    return typed(pd.DataFrame(columns, index=given.index), chosen)


def typed(frame: pd.DataFrame, chosen: Sequence[Feature]) -> pd.DataFrame:
    """Return the frame with float64 numbers and categories of the registry's levels, in registry order."""
    return pd.DataFrame(
        {
            feature.name: (
                frame[feature.name].astype("float64")
                if feature.kind == "number"
                else pd.Series(pd.Categorical(frame[feature.name], categories=list(feature.levels)), index=frame.index)
            )
            for feature in chosen
        },
        index=frame.index,
    )


def _function(feature: Feature, name: str) -> Compute:
    function: Compute = getattr(import_module(f"mgrisk.features.{feature.module}"), name)
    return function
