"""The mixed model: against R nlme, against the likelihood itself, and what weights mean."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from mgrisk.errors import MgRiskError
from mgrisk.features.random_intercept import Days

Floats = NDArray[np.float64]
N = 40


def example() -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Forty people, most with two days: columns, response, which days are there."""
    random = np.random.default_rng(20261122)
    group = (np.arange(N) % 2).astype(float)
    people, days = random.normal(0, 1.8, (N, 1)), random.normal(0, 1.9, (N, 2))
    y = np.round(15 + 0.8 * group[:, None] + people + days + np.array([0, -0.3]), 2)
    y[::7, 1] = np.nan
    columns = np.stack([np.ones((N, 2)), np.repeat(group[:, None], 2, axis=1), np.tile([0.0, 1.0], (N, 1))], axis=-1)
    return columns, y, np.isfinite(y)


def minus_twice_log_likelihood(
    columns: Floats, y: Floats, weight: Floats, coefficients: Floats, between: float, within: float
) -> float:
    total = 0.0
    for x, days, w in zip(columns, y, weight, strict=True):
        here = np.isfinite(days)
        covariance = within * np.eye(int(here.sum())) + between
        total -= 2 * w * multivariate_normal.logpdf(days[here], x[here] @ coefficients, covariance)
    return float(total)


def test_the_fit_is_that_of_r() -> None:
    # R 4.2.2, nlme 3.1.162: lme(y ~ group + day, random = ~1 | id, method = "ML") on `example()`, 2026-11-22.
    columns, y, present = example()
    found = Days(columns, present).fit(y, np.ones(N))
    np.testing.assert_allclose(found.coefficients, [14.3327902504, 1.2749194992, -0.3298859035], rtol=1e-7)
    assert found.between == pytest.approx(4.081162, rel=1e-6)
    assert found.within == pytest.approx(3.92064384326, rel=1e-6)
    assert found.deviance == pytest.approx(353.6546982099, rel=1e-10)


def test_the_weighted_deviance_is_that_of_the_likelihood_and_nothing_near_is_better() -> None:
    columns, y, present = example()
    weight = np.random.default_rng(3).uniform(0.2, 3.0, N)
    found = Days(columns, present).fit(y, weight)
    at = found.coefficients, found.between, found.within
    assert minus_twice_log_likelihood(columns, y, weight, *at) == pytest.approx(found.deviance, rel=1e-10)
    for step in (0.97, 1.03):
        for other in (
            (found.coefficients * step, found.between, found.within),
            (found.coefficients, found.between * step, found.within),
            (found.coefficients, found.between, found.within * step),
        ):
            assert minus_twice_log_likelihood(columns, y, weight, *other) > found.deviance


def test_a_weight_of_two_is_a_person_twice_and_a_weight_of_zero_nobody() -> None:
    columns, y, present = example()
    weight = np.tile([1.0, 2.0, 0.0, 1.0], N // 4)
    rows = np.repeat(np.arange(N), weight.astype(int))
    weighted, repeated = (
        Days(columns, present).fit(y, weight),
        Days(columns[rows], present[rows]).fit(y[rows], np.ones(rows.size)),
    )
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-7)
    assert (weighted.between, weighted.within) == pytest.approx((repeated.between, repeated.within), rel=1e-6)


def test_the_scale_of_the_weights_does_not_matter() -> None:
    columns, y, present = example()
    small, large = (Days(columns, present).fit(y, np.full(N, weight)) for weight in (1e-3, 1e5))
    assert (small.between, small.within) == pytest.approx((large.between, large.within), rel=1e-6)


def test_people_who_do_not_differ_have_no_variance_between_them() -> None:
    random = np.random.default_rng(5)
    days = random.normal(size=(400, 2))
    days -= days.mean(axis=1, keepdims=True)
    found = Days(np.ones((400, 2, 1)), np.ones((400, 2), dtype=bool)).fit(days, np.ones(400))
    assert found.between < 1e-4 * found.within


def test_one_day_each_cannot_tell_people_from_days() -> None:
    columns, y, present = example()
    present[:, 1] = False
    with pytest.raises(MgRiskError) as refused:
        Days(columns, present).fit(y, np.ones(N))
    assert refused.value.code == "random_intercept.no_repeats"


def test_rank_sees_a_column_that_says_the_same_as_others() -> None:
    columns, _, present = example()
    again = np.concatenate([columns, 2.0 - columns[..., 1:2]], axis=2)
    assert Days(columns, present).rank(np.ones(N)) == 3
    assert Days(again, present).rank(np.ones(N)) == 3
