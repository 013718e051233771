"""SHAP values by permutations add up, are exact where no features interact, and take missing values as values."""

from __future__ import annotations

import numpy as np

from mgrisk.explain.agnostic import drawn, permutation_values
from mgrisk.types import Floats


def curved(F: Floats) -> Floats:
    known = np.nan_to_num(F, nan=-1.0)
    return known[:, 0] * known[:, 1] + np.sin(known[:, 2]) + 0.5


def test_base_and_values_add_up_to_the_log_odds_also_where_something_is_missing() -> None:
    random = np.random.default_rng(1)
    people, background = random.normal(size=(20, 3)), random.normal(size=(30, 3))
    people[3, 1] = background[5, 2] = np.nan
    base, values = permutation_values(curved, people, background)
    np.testing.assert_allclose(base + values.sum(axis=1), curved(people), atol=1e-9)
    assert base == curved(background).mean()


def test_where_no_features_interact_each_has_what_it_adds_to_the_mean() -> None:
    random = np.random.default_rng(2)
    people, background = random.normal(size=(5, 3)), random.normal(size=(40, 3))
    slope = np.array([2.0, -1.0, 0.0])
    _, values = permutation_values(lambda F: F @ slope, people, background)
    np.testing.assert_allclose(values, slope * (people - background.mean(axis=0)), atol=1e-9)


def test_of_two_that_interact_each_has_half_of_what_they_do_together() -> None:
    _, values = permutation_values(lambda F: F[:, 0] * F[:, 1], np.array([[3.0, 2.0]]), np.zeros((1, 2)))
    np.testing.assert_allclose(values, [[3.0, 3.0]])


def test_the_same_seed_gives_the_same_values() -> None:
    random = np.random.default_rng(3)
    people, background = random.normal(size=(4, 3)), random.normal(size=(9, 3))
    first, again = (permutation_values(curved, people, background, seed=7)[1] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_draw_stands_for_the_weighted_population() -> None:
    weight = np.array([1.0, 0.0, 2.0, 7.0])
    assert np.bincount(drawn(weight, 100), minlength=4).tolist() == [10, 0, 20, 70]
