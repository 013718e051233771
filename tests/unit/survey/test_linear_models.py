from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logit

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.linear_models import (
    RegressionFit,
    fit_linear,
    fit_logistic,
    maximise_likelihood,
    rows_in_domain,
    wald_test,
)


def columns(toy: pd.DataFrame, *names: str) -> np.ndarray:
    with_groups = toy.assign(b=(toy["group"] == "b") * 1.0, c=(toy["group"] == "c") * 1.0)
    return np.column_stack([np.ones(len(toy)), *(with_groups[name] for name in names)])


def intervals_agree(fit: RegressionFit, theirs: dict[str, Any]) -> None:
    """Bounds, p values and degrees of freedom are those of confint and summary of svyglm, by default."""
    assert fit.df == theirs["df"]
    rows = fit.frame()
    for name in ("low", "high", "p"):
        np.testing.assert_allclose(rows[name], theirs[name], rtol=1e-6)


def agrees(found: dict[str, Any], theirs: dict[str, Any], rel: float) -> None:
    assert found["statistic"] == pytest.approx(theirs["statistic"], rel=rel)
    assert found["p"] == pytest.approx(theirs["p"], rel=rel)
    assert (found["numerator"], found["denominator"]) == (theirs["numerator"], theirs["denominator"])


def test_a_test_of_linear_terms_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    fit = fit_linear(columns(toy, "x1", "x2", "y"), toy["amount"], part)
    agrees(wald_test(fit, [2, 3]).to_dict(), golden["wald_linear"], 1e-9)


def test_a_test_of_a_category_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    fit = fit_logistic(columns(toy, "x1", "x2", "b", "c"), toy["y"], part)
    agrees(wald_test(fit, [4, 3]).to_dict(), golden["wald_logistic"], 1e-7)


def test_a_test_of_one_column_is_its_t_test_squared(toy: pd.DataFrame, part: SurveyDesign) -> None:
    fit = fit_linear(columns(toy, "x1", "x2"), toy["amount"], part)
    row = fit.frame(["constant", "x1", "x2"]).iloc[2]
    test = wald_test(fit, [2])
    assert test.statistic == pytest.approx((row["estimate"] / row["se"]) ** 2)
    assert test.p == pytest.approx(row["p"])


@pytest.mark.parametrize("wanted", [[], [1, 1], [2], [-1]])
def test_columns_that_cannot_be_tested_are_refused(wanted: list[int]) -> None:
    fit = RegressionFit(np.zeros(2), np.eye(2), df=5, n=10)
    with pytest.raises(MgRiskError) as caught:
        wald_test(fit, wanted)
    assert caught.value.code == "regression.no_columns"


def test_more_terms_than_the_design_can_tell_apart_are_refused() -> None:
    fit = RegressionFit(np.ones(2), np.ones((2, 2)), df=1, n=10)
    with pytest.raises(MgRiskError) as caught:
        wald_test(fit, [0, 1])
    assert caught.value.code == "regression.singular"


def test_an_interval_is_on_t_with_the_df_of_the_fit() -> None:
    fit = RegressionFit(np.array([1.0]), np.array([[4.0]]), df=15, n=10)
    low, high = fit.interval()
    assert (low[0], high[0]) == pytest.approx((1 - 2 * 2.13144955, 1 + 2 * 2.13144955))
    assert fit.frame(["age"])["term"].tolist() == ["age"]
    assert fit.to_dict() == {"coefficients": [1.0], "se": [2.0], "covariance": [[4.0]], "df": 15, "n": 10}


def test_an_empty_domain_is_refused(toy: pd.DataFrame, full: SurveyDesign) -> None:
    nobody = full.where(np.zeros(len(full), dtype=bool))
    with pytest.raises(MgRiskError) as caught:
        rows_in_domain(columns(toy, "x1"), toy["y"], nobody)
    assert caught.value.code == "design.empty_domain"


def columns_linear(toy: pd.DataFrame, *names: str) -> np.ndarray:
    return np.column_stack([np.ones(len(toy)), *(toy[name] for name in names)])


