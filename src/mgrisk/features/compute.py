"""Computation of features from NHANES variables (for training) and from other features (for training and scoring).

`from_nhanes` computes a feature from its variables: it is the variable itself (`registry.VARIABLE_OF`), the result of
the function of the same name, a summary of a table with several rows for each person, or derived from other features.
`complete` derives missing features from the given ones; scoring needs only this function.

A feature with ``fitted = "usual_magnesium"`` in its row is a prediction of the model in `features/usual_magnesium.py`.
The model is fitted once on the development cohort, without the outcome, and stored in the bundle, so that scoring and
development give the same value (`fit`, `to_dict`, `from_dict`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from mgrisk.errors import bad_bundle
from mgrisk.features.registry import FEATURES, VARIABLE_OF, Feature, computed_from
from mgrisk.nhanes.eras import exists_in
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats

FITTED_FEATURES: Final = "fitted_features.json"
"""File with the fitted models of features, in a run folder and in a bundle."""


class FittedModel(Protocol):
    """A fitted model that predicts features; it is stored as JSON."""

    def predict(self, parents: pd.DataFrame) -> pd.DataFrame:
        """Return the predicted features, from the features that they are derived from; same index."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, lists and texts."""


Models = Mapping[str, FittedModel]
NO_MODELS: Final[Models] = MappingProxyType({})


def fit(people: pd.DataFrame, design: SurveyDesign, chosen: Iterable[Feature]) -> Models:
    """Fit the models that some features need.

    Parameters
    ----------
    people
        Typed features, one row for each row of the design, including those that the chosen ones are derived from.
    design
        Survey design, whose domain is fitted; each model excludes people with missing inputs.
    chosen
        Registry rows; each model is fitted once.

    Returns
    -------
    Mapping
        The models by name, in the order of the features.

    Raises
    ------
    MgRiskError
        The error of a model that cannot be fitted.
    """
    names = dict.fromkeys(feature.fitted for feature in chosen if feature.fitted)
    return {name: _module(name).fit(people, design) for name in names}


def to_dict(models: Models) -> dict[str, Any]:
    """Return the models by name as plain values, the content of fitted_features.json."""
    return {name: model.to_dict() for name, model in models.items()}


def from_dict(content: Mapping[str, Any], chosen: Iterable[Feature]) -> Models:
    """Return the models written by `to_dict`.

    Parameters
    ----------
    content
        As returned by `to_dict`; a model unknown to this version is ignored unless a feature needs it.
    chosen
        Registry rows of the features whose models are required.

    Raises
    ------
    MgRiskError
        ``fitted.missing``, and the error of a model that cannot be read.
    """
    there = content if isinstance(content, Mapping) else {}
    needed = dict.fromkeys(feature.fitted for feature in chosen if feature.fitted)
    lacking = [name for name in needed if name not in there]
    if lacking:
        raise bad_bundle(
            "fitted.missing",
            f"the model {lacking[0]} is missing",
            where=FITTED_FEATURES,
            hint="get a fresh copy of the bundle",
        )
    known = dict.fromkeys(feature.fitted for feature in FEATURES.values() if feature.fitted and feature.fitted in there)
    return {name: _module(name).from_dict(there[name]) for name in needed | known}


def _module(name: str) -> Any:
    return import_module(f"mgrisk.features.{name}")


Compute = Callable[[pd.DataFrame], pd.Series]
Columns = Mapping[str, Floats]
"""Features by name as plain arrays; a level is coded as its index among the feature's levels, missing as NaN."""


def from_nhanes(raw: pd.DataFrame, chosen: Sequence[Feature], *, models: Models = NO_MODELS) -> pd.DataFrame:
    """Compute features from harmonised NHANES variables.

    Parameters
    ----------
    raw
        Frame of `features.summary.gather`, with ``cycle`` and the sources of each feature and of its ancestors.
    chosen
        Registry rows.
    models
        Fitted models (`fit`); a feature whose model is not given is missing.

    Returns
    -------
    pandas.DataFrame
        Same index; numbers as float64, capped at the registry's ``cap`` (top codes differ between cycles); categories
        as categoricals with the registry's levels. A feature is missing in cycles that did not ask or measure it
        (`nhanes/eras.toml`), so that an absent answer does not count as "no" or 0.
    """
    family = computed_from(chosen)
    columns: dict[str, pd.Series] = {}
    for feature in family:
        asked = {years: exists_in(feature.name, years) for years in raw["cycle"].unique()}
        if feature.summary:
            values = raw[feature.name]
        elif feature.name in VARIABLE_OF:
            values = raw[VARIABLE_OF[feature.name]]
        elif feature.sources:
            values = _function(feature, feature.name)(raw)
        else:
            values = _derived(feature, pd.DataFrame({name: columns[name] for name in feature.derived_from}), models)
        there = raw["cycle"].map(asked).astype(bool)
        found = _typed(values if there.all() else values.where(there), feature)
        columns[feature.name] = found if feature.cap is None else found.clip(upper=feature.cap)
    return pd.DataFrame({feature.name: columns[feature.name] for feature in chosen}, index=raw.index)


