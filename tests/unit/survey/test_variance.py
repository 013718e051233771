from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SinglePsu, SurveyDesign, WeightLevel
from mgrisk.survey.estimates import mean, proportion, total
from mgrisk.survey.linear_models import fit_logistic
from mgrisk.survey.variance import (
    Replicates,
    jackknife,
    rao_wu,
    replicate_variance,
    replicated,
    t_quantile,
    taylor_covariance,
)


def jackknife_of_mean(values: np.ndarray, design: SurveyDesign) -> tuple[float, float]:
    replicates = jackknife(design)
    weight = design.analysis_weight
    full = float(np.average(values, weights=weight))
    each = [np.average(values, weights=w) for w in replicates.weights()]
    return full, float(np.sqrt(replicate_variance(full, each, replicates.scale)))


def test_covariance_of_totals_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    ours = taylor_covariance(toy[["amount", "x1", "y"]].to_numpy(), part)
    np.testing.assert_allclose(ours, golden["covariance_of_totals"], rtol=1e-8)


def test_rows_outside_the_domain_still_count_in_the_variance(
    toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    kept = toy[toy["domain"] == 1]
    dropped = SurveyDesign(kept["weight"], kept["stratum"], kept["psu"], WeightLevel.EXAM)
    right, wrong = total(toy["amount"], part), total(kept["amount"], dropped)
    assert wrong.estimate == pytest.approx(right.estimate)
    assert right.se == pytest.approx(golden["total_domain"]["se"], rel=1e-8)
    assert wrong.se < 0.9 * right.se


@pytest.mark.parametrize(("name", "fixture"), [("mean_full", "full"), ("mean_domain", "part")])
def test_jackknife_is_that_of_r(
    name: str, fixture: str, toy: pd.DataFrame, golden: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    estimate, se = jackknife_of_mean(toy["amount"].to_numpy(), request.getfixturevalue(fixture))
    assert estimate == pytest.approx(golden[f"jackknife_{name}"]["estimate"], rel=1e-10)
    assert se == pytest.approx(golden[f"jackknife_{name}"]["se"], rel=1e-8)


def test_psus_without_members_of_the_domain_are_deleted_too(part: SurveyDesign, golden: dict[str, Any]) -> None:
    replicates = jackknife(part)
    assert len(replicates) == golden["jackknife_replicates"] == 14
    empty = [c for c in range(14) if not (part.analysis_weight[part.cluster == c] > 0).any()]
    sums = [w.sum() for w in replicates.weights()]
    of_stratum_103 = [c for c in empty if part.cluster_stratum[c] == 2]
    assert of_stratum_103
    assert sums[of_stratum_103[0]] > part.analysis_weight.sum()


def test_a_deleted_psu_weighs_nothing_and_its_stratum_keeps_its_share() -> None:
    design = SurveyDesign([2.0] * 5, [1, 1, 1, 2, 2], [1, 2, 3, 1, 2], WeightLevel.EXAM)
    replicates = jackknife(design)
    assert replicates.replicate_weight(1).tolist() == [3.0, 0.0, 3.0, 2.0, 2.0]
    assert replicates.scale.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 1 / 2, 1 / 2])
    assert replicates.to_dict() == {"method": "JKn", "replicates": 5, "df": 3}


def test_replicates_never_weigh_rows_outside_the_domain(part: SurveyDesign) -> None:
    outside = part.analysis_weight == 0
    assert all((w[outside] == 0).all() for w in jackknife(part).weights())


def test_replicate_variance_is_centred_at_the_full_estimate() -> None:
    scale = np.array([0.5, 0.5])
    assert replicate_variance(0.0, [1.0, 1.0], scale) == 1.0
    np.testing.assert_array_equal(replicate_variance([0.0, 1.0], [[1.0, 1.0], [1.0, 3.0]], scale), [1.0, 2.0])


def test_an_undefined_replicate_leaves_the_variance_undefined() -> None:
    assert np.isnan(replicate_variance(0.0, [1.0, np.nan], [0.5, 0.5]))


