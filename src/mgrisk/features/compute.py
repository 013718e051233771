"""Computing features: from NHANES variables for training, and derived ones alike in training and scoring.

`from_nhanes` computes a feature from its variables: as the variable itself (`registry.VARIABLE_OF`), by a function of
its name, by a summary of a table with several rows for each person, or derived from other features. `complete` derives
what follows from what is given, and is the only one that scoring needs.

A feature with ``fitted = "usual_magnesium"`` in its row needs a model of the population: it is a column that the model
of `features/usual_magnesium.py` predicts. The model is fitted once on the people of development, without any outcome,
and is stored in the bundle, so that a scored row gets the value that a development row got (`fit`, `to_dict`,
`from_dict`).
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
"""File of a run folder and of a bundle that holds the fitted models of features."""


class FittedModel(Protocol):
    """A fitted model of features: it needs no data to predict, and goes into a file as JSON."""

    def predict(self, parents: pd.DataFrame) -> pd.DataFrame:
        """Return the features it makes, from the features that they derive from; same index."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, lists and words."""


Models = Mapping[str, FittedModel]
NO_MODELS: Final[Models] = MappingProxyType({})


def fit(people: pd.DataFrame, design: SurveyDesign, chosen: Iterable[Feature]) -> Models:
    """Fit the models that some features need.

    Parameters
    ----------
    people
        Typed features, one row for each row of the design, with those that the chosen ones derive from.
    design
        Its domain says who is fitted; each model leaves out whoever lacks what it needs.
    chosen
        Registry rows; each model is fitted once.

    Returns
    -------
    Mapping
        The models by name, in the order of the features.

    Raises
    ------
    MgRiskError
        What a model raises that cannot be fitted.
    """
    names = dict.fromkeys(feature.fitted for feature in chosen if feature.fitted)
    return {name: _module(name).fit(people, design) for name in names}


def to_dict(models: Models) -> dict[str, Any]:
    """Return the models by name as plain values: the content of fitted_features.json."""
    return {name: model.to_dict() for name, model in models.items()}


def from_dict(content: Mapping[str, Any], chosen: Iterable[Feature]) -> Models:
    """Return what `to_dict` wrote: the models that the features of a bundle need, and whatever else it carries.

    Parameters
    ----------
    content
        As `to_dict` returns it; a model that this version does not know is not looked at unless a feature needs it.
    chosen
        Registry rows.

    Raises
    ------
    MgRiskError
        ``fitted.missing``, and what a model raises that cannot be read.
    """
    there = content if isinstance(content, Mapping) else {}
    needed = dict.fromkeys(feature.fitted for feature in chosen if feature.fitted)
    lacking = [name for name in needed if name not in there]
    if lacking:
        raise bad_bundle(
            "fitted.missing",
            f"the model {lacking[0]} is not there",
            where=FITTED_FEATURES,
            hint="take a fresh copy of the bundle",
        )
    known = dict.fromkeys(feature.fitted for feature in FEATURES.values() if feature.fitted and feature.fitted in there)
    return {name: _module(name).from_dict(there[name]) for name in needed | known}


def _module(name: str) -> Any:
    return import_module(f"mgrisk.features.{name}")


Compute = Callable[[pd.DataFrame], pd.Series]
Columns = Mapping[str, Floats]
"""Features by name as plain arrays: a level is its place among the feature's levels, NaN is missing."""


def from_nhanes(raw: pd.DataFrame, chosen: Sequence[Feature], *, models: Models = NO_MODELS) -> pd.DataFrame:
    """Compute features from harmonised NHANES variables.

    Parameters
    ----------
    raw
        Frame of `features.summary.gather`, with ``cycle`` and the sources of each feature and of those that it
        derives from.
    chosen
        Registry rows.
    models
        For features that need a fitted model (`fit`); without theirs they are missing.

    Returns
    -------
    pandas.DataFrame
        Same index; float64 for numbers, capped as the registry says (a later cycle may code higher values than an
        earlier one), categorical with the registry's levels for categories. Missing in cycles that did not ask or
        measure it (`nhanes/eras.toml`), where an empty answer would be taken for "no" or 0.
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
    """Fill features that follow from others where they are not given, and apply NHANES's top codes.

    Parameters
    ----------
    given
        Typed features; a feature without a column counts as missing.
    chosen
        Registry rows, ancestors first (`registry.with_ancestors`).
    models
        For features that need a fitted model.
    """
    filled = complete_columns(to_columns(given, chosen), chosen, n=len(given), models=models)
    return to_frame(filled, chosen, index=given.index)


def complete_columns(given: Columns, chosen: Sequence[Feature], *, n: int, models: Models = NO_MODELS) -> Columns:
    """Do the work of `complete` on plain arrays, shape (n,) each: a level is its place, NaN is missing.

    Only what has to be derived becomes a frame. A feature that needs nothing done is the array that was given.
    """
    columns: dict[str, Floats] = {}
    known = {feature.name: feature for feature in chosen}
    for feature in chosen:
        values = given[feature.name] if feature.name in given else np.full(n, np.nan)
        # Where everybody gives it, there is nothing to derive.
        if feature.derived_from and (missing := np.isnan(values)).any():
            parents = [known[name] for name in feature.derived_from]
            values = np.where(missing, derive(feature, columns, parents, n=n, models=models), values)
        columns[feature.name] = values if feature.cap is None else np.minimum(values, feature.cap)
    return columns


def derive(
    feature: Feature, given: Columns, parents: Sequence[Feature], *, n: int, models: Models = NO_MODELS
) -> Floats:
    """Return a feature as it is worked out from those that it derives from, on plain arrays, shape (n,).

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> bmi, *parents = features(["bmi_kg_m2", "height_cm", "weight_kg"])
    >>> derive(bmi, {"height_cm": np.array([200.0]), "weight_kg": np.array([100.0])}, parents, n=1)
    array([25.])
    """
    return _places(_derived(feature, to_frame(given, parents, index=pd.RangeIndex(n)), models), feature)


def to_columns(frame: pd.DataFrame, chosen: Iterable[Feature]) -> Columns:
    """Return the features that a frame has as plain arrays, a level as its place, NaN where missing."""
    return {feature.name: _places(frame[feature.name], feature) for feature in chosen if feature.name in frame}


def to_frame(columns: Columns, chosen: Iterable[Feature], *, index: pd.Index) -> pd.DataFrame:
    """Return plain arrays as typed features, one column each."""
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
    """Return the features that the frame has, as float64 numbers and categories of the registry's levels, in order."""
    return pd.DataFrame(
        {feature.name: _typed(frame[feature.name], feature) for feature in chosen if feature.name in frame},
        index=frame.index,
    )


def _function(feature: Feature, name: str) -> Compute:
    # Modules move between versions; the row of a bundle may name one that is no more.
    module = FEATURES.get(feature.name, feature).module
    function: Compute = getattr(_module(module), name)
    return function


def underivable(chosen: Iterable[Feature]) -> tuple[str, ...]:
    """Return the features that this version of mgrisk cannot derive from others, by name.

    Parameters
    ----------
    chosen
        Registry rows, as a bundle of any version may bring them: a feature that it derives may since have lost its
        function, its model or a parent.

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
    # The tests hold that each feature of the registry can be derived, from its parents there.
    known = FEATURES.get(feature.name)
    if known is None or known.fitted != feature.fitted:
        return False
    return set(known.derived_from) <= set(feature.derived_from) <= FEATURES.keys()