def complete(given: pd.DataFrame, chosen: Sequence[Feature], *, models: Models = NO_MODELS) -> pd.DataFrame:
    """Derive missing features from others, and apply NHANES's top codes.

    Parameters
    ----------
    given
        Typed features; a feature without a column counts as missing.
    chosen
        Registry rows, ancestors first (`registry.with_ancestors`).
    models
        Fitted models of features.
    """
    filled = complete_columns(to_columns(given, chosen), chosen, n=len(given), models=models)
    return to_frame(filled, chosen, index=given.index)


def complete_columns(given: Columns, chosen: Sequence[Feature], *, n: int, models: Models = NO_MODELS) -> Columns:
    """Do the same as `complete` on plain arrays of shape (n,) (see `Columns`).

    Frames are built only for derivations. A feature that needs no change is returned as the given array.
    """
    columns: dict[str, Floats] = {}
    known = {feature.name: feature for feature in chosen}
    for feature in chosen:
        values = given[feature.name] if feature.name in given else np.full(n, np.nan)
        # If nobody lacks it, there is nothing to derive.
        if feature.derived_from and (missing := np.isnan(values)).any():
            parents = [known[name] for name in feature.derived_from]
            values = np.where(missing, derive(feature, columns, parents, n=n, models=models), values)
        columns[feature.name] = values if feature.cap is None else np.minimum(values, feature.cap)
    return columns


def derive(
    feature: Feature, given: Columns, parents: Sequence[Feature], *, n: int, models: Models = NO_MODELS
) -> Floats:
    """Return a feature derived from its parents, as plain arrays of shape (n,).

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> bmi, *parents = features(["bmi_kg_m2", "height_cm", "weight_kg"])
    >>> derive(bmi, {"height_cm": np.array([200.0]), "weight_kg": np.array([100.0])}, parents, n=1)
    array([25.])
    """
    return _places(_derived(feature, to_frame(given, parents, index=pd.RangeIndex(n)), models), feature)


def to_columns(frame: pd.DataFrame, chosen: Iterable[Feature]) -> Columns:
    """Return the features of a frame as plain arrays (see `Columns`)."""
    return {feature.name: _places(frame[feature.name], feature) for feature in chosen if feature.name in frame}


def to_frame(columns: Columns, chosen: Iterable[Feature], *, index: pd.Index) -> pd.DataFrame:
    """Return plain arrays as a frame of typed features."""
    typed_columns = {feature.name: _typed_array(columns[feature.name], feature) for feature in chosen}
    return pd.DataFrame(typed_columns, index=index, copy=False)


def _places(values: pd.Series, feature: Feature) -> Floats:
    if feature.kind == "number":
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    codes = _typed(values, feature).cat.codes.to_numpy()
    return np.where(codes < 0, np.nan, codes)


def _typed_array(values: Floats, feature: Feature) -> Floats | pd.Categorical[Any]:
    if feature.kind == "number":
        return values
    codes = np.where(np.isnan(values), -1, values).astype(np.int8)
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(feature.levels)))


def _derived(feature: Feature, parents: pd.DataFrame, models: Models) -> pd.Series:
    if not feature.fitted:
        return _function(feature, f"derive_{feature.name}")(parents)
    if feature.fitted not in models:
        return pd.Series(float("nan"), index=parents.index)
    return models[feature.fitted].predict(parents)[feature.name]


def _typed(values: pd.Series, feature: Feature) -> pd.Series:
    if feature.kind == "number":
        return values if values.dtype == "float64" else values.astype("float64")
    if isinstance(values.dtype, pd.CategoricalDtype) and list(values.cat.categories) == list(feature.levels):
        return values
    return pd.Series(pd.Categorical(values, categories=list(feature.levels)), index=values.index)


def typed(frame: pd.DataFrame, chosen: Sequence[Feature]) -> pd.DataFrame:
    """Return the features in the frame, in order: float64 numbers, and categoricals with the registry's levels."""
    return pd.DataFrame(
        {feature.name: _typed(frame[feature.name], feature) for feature in chosen if feature.name in frame},
        index=frame.index,
    )


def _function(feature: Feature, name: str) -> Compute:
    # Modules are renamed between versions; the row of a bundle may have the old name.
    module = FEATURES.get(feature.name, feature).module
    function: Compute = getattr(_module(module), name)
    return function


def underivable(chosen: Iterable[Feature]) -> tuple[str, ...]:
    """Return the names of derived features that this version of mgrisk cannot derive.

    Parameters
    ----------
    chosen
        Registry rows, possibly of a bundle of another version, whose functions, models or parents this version may
        lack.

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> bmi, = features(["bmi_kg_m2"])
    >>> underivable([bmi, bmi.model_copy(update={"name": "bmi_squared"})])
    ('bmi_squared',)
    """
    made = (feature for feature in chosen if feature.derived_from or feature.fitted)
    return tuple(feature.name for feature in made if not _derivable(feature))


def _derivable(feature: Feature) -> bool:
    # Tests ensure that each feature of the registry can be derived from its parents there.
    known = FEATURES.get(feature.name)
    if known is None or known.fitted != feature.fitted:
        return False
    return set(known.derived_from) <= set(feature.derived_from) <= FEATURES.keys()
