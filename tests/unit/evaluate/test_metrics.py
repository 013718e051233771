"""Metrics of a risk model, compared with scikit-learn and by their properties."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from mgrisk.errors import MgRiskError
from mgrisk.evaluate import metrics
from mgrisk.evaluate.metrics import Weighted, measure, metric_names, rank, rank_domain
from mgrisk.survey.design import SurveyDesign, WeightLevel


@pytest.mark.parametrize(
    ("y", "risk", "code"),
    [
        ([0, 1], [0.1], "metric.bad_length"),
        ([], [], "metric.empty"),
        ([0, 2], [0.1, 0.2], "metric.bad_outcome"),
        ([0, np.nan], [0.1, 0.2], "metric.bad_outcome"),
        ([0, 1], [0.1, np.nan], "metric.missing_risk"),
        ([0, 1], [0.1, 1.2], "metric.bad_risk"),
    ],
)
def test_what_cannot_be_ranked_is_refused_with_the_name_of_the_model(
    y: list[float], risk: list[float], code: str
) -> None:
    with pytest.raises(MgRiskError) as caught:
        rank(y, risk, name="gradient boosting")
    assert caught.value.code == code
    assert "gradient boosting" in caught.value.where


def test_points_may_leave_0_and_1_where_they_only_rank() -> None:
    assert rank([0, 1, 1], [5, 9, -1], probability=False).order.tolist() == [2, 0, 1]


def test_log_odds_of_certain_risks_are_finite() -> None:
    assert np.isfinite(rank([0, 1], [0.0, 1.0]).logit_risk).all()


def test_ties_share_one_place() -> None:
    sample = Weighted(rank([0, 1, 1, 0], [0.2, 0.1, 0.2, 0.3]), np.array([1.0, 2.0, 4.0, 8.0]))
    cases, others = sample.ties
    assert cases.tolist() == [1.0, 4.0, 0.0]
    assert others.tolist() == [0.0, 2.0, 8.0]
    assert sample.at_or_above(0.2) == (4.0, 10.0)
    assert sample.below(0.2) == (1.0, 0.0)


def test_a_warm_start_arrives_where_a_cold_one_does() -> None:
    rng = np.random.default_rng(0)
    people = rank((rng.random(300) < 0.3).astype(float), rng.uniform(0.05, 0.6, 300))
    full, weight = Weighted(people, np.ones(300)), rng.gamma(2.0, 1.0, 300)
    warm, cold = Weighted(people, weight, near=full), Weighted(people, weight)
    np.testing.assert_allclose(warm.line, cold.line, rtol=1e-9)
    np.testing.assert_allclose(warm.gap, cold.gap, rtol=1e-7, atol=1e-10)
    assert warm.intercept == pytest.approx(cold.intercept, rel=1e-9)


def test_only_the_domain_is_ranked_with_its_weights_and_clusters() -> None:
    design = SurveyDesign([1.0, 2.0, 3.0, 4.0, 0.0], [1, 1, 2, 2, 2], [1, 2, 1, 2, 2], WeightLevel.EXAM)
    inside = design.where([True, True, False, True, True])
    people, weight, cluster = rank_domain([0, 1, np.nan, 1, 0], [0.3, 0.1, np.nan, 0.2, np.nan], inside)
    assert people.y.tolist() == [1.0, 1.0, 0.0]
    assert weight.tolist() == [2.0, 4.0, 1.0]
    assert cluster.tolist() == [1, 3, 0]


Metric = Callable[..., float]
WHOLE: dict[str, Metric] = {
    name: getattr(metrics, name)
    for name in (
        "prevalence",
        "auroc",
        "auprc",
        "brier",
        "brier_scaled",
        "log_loss",
        "calibration_intercept",
        "calibration_slope",
        "observed_expected",
        "ici",
        "e50",
        "e90",
    )
}
AT: dict[str, Metric] = {
    name: getattr(metrics, name)
    for name in ("net_benefit", "sensitivity", "specificity", "ppv", "npv", "flagged", "number_to_test")
}
ALL: dict[str, Metric] = WHOLE | {name: partial(function, threshold=0.3) for name, function in AT.items()}


def people(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    eta = rng.normal(-1.0, 1.0, n)
    y = (rng.random(n) < expit(eta)).astype(float)
    # Two decimals make ties between cases and others.
    return y, np.round(expit(0.3 + 1.3 * eta), 2).clip(0.01, 0.99), rng.gamma(1.0, 1000.0, n)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.auroc, roc_auc_score),
        (metrics.auprc, average_precision_score),
        (metrics.brier, brier_score_loss),
        (metrics.log_loss, sklearn_log_loss),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_weighted_metric_with_ties_is_that_of_scikit_learn(ours: Metric, theirs: Metric, seed: int) -> None:
    y, risk, weight = people(seed)
    assert np.unique(risk).size < y.size / 2
    assert ours(y, risk, weight) == pytest.approx(theirs(y, risk, sample_weight=weight), rel=1e-12)


def test_points_rank_as_risks_do() -> None:
    y, risk, weight = people(1)
    points = np.floor(10 * risk)
    assert metrics.auroc(y, points, weight) == pytest.approx(roc_auc_score(y, points, sample_weight=weight))
    expected = average_precision_score(y, points, sample_weight=weight)
    assert metrics.auprc(y, points, weight) == pytest.approx(expected)


def test_equal_risks_count_half() -> None:
    assert metrics.auroc([0, 1, 0, 1], [0.3] * 4, [1.0, 5.0, 2.0, 3.0]) == 0.5


def test_perfect_order_is_1_and_its_reverse_0() -> None:
    assert metrics.auroc([0, 0, 1], [0.1, 0.2, 0.3], [1, 2, 3]) == 1.0
    assert metrics.auroc([1, 1, 0], [0.1, 0.2, 0.3], [1, 2, 3]) == 0.0


def test_the_prevalence_as_everybodys_risk_has_a_scaled_brier_score_of_0() -> None:
    y, weight = np.array([0.0, 1.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert metrics.brier_scaled(y, np.full(4, 0.2), weight) == pytest.approx(0.0, abs=1e-12)
    assert metrics.brier_scaled(y, y, weight) == 1.0


def test_a_shift_of_the_log_odds_is_the_calibration_intercept() -> None:
    risk = np.repeat([0.1, 0.3, 0.6], 2)
    y = np.tile([1.0, 0.0], 3)
    weight = np.where(y == 1, risk, 1 - risk)  # the expected outcome exactly
    assert metrics.calibration_intercept(y, risk, weight) == pytest.approx(0.0, abs=1e-9)
    assert metrics.calibration_intercept(y, expit(logit(risk) - 0.7), weight) == pytest.approx(0.7, rel=1e-8)
    assert metrics.calibration_slope(y, expit(2 * logit(risk)), weight) == pytest.approx(0.5, rel=1e-8)
    assert metrics.observed_expected(y, risk, weight) == pytest.approx(1.0)
    assert metrics.observed_expected(y, risk / 2, weight) == pytest.approx(2.0)
    assert metrics.ici(y, risk, weight) == pytest.approx(0.0, abs=1e-9)


def test_a_constant_overestimate_is_its_own_calibration_error() -> None:
    rng = np.random.default_rng(3)
    truth = rng.uniform(0.1, 0.5, 2000)
    y, rows = np.tile([1.0, 0.0], 2000), np.repeat(truth, 2)
    weight = np.where(y == 1, rows, 1 - rows)  # the expected outcome exactly, without sampling noise
    for name in ("ici", "e50", "e90"):
        assert ALL[name](y, rows + 0.05, weight) == pytest.approx(0.05, abs=0.002)


def test_tables_of_four_are_counted_from_the_threshold_up() -> None:
    y = [1, 1, 0, 0, 0]
    risk = [0.3, 0.1, 0.3, 0.29, 0.5]
    weight = [2.0, 1.0, 3.0, 4.0, 5.0]  # true positives 2, missed 1, false positives 8, cleared 4
    at = {name: function(y, risk, weight, threshold=0.3) for name, function in AT.items()}
    assert at["sensitivity"] == pytest.approx(2 / 3)
    assert at["specificity"] == pytest.approx(4 / 12)
    assert at["ppv"] == pytest.approx(2 / 10)
    assert at["npv"] == pytest.approx(4 / 5)
    assert at["net_benefit"] == pytest.approx((2 - 8 * 0.3 / 0.7) / 15)


def test_net_benefit_of_treating_all_is_nothing_at_the_prevalence() -> None:
    y, _, weight = people(2)
    prevalence = float(np.average(y, weights=weight))
    everybody = np.full(y.size, 0.999)
    assert metrics.net_benefit(y, everybody, weight, threshold=prevalence) == pytest.approx(0.0, abs=1e-12)
    assert metrics.net_benefit(y, everybody, weight, threshold=1e-9) == pytest.approx(prevalence, rel=1e-6)


def value_or_reason(name: str, *sample: np.ndarray) -> float | str:
    # Of 80 people some draws have a spline that separates them: then both sides of a law must say so.
    try:
        return ALL[name](*sample)
    except MgRiskError as error:
        return error.code


def same(left: float | str, right: float | str) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return left == right
    return left == pytest.approx(right, rel=1e-7, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)  # machines are shared
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([1e-6, 0.1, 3.0, 1e7]))
def test_the_scale_of_the_weights_does_not_matter(name: str, seed: int, factor: float) -> None:
    y, risk, weight = people(seed, n=80)
    assume(0 < y.sum() < 80)
    ours = value_or_reason(name, y, risk, weight)
    assert same(value_or_reason(name, y, risk, weight * factor), ours)


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)  # machines are shared
@given(seed=st.integers(0, 10_000))
def test_duplicated_rows_are_doubled_weights(name: str, seed: int) -> None:
    y, risk, _ = people(seed, n=80)
    assume(0 < y.sum() < 80)
    times = np.random.default_rng(seed).integers(0, 4, 80)
    assume(0 < y[times > 0].sum() < (times > 0).sum())
    doubled = value_or_reason(name, np.repeat(y, times), np.repeat(risk, times), np.ones(times.sum()))
    assert same(value_or_reason(name, y, risk, times.astype(float)), doubled)


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_rows_does_not_matter(name: str) -> None:
    y, risk, weight = people(5)
    shuffled = np.random.default_rng(6).permutation(y.size)
    expected = ALL[name](y, risk, weight)
    assert ALL[name](y[shuffled], risk[shuffled], weight[shuffled]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
@pytest.mark.parametrize(
    "name", ["auroc", "brier_scaled", "calibration_intercept", "calibration_slope", "ici", "e50", "e90"]
)
def test_what_one_class_alone_does_not_define_is_nan(name: str, outcome: float) -> None:
    assert np.isnan(ALL[name](np.full(9, outcome), np.linspace(0.1, 0.9, 9), np.ones(9)))


def test_nobody_above_the_threshold_leaves_the_predictive_value_undefined() -> None:
    assert np.isnan(metrics.ppv([0, 1], [0.1, 0.2], [1, 1], threshold=0.5))
    assert np.isnan(metrics.npv([0, 1], [0.6, 0.7], [1, 1], threshold=0.5))


def test_a_constant_risk_has_no_slope_but_a_calibration_error() -> None:
    y, _, weight = people(8)
    risk = np.full(y.size, 0.2)
    assert np.isnan(metrics.calibration_slope(y, risk, weight))
    gap = abs(0.2 - np.average(y, weights=weight))
    assert metrics.ici(y, risk, weight) == pytest.approx(gap, rel=1e-8)


def test_risks_of_0_and_1_are_evaluated() -> None:
    y, risk, weight = people(9)
    risk[:2] = [0.0, 1.0]
    y[:2] = [1.0, 0.0]
    values = [function(y, risk, weight) for function in ALL.values()]
    assert np.isfinite(values).all()
    expected = sklearn_log_loss(y, risk, sample_weight=weight)
    assert metrics.log_loss(y, risk, weight) == pytest.approx(expected, rel=1e-9)


def test_the_metrics_of_the_interface_all_have_a_name_and_a_number() -> None:
    names = metric_names(thresholds=(0.05, 0.3))
    assert len(names) == len(set(names)) == len(WHOLE) + 2 * len(AT)
    y, risk, weight = people(10)
    ranked = rank(y, risk)
    sample = Weighted(ranked, weight[ranked.order])
    for name in names:
        base, _, threshold = name.partition("@")
        direct = partial(ALL[base], threshold=float(threshold)) if threshold else ALL[base]
        assert measure(name, sample) == pytest.approx(direct(y, risk, weight), rel=1e-12)


@pytest.mark.parametrize("name", ["auc", "auroc@0.5", "ppv", "ppv@", "ppv@high", "ppv@1", "ppv@nan", ""])
def test_an_unknown_metric_is_refused(name: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        measure(name, Weighted(rank([0, 1], [0.1, 0.2]), np.ones(2)))
    assert caught.value.code == "metric.unknown"


@pytest.mark.parametrize("weight", [[1.0], [1.0, -1.0], [1.0, np.nan]])
def test_weights_that_are_none_are_refused(weight: list[float]) -> None:
    with pytest.raises(MgRiskError) as caught:
        metrics.brier([0, 1], [0.1, 0.2], weight)
    assert caught.value.code == "metric.bad_weight"


def test_people_without_weight_do_not_count(toy: pd.DataFrame) -> None:
    y, risk, weight = (toy[name].to_numpy(dtype=float) for name in ("y", "risk", "weight"))
    assert (weight == 0).any()
    changed = np.where(weight == 0, np.nan, risk)
    for function in ALL.values():
        assert function(y, changed, weight) == function(y, risk, weight)
