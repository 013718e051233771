"""The comparison of calibrators detects a linear predictor that needs another calibrator, and no other."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from scipy.special import expit

from mgrisk.errors import MgRiskError
from mgrisk.evaluate import calibrators
from mgrisk.evaluate.calibrators import CalibratorComparison, better_calibrators, compare_calibrators
from mgrisk.evaluate.intervals import paired_differences
from mgrisk.evaluate.records import CalibratorMetric
from mgrisk.model.calibration import FITS, cross_fitted
from mgrisk.survey.design import SurveyDesign, WeightLevel

N, PSU = 3600, 60


def survey(log_odds_of: float, curve: float) -> tuple[np.ndarray, np.ndarray, SurveyDesign, np.ndarray]:
    random = np.random.default_rng(11)
    x = random.normal(size=N)
    y = (random.random(N) < expit(log_odds_of + x + curve * x**2)).astype(float)
    place = np.arange(N) // PSU
    design = SurveyDesign(random.uniform(1, 10, N), place // 2, place % 2, WeightLevel.EXAM, random.random(N) < 0.9)
    return 2 * x - 1, y, design, place % 5


def differences(found: CalibratorComparison) -> list[CalibratorMetric]:
    names = [each.name for each in fields(CalibratorMetric)]
    return [CalibratorMetric(**{name: record[name] for name in names}) for record in found.differences]


def test_a_margin_that_bends_is_calibrated_better_by_another_map() -> None:
    margin, y, design, fold = survey(-2.5, 0.5)
    found = compare_calibrators(margin, y, design, fold)
    better = {record.model for record in better_calibrators(differences(found))}
    assert "beta" in better
    assert found.failed == {}
    slopes = {record["model"]: record for record in found.records if record["metric"] == "calibration_slope"}
    assert list(slopes) == list(FITS)
    assert all(slope["low"] < slope["estimate"] < slope["high"] for slope in slopes.values())


def test_a_straight_margin_is_left_to_the_logistic_map() -> None:
    found = compare_calibrators(*survey(-2.5, 0.0))
    assert better_calibrators(differences(found)) == []


def test_differences_are_paired_on_the_cross_fitted_risks_of_the_domain() -> None:
    margin, y, design, fold = survey(-2.0, 0.3)
    risks = {name: cross_fitted(FITS[name], margin, y, design.analysis_weight, fold) for name in ("logistic", "beta")}
    (expected,) = paired_differences(y, risks, design, reference="logistic", metrics=["log_loss"])
    found = compare_calibrators(margin, y, design, fold).differences
    assert next(r for r in found if r["model"] == "beta" and r["metric"] == "log_loss") == expected


def test_venn_abers_bounds_hold_the_shipped_risk_of_a_straight_margin_nearly_everywhere() -> None:
    bounds = compare_calibrators(*survey(-2.0, 0.0)).venn_abers
    low, high, risk = (np.array(bounds[name]) for name in ("low", "high", "logistic"))
    assert (low < high).all()
    assert np.mean((risk > low - 0.03) & (risk < high + 0.03)) > 0.9


def test_a_calibrator_that_cannot_be_fitted_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MgRiskError("logistic.not_converged", "it did not converge", where="a test", hint="none")

    monkeypatch.setattr(calibrators, "FITS", {**FITS, "beta": fails})
    found = compare_calibrators(*survey(-2.0, 0.0))
    assert found.failed == {"beta": "it did not converge"}
    assert "beta" not in {record["model"] for record in found.records}
