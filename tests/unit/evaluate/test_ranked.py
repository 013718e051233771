from __future__ import annotations

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.ranked import Weighted, rank, rank_domain
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
