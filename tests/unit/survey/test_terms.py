"""Splines, interactions, average differences and prevalence ratios: the results of R on a small survey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey import regression
from mgrisk.survey.cubic_spline import HARRELL_QUANTILES
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.terms import category, interaction, number, spline


def agrees(rows: pd.DataFrame, theirs: dict[str, Any], *, rel: float = 1e-7) -> None:
    for column in {"estimate", "se", "low", "high", "p"} & theirs.keys():
        assert rows[column].tolist() == pytest.approx(np.atleast_1d(theirs[column]).tolist(), rel=rel)


@pytest.mark.parametrize(("kind", "outcome"), [("logistic", "y"), ("linear", "amount")])
def test_a_spline_is_read_at_its_knots_as_in_r(
    kind: Any, outcome: str, toy: pd.DataFrame, part: SurveyDesign, in_r: dict[str, Any]
) -> None:
    theirs = dict(in_r[f"spline_{kind}"])
    p_all, p_curve = theirs.pop("p"), theirs.pop("p_curve")
    found = regression(toy[outcome], toy[["x1", "x2"]], part, kind=kind, splines={"x1": in_r["knots"]})
    rows = found.loc[["x1=-0.3", "x1=0.4", "x1=1.2"]]
    agrees(rows, theirs)
    assert rows["p_variable"].tolist() == pytest.approx([p_all] * 3, rel=1e-7)
    assert rows["p_curve"].tolist() == pytest.approx([p_curve] * 3, rel=1e-7)
    assert found["p_curve"].isna().tolist() == [True, False, False, False, True]


def test_the_first_knot_that_is_named_is_the_reference(toy: pd.DataFrame, part: SurveyDesign) -> None:
    first, other = (
        regression(toy["amount"], toy["x1"], part, splines={"x1": knots}) for knots in ([-1, 0, 1], [1, -1, 0])
    )
    assert other.index.tolist() == ["intercept", "x1=-1", "x1=0"]
    assert other.loc["x1=-1", "estimate"] == pytest.approx(-first.loc["x1=1", "estimate"])
    assert other.loc["x1=0", "estimate"] == pytest.approx(first.loc["x1=0", "estimate"] - first.loc["x1=1", "estimate"])


def test_knots_are_placed_by_harrell_where_their_number_is_named(toy: pd.DataFrame, part: SurveyDesign) -> None:
    weight = part.analysis_weight
    places = weighted_quantile(toy["x1"][weight > 0], weight[weight > 0], HARRELL_QUANTILES[5])
    found, named = (regression(toy["y"], toy["x1"], part, splines={"x1": each}) for each in ([5], places))
    assert found.index.tolist()[1:] == [f"x1={each:g}" for each in places[1:]]
    pd.testing.assert_frame_equal(found, named)


def test_interactions_of_numbers_and_of_levels_are_those_of_r(
    toy: pd.DataFrame, full: SurveyDesign, part: SurveyDesign, in_r: dict[str, Any]
) -> None:
    theirs = in_r["interaction_numbers"]
    found = regression(toy["y"], toy[["x1", "x2"]], part, kind="logistic", interactions=[("x1", "x2")])
    assert found.index.tolist() == ["intercept", "x1", "x2", "x1:x2"]
    agrees(found, {"estimate": theirs["coefficients"], **theirs})
    assert found.loc["x1:x2", "p_variable"] == pytest.approx(theirs["p_interaction"], rel=1e-7)
    theirs = in_r["interaction_levels"]
    terms = toy[["group"]].assign(x2=toy["x2"].astype("category"))
    found = regression(toy["amount"], terms, full, interactions=[("group", "x2")])
    assert found.index.tolist()[-2:] == ["group=b:x2=1", "group=c:x2=1"]
    agrees(found, {"estimate": theirs["coefficients"], **theirs})
    assert found["p_variable"].tolist()[-2:] == pytest.approx([theirs["p_interaction"]] * 2, rel=1e-7)


@pytest.mark.parametrize("effect", ["difference", "ratio"])
def test_averages_over_people_are_those_of_r(
    effect: Any, toy: pd.DataFrame, part: SurveyDesign, in_r: dict[str, Any]
) -> None:
    found = regression(toy["y"], toy[["x1", "x2", "group"]], part, kind="logistic", effect=effect)
    assert found.index.tolist() == ["x1", "x2", "group=b", "group=c"]
    agrees(found.loc[["group=b"]], in_r["averages_b"][effect])
    agrees(found.loc[["group=c"]], in_r["averages_c"][effect])
    agrees(found.loc[["x1"]], in_r["averages_x1"]["slope" if effect == "difference" else "ratio"])
    # R's own averages, svypredmeans, have the same estimates; replicate weights nearly the same errors.
    margins = dict(zip(in_r["predicted_margins"]["group"], in_r["predicted_margins"]["estimate"], strict=True))
    expected = margins["c"] - margins["a"] if effect == "difference" else np.log(margins["c"] / margins["a"])
    assert found.loc["group=c", "estimate"] == pytest.approx(expected, rel=1e-8)
    replicated = in_r["jackknife_b_difference_c_ratio"]["se"]
    place, row = (0, "group=b") if effect == "difference" else (1, "group=c")
    assert found.loc[row, "se"] == pytest.approx(replicated[place], rel=0.01)


@pytest.mark.parametrize("effect", ["difference", "ratio"])
def test_averages_change_an_interaction_with_its_parts(
    effect: Any, toy: pd.DataFrame, part: SurveyDesign, in_r: dict[str, Any]
) -> None:
    found, of_levels = (
        regression(toy["y"], terms, part, kind="logistic", effect=effect, interactions=[("x1", "x2")])
        for terms in (toy[["x1", "x2"]], toy[["x1"]].assign(x2=toy["x2"].astype("category")))
    )
    assert found.index.tolist() == ["x1", "x2"]
    agrees(of_levels.loc[["x2=1"]], in_r["averages_crossed"][effect])
    agrees(found.loc[["x1"]], in_r["averages_crossed_x1"]["slope" if effect == "difference" else "ratio"])
    # The test is of the variable with its interaction: two coefficients.
    alone = regression(toy["y"], toy[["x1", "x2"]], part, kind="logistic", interactions=[("x1", "x2")])
    assert found.loc["x2", "p_variable"] != pytest.approx(alone.loc["x2", "p_variable"])


def test_the_average_over_a_spline_is_of_everybody_at_its_knot(toy: pd.DataFrame, part: SurveyDesign) -> None:
    knots = [-1.0, 0.0, 1.0]
    found = regression(
        toy["y"], toy[["x1", "group"]], part, kind="logistic", effect="difference", splines={"x1": knots}
    )
    # Nobody has a risk of his own but by his group: shift each person to the knot, and average by hand.
    logs = regression(toy["y"], toy[["x1", "group"]], part, kind="logistic", splines={"x1": knots})["estimate"]
    of_group = toy["group"].map({"a": 0.0, "b": logs["group=b"], "c": logs["group=c"]})
    weight = part.analysis_weight

    def average(shift: float) -> float:
        return float(np.average(1 / (1 + np.exp(-(logs["intercept"] + shift + of_group))), weights=weight))

    assert found.loc["x1=1", "estimate"] == pytest.approx(average(logs["x1=1"]) - average(0.0))


def test_a_term_is_zero_at_its_reference_and_its_points_are_its_columns(toy: pd.DataFrame, part: SurveyDesign) -> None:
    group = category("group", toy["group"], part)
    curve = spline("x1", np.array([-1.0, 0.0, 1.0, *toy["x1"][3:]]), [-1.0, 0.0, 1.0], part)
    assert (group.columns[toy["group"] == "a"] == 0.0).all()
    assert (curve.columns[0] == 0.0).all()
    np.testing.assert_allclose(curve.columns[1:3], curve.points)
    both = interaction(group, curve)
    assert both.columns.shape == (len(toy), 4)
    assert both.levels[0] == "group=b:x1=0"
    row = int(np.flatnonzero(toy["group"] == "c")[0])
    np.testing.assert_allclose(both.columns[row], [0, 0, *curve.columns[row]])
    assert interaction(number("x2", toy["x2"].to_numpy(float)), group).levels == ("x2:group=b", "x2:group=c")


def test_a_category_of_one_level_has_no_column_and_no_interaction(toy: pd.DataFrame, part: SurveyDesign) -> None:
    one = toy[["x1"]].assign(same="a")
    found = regression(toy["y"], one, part, kind="logistic", interactions=[("x1", "same")])
    pd.testing.assert_frame_equal(found, regression(toy["y"], toy["x1"], part, kind="logistic"))
    with pytest.raises(MgRiskError) as caught:
        regression(toy["y"], one["same"], part, kind="logistic", effect="ratio")
    assert caught.value.code == "regression.one_level"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"effect": "ratio"}, "regression.effect"),
        ({"splines": {"x1": [1.0, 2.0]}}, "regression.knots"),
        ({"splines": {"x1": [1.0, 1.0, 2.0]}}, "regression.knots"),
        ({"splines": {"x1": [2]}}, "regression.knots"),
        ({"splines": {"group": [4]}}, "regression.no_variable"),
        ({"splines": {"x3": [4]}}, "regression.no_variable"),
        ({"interactions": [("x1", "x3")]}, "regression.no_variable"),
        ({"interactions": [("x1", "x1")]}, "regression.repeated"),
        ({"interactions": [("x1",)]}, "regression.repeated"),
    ],
)
def test_what_cannot_be_read_off_a_regression_is_refused(
    how: dict[str, Any], code: str, toy: pd.DataFrame, part: SurveyDesign
) -> None:
    with pytest.raises(MgRiskError) as caught:
        regression(toy["amount"], toy[["x1", "group"]], part, **how)
    assert caught.value.code == code
    assert caught.value.hint
