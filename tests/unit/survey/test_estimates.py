from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import Estimate, by, mean, proportion, ratio, total


def agrees(ours: Estimate, theirs: dict[str, float]) -> None:
    assert ours.estimate == pytest.approx(theirs["estimate"], rel=1e-10)
    assert ours.se == pytest.approx(theirs["se"], rel=1e-8)
    assert (ours.low, ours.high) == pytest.approx((theirs["low"], theirs["high"]), rel=1e-8)
    assert ours.df == theirs["df"]


@pytest.mark.parametrize(
    ("name", "fixture", "compute"),
    [
        ("mean_full", "full", lambda toy, design: mean(toy["amount"], design)),
        ("mean_domain", "part", lambda toy, design: mean(toy["amount"], design)),
        ("total_domain", "part", lambda toy, design: total(toy["amount"], design)),
        ("ratio_domain", "part", lambda toy, design: ratio(toy["amount"], toy["x2"] + 1, design)),
        ("proportion_full", "full", lambda toy, design: proportion(toy["y"], design)),
        ("proportion_domain", "part", lambda toy, design: proportion(toy["y"] == 1, design)),
    ],
)
def test_estimate_standard_error_and_interval_are_those_of_r(
    name: str,
    fixture: str,
    compute: Callable[[pd.DataFrame, SurveyDesign], Estimate],
    toy: pd.DataFrame,
    golden: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    agrees(compute(toy, request.getfixturevalue(fixture)), golden[name])


def test_means_by_group_are_those_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    grouped = by(toy["group"], mean, toy["amount"], part)
    table = grouped.frame()
    assert table["group"].tolist() == golden["by_group"]["group"] == list(grouped)
    np.testing.assert_allclose(table["estimate"], golden["by_group"]["estimate"], rtol=1e-10)
    np.testing.assert_allclose(table["se"], golden["by_group"]["se"], rtol=1e-8)
    assert table["n"].sum() == part.n
    assert grouped.to_dict()["a"] == grouped["a"].to_dict()
    assert len(grouped) == 3


def test_groups_pass_the_level_on(toy: pd.DataFrame, part: SurveyDesign) -> None:
    wide, narrow = (by(toy["group"], mean, toy["amount"], part, level=p)["a"] for p in (0.95, 0.5))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_a_missing_group_inside_the_domain_is_an_error(toy: pd.DataFrame, part: SurveyDesign) -> None:
    group = toy["group"].where(toy["x2"] == 1)
    with pytest.raises(MgRiskError) as caught:
        by(group, mean, toy["amount"], part)
    assert caught.value.code == "design.missing_values"
    assert list(by(group, mean, toy["amount"], part.where(toy["x2"] == 1))) == ["a", "b", "c"]


@pytest.mark.parametrize("function", [total, mean, proportion])
def test_missing_values_are_an_error_until_the_domain_leaves_them_out(
    function: Callable[..., Estimate], toy: pd.DataFrame, full: SurveyDesign
) -> None:
    values = toy["y"].where(toy["x1"] > 0)
    with pytest.raises(MgRiskError) as caught:
        function(values, full)
    assert caught.value.code == "design.missing_values"
    assert np.isfinite(function(values, full.where(values.notna())).se)


def test_a_mean_does_not_depend_on_the_scale_of_the_weights(toy: pd.DataFrame, part: SurveyDesign) -> None:
    scaled = SurveyDesign(part.weight * 1e-4, part.stratum, part.psu, part.level, part.domain)
    ours, theirs = mean(toy["amount"], part), mean(toy["amount"], scaled)
    assert (ours.estimate, ours.se) == pytest.approx((theirs.estimate, theirs.se), rel=1e-12)
    assert total(toy["amount"], scaled).se == pytest.approx(1e-4 * total(toy["amount"], part).se)


def test_a_share_of_nobody_has_no_interval(full: SurveyDesign) -> None:
    share = proportion(np.zeros(len(full)), full)
    assert (share.estimate, share.se) == (0.0, 0.0)
    assert np.isnan(share.low)
    assert np.isnan(share.high)


def test_an_interval_of_a_share_stays_within_0_and_1(toy: pd.DataFrame, full: SurveyDesign) -> None:
    rare = proportion(np.arange(len(toy)) < 5, full)  # one PSU alone: the standard error is the share itself
    assert rare.estimate - 2.3 * rare.se < 0
    assert 0 < rare.low < rare.estimate < rare.high < 1


@pytest.mark.parametrize(
    ("compute", "code"),
    [
        (lambda d: proportion(np.full(len(d), 2.0), d), "design.not_binary"),
        (lambda d: mean(np.ones(3), d), "design.bad_length"),
        (lambda d: mean(np.ones(len(d)), d.where(np.zeros(len(d), dtype=bool))), "design.empty_domain"),
        (lambda d: ratio(np.ones(len(d)), np.zeros(len(d)), d), "design.zero_denominator"),
        (lambda d: mean(np.ones(len(d)), d, level=95), "design.bad_level"),
        (lambda d: by(["a"], mean, np.ones(len(d)), d), "design.bad_length"),
    ],
)
def test_what_cannot_be_estimated_is_refused_with_its_reason(
    compute: Callable[[SurveyDesign], Estimate], code: str, full: SurveyDesign
) -> None:
    with pytest.raises(MgRiskError) as caught:
        compute(full)
    assert caught.value.code == code
