"""Features that need a model of the population: usual intake out of recalled days, intake at the same energy.

A feature of the registry with ``fitted = "usual_magnesium"`` is a column that the fitted model of
`features/usual_magnesium.py` predicts. It is fitted once on the people of development, without any outcome, and travels
in the bundle, so that a scored row gets the value that a development row got.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Protocol

import pandas as pd

from mgrisk.errors import bad_bundle
from mgrisk.features.registry import Feature
from mgrisk.survey.design import SurveyDesign

WHERE: Final = "fitted_features.json"


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
    """Return what `to_dict` wrote, for the features of a bundle.

    Parameters
    ----------
    content
        As `to_dict` returns it; whatever the features do not need is not looked at.
    chosen
        Registry rows.

    Raises
    ------
    MgRiskError
        ``fitted.missing``, and what a model raises that cannot be read.
    """
    names = dict.fromkeys(feature.fitted for feature in chosen if feature.fitted)
    lacking = [name for name in names if name not in content]
    if lacking:
        raise bad_bundle(
            "fitted.missing",
            f"the model {lacking[0]} is not there",
            where=WHERE,
            hint="take a fresh copy of the bundle",
        )
    return {name: _module(name).from_dict(content[name]) for name in names}


def _module(name: str) -> Any:
    return import_module(f"mgrisk.features.{name}")
