from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.linear import fit_linear


def columns(toy: pd.DataFrame, *names: str) -> np.ndarray:
    return np.column_stack([np.ones(len(toy)), *(toy[name] for name in names)])


@pytest.mark.parametrize(("name", "fixture"), [("linear_full", "full"), ("linear_domain", "part")])
def test_coefficients_and_sandwich_are_those_of_svyglm(
    name: str, fixture: str, toy: pd.DataFrame, golden: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    design = request.getfixturevalue(fixture)
    fit = fit_linear(columns(toy, "x1", "x2", "y"), toy["amount"], design)
    np.testing.assert_allclose(fit.coefficients, golden[name]["coefficients"], rtol=1e-10)
    np.testing.assert_allclose(fit.covariance, golden[name]["covariance"], rtol=1e-8)
    assert (fit.df, fit.n) == (design.df, design.n)


def test_a_regression_on_a_constant_is_the_mean(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    fit = fit_linear(np.ones((len(toy), 1)), toy["amount"], part)
    assert fit.coefficients[0] == pytest.approx(golden["mean_domain"]["estimate"], rel=1e-12)
    assert fit.se[0] == pytest.approx(golden["mean_domain"]["se"], rel=1e-10)


def test_units_of_a_column_do_not_change_the_fit(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns(toy, "x1", "risk")
    plain, scaled = fit_linear(X, toy["amount"], part), fit_linear(X * [1, 1, 1e8], toy["amount"], part)
    np.testing.assert_allclose(scaled.coefficients * [1, 1, 1e8], plain.coefficients, rtol=1e-9)
    np.testing.assert_allclose(scaled.se * [1, 1, 1e8], plain.se, rtol=1e-9)


def test_a_far_away_origin_costs_no_digits(toy: pd.DataFrame, part: SurveyDesign) -> None:
    near, far = toy["x1"].to_numpy(), toy["x1"].to_numpy() + 5000.0
    ones = np.ones(len(toy))
    plain = fit_linear(np.column_stack((ones, near)), toy["amount"], part)
    moved = fit_linear(np.column_stack((ones, far)), toy["amount"], part)
    assert moved.coefficients[1] == pytest.approx(plain.coefficients[1], rel=1e-8)


def test_rows_outside_the_domain_may_hold_anything(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X, y = columns(toy, "x1"), toy["amount"].to_numpy(dtype=float, copy=True)
    expected = fit_linear(X, y, part).covariance
    X[~part.domain], y[~part.domain] = np.nan, np.inf
    np.testing.assert_array_equal(fit_linear(X, y, part).covariance, expected)


@pytest.mark.parametrize("extra", ["x1", "zero"])
def test_columns_that_say_the_same_are_refused(extra: str, toy: pd.DataFrame, full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError, match="linear regression") as caught:
        fit_linear(columns(toy.assign(zero=0.0), "x1", extra), toy["amount"], full)
    assert caught.value.code == "linear.rank"


def test_a_missing_outcome_in_the_domain_is_refused(toy: pd.DataFrame, full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        fit_linear(columns(toy, "x1"), toy["amount"].where(toy["x1"] < 1), full)
    assert caught.value.code == "design.missing_values"