@pytest.mark.parametrize(("name", "fixture"), [("linear_full", "full"), ("linear_domain", "part")])
def test_coefficients_and_sandwich_are_those_of_svyglm(
    name: str, fixture: str, toy: pd.DataFrame, golden: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    design = request.getfixturevalue(fixture)
    fit = fit_linear(columns_linear(toy, "x1", "x2", "y"), toy["amount"], design)
    np.testing.assert_allclose(fit.coefficients, golden[name]["coefficients"], rtol=1e-10)
    np.testing.assert_allclose(fit.covariance, golden[name]["covariance"], rtol=1e-8)
    assert fit.n == design.n
    intervals_agree(fit, golden[name])


def test_a_regression_on_a_constant_is_the_mean(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    fit = fit_linear(np.ones((len(toy), 1)), toy["amount"], part)
    assert fit.coefficients[0] == pytest.approx(golden["mean_domain"]["estimate"], rel=1e-12)
    assert fit.se[0] == pytest.approx(golden["mean_domain"]["se"], rel=1e-10)


def test_units_of_a_column_do_not_change_the_fit(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns_linear(toy, "x1", "risk")
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
    X, y = columns_linear(toy, "x1"), toy["amount"].to_numpy(dtype=float, copy=True)
    expected = fit_linear(X, y, part).covariance
    X[~part.domain], y[~part.domain] = np.nan, np.inf
    np.testing.assert_array_equal(fit_linear(X, y, part).covariance, expected)


@pytest.mark.parametrize("extra", ["x1", "zero"])
def test_columns_that_say_the_same_are_refused(extra: str, toy: pd.DataFrame, full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError, match="linear regression") as caught:
        fit_linear(columns_linear(toy.assign(zero=0.0), "x1", extra), toy["amount"], full)
    assert caught.value.code == "linear.rank"


def test_a_missing_outcome_in_the_domain_is_refused(toy: pd.DataFrame, full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        fit_linear(columns_linear(toy, "x1"), toy["amount"].where(toy["x1"] < 1), full)
    assert caught.value.code == "design.missing_values"


def columns_logistic(toy: pd.DataFrame, *names: str) -> np.ndarray:
    return np.column_stack([np.ones(len(toy)), *(toy[name] for name in names)])


@pytest.mark.parametrize(
    ("name", "fixture", "terms", "with_offset"),
    [
        ("logistic_full", "full", ("x1", "x2"), False),
        ("logistic_domain", "part", ("x1", "x2"), False),
        ("logistic_offset", "part", ("x2",), True),
    ],
)
def test_coefficients_and_sandwich_are_those_of_svyglm_logistic(
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
    fit = fit_logistic(columns_logistic(toy, *terms), toy["y"], design, offset=offset)
    np.testing.assert_allclose(fit.coefficients, golden[name]["coefficients"], rtol=1e-8)
    np.testing.assert_allclose(fit.covariance, golden[name]["covariance"], rtol=1e-6)
    assert fit.n == design.n
    intervals_agree(fit, golden[name])


def test_rows_outside_the_domain_may_hold_anything_logistic(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns_logistic(toy, "x1")
    y = toy["y"].to_numpy(dtype=float)
    expected = fit_logistic(X, y, part).coefficients
    X[~part.domain], y[~part.domain] = np.nan, 7.0
    np.testing.assert_array_equal(fit_logistic(X, y, part).coefficients, expected)


def test_units_of_a_column_do_not_change_the_fit_logistic(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns_logistic(toy, "x1", "amount")
    milli, kilo = fit_logistic(X, toy["y"], part), fit_logistic(X * [1, 1, 1e6], toy["y"], part)
    np.testing.assert_allclose(kilo.coefficients * [1, 1, 1e6], milli.coefficients, rtol=1e-7)
    np.testing.assert_allclose(kilo.se * [1, 1, 1e6], milli.se, rtol=1e-7)


def test_the_slope_on_its_own_linear_predictor_is_exactly_1(toy: pd.DataFrame, part: SurveyDesign) -> None:
    X = columns_logistic(toy, "x1", "x2")
    predictor = X @ fit_logistic(X, toy["y"], part).coefficients
    again = fit_logistic(np.column_stack((np.ones(len(toy)), predictor)), toy["y"], part)
    np.testing.assert_allclose(again.coefficients, [0.0, 1.0], atol=1e-9)


def test_separated_cases_are_an_error_and_not_a_large_number(full: SurveyDesign, toy: pd.DataFrame) -> None:
    y = (toy["x1"] > 0).astype(float)
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(columns_logistic(toy, "x1"), y, full)
    assert caught.value.code == "logistic.not_converged"


def test_an_outcome_without_cases_is_an_error(full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(np.ones((len(full), 1)), np.zeros(len(full)), full)
    assert caught.value.code == "logistic.not_converged"


@pytest.mark.parametrize("extra", ["x1", "zero"])
def test_columns_that_say_the_same_are_refused_logistic(extra: str, toy: pd.DataFrame, full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(columns_logistic(toy.assign(zero=0.0), "x1", extra), toy["y"], full)
    assert caught.value.code == "logistic.rank"


def test_a_far_start_still_arrives(toy: pd.DataFrame) -> None:
    X, y, weight = columns_logistic(toy, "x1"), toy["y"].to_numpy(dtype=float), toy["weight"].to_numpy()
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
    rows = columns_logistic(toy, "x1") if X is None else X
    outcome = toy["y"] if y is None else np.full(len(toy), y)
    with pytest.raises(MgRiskError) as caught:
        fit_logistic(rows, outcome, full)
    assert caught.value.code == code


def test_a_fit_is_described_in_plain_numbers(toy: pd.DataFrame, full: SurveyDesign) -> None:
    fit = fit_logistic(columns_logistic(toy, "x1"), toy["y"], full)
    described = fit.to_dict()
    assert described["coefficients"] == fit.coefficients.tolist()
    assert described["se"] == pytest.approx(np.sqrt(np.diag(fit.covariance)).tolist())


def test_p_values_are_those_of_scipy_stats_to_the_last_bit() -> None:
    coefficients = np.array([-40.0, -2.0, -1e-9, 0.0, 0.3, 1.96, 7.0, 1e5])
    for df in (1, 2, 15, 48, 1000):
        fit = RegressionFit(coefficients, np.eye(8), n=2000, df=df)
        assert fit.frame()["p"].tolist() == (2.0 * stats.t.sf(np.abs(coefficients), df)).tolist()
        for places in range(1, min(df, 6) + 1):
            test = wald_test(fit, list(range(2, 2 + places)))
            assert test.p == stats.f.sf(test.statistic, places, test.denominator)
