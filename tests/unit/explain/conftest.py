"""People without absent inputs, and models developed on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.explain.attributions import build
from mgrisk.model.additive import Additive
from mgrisk.model.missing_inputs import fit_moments
from mgrisk.model.splines import design_columns
from mgrisk.model.stacking import FittedSum

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle
    from mgrisk.model.learners import Fitted


@pytest.fixture
def complete(toy_people: ToyPeople) -> np.ndarray:
    """Return the places, in the analysis, of people of whom nothing is absent."""
    return np.flatnonzero(~np.isnan(toy_people.matrix).any(axis=1))


@pytest.fixture
def among() -> Callable[..., Bundle]:
    """Return a function that gives a bundle as it were with other people, who lack nothing, for its population.

    Shapley values are against a population: that of an additive model is in the model itself.
    """

    def moved(fitted: Fitted, background: np.ndarray, weight: np.ndarray) -> Fitted:
        if isinstance(fitted, FittedSum):
            return replace(fitted, parts=tuple(moved(part, background, weight) for part in fitted.parts))
        if not isinstance(fitted, Additive):
            return fitted
        moments = fit_moments(design_columns(fitted.terms, background), weight)
        intercept = fitted.intercept + float(fitted.coefficients @ (moments.mean - fitted.moments.mean))
        return replace(fitted, intercept=intercept, moments=moments)

    def among(bundle: Bundle, background: np.ndarray, weight: np.ndarray) -> Bundle:
        fitted = moved(bundle.fitted, background, weight)
        return replace(bundle, fitted=fitted, parts=build(fitted, bundle.encoder, background, weight))

    return among
