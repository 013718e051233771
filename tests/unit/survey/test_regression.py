from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.linear import fit_linear
from mgrisk.survey.logistic import fit_logistic
from mgrisk.survey.regression import RegressionFit, rows_in_domain, wald_test


def columns(toy: pd.DataFrame, *names: str) -> np.ndarray:
    with_groups = toy.assign(b=(toy["group"] == "b") * 1.0, c=(toy["group"] == "c") * 1.0)
    return np.column_stack([np.ones(len(toy)), *(with_groups[name] for name in names)])


def agrees(found: dict[str, Any], theirs: dict[str, Any], rel: float) -> None:
    assert found["statistic"] == pytest.approx(theirs["statistic"], rel=rel)
    assert found["p"] == pytest.approx(theirs["p"], rel=rel)
    assert (found["numerator"], found["denominator"]) == (theirs["numerator"], theirs["denominator"])


def test_a_test_of_linear_terms_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    fit = fit_linear(columns(toy, "x1", "x2", "y"), toy["amount"], part)
    agrees(wald_test(fit, [2, 3]).to_dict(), golden["wald_linear"], 1e-9)


def test_a_test_of_a_category_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    fit = fit_logistic(columns(toy, "x1", "x2", "b", "c"), toy["y"], part)
    agrees(wald_test(fit, [3, 4]).to_dict(), golden["wald_logistic"], 1e-7)
    # R's default counts the coefficients off: 6 + 1 - 5.
    agrees(wald_test(fit, [4, 3], df=fit.df + 1 - 5).to_dict(), golden["wald_logistic_r_default"], 1e-7)


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


def test_an_interval_is_on_t_with_the_df_of_the_design() -> None:
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
