from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.bootstrap import rao_wu
from mgrisk.survey.design import SinglePsu, SurveyDesign, WeightLevel
from mgrisk.survey.estimates import mean, total
from mgrisk.survey.replicated import replicated
from mgrisk.survey.variance import Replicates


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


def lonely(rule: SinglePsu) -> SurveyDesign:
    return SurveyDesign([1.0, 2.0, 3.0], [1, 1, 9], [1, 2, 1], WeightLevel.EXAM, single_psu=rule)


def test_a_certain_psu_keeps_its_weight_in_every_replicate() -> None:
    assert (rao_wu(lonely(SinglePsu.CERTAINTY), replicates=9, seed=1).factors[:, 2] == 1.0).all()


@pytest.mark.parametrize(
    ("rule", "code"), [(SinglePsu.FAIL, "design.single_psu"), (SinglePsu.ADJUST, "bootstrap.adjust")]
)
def test_a_single_psu_is_refused_where_its_rule_has_no_bootstrap(rule: SinglePsu, code: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        rao_wu(lonely(rule), replicates=9, seed=1)
    assert caught.value.code == code


def test_one_replicate_is_too_few(full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        rao_wu(full, replicates=1, seed=1)
    assert caught.value.code == "bootstrap.replicates"
