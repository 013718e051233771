"""Tuning: candidates are scored on people they have not seen, with survey weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import log_loss

from mgrisk.model.boosted_trees import BoostedTreesLearner
from mgrisk.model.learners import Learner, Params
from mgrisk.model.spline_logistic import SplineLogisticLearner
from mgrisk.model.tune import tune, weighted_log_loss

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

people = st.lists(st.tuples(st.booleans(), st.floats(-8, 8), st.integers(1, 9)), min_size=2, max_size=20)


@given(people)
def test_log_loss_is_that_of_scikit_learn_with_sample_weights(rows: list[tuple[bool, float, int]]) -> None:
    y, margin, weight = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    expected = log_loss(y, expit(margin), sample_weight=weight, labels=[0, 1])
    assert weighted_log_loss(y, margin, weight) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(people, st.floats(1e-6, 1e6))
def test_log_loss_counts_a_weight_of_k_as_k_people_and_not_its_scale(
    rows: list[tuple[bool, float, int]], scale: float
) -> None:
    y, margin, weight = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    times = weight.astype(int)
    expected = weighted_log_loss(np.repeat(y, times), np.repeat(margin, times), np.ones(times.sum()))
    assert weighted_log_loss(y, margin, weight * scale) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_log_loss_is_exact_where_a_probability_would_be_rounded_to_one() -> None:
    assert weighted_log_loss(np.array([0.0, 1.0]), np.array([800.0, 800.0]), np.array([1.0, 3.0])) == 200.0


@dataclass(frozen=True)
class Constant:
    """The margin that it is given plus the prevalence that it saw."""

    margins: tuple[float, ...]
    name: str = "constant"

    def candidates(self) -> list[Params]:
        return [{"margin": margin} for margin in self.margins]

    def fit(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, params: Params) -> Constant:
        return Constant((params["margin"] + float(np.average(y, weights=weight)),))

    def fit_path(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Iterator[tuple[Params, Constant]]:
        for params in self.candidates():
            yield params, self.fit(X, y, weight, params)

    def margin(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), self.margins[0])

    def to_files(self) -> dict[str, bytes]:
        return {}


def test_every_person_is_scored_by_the_fit_that_did_not_see_their_fold() -> None:
    y = np.array([1.0, 1, 0, 0, 1, 0])
    weight = np.array([1.0, 3, 2, 2, 1, 1])
    fold = np.array([0, 0, 1, 1, 7, 7])
    tuned = tune([Constant((0.0,))], np.zeros((6, 1), np.float32), y, weight, fold)
    seen = [np.average(y[fold != k], weights=weight[fold != k]) for k in fold]
    np.testing.assert_allclose(tuned.margins["constant"], seen, rtol=1e-15)


def test_the_best_candidate_has_the_lowest_log_loss_over_all_and_its_margins_are_kept() -> None:
    y, fold = np.array([0.0, 0, 0, 1] * 4), np.repeat([0, 1], 8)
    weight = np.where(y == 1, 3.0, 1.0)
    X = np.zeros((16, 1), np.float32)
    # Weighted prevalence is one half: the margin nearest to 0 is best. Unweighted, -2 would be better than -0.4.
    tuned = tune([Constant((-2.0, 3.0, -0.4)), Constant((-5.0,), "poor")], X, y, weight, fold)
    assert tuned.best["constant"].params == {"margin": -0.4}
    assert tuned.winner is tuned.best["constant"]
    assert [candidate.params["margin"] for candidate in tuned.candidates] == [-2.0, 3.0, -0.4, -5.0]
    np.testing.assert_allclose(tuned.margins["constant"], 0.1)
    best = tuned.best["constant"]
    assert best.log_loss == pytest.approx(log_loss(y, expit(np.full(16, 0.1)), sample_weight=weight))
    assert np.mean(best.fold_log_loss) == pytest.approx(best.log_loss)
    assert best.to_dict()["params"] == {"margin": -0.4}


def learners(toy_people: ToyPeople) -> list[Learner]:
    columns = toy_people.encoder.columns
    return [
        SplineLogisticLearner(columns=columns, knots=4, c=(0.1,)),
        BoostedTreesLearner(
            columns=columns,
            depth=(2,),
            learning_rate=(0.2,),
            min_child_weight=(2.0,),
            l2=(1.0,),
            trees=(15,),
            subsample=0.8,
            columns_per_tree=0.8,
            seed=1,
            threads=1,
        ),
    ]


def test_poisoned_labels_of_a_fold_change_no_margin_of_that_fold(toy_people: ToyPeople) -> None:
    fold = toy_people.fold[toy_people.inside]
    both = learners(toy_people)
    before = tune(both, toy_people.matrix, toy_people.case, toy_people.weight, fold)
    poisoned = np.where(fold == 2, 1 - toy_people.case, toy_people.case)
    after = tune(both, toy_people.matrix, poisoned, toy_people.weight, fold)
    for name, margin in before.margins.items():
        assert np.isfinite(margin).all()
        np.testing.assert_array_equal(after.margins[name][fold == 2], margin[fold == 2])
        assert not np.array_equal(after.margins[name][fold != 2], margin[fold != 2])


def test_a_changed_person_of_a_fold_changes_no_margin_of_the_others_in_it(toy_people: ToyPeople) -> None:
    fold = toy_people.fold[toy_people.inside]
    both = learners(toy_people)
    before = tune(both, toy_people.matrix, toy_people.case, toy_people.weight, fold)
    X = toy_people.matrix.copy()
    person = int(np.flatnonzero(fold == 2)[5])
    X[person] = np.nan_to_num(X[person]) + 40
    after = tune(both, X, toy_people.case, toy_people.weight, fold)
    others = np.flatnonzero((fold == 2) & (np.arange(len(fold)) != person))
    for name, margin in before.margins.items():
        np.testing.assert_array_equal(after.margins[name][others], margin[others])


@pytest.mark.parametrize("which", [0, 1], ids=["spline_logistic", "xgboost"])
def test_margins_do_not_depend_on_the_order_of_people_nor_on_the_names_of_folds(
    toy_people: ToyPeople, which: int
) -> None:
    fold = toy_people.fold[toy_people.inside]
    learner = learners(toy_people)[which]
    if isinstance(learner, BoostedTreesLearner):
        learner = replace(learner, subsample=1.0)  # which rows a tree draws is by their place
    tuned = tune([learner], toy_people.matrix, toy_people.case, toy_people.weight, fold)
    order = np.random.default_rng(5).permutation(len(fold))
    moved = tune(
        [learner], toy_people.matrix[order], toy_people.case[order], toy_people.weight[order], 10 - fold[order]
    )
    np.testing.assert_allclose(
        moved.margins[learner.name], tuned.margins[learner.name][order], atol=1e-4 if which else 1e-6
    )
