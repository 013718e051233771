"""The random forest: weights are people, margins affine in the leaves' shares of cases, forests reproducible."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.model.random_forest import RandomForestLearner

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


@pytest.fixture
def forest(toy_people: ToyPeople) -> RandomForestLearner:
    return RandomForestLearner(
        columns=toy_people.encoder.columns,
        depth=(2, 4),
        min_child_weight=(1.0, 4.0),
        trees=20,
        subsample=0.7,
        columns_per_split=0.5,
        seed=3,
        threads=1,
    )


def test_every_combination_is_a_candidate_and_the_path_is_what_each_fit_alone_gives(
    forest: RandomForestLearner, toy_people: ToyPeople
) -> None:
    X, y, weight = toy_people.matrix, toy_people.case, toy_people.weight
    path = list(forest.fit_path(X, y, weight))
    assert [params for params, _ in path] == list(forest.candidates())
    assert len(path) == 4
    for params, fitted in path:
        np.testing.assert_array_equal(fitted.margin(X), forest.fit(X, y, weight, params).margin(X))


def test_a_tree_that_sees_everybody_has_margins_affine_in_the_weighted_share_of_cases_of_a_leaf(
    forest: RandomForestLearner, toy_people: ToyPeople
) -> None:
    X, y, weight = toy_people.matrix, toy_people.case, toy_people.weight
    one = replace(forest, trees=1, subsample=1.0, columns_per_split=1.0)
    margin = one.fit(X, y, weight, {"depth": 3, "min_child_weight": 1.0}).margin(X)
    leaves = np.unique(margin)
    shares = np.array([np.average(y[margin == leaf], weights=weight[margin == leaf]) for leaf in leaves])
    assert len(leaves) > 4
    prevalence = np.average(y, weights=weight)
    spread = prevalence * (1 - prevalence)
    np.testing.assert_allclose(
        leaves, np.log(prevalence / (1 - prevalence)) + (shares - prevalence) / spread, atol=1e-4
    )


def test_the_scale_of_weights_changes_nothing_and_the_seed_decides(
    forest: RandomForestLearner, toy_people: ToyPeople
) -> None:
    X, y, weight = toy_people.matrix, toy_people.case, toy_people.weight
    params = forest.candidates()[0]
    margin = forest.fit(X, y, weight, params).margin(X)
    np.testing.assert_array_equal(forest.fit(X, y, weight, params).margin(X), margin)
    np.testing.assert_allclose(forest.fit(X, y, 8 * weight, params).margin(X), margin, atol=1e-6)
    assert not np.array_equal(replace(forest, seed=4).fit(X, y, weight, params).margin(X), margin)
