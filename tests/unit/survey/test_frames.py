"""Estimates as frames: the results of R, groups as domains, and missing values excluded from the domain only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mgrisk.survey as survey
from mgrisk.errors import MgRiskError
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.linear_models import fit_linear
from mgrisk.survey.presentation import korn_graubard

COLUMNS = ["estimate", "se", "low", "high", "n", "df"]


def agrees(row: pd.Series, theirs: dict[str, float], *, rel: float = 1e-8) -> None:
    assert row[list(theirs)].to_dict() == pytest.approx(theirs, rel=rel)


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("mean_domain", lambda t, d: survey.mean(t["amount"], d)),
        ("total_domain", lambda t, d: survey.total(t["amount"], d)),
        ("ratio_domain", lambda t, d: survey.ratio(t["amount"], t["x2"] + 1, d)),
        ("median_domain", lambda t, d: survey.quantile(t["amount"], d)),
        ("quantile90_domain", lambda t, d: survey.quantile(t["amount"], d, probability=0.9)),
        ("proportion_domain", lambda t, d: survey.proportion(t["y"], d, interval="logit")),
        ("proportion_domain", lambda t, d: survey.proportion(t["y"] == 1, d, interval="logit")),
    ],
)
def test_estimate_standard_error_and_interval_are_those_of_r(
    name: str,
    ask: Callable[[pd.DataFrame, SurveyDesign], pd.DataFrame],
    toy: pd.DataFrame,
    part: SurveyDesign,
    golden: dict[str, Any],
) -> None:
    found = ask(toy, part)
    assert list(found.columns) == COLUMNS
    agrees(found.iloc[0], golden[name])
    assert found["n"].tolist() == [part.n]


def test_means_by_group_are_those_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    found = survey.mean(toy["amount"], part, by=toy["group"])
    theirs = golden["by_group"]
    assert found.index.name == "group"
    assert found.index.tolist() == theirs["group"]
    assert found["estimate"].tolist() == pytest.approx(theirs["estimate"], rel=1e-10)
    assert found["se"].tolist() == pytest.approx(theirs["se"], rel=1e-8)
    wide, narrow = (survey.mean(toy["amount"], part, by=toy["group"], level=level) for level in (0.95, 0.5))
    assert (wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])).all()


@pytest.mark.parametrize(
    ("name", "kind", "y", "X"),
    [("linear_domain", "linear", "amount", ["x1", "x2", "y"]), ("logistic_domain", "logistic", "y", ["x1", "x2"])],
)
def test_regressions_are_those_of_r(
    name: str, kind: Any, y: str, X: list[str], toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    found, theirs = survey.regression(toy[y], toy[X], part, kind=kind), golden[name]
    assert found.index.tolist() == ["intercept", *X]
    assert found["estimate"].tolist() == pytest.approx(theirs["coefficients"], rel=1e-8)
    assert found["se"].tolist() == pytest.approx(np.sqrt(np.diag(theirs["covariance"])), rel=1e-8)
    for column in ("low", "high", "p"):
        assert found[column].tolist() == pytest.approx(theirs[column], rel=1e-6)
    assert found["df"].unique().tolist() == [theirs["df"]]
    assert found["p_variable"].tolist() == pytest.approx(found["p"].tolist())


def test_the_test_of_a_category_is_that_of_all_its_levels_as_in_r(
    toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    found = survey.regression(toy["y"], toy[["x1", "x2", "group"]], part, kind="logistic")
    of_group = found.loc[["group=b", "group=c"], "p_variable"].tolist()
    assert of_group == pytest.approx([golden["wald_logistic"]["p"]] * 2, rel=1e-7)


def test_a_category_with_more_levels_than_the_design_can_tell_apart_has_no_test(
    toy: pd.DataFrame, part: SurveyDesign
) -> None:
    # Six PSUs more than strata: the covariance of ten coefficients has no inverse.
    tenth = pd.Series(pd.qcut(toy["risk"].rank(method="first"), 10, labels=list("abcdefghij")), index=toy.index)
    found = survey.regression(toy["amount"], tenth.rename("tenth"), part)
    assert found["p_variable"].iloc[1:].isna().all()


def test_the_interval_of_a_share_is_korn_and_graubards_unless_another_is_asked_for(
    toy: pd.DataFrame, part: SurveyDesign
) -> None:
    found = survey.proportion(toy["y"], part).iloc[0]
    share = estimates.proportion(toy["y"], part)
    assert (found["low"], found["high"]) == korn_graubard(share)
    assert found["low"] != share.low
    nobody = survey.proportion(toy["y"] > 1, part).iloc[0]
    assert (nobody["estimate"], nobody["low"]) == (0.0, 0.0)
    assert 0.0 < nobody["high"] < 0.05


def test_rows_without_a_value_leave_the_domain_and_not_the_design(toy: pd.DataFrame, part: SurveyDesign) -> None:
    # Nobody of stratum 101 has a value: its PSUs count all the same, as in svymean(na.rm = TRUE).
    values = toy["amount"].where(toy["stratum"] != 101)
    group = toy["group"].where(toy["x2"] == 1)
    found = survey.mean(values, part, by=group)
    assert found.index.tolist() == ["a", "b", "c"]
    for name, row in found.iterrows():
        members = part.where((group == name) & values.notna())
        assert row.to_dict() == estimates.mean(values.fillna(0), members).to_dict()
    top, bottom = toy["amount"].where(toy["x1"] > 0), toy["risk"].where(toy["x2"] == 1)
    both = survey.ratio(top, bottom, part)
    assert both["n"].item() == part.where((toy["x1"] > 0) & (toy["x2"] == 1)).n


def test_groups_cross_in_the_order_of_their_categories(toy: pd.DataFrame, part: SurveyDesign) -> None:
    group = toy["group"].astype(pd.CategoricalDtype(["c", "none", "b", "a"]))
    by = pd.DataFrame({"group": group, "x2": toy["x2"]})
    found = survey.mean(toy["amount"], part, by=by)
    assert found.index.names == ["group", "x2"]
    assert found.index.tolist() == [(letter, x2) for letter in "cba" for x2 in (0, 1)]
    pd.testing.assert_frame_equal(survey.mean(toy["amount"], part, by=[group, toy["x2"]]), found)
    one = estimates.mean(toy["amount"], part.where((group == "b") & (toy["x2"] == 1)))
    assert found.loc[("b", 1)].to_dict() == one.to_dict()


def test_a_group_in_which_nobody_has_a_value_is_undefined_and_there(toy: pd.DataFrame, part: SurveyDesign) -> None:
    found = survey.mean(toy["amount"].where(toy["group"] != "b"), part, by=toy["group"])
    assert found["n"].gt(0).tolist() == [True, False, True]
    assert np.isnan(found.loc["b", "estimate"])


def test_categories_have_a_share_each(toy: pd.DataFrame, part: SurveyDesign) -> None:
    found = survey.proportion(toy["group"], part, by=toy["x2"])
    assert found.index.names == ["x2", "group"]
    assert found.groupby("x2")["estimate"].sum().tolist() == pytest.approx([1.0, 1.0])
    one = estimates.proportion(toy["group"] == "a", part.where(toy["x2"] == 1))
    assert found.loc[(1, "a"), ["estimate", "se"]].tolist() == [one.estimate, one.se]
    half = survey.proportion(toy["group"].where(toy["x1"] > 0), part)
    assert half["estimate"].sum() == pytest.approx(1.0)


def test_groups_and_categories_of_nobody_in_the_domain_have_no_row(toy: pd.DataFrame, part: SurveyDesign) -> None:
    some = part.where(toy["group"] != "b")
    group = toy["group"].astype("category")
    assert survey.mean(toy["amount"], some, by=group).index.tolist() == ["a", "c"]
    assert survey.proportion(group, some).index.tolist() == ["a", "c"]
    assert survey.regression(toy["amount"], group, some).index.tolist() == ["intercept", "group=c"]


def test_each_statistic_has_the_level_asked_for(toy: pd.DataFrame, part: SurveyDesign) -> None:
    asked = (
        lambda level: survey.mean(toy["amount"], part, level=level),
        lambda level: survey.total(toy["amount"], part, level=level),
        lambda level: survey.quantile(toy["amount"], part, level=level),
        lambda level: survey.ratio(toy["amount"], toy["risk"], part, level=level),
        lambda level: survey.proportion(toy["y"], part, level=level),
        lambda level: survey.proportion(toy["y"], part, level=level, interval="logit"),
        lambda level: survey.regression(toy["amount"], toy["x1"], part, level=level),
    )
    for ask in asked:
        wide, narrow = ask(0.95), ask(0.5)
        assert (wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])).all()


def test_categories_are_columns_of_a_regression(toy: pd.DataFrame, part: SurveyDesign) -> None:
    found = survey.regression(toy["amount"], toy[["x1", "group"]], part)
    assert found.index.tolist() == ["intercept", "x1", "group=b", "group=c"]
    ones = np.ones(len(toy))
    X = np.column_stack((ones, toy["x1"], toy["group"] == "b", toy["group"] == "c"))
    assert found["estimate"].tolist() == pytest.approx(fit_linear(X, toy["amount"], part).coefficients.tolist())
    by = survey.regression(toy["amount"], toy["x1"], part, by=toy["x2"])
    assert by.index.tolist() == [(0, "intercept"), (0, "x1"), (1, "intercept"), (1, "x1")]
    alone = survey.regression(toy["amount"], toy["x1"], part.where(toy["x2"] == 1))
    pd.testing.assert_frame_equal(by.loc[1], alone)


def test_polars_and_arrays_are_taken_as_pandas_is(toy: pd.DataFrame, part: SurveyDesign) -> None:
    known = toy["amount"].where(toy["x1"] > 0)
    theirs = survey.mean(known, part, by=toy["group"])
    frame = pl.DataFrame({"amount": [None if value != value else value for value in known], "group": toy["group"]})
    pd.testing.assert_frame_equal(survey.mean(frame["amount"], part, by=frame["group"]), theirs)
    pd.testing.assert_frame_equal(
        survey.mean(known.to_numpy(), part, by=toy["group"].tolist()), theirs, check_names=False
    )
    nullable = survey.mean(known.convert_dtypes(), part, by=toy["group"].astype("string"))
    assert nullable["se"].tolist() == theirs["se"].tolist()
    fit = survey.regression(toy["y"], pl.from_pandas(toy[["x1", "group"]]), part, kind="logistic")
    pd.testing.assert_frame_equal(fit, survey.regression(toy["y"], toy[["x1", "group"]], part, kind="logistic"))


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda t, d: survey.mean(t["group"], d), "survey.not_numbers"),
        (lambda t, d: survey.mean(t["amount"], d, by=t["group"].iloc[::-1]), "survey.index"),
        (lambda t, d: survey.mean(t["amount"].iloc[1:], d), "design.bad_length"),
        (lambda t, d: survey.mean(t["amount"], d, by=["a"]), "design.bad_length"),
        (lambda t, d: survey.mean(t["amount"], d, by=[None] * len(t)), "survey.no_groups"),
        (lambda t, d: survey.proportion(t["amount"], d), "design.not_binary"),
        (lambda t, d: survey.proportion(t["y"], d, interval="wald"), "survey.interval"),
        (lambda t, d: survey.regression(t["y"], t["x1"], d, kind="probit"), "survey.kind"),
        (lambda t, d: survey.mean(t["amount"], d, level=95), "design.bad_level"),
    ],
)
def test_what_cannot_be_estimated_is_refused_with_its_reason(
    ask: Callable[[pd.DataFrame, SurveyDesign], pd.DataFrame], code: str, toy: pd.DataFrame, full: SurveyDesign
) -> None:
    with pytest.raises(MgRiskError) as caught:
        ask(toy, full)
    assert caught.value.code == code
