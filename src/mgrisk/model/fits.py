"""The parts of a model fitted to the same people, and their combination into the model of a bundle.

Spline parts share their design columns, so a scaled sum of them, on the label and on its continuous markers, is one set
of coefficients: `additive.Additive`, which includes the calibration. Trees and shape functions stay separate parts of a
stacked ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from mgrisk.model.additive import Additive
from mgrisk.model.calibration import Calibrator
from mgrisk.model.candidates import Part
from mgrisk.model.learners import Fitted, Predictor
from mgrisk.model.missing_inputs import Lines
from mgrisk.model.splines import LinearFit, SplineSpace
from mgrisk.model.stacking import FittedSum, Scales
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Booleans, Floats, Integers, Singles

POINTS: Final = 41
"""Number of quantiles of the population's log-odds to which `Lines` are fitted."""


@dataclass(frozen=True, eq=False)
class Fits:
    """Fits of the parts of a model.

    Attributes
    ----------
    parts, fits
        The parts, and their fits.
    scales
        Weights of the parts in the ensemble; None where the model is a single part on the outcome.
    """

    parts: tuple[Part, ...]
    fits: tuple[Predictor, ...]
    scales: Scales | None

    @property
    def space(self) -> SplineSpace:
        """The design columns of the spline parts, of which there is at least one."""
        return next(fit.space for fit in self.fits if isinstance(fit, LinearFit))

    def margin(self, X: Singles, rows: Integers | Booleans) -> Floats:
        """Return the margin of some rows of an encoded matrix, before calibration."""
        each = [part.margin(fit, X, rows) for part, fit in zip(self.parts, self.fits, strict=True)]
        return each[0] if self.scales is None else self.scales.total(np.column_stack(each))

    def model(self, owners: Integers, calibrator: Calibrator, X: Singles, weight: Floats) -> tuple[Fitted, Calibrator]:
        """Return the model and its calibrator, as a bundle holds them.

        Parameters
        ----------
        owners
            Feature of each encoded column, shape (n_columns,).
        calibrator
            Map from the margin to log-odds.
        X, weight
            Encoded matrix (n, n_columns) and weights (n,) of the population, 0 for people outside it.
        """
        scales = self.scales or Scales(0.0, (1.0,))
        scaled = list(zip(scales.scales, self.fits, strict=True))
        linear = [(scale, fit) for scale, fit in scaled if isinstance(fit, LinearFit)]
        others = [(scale, cast("Fitted", fit)) for scale, fit in scaled if not isinstance(fit, LinearFit)]
        if not linear:
            whole = FittedSum(scales, tuple(fit for _, fit in others)) if self.scales else others[0][1]
            return whole, calibrator
        space = linear[0][1].space
        intercept = sum(scale * fit.intercept for scale, fit in linear)
        coefficients = np.sum([scale * fit.weights for scale, fit in linear], axis=0)
        if others:
            additive = Additive(space.terms, owners, intercept, coefficients, space.moments, Lines.none())
            kept = Scales(scales.intercept, (1.0, *(scale for scale, _ in others)))
            return FittedSum(kept, (additive, *(fit for _, fit in others))), calibrator
        intercept = calibrator.intercept + calibrator.slope * (scales.intercept + intercept)
        coefficients = calibrator.slope * coefficients
        rows = np.flatnonzero(weight > 0)
        log_odds = intercept + space.expected(X)[rows] @ (coefficients * space.moments.scale)
        points = (np.arange(POINTS) + 0.5) / POINTS
        lines = Lines.fit(weighted_quantile(log_odds, weight[rows], tuple(points)))
        model = Additive(space.terms, owners, intercept, coefficients, space.moments, lines)
        return model, calibrator.taken_in()
