"""Search: within the bounds of the grid, reproducible, and never worse than what was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.model.boosted_trees import BoostedTreesLearner
from mgrisk.model.search import Searchable, search
from mgrisk.model.spline_regression import SplineLearner
from mgrisk.model.targets import OUTCOME, Target
from mgrisk.model.tune import Part, TunedPart, tune

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

TRIALS = 5


def searched(people: ToyPeople, *, seed: int = 1) -> TunedPart:
    learner = BoostedTreesLearner(
        columns=people.encoder.columns,
        depth=(1, 3),
        learning_rate=(0.02, 0.3),
        min_child_weight=(1.0, 9.0),
        l2=(0.0, 4.0),
        trees=(5, 20),
        subsample=0.8,
        columns_per_tree=0.8,
        seed=1,
        threads=1,
    )
    outcome = Target(OUTCOME, "binary", people.y, people.design)
    X = people.encoder.matrix(people.frame)
    return search(Part(learner, outcome), X, people.fold, needed=people.inside, trials=TRIALS, seed=seed)


@pytest.fixture(scope="module")
def tuned(toy_people: ToyPeople) -> TunedPart:
    return searched(toy_people)


def test_every_trial_is_a_setting_within_the_bounds_of_the_grid_with_its_best_size(tuned: TunedPart) -> None:
    assert len(tuned.candidates) == TRIALS
    bounds = {"depth": (1, 3), "learning_rate": (0.02, 0.3), "min_child_weight": (1.0, 9.0), "l2": (0.0, 4.0)}
    for name, (low, high) in bounds.items():
        tried = [each.params[name] for each in tuned.candidates]
        assert low <= min(tried) < max(tried) <= high, name
    assert {each.params["trees"] for each in tuned.candidates} <= {5, 20}
    assert tuned.best.loss == min(each.loss for each in tuned.candidates)


def test_the_best_trial_is_what_tuning_that_setting_alone_gives(tuned: TunedPart, toy_people: ToyPeople) -> None:
    X = toy_people.encoder.matrix(toy_people.frame)
    alone = tune(tuned.part, X, toy_people.fold, needed=toy_people.inside)
    assert alone.best == tuned.best
    np.testing.assert_array_equal(alone.margin, tuned.margin)


def test_the_same_seed_searches_the_same_and_another_elsewhere(tuned: TunedPart, toy_people: ToyPeople) -> None:
    assert searched(toy_people).candidates == tuned.candidates
    assert searched(toy_people, seed=2).candidates != tuned.candidates


def test_a_learner_with_a_path_of_penalties_is_tried_whole(toy_people: ToyPeople) -> None:
    spline = SplineLearner(columns=toy_people.encoder.columns, knots=4, c=(0.01, 0.1, 1.0))
    assert not isinstance(spline, Searchable)
    part = Part(spline, Target(OUTCOME, "binary", toy_people.y, toy_people.design))
    X = toy_people.encoder.matrix(toy_people.frame)
    found = search(part, X, toy_people.fold, needed=toy_people.inside, trials=1, seed=1)
    assert [each.params for each in found.candidates] == [{"c": 0.01}, {"c": 0.1}, {"c": 1.0}]
