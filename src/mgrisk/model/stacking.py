"""Stacked ensembles, whose linear predictor is a scaled sum of parts, and reading a fitted model from a bundle.

An ensemble is calibrated once, and its Shapley values are the scaled sums of those of its parts. The scales are the
non-negative coefficients of a survey-weighted logistic regression of the outcome on the parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import Field
from scipy.special import expit

from mgrisk.config.checked import Checked, Finite, NotNegative
from mgrisk.model import additive, curves, explainable_boosting
from mgrisk.model.additive import Additive
from mgrisk.model.curves import FittedSplines
from mgrisk.model.explainable_boosting import FittedShapes
from mgrisk.model.learners import Fitted, bad_model, read_model
from mgrisk.model.trees import learners
from mgrisk.model.trees.learners import FittedTrees
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats, Integers, Singles

FILE: Final = "sum.json"


@dataclass(frozen=True)
class Scales:
    """Intercept and weight of each part of a stacked ensemble.

    Attributes
    ----------
    intercept
        In log-odds.
    scales
        Weight of each part, at least 0: log-odds for a unit of the part's margin.
    """

    intercept: float
    scales: tuple[float, ...]

    def total(self, margins: Floats) -> Floats:
        """Return the margin of the ensemble, shape (n,), from the margins of its parts, shape (n, n_parts)."""
        total = np.full(len(margins), self.intercept)
        for scale, part in zip(self.scales, margins.T, strict=True):
            total += scale * part
        return total


@dataclass(frozen=True)
class FittedSum:
    """A fitted model whose margin is an intercept plus scaled margins of its parts."""

    scales: Scales
    parts: tuple[Fitted, ...]

    def margin(self, X: Singles) -> Floats:
        """Return the log-odds before calibration, shape (n,)."""
        return self.scales.total(np.column_stack([part.margin(X) for part in self.parts]))

    def to_files(self) -> dict[str, bytes]:
        """Return sum.json, and the files of each part under its number."""
        content = {"intercept": self.scales.intercept, "scales": list(self.scales.scales)}
        files = {FILE: json.dumps(content, indent=1).encode()}
        for number, part in enumerate(self.parts):
            files |= {f"part-{number}-{name}": held for name, held in part.to_files().items()}
        return files


def part_files(files: Mapping[str, bytes]) -> tuple[Scales, list[dict[str, bytes]]]:
    """Read sum.json back: the scales, and the files of each part under their own names.

    Raises
    ------
    MgRiskError
        `bundle.bad_model`.
    """
    found = read_model(_File.of, files, FILE)
    scales = Scales(found.intercept, tuple(found.scales))
    prefixes = [f"part-{number}-" for number in range(len(scales.scales))]
    return scales, [
        {name.removeprefix(prefix): held for name, held in files.items() if name.startswith(prefix)}
        for prefix in prefixes
    ]


class _File(Checked):
    intercept: Finite
    scales: list[NotNegative] = Field(min_length=1, max_length=100)


def fit_scales(margins: Sequence[Floats], y: Floats, design: SurveyDesign) -> Scales:
    """Fit the scales by survey-weighted logistic regression of the outcome on the parts' margins.

    Scales are not negative (Breiman 1996, Stacked regressions, Machine Learning 24:49), so that highly correlated parts
    do not get large scales of opposite sign.

    Parameters
    ----------
    margins
        Out-of-fold margins of each part, shape (n,) each; any value outside the domain.
    y
        Outcome, shape (n,); any value outside the domain.
    design
        Full design of the development set with the analysis as its domain.
    """
    from scipy.optimize import minimize  # only fitting needs it, and scoring starts faster without

    inside = np.flatnonzero(design.analysis_weight > 0)
    weight, case = design.analysis_weight[inside], y[inside]
    weight = weight / weight.sum()
    raw = np.column_stack([margin[inside] for margin in margins])
    centre = np.average(raw, axis=0, weights=weight)
    spread = np.sqrt(np.average((raw - centre) ** 2, axis=0, weights=weight))
    spread[spread == 0] = 1.0
    Z = np.column_stack([np.ones(len(raw)), (raw - centre) / spread])

    def loss(beta: Floats) -> tuple[float, Floats]:
        score = Z @ beta
        value = weight @ (np.logaddexp(0.0, score) - case * score)
        return float(value), Z.T @ (weight * (expit(score) - case))

    prevalence = float(weight @ case)
    start = np.concatenate([[np.log(prevalence / (1.0 - prevalence))], np.full(raw.shape[1], 1.0 / raw.shape[1])])
    bounds = [(None, None), *[(0.0, None)] * raw.shape[1]]
    found = minimize(
        loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-13, "gtol": 1e-9, "maxiter": 1000}
    )
    scales = found.x[1:] / spread
    return Scales(float(found.x[0] - scales @ centre), tuple(float(scale) for scale in scales))


def read_fitted(files: Mapping[str, bytes], *, owners: Integers, threads: int) -> Fitted:
    """Read a fitted model back; its files say of which kind it is.

    Parameters
    ----------
    files
        Files of a bundle by name.
    owners
        Feature of each encoded column, shape (n_columns,).
    threads
        Threads for tree ensembles.

    Raises
    ------
    MgRiskError
        `bundle.bad_model`.
    """
    if FILE in files:
        scales, parts = part_files(files)
        # A part is never an ensemble: a hostile bundle cannot nest without end.
        return FittedSum(scales, tuple(_read_part(part, owners=owners, threads=threads) for part in parts))
    return _read_part(files, owners=owners, threads=threads)


def _read_part(files: Mapping[str, bytes], *, owners: Integers, threads: int) -> Fitted:
    if additive.FILE in files:
        return Additive.from_files(files, owners=owners)
    if curves.FILE in files:
        return FittedSplines.from_files(files, n_columns=len(owners))
    if learners.FILE in files:
        return FittedTrees.from_files(files, n_columns=len(owners), threads=threads)
    if explainable_boosting.FILE in files:
        return FittedShapes.from_files(files, n_columns=len(owners))
    raise bad_model(f"{additive.FILE}, {learners.FILE} or {explainable_boosting.FILE}", "is missing")
