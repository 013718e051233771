"""Imputation uses training people only, and its estimates are pooled by Rubin's rules."""

from __future__ import annotations

import numpy as np
import pytest

from mgrisk.features.registry import features
from mgrisk.model.imputation import Imputer, interval, pool
from mgrisk.model.learners import Encoder
from mgrisk.survey.variance import t_quantile

ENCODER = Encoder(features(["age_years", "bmi_kg_m2", "sex", "smoking"]))


def people(n: int, seed: int) -> np.ndarray:
    """Age, BMI that rises with it, sex and three levels of smoking; complete."""
    random = np.random.default_rng(seed)
    age = random.uniform(20, 80, n)
    bmi = 20 + 0.1 * age + random.normal(0, 2, n)
    smoking = np.eye(3)[random.choice(3, n, p=[0.6, 0.3, 0.1])]
    return np.column_stack([age, bmi, age > random.uniform(20, 80, n), smoking]).astype(np.float32)


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    return people(3000, 1)


@pytest.fixture(scope="module")
def gappy(whole: np.ndarray) -> np.ndarray:
    """BMI missing the more often the older (at random given age), smoking missing for a fifth."""
    random = np.random.default_rng(2)
    X = whole.copy()
    X[random.random(len(X)) < (X[:, 0] - 20) / 80, 1] = np.nan
    X[random.random(len(X)) < 0.2, 3:] = np.nan
    return X


def drawn(X: np.ndarray, seed: int = 1) -> np.ndarray:
    weight = np.ones(len(X))
    return Imputer(ENCODER.columns, X, weight, np.arange(len(X)), seed=seed).draw(X, weight)


def test_what_is_known_stays_and_nothing_is_missing(gappy: np.ndarray) -> None:
    completed = drawn(gappy)
    known = np.isfinite(gappy)
    np.testing.assert_array_equal(completed[known], gappy[known])
    assert np.isfinite(completed).all()
    assert set(completed[:, 3:].sum(axis=1)) == {1.0}
    assert set(np.unique(completed[:, 2:])) == {0.0, 1.0}
    assert completed[:, 1].max() <= np.nanmax(gappy[:, 1])


def test_draws_restore_mean_spread_and_slope_that_complete_cases_and_means_do_not(
    whole: np.ndarray, gappy: np.ndarray
) -> None:
    completed = drawn(gappy)
    seen = np.isfinite(gappy[:, 1])
    assert abs(np.nanmean(gappy[:, 1]) - whole[:, 1].mean()) > 0.3
    assert completed[:, 1].mean() == pytest.approx(whole[:, 1].mean(), abs=0.15)
    assert completed[~seen, 1].std() == pytest.approx(whole[~seen, 1].std(), rel=0.08)
    slope = np.polyfit(completed[:, 0], completed[:, 1], 1)[0]
    assert slope == pytest.approx(0.1, abs=0.01)
    assert completed[:, 3:].mean(axis=0) == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_another_seed_is_another_draw_and_the_same_seed_the_same(gappy: np.ndarray) -> None:
    np.testing.assert_array_equal(drawn(gappy, 1), drawn(gappy, 1))
    assert (drawn(gappy, 1) != drawn(gappy, 2)).any()


def test_only_training_people_are_learned_from(gappy: np.ndarray) -> None:
    weight = np.ones(len(gappy))
    imputer = Imputer(ENCODER.columns, gappy, weight, np.arange(len(gappy)), seed=1)
    other = gappy.copy()
    other[1:, 1] = 60.0
    one = imputer.draw(gappy[:1], weight[:1])
    again = Imputer(ENCODER.columns, gappy, weight, np.arange(len(gappy)), seed=1).draw(other[:1], weight[:1])
    np.testing.assert_array_equal(one, again)


def test_a_column_that_nobody_has_stays_missing(gappy: np.ndarray) -> None:
    X = gappy.copy()
    X[:, 1] = np.nan
    completed = drawn(X)
    assert np.isnan(completed[:, 1]).all()
    assert np.isfinite(completed[:, [0, 2, 3, 4, 5]]).all()


def test_pooling_without_gaps_is_the_estimate_itself() -> None:
    pooled = pool([0.8, 0.8, 0.8], [0.02, 0.02, 0.02])
    assert (pooled.estimate, pooled.se, pooled.between) == pytest.approx((0.8, 0.02, 0.0))
    low, high = interval(pooled, imputations=3, df=10**6)
    assert (low, high) == pytest.approx((0.8 - 1.96 * 0.02, 0.8 + 1.96 * 0.02), abs=1e-4)


def test_degrees_of_freedom_are_those_of_barnard_and_rubin() -> None:
    """Their formula by hand: m = 5, design with 15 degrees of freedom, half of the variance between."""
    pooled = pool([1.0, 1.1, 0.9, 1.2, 0.8], [np.sqrt(0.03)] * 5)
    assert pooled.between == pytest.approx(0.5)
    of_gaps, of_sample = 4 / 0.25, 16 / 18 * 15 * 0.5
    df = int(1 / (1 / of_gaps + 1 / of_sample))
    low, high = interval(pooled, imputations=5, df=15)
    assert high - low == pytest.approx(2 * t_quantile(0.95, df) * pooled.se)


@pytest.mark.slow
def test_the_interval_of_pooled_means_covers_the_truth() -> None:
    """A mean of numbers of which 40 % are missing at random: 95 % of intervals hold it, give or take the simulation."""
    encoder = Encoder(features(["age_years", "bmi_kg_m2"]))
    covered = 0
    rounds = 120
    for seed in range(rounds):
        X = people(200, seed)[:, :2]
        random = np.random.default_rng(10_000 + seed)
        X[random.random(200) < (X[:, 0] - 20) / 75, 1] = np.nan
        estimates, errors = [], []
        for m in range(5):
            weight = np.ones(200)
            y = Imputer(encoder.columns, X, weight, np.arange(200), seed=100 * seed + m).draw(X, weight)[:, 1]
            estimates.append(float(y.mean()))
            errors.append(float(y.std(ddof=1) / np.sqrt(200)))
        low, high = interval(pool(estimates, errors), imputations=5, df=199)
        covered += low <= 25.0 <= high
    assert covered / rounds >= 0.90
