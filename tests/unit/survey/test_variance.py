from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SinglePsu, SurveyDesign, WeightLevel
from mgrisk.survey.estimates import mean, proportion, total
from mgrisk.survey.logistic import fit_logistic
from mgrisk.survey.variance import jackknife, replicate_variance, taylor_covariance


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
        with pytest.raises(MgRiskError, match="one PSU only") as caught:
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
