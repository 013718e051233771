"""Boosted trees: weights are scale-free, ensemble sizes are evaluated from one fit, files restore the trees.

The random forest: weights count people, linear predictors are affine in the shares of cases of the leaves, and forests
are reproducible.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import features
from mgrisk.model.learners import Encoder
from mgrisk.model.trees.learners import FILE, BoostedTreesLearner, FittedTrees, RandomForestLearner

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

LEARNER = BoostedTreesLearner(
    columns=Encoder(features(["age_years", "sex", "bmi_kg_m2"])).columns,
    depth=(2, 3),
    learning_rate=(0.1,),
    min_child_weight=(1.0,),
    l2=(1.0,),
    trees=(5, 12),
    subsample=0.7,
    columns_per_tree=0.7,
    seed=3,
    threads=1,
)
PARAMS = LEARNER.candidates()[-1]


def people(seed: int = 0, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = np.column_stack([random.uniform(20, 80, n), random.integers(0, 2, n), random.normal(28, 5, n)])
    y = (random.random(n) < 1 / (1 + np.exp(1.5 - 0.05 * (X[:, 0] - 50) - 0.1 * (X[:, 2] - 28)))).astype(float)
    X[random.random(X.shape) < 0.1] = np.nan
    return X.astype(np.float32), y, random.integers(1, 6, n).astype(float)


@settings(max_examples=10)
@given(scale=st.floats(1e-4, 1e6))
def test_margins_do_not_depend_on_the_scale_of_weights(scale: float) -> None:
    X, y, weight = people()
    plain = LEARNER.fit(X, y, weight, PARAMS).margin(X)
    np.testing.assert_allclose(LEARNER.fit(X, y, weight * scale, PARAMS).margin(X), plain, atol=1e-4)


def test_who_has_more_weight_counts_more() -> None:
    X, y, weight = people()
    heavier = np.where(y == 1, 10 * weight, weight)
    assert LEARNER.fit(X, y, heavier, PARAMS).margin(X).mean() > LEARNER.fit(X, y, weight, PARAMS).margin(X).mean() + 1


def test_the_mean_risk_of_whom_the_trees_saw_is_their_weighted_prevalence() -> None:
    X, y, weight = people()
    risk = expit(LEARNER.fit(X, y, weight, PARAMS).margin(X))
    # Shrunken trees need not meet it exactly; trees on re-weighted classes miss it by far.
    assert np.average(risk, weights=weight) == pytest.approx(np.average(y, weights=weight), abs=0.02)


def test_sizes_read_off_one_fit_are_what_separate_fits_give() -> None:
    X, y, weight = people()
    path = list(LEARNER.fit_path(X, y, weight))
    assert [params for params, _ in path] == list(LEARNER.candidates())
    assert len(path) == 4
    for params, fitted in path:
        np.testing.assert_array_equal(fitted.margin(X), LEARNER.fit(X, y, weight, params).margin(X))


def test_the_same_seed_gives_the_same_trees_and_another_seed_others() -> None:
    X, y, weight = people()
    first = LEARNER.fit(X, y, weight, PARAMS).margin(X)
    np.testing.assert_array_equal(LEARNER.fit(X, y, weight, PARAMS).margin(X), first)
    assert not np.array_equal(replace(LEARNER, seed=4).fit(X, y, weight, PARAMS).margin(X), first)


@settings(max_examples=20)
@given(cut=st.integers(0, 300))
def test_moving_a_chunk_boundary_does_not_change_margins(cut: int) -> None:
    X, _, _ = people(1)
    parts = np.concatenate([FITTED.margin(X[:cut]), FITTED.margin(X[cut:])])
    np.testing.assert_array_equal(parts, FITTED.margin(X))


def test_files_give_the_same_margins_back_bit_for_bit_and_hold_no_more_trees_than_count() -> None:
    X, y, weight = people()
    _, short = next(iter(LEARNER.fit_path(X, y, weight)))
    back = FittedTrees.from_files(short.to_files(), n_columns=3, threads=1)
    assert back.trees == short.trees == back.booster.num_boosted_rounds() == 5
    np.testing.assert_array_equal(back.margin(X), short.margin(X))


FITTED = LEARNER.fit(*people(), PARAMS)
CONTENT = FITTED.to_files()[FILE]


@pytest.mark.parametrize(
    "files", [{}, {FILE: b""}, {FILE: b"trees"}, {FILE: CONTENT[:200]}, {FILE: CONTENT[:-200]}], ids=range(5)
)
def test_damaged_trees_are_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(MgRiskError) as caught:
        FittedTrees.from_files(files, n_columns=3, threads=1)
    assert caught.value.code == "bundle.bad_model"
    assert caught.value.status == ExitStatus.BUNDLE


def test_trees_of_other_columns_are_refused() -> None:
    with pytest.raises(MgRiskError, match="4 columns"):
        FittedTrees.from_files(FITTED.to_files(), n_columns=4, threads=1)


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
