from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.logistic import fit_logistic, maximise_likelihood


def columns(toy: pd.DataFrame, *names: str) -> np.ndarray:
    return np.column_stack([np.ones(len(toy)), *(toy[name] for name in names)])


@pytest.mark.parametrize(
    ("name", "fixture", "terms", "with_offset"),
    [
        ("logistic_full", "full", ("x1", "x2"), False),
        ("logistic_domain", "part", ("x1", "x2"), False),
        ("logistic_offset", "part", ("x2",), True),
    ],
)
def test_coefficients_and_sandwich_are_those_of_svyglm(
    name: str,
    fixture: str,
    terms: tuple[str, ...],
    with_offset: bool,
    toy: pd.DataFrame,
    golden: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    design = request.getfixturevalue(fixture)
    offset = logit(toy["risk"].to_numpy()) if with_offset else None
    fit = fit_logistic(columns(toy, *terms), toy["y"], design, offset=offset)
    np.testing.assert_allclose(fit.coefficients, golden[name]["coefficients"], rtol=1e-8)
    np.testing.assert_allclose(fit.covariance, golden[name]["covariance"], rtol=1e-6)
    assert (fit.df, fit.n) == (design.df, design.n)


def test_rows_outside_the_domain_may_hold_anything(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns(toy, "x1")
    y = toy["y"].to_numpy(dtype=float)
    expected = fit_logistic(X, y, part).coefficients
    X[~part.domain], y[~part.domain] = np.nan, 7.0
    np.testing.assert_array_equal(fit_logistic(X, y, part).coefficients, expected)


def test_units_of_a_column_do_not_change_the_fit(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns(toy, "x1", "amount")
    milli, kilo = fit_logistic(X, toy["y"], part), fit_logistic(X * [1, 1, 1e6], toy["y"], part)
    np.testing.assert_allclose(kilo.coefficients * [1, 1, 1e6], milli.coefficients, rtol=1e-7)
    np.testing.assert_allclose(kilo.se * [1, 1, 1e6], milli.se, rtol=1e-7)


def test_the_slope_on_its_own_linear_predictor_is_exactly_1(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns(toy, "x1", "x2")
    predictor = X @ fit_logistic(X, toy["y"], part).coefficients
    again = fit_logistic(np.column_stack((np.ones(len(toy)), predictor)), toy["y"], part)
    np.testing.assert_allclose(again.coefficients, [0.0, 1.0], atol=1e-9)


def test_separated_cases_are_an_error_and_not_a_large_number(full: SurveyDesign, toy: pd.DataFrame) -> None:
    y = (toy["x1"] > 0).astype(float)
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(columns(toy, "x1"), y, full)
    assert caught.value.code == "logistic.not_converged"


def test_an_outcome_without_cases_is_an_error(full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(np.ones((len(full), 1)), np.zeros(len(full)), full)
    assert caught.value.code == "logistic.not_converged"


@pytest.mark.parametrize("extra", ["x1", "zero"])
def test_columns_that_say_the_same_are_refused(extra: str, toy: pd.DataFrame, full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(columns(toy.assign(zero=0.0), "x1", extra), toy["y"], full)
    assert caught.value.code == "logistic.rank"


def test_a_far_start_still_arrives(toy: pd.DataFrame) -> None:
    X, y, weight = columns(toy, "x1"), toy["y"].to_numpy(dtype=float), toy["weight"].to_numpy()
    near = maximise_likelihood(X, y, weight)
    far = maximise_likelihood(X, y, weight, start=np.array([6.0, -6.0]))
    np.testing.assert_allclose(far, near, rtol=1e-9)


@pytest.mark.parametrize(
    ("X", "y", "code"),
    [
        (np.ones((3, 1)), None, "design.bad_length"),
        (None, 2.0, "logistic.bad_outcome"),
        (None, np.nan, "design.missing_values"),
    ],
)
def test_wrong_input_is_refused_with_its_reason(
    X: np.ndarray | None, y: float | None, code: str, toy: pd.DataFrame, full: SurveyDesign
) -> None:
    rows = columns(toy, "x1") if X is None else X
    outcome = toy["y"] if y is None else np.full(len(toy), y)
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(rows, outcome, full)
    assert caught.value.code == code


def test_a_fit_is_described_in_plain_numbers(toy: pd.DataFrame, full: SurveyDesign) -> None:
    fit = fit_logistic(columns(toy, "x1"), toy["y"], full)
    described = fit.to_dict()
    assert described["coefficients"] == fit.coefficients.tolist()
    assert described["se"] == pytest.approx(np.sqrt(np.diag(fit.covariance)).tolist())