def test_a_stratum_with_one_psu_is_an_error_that_names_it() -> None:
    design = SurveyDesign([1.0] * 3, [7, 7, 9], [1, 2, 1], WeightLevel.EXAM)
    for function in (lambda: taylor_covariance(np.ones(3), design), lambda: jackknife(design)):
        with pytest.raises(MgRiskError, match="only one PSU") as caught:
            function()
        assert caught.value.code == "design.single_psu"
        assert "stratum 9" in caught.value.where


def test_one_psu_in_the_domain_is_no_error_where_the_design_has_two() -> None:
    design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    inside = design.where([True, True, True, False])
    # Stratum 2: totals 3 and 0, so (3 - 1.5)^2 + (0 - 1.5)^2, times 2 / (2 - 1); stratum 1 has no spread.
    assert taylor_covariance([1.0, 1.0, 3.0, 99.0], inside).tolist() == [[9.0]]


def test_missing_scores_matter_inside_the_domain_only() -> None:
    design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    scores = [1.0, 3.0, 2.0, np.nan]
    assert np.isfinite(taylor_covariance(scores, design.where([True, True, True, False]))).all()
    with pytest.raises(MgRiskError) as caught:
        taylor_covariance(scores, design)
    assert caught.value.code == "design.missing_values"


def test_scores_of_another_length_are_refused(full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        taylor_covariance(np.ones(3), full)
    assert caught.value.code == "design.bad_length"


def test_taylor_and_jackknife_agree_roughly_on_a_mean(toy: pd.DataFrame, full: SurveyDesign) -> None:
    _, se = jackknife_of_mean(toy["amount"].to_numpy(), full)
    assert se == pytest.approx(mean(toy["amount"], full).se, rel=0.1)


def lonely(toy: pd.DataFrame, rule: SinglePsu) -> tuple[pd.DataFrame, SurveyDesign]:
    kept = toy[(toy["stratum"] != 106) | (toy["psu"] != 2)].reset_index(drop=True)
    design = SurveyDesign(kept["weight"], kept["stratum"], kept["psu"], WeightLevel.EXAM, single_psu=rule)
    return kept, design.where((kept["x1"] > -0.8).to_numpy())


@pytest.mark.parametrize("rule", [SinglePsu.CERTAINTY, SinglePsu.ADJUST])
def test_single_psus_follow_the_stated_rule_as_in_r(rule: SinglePsu, toy: pd.DataFrame, golden: dict[str, Any]) -> None:
    theirs = golden[f"lonely_{rule}"]
    kept, design = lonely(toy, rule)
    for name, ours in (
        ("mean", mean(kept["amount"], design)),
        ("total", total(kept["amount"], design)),
        ("proportion", proportion(kept["y"], design)),
    ):
        assert ours.estimate == pytest.approx(theirs[name]["estimate"], rel=1e-10)
        assert ours.se == pytest.approx(theirs[name]["se"], rel=1e-8)
    X = np.column_stack((np.ones(len(kept)), kept["x1"], kept["x2"]))
    fit = fit_logistic(X, kept["y"], design)
    np.testing.assert_allclose(fit.covariance, theirs["logistic"]["covariance"], rtol=1e-6)
    assert design.df == theirs["proportion"]["df"]


@pytest.mark.parametrize("rule", [SinglePsu.CERTAINTY, SinglePsu.ADJUST])
def test_the_jackknife_follows_the_rule_as_in_r(rule: SinglePsu, toy: pd.DataFrame, golden: dict[str, Any]) -> None:
    theirs = golden[f"lonely_{rule}"]
    kept, design = lonely(toy, rule)
    assert len(jackknife(design)) == theirs["jackknife_replicates"]
    _, se = jackknife_of_mean(kept["amount"].to_numpy(), design)
    assert se == pytest.approx(theirs["jackknife_mean"]["se"], rel=1e-8)


def test_adjusting_never_makes_a_mean_more_certain(toy: pd.DataFrame) -> None:
    errors = []
    for rule in (SinglePsu.CERTAINTY, SinglePsu.ADJUST):
        kept, design = lonely(toy, rule)
        errors.append(mean(kept["amount"], design).se)
    assert errors[0] < errors[1]


def test_the_rule_is_said_where_the_design_is_described(toy: pd.DataFrame) -> None:
    _, design = lonely(toy, SinglePsu.CERTAINTY)
    assert design.to_dict()["single_psu"] == "certainty"
    assert SurveyDesign([1.0], [1], [1], WeightLevel.EXAM).single_psu is SinglePsu.FAIL


def test_factors_are_those_of_the_rescaling_formula_by_hand(full: SurveyDesign) -> None:
    drawn = rao_wu(full, replicates=40, seed=1)
    size = np.bincount(full.cluster_stratum)[full.cluster_stratum]
    m = size - 1
    # How often each PSU was drawn, recovered from the short form, then put through the long form of Rao, Wu and Yue.
    times = drawn.factors * (size - 1) / size
    np.testing.assert_array_equal(times, np.round(times))
    root = np.sqrt(m / (size - 1))
    np.testing.assert_allclose(drawn.factors, 1 - root + root * (size / m) * times, rtol=1e-14)
    for stratum in np.unique(full.cluster_stratum):
        inside = full.cluster_stratum == stratum
        assert (times[:, inside].sum(axis=1) == inside.sum() - 1).all()


def test_factors_of_a_stratum_always_add_up_to_its_psus(full: SurveyDesign) -> None:
    drawn = rao_wu(full, replicates=60, seed=2)
    for stratum in np.unique(full.cluster_stratum):
        inside = full.cluster_stratum == stratum
        np.testing.assert_allclose(drawn.factors[:, inside].sum(axis=1), inside.sum())


def test_a_replicate_weight_is_weight_times_the_factor_of_the_psu(part: SurveyDesign) -> None:
    drawn = rao_wu(part, replicates=3, seed=3)
    by_hand = [w * drawn.factors[1, c] for w, c in zip(part.analysis_weight, part.cluster, strict=True)]
    assert drawn.replicate_weight(1).tolist() == by_hand


def test_the_mean_of_many_replicate_weights_is_the_weight(full: SurveyDesign) -> None:
    drawn = rao_wu(full, replicates=6000, seed=4)
    # A factor has variance at most 1 here, so that the mean of 6,000 is within 0.06 (4.5 standard errors).
    np.testing.assert_allclose(drawn.factors.mean(axis=0), 1.0, atol=0.06)


def test_the_error_of_a_total_is_that_of_taylor_but_for_simulation(toy: pd.DataFrame, part: SurveyDesign) -> None:
    values, replicates = toy["amount"].to_numpy(), 4000
    drawn = replicated(lambda weight: weight @ values, rao_wu(part, replicates=replicates, seed=5))
    # For a total both estimate the same variance; its relative simulation error is below sqrt(2 / R) = 2.2 %, its
    # square root's half of that, and 4 of them allow for the heavier tails of few PSUs.
    assert drawn.se[0] == pytest.approx(total(values, part).se, rel=4 * 0.5 * np.sqrt(2 / replicates))


def test_the_error_of_a_mean_is_that_of_the_bootstrap_of_r(
    toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    theirs = golden["bootstrap_mean_domain"]
    values = toy["amount"].to_numpy()
    ours = replicated(lambda w: w @ values / w.sum(), rao_wu(part, replicates=theirs["replicates"], seed=6))
    assert ours.estimate[0] == pytest.approx(theirs["estimate"], rel=1e-12)
    # Two simulations of 4,000: the difference has a relative standard error of about 1.6 %.
    assert ours.se[0] == pytest.approx(theirs["se"], rel=0.06)
    assert ours.se[0] == pytest.approx(mean(values, part).se, rel=0.1)


def test_with_the_draws_of_r_the_error_is_that_of_r(
    toy: pd.DataFrame, full: SurveyDesign, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    theirs = golden["bootstrap_drawn"]
    factors, (stratum, psu) = np.array(theirs["factors"]), np.array(theirs["psu"]).T
    # R lists the PSUs as they come in the file, mgrisk by stratum and PSU.
    factors = factors[:, np.lexsort((psu, stratum))]
    assert factors.shape == (25, full.n_clusters)
    allowed = {round(float(factor), 9) for factor in rao_wu(full, replicates=400, seed=7).factors.ravel()}
    assert {round(float(factor), 9) for factor in factors.ravel()} <= allowed
    values = toy["amount"].to_numpy()
    ours = replicated(lambda w: w @ values / w.sum(), Replicates(factors, np.array(theirs["scale"]), part, "bootstrap"))
    assert ours.estimate[0] == pytest.approx(theirs["estimate"], rel=1e-12)
    assert ours.se[0] == pytest.approx(theirs["se"], rel=1e-12)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(full: SurveyDesign) -> None:
    one, same, other = (rao_wu(full, replicates=5, seed=seed).factors for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_replicates_say_what_they_are(full: SurveyDesign) -> None:
    assert rao_wu(full, replicates=5, seed=1).to_dict() == {"method": "bootstrap", "replicates": 5, "df": full.df}


def lonely_bootstrap(rule: SinglePsu) -> SurveyDesign:
    return SurveyDesign([1.0, 2.0, 3.0], [1, 1, 9], [1, 2, 1], WeightLevel.EXAM, single_psu=rule)


def test_a_certain_psu_keeps_its_weight_in_every_replicate() -> None:
    assert (rao_wu(lonely_bootstrap(SinglePsu.CERTAINTY), replicates=9, seed=1).factors[:, 2] == 1.0).all()


@pytest.mark.parametrize(
    ("rule", "code"), [(SinglePsu.FAIL, "design.single_psu"), (SinglePsu.ADJUST, "bootstrap.adjust")]
)
def test_a_single_psu_is_refused_where_its_rule_has_no_bootstrap(rule: SinglePsu, code: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        rao_wu(lonely_bootstrap(rule), replicates=9, seed=1)
    assert caught.value.code == code


def test_one_replicate_is_too_few(full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        rao_wu(full, replicates=1, seed=1)
    assert caught.value.code == "bootstrap.replicates"


KINDS: dict[str, Callable[[SurveyDesign], Replicates]] = {
    "JKn": jackknife,
    "bootstrap": lambda design: rao_wu(design, replicates=50, seed=7),
}


def test_a_jackknifed_mean_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    values = toy["amount"].to_numpy()
    found = replicated(lambda weight: np.average(values, weights=weight), jackknife(part))
    assert found.estimate[0] == pytest.approx(golden["jackknife_mean_domain"]["estimate"], rel=1e-10)
    assert found.se[0] == pytest.approx(golden["jackknife_mean_domain"]["se"], rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_both_kinds_of_replicate_share_one_interface(kind: str, toy: pd.DataFrame, part: SurveyDesign) -> None:
    columns = toy[["amount", "x1"]].to_numpy()
    replicates = KINDS[kind](part)
    found = replicated(lambda weight: np.average(columns, weights=weight, axis=0), replicates)
    assert found.replicates.shape == (len(replicates), 2)
    np.testing.assert_allclose(
        np.diag(found.covariance), replicate_variance(found.estimate, found.replicates, replicates.scale)
    )
    assert found.to_dict()["method"] == kind
    assert found.frame()["df"].tolist() == [part.df, part.df]


def test_the_covariance_knows_that_two_numbers_move_together(toy: pd.DataFrame, part: SurveyDesign) -> None:
    values = toy["amount"].to_numpy()

    def twice(weight: np.ndarray) -> list[float]:
        middle = float(np.average(values, weights=weight))
        return [middle, 3.0 * middle]

    covariance = replicated(twice, jackknife(part)).covariance
    np.testing.assert_allclose(covariance[0, 1], 3.0 * covariance[0, 0])


def test_an_undefined_replicate_leaves_the_error_undefined(part: SurveyDesign) -> None:
    calls = iter(range(100))
    found = replicated(lambda _: np.nan if next(calls) == 3 else 1.0, jackknife(part))
    assert np.isnan(found.se[0])


def test_replicates_with_more_numbers_than_the_full_sample_are_refused(part: SurveyDesign) -> None:
    calls = iter(range(100))
    with pytest.raises(MgRiskError) as caught:
        replicated(lambda _: np.zeros(1 + (next(calls) > 0)), jackknife(part))
    assert caught.value.code == "replicated.shape"


def test_a_quantile_of_t_is_that_of_scipy_stats_to_the_last_bit() -> None:
    for level in (0.5, 0.9, 0.95, 0.99):
        found = [t_quantile(level, df) for df in range(1, 2000)]
        assert found == stats.t.ppf(0.5 + level / 2.0, np.arange(1, 2000)).tolist()
