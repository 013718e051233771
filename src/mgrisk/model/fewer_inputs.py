"""Spline models refitted to subsets of their inputs, dozens of subsets at the cost of a few fits.

The design columns, penalties and scales of the parts are fixed. A linear part needs the cross-products of its columns
once, and a small system of equations for each subset. A logistic part starts from the coefficients of the full model
and iterates with the full model's second derivatives until the gradient vanishes; if that does not converge, it is
fitted from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from mgrisk.model.candidates import Part
from mgrisk.model.fits import Fits
from mgrisk.model.learners import mean_one
from mgrisk.model.splines import LinearFit, SplineLearner
from mgrisk.types import Booleans, Floats, Singles

STEPS: Final = 100
CLOSE: Final = 1e-5
"""A logistic fit ends when no coefficient of a standardised column changes by more."""


class _Refit(Protocol):
    def on(self, kept: Booleans) -> tuple[float, Floats]:
        """Return the intercept, and coefficients, shape (p,), which are 0 for columns that are not kept."""


class FewerInputs:
    """Refits a spline model, or a stacked ensemble of them, to some of its design columns.

    Parameters
    ----------
    fits
        The full model, with spline parts alone.
    params
        Settings of each part.
    X
        Encoded matrix, shape (n, n_columns).
    who
        Rows to fit to, shape (n,).
    """

    def __init__(self, fits: Fits, params: Sequence[dict[str, Any]], X: Singles, who: Booleans) -> None:
        design = fits.space.expected(X)
        self._fits = fits
        self._parts: list[_Refit] = [
            _make(part, fit, each["c"], design, who)
            for part, fit, each in zip(fits.parts, fits.fits, params, strict=True)
            if isinstance(fit, LinearFit)
        ]

    def fit(self, kept: Booleans) -> tuple[float, Floats]:
        """Return the model's intercept and its coefficients of standardised columns, 0 where not kept, shape (p,)."""
        scales = (1.0,) if self._fits.scales is None else self._fits.scales.scales
        intercept = 0.0 if self._fits.scales is None else self._fits.scales.intercept
        coefficients = np.zeros(len(kept))
        for scale, part in zip(scales, self._parts, strict=True):
            own, found = part.on(kept)
            intercept += scale * own
            coefficients += scale * found
        return intercept, coefficients


def _make(part: Part, fit: LinearFit, c: float, design: Floats, who: Booleans) -> _Refit:
    weight = np.where(who, part.target.design.analysis_weight, 0.0)
    rows = np.flatnonzero(weight > 0)
    Z, y, weight = design[rows], part.target.value[rows], mean_one(weight[rows])
    if part.target.kind == "continuous":
        mean, level = np.average(Z, axis=0, weights=weight), float(np.average(y, weights=weight))
        away = (Z - mean) * weight[:, None]
        return _Linear((Z - mean).T @ away, away.T @ (y - level), mean, level, 1.0 / c)
    return _Logistic(Z, y, weight, c, fit)


@dataclass(frozen=True, eq=False)
class _Linear:
    products: Floats
    with_outcome: Floats
    mean: Floats
    level: float
    penalty: float

    def on(self, kept: Booleans) -> tuple[float, Floats]:
        places = np.flatnonzero(kept)
        coefficients = np.zeros(len(kept))
        own = self.products[np.ix_(places, places)] + self.penalty * np.eye(len(places))
        coefficients[places] = np.linalg.solve(own, self.with_outcome[places])
        return self.level - float(self.mean @ coefficients), coefficients


class _Logistic:
    def __init__(self, Z: Floats, y: Floats, weight: Floats, c: float, fit: LinearFit) -> None:
        self._learner, self._c = SplineLearner(fit.space, (c,)), c
        self._basis = np.column_stack([np.ones(len(Z)), Z])
        self._y, self._weight = y, weight
        self._start = np.concatenate([[fit.intercept], fit.coefficients])
        risk = expit(self._basis @ self._start)
        self._penalty = np.concatenate([[0.0], np.full(Z.shape[1], 1.0 / c)])
        self._second = self._basis.T @ (self._basis * (weight * risk * (1.0 - risk))[:, None]) + np.diag(self._penalty)

    def on(self, kept: Booleans) -> tuple[float, Floats]:
        places = np.concatenate([[0], 1 + np.flatnonzero(kept)])
        factor = cho_factor(self._second[np.ix_(places, places)])
        beta = np.zeros(len(self._start))
        beta[places] = self._start[places]
        for _ in range(STEPS):
            error = self._weight * (self._y - expit(self._basis @ beta))
            step = cho_solve(factor, (self._basis.T @ error - self._penalty * beta)[places])
            beta[places] += step
            if np.abs(step).max() < CLOSE:
                return float(beta[0]), beta[1:]
        # Without inputs that almost determined the outcome the second derivatives differ, and the steps diverge.
        again = self._learner.fit(self._basis[:, places[1:]], self._y, self._weight, {"c": self._c})
        beta[places[1:]] = again.coefficients
        return again.intercept, beta[1:]
