"""Recalibration of published scores: the numbers of R survey, its defining equations, and folds that stay unseen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from mgrisk.riskscores.recalibrate import Method, Recalibration, cross_fitted, recalibrate
from mgrisk.survey.design import SurveyDesign


def test_the_intercept_alone_is_the_calibration_in_the_large_of_r(
    toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    found = recalibrate(Method.INTERCEPT, logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float), part)
    assert found.intercept == pytest.approx(golden["calibration_intercept"]["estimate"], rel=1e-6)
    assert found.slope == 1.0


def test_the_slope_is_the_calibration_slope_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    found = recalibrate(Method.LOGISTIC, logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float), part)
    assert found.slope == pytest.approx(golden["calibration_slope"]["estimate"], rel=1e-6)


@pytest.mark.parametrize("method", list(Method))
def test_recalibrated_risks_add_up_to_the_cases(method: Method, toy: pd.DataFrame, part: SurveyDesign) -> None:
    margin, y = logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float)
    risk = recalibrate(method, margin, y, part).risk(margin)
    weight = part.analysis_weight
    assert weight @ risk == pytest.approx(weight @ y, rel=1e-9)


def test_points_take_intercept_and_slope(toy: pd.DataFrame, part: SurveyDesign) -> None:
    points, y = np.round(10 * toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float)
    found = recalibrate(Method.LOGISTIC, points, y, part)
    assert found.slope > 0
    assert (np.diff(found.risk(np.arange(11.0))) > 0).all()


def test_a_fold_is_recalibrated_by_the_others_alone(toy: pd.DataFrame, part: SurveyDesign) -> None:
    margin, y = logit(toy["risk"].to_numpy()), toy["y"].to_numpy(dtype=float)
    fold = toy["psu"].to_numpy() % 2
    risk = cross_fitted(Method.LOGISTIC, margin, y, part, fold)
    other = recalibrate(Method.LOGISTIC, margin, y, part.where(fold == 1)).risk(margin)
    np.testing.assert_allclose(risk[fold == 0], other[fold == 0], rtol=1e-12)
    turned = np.where(fold == 0, 1.0 - y, y)
    np.testing.assert_array_equal(cross_fitted(Method.LOGISTIC, margin, turned, part, fold)[fold == 0], risk[fold == 0])


def test_the_record_names_method_and_coefficients() -> None:
    assert Recalibration(Method.LOGISTIC, -2.0, 0.5).to_dict() == {
        "method": "logistic",
        "intercept": -2.0,
        "slope": 0.5,
    }
