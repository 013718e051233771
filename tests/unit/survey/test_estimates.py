from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import (
    Estimate,
    mean,
    proportion,
    quantile,
    ratio,
    standardised_mean,
    total,
    weighted_quantile,
)
from mgrisk.survey.variance import logit_interval, t_quantile


def test_critical_values_are_those_of_t_tables() -> None:
    assert t_quantile(0.95, 15) == pytest.approx(2.131450, abs=1e-6)
    assert t_quantile(0.90, 62) == pytest.approx(1.669804, abs=1e-6)


@pytest.mark.parametrize("df", [0, -1])
def test_no_degrees_of_freedom_give_no_interval(df: int) -> None:
    assert np.isnan(t_quantile(0.95, df))


@pytest.mark.parametrize("estimate", [0.0, 1.0, -0.1, float("nan")])
def test_nothing_outside_0_and_1_has_a_logit_interval(estimate: float) -> None:
    assert np.isnan(logit_interval(estimate, 0.1, level=0.95, df=15)).all()


def test_the_logit_interval_mirrors_itself() -> None:
    low, high = logit_interval(0.1, 0.02, level=0.95, df=15)
    mirrored_low, mirrored_high = logit_interval(0.9, 0.02, level=0.95, df=15)
    assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low))
    assert high - 0.1 > 0.1 - low


@pytest.mark.parametrize(
    ("name", "fixture", "probability"),
    [("median_full", "full", 0.5), ("median_domain", "part", 0.5), ("quantile90_domain", "part", 0.9)],
)
def test_quantile_and_woodruff_interval_are_those_of_r(
    name: str,
    fixture: str,
    probability: float,
    toy: pd.DataFrame,
    golden: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    ours = quantile(toy["amount"], request.getfixturevalue(fixture), probability=probability)
    theirs = golden[name]
    assert (ours.estimate, ours.low, ours.high) == (theirs["estimate"], theirs["low"], theirs["high"])
    assert ours.se == pytest.approx(theirs["se"], rel=1e-8)
    assert ours.df == theirs["df"]


def test_a_bound_beyond_the_sample_is_undefined(toy: pd.DataFrame, part: SurveyDesign) -> None:
    top = quantile(toy["amount"], part, probability=0.995)
    assert np.isnan(top.high)
    assert top.low <= top.estimate


samples = st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 4)), min_size=1, max_size=30)


@settings(deadline=None)  # machines are shared
@given(samples, st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.9]), st.sampled_from([1e-3, 7.0, 1e6]))
def test_doubled_rows_are_doubled_weights_whatever_their_scale(
    sample: list[tuple[int, int]], probability: float, scale: float
) -> None:
    values, counts = (np.array(column, dtype=float) for column in zip(*sample, strict=True))
    repeated = np.repeat(values, counts.astype(int))
    ours = weighted_quantile(values, counts * scale, [probability])
    assert ours == weighted_quantile(repeated, np.ones(repeated.size), [probability])
    assert ours == np.quantile(repeated, probability, method="inverted_cdf")


def test_values_without_weight_do_not_count() -> None:
    assert weighted_quantile([np.nan, 1.0, 9.0], [0.0, 1.0, 0.0], [0.9]).tolist() == [1.0]


@pytest.mark.parametrize("probability", [0.0, 1.0, 50.0, np.nan])
def test_a_probability_outside_0_and_1_is_refused(probability: float) -> None:
    with pytest.raises(MgRiskError) as caught:
        weighted_quantile([1.0], [1.0], [probability])
    assert caught.value.code == "design.bad_probability"


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
    ],
)
def test_what_cannot_be_estimated_is_refused_with_its_reason(
    compute: Callable[[SurveyDesign], Estimate], code: str, full: SurveyDesign
) -> None:
    with pytest.raises(MgRiskError) as caught:
        compute(full)
    assert caught.value.code == code


STANDARD = {"a": 1.0, "b": 2.0, "c": 3.0}


@pytest.mark.parametrize(("column", "name"), [("amount", "standardised_mean"), ("y", "standardised_share")])
def test_estimate_and_error_are_those_of_svycontrast_over_svyby(
    column: str, name: str, toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    ours = standardised_mean(toy[column], toy["group"], part, standard=STANDARD)
    assert ours.estimate == pytest.approx(golden[name]["estimate"], rel=1e-10)
    assert ours.se == pytest.approx(golden[name]["se"], rel=1e-8)
    assert ours.df == golden[name]["df"]


def test_only_proportions_of_the_standard_matter(toy: pd.DataFrame, part: SurveyDesign) -> None:
    thousands = {name: 1000 * size for name, size in STANDARD.items()}
    plain = standardised_mean(toy["amount"], toy["group"], part, standard=STANDARD)
    other = standardised_mean(toy["amount"], toy["group"], part, standard=thousands)
    assert other.estimate == pytest.approx(plain.estimate, rel=1e-13)
    assert other.se == pytest.approx(plain.se, rel=1e-13)


def test_a_standard_of_one_group_is_the_plain_mean(toy: pd.DataFrame, part: SurveyDesign) -> None:
    ours = standardised_mean(toy["amount"], ["all"] * len(toy), part, standard={"all": 7.0})
    plain = mean(toy["amount"], part)
    assert (ours.estimate, ours.se, ours.low) == pytest.approx((plain.estimate, plain.se, plain.low))


@pytest.mark.parametrize(
    ("standard", "code"),
    [({"a": 1.0, "b": 1.0}, "standard.unknown_group"), ({**STANDARD, "d": 1.0}, "standard.empty_group")],
)
def test_groups_and_standard_must_be_the_same(
    standard: dict[str, float], code: str, toy: pd.DataFrame, part: SurveyDesign
) -> None:
    with pytest.raises(MgRiskError) as caught:
        standardised_mean(toy["amount"], toy["group"], part, standard=standard)
    assert caught.value.code == code


def test_a_missing_group_matters_inside_the_domain_only(toy: pd.DataFrame, part: SurveyDesign) -> None:
    outside = toy["group"].where(part.domain)
    assert standardised_mean(toy["amount"], outside, part, standard=STANDARD).n == part.n
    with pytest.raises(MgRiskError) as caught:
        standardised_mean(toy["amount"], toy["group"].where(toy["x1"] < 1), part, standard=STANDARD)
    assert caught.value.code == "design.missing_values"


def test_groups_of_another_length_are_refused(toy: pd.DataFrame, part: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        standardised_mean(toy["amount"], ["a"], part, standard=STANDARD)
    assert caught.value.code == "design.bad_length"
