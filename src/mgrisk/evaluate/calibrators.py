"""Comparison of the bundle's calibrator with others: cross-fitted on the same margins, with paired jackknife intervals.

The jackknife reweights people and keeps the fitted maps, as it keeps the models. Refitted in every replicate, a map
would be evaluated in the data that it was fitted to, with a slope of 1 always.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.evaluate.records import CalibratorMetric
from mgrisk.model.calibration import FITS, LOGISTIC, cross_fitted, fit_venn_abers
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Floats, Integers

METRICS: Final = ("log_loss", "calibration_intercept", "calibration_slope", "observed_expected", "ici")
GRID: Final = np.linspace(0.01, 0.99, 50)


@dataclass(frozen=True)
class CalibratorComparison:
    """Cross-fitted performance of the calibrators.

    Attributes
    ----------
    records
        {model (the calibrator), metric, estimate, low, high, se, n, events, problem}, with 95 % jackknife intervals.
    differences
        The same with `reference`: each other calibrator minus the logistic one, in the same people and replicates.
    failed
        Calibrators that could not be fitted, each with the reason.
    venn_abers
        {margin, logistic, low, high}: at up to 50 quantiles of the margin, the bundle's risk and the Venn-Abers bounds
        p0 and p1: the isotonic risk with one more person of this margin who is a non-case, or a case. They are not a
        confidence interval.
    """

    records: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    failed: dict[str, str]
    venn_abers: dict[str, list[float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of calibration.json."""
        return {
            "records": self.records,
            "differences": self.differences,
            "failed": self.failed,
            "venn_abers": self.venn_abers,
        }


def compare_calibrators(margin: Floats, y: Floats, design: SurveyDesign, fold: Integers) -> CalibratorComparison:
    """Compare all calibrators on the same out-of-fold margins.

    Parameters
    ----------
    margin, y
        Out-of-fold margins and outcome, shape (n,); any number outside the domain.
    design
        Full design of the development set, with the analysis population as its domain.
    fold
        Fold of each person, shape (n,): each fold's risks come from the calibrator fitted to the others.

    Raises
    ------
    MgRiskError
        ``logistic.*`` where the logistic map itself cannot be fitted, ``design.single_psu``, and ``metric.*`` for an
        outcome that is not 0 or 1.
    """
    risks: dict[str, Floats] = {}
    failed: dict[str, str] = {}
    for name, fit in FITS.items():
        try:
            risks[name] = cross_fitted(fit, margin, y, design.analysis_weight, fold)
        except MgRiskError as problem:
            if name == LOGISTIC:
                raise
            failed[name] = problem.what()
    found = replicate_metrics(y, risks, design, metrics=METRICS)
    return CalibratorComparison(found.records(), found.differences(LOGISTIC), failed, _bounds(margin, y, design))


def better_calibrators(differences: Iterable[CalibratorMetric]) -> list[CalibratorMetric]:
    """Return the differences in log loss whose interval lies below 0: calibrators better than the logistic map."""
    return [each for each in differences if each.metric == "log_loss" and each.high is not None and each.high < 0]


def _bounds(margin: Floats, y: Floats, design: SurveyDesign) -> dict[str, list[float]]:
    weight = design.analysis_weight
    at = np.unique(weighted_quantile(margin, weight, GRID))
    low, high = fit_venn_abers(margin, y, weight).bounds(at)
    columns = {"margin": at, LOGISTIC: FITS[LOGISTIC](margin, y, weight).risk(at), "low": low, "high": high}
    return {name: column.tolist() for name, column in columns.items()}
