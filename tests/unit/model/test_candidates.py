"""Tuning: candidates are evaluated on people of other folds, with survey weights.

Search: within the bounds of the grid, reproducible, and never worse than what was tried.

Candidates: exactly the requested algorithms, alone and in stacked ensembles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from mgrisk.config import pipeline_file
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.model.candidates import Part, Searchable, TunedPart, make_learners, make_models, search, tune
from mgrisk.model.learners import OUTCOME, Kind, Learner, Params, Target
from mgrisk.model.splines import SplineLearner, SplineSpace
from mgrisk.model.trees.learners import BoostedTreesLearner
from mgrisk.survey.design import SurveyDesign, WeightLevel

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


@dataclass(frozen=True)
class Constant:
    """The margin that it is given plus the prevalence that it saw."""

    margins: tuple[float, ...]
    name: str = "constant"
    kind: Kind = "binary"

    def candidates(self) -> list[Params]:
        return [{"margin": margin} for margin in self.margins]

    def design(self, X: np.ndarray) -> np.ndarray:
        return X

    def fit(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, params: Params) -> Constant:
        return Constant((params["margin"] + float(np.average(y, weights=weight)),))

    def fit_path(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Iterator[tuple[Params, Constant]]:
        for params in self.candidates():
            yield params, self.fit(X, y, weight, params)

    def margin(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), self.margins[0])

    def to_files(self) -> dict[str, bytes]:
        return {}


def target(y: np.ndarray, weight: np.ndarray, *, kind: Kind = "binary", name: str = OUTCOME) -> Target:
    """Return a target of people who are a PSU each."""
    design = SurveyDesign(weight, np.ones(len(y), int), np.arange(len(y)), WeightLevel.EXAM)
    return Target(name, kind, y, design)


def test_every_person_is_scored_by_the_fit_that_did_not_see_their_fold() -> None:
    y = np.array([1.0, 1, 0, 0, 1, 0])
    weight = np.array([1.0, 3, 2, 2, 1, 1])
    fold = np.array([0, 0, 1, 1, 7, 7])
    part = Part(Constant((0.0,)), target(y, weight))
    tuned = tune(part, np.zeros((6, 1), np.float32), fold, needed=np.arange(6))
    seen = [np.average(y[fold != k], weights=weight[fold != k]) for k in fold]
    np.testing.assert_allclose(tuned.margin, seen, rtol=1e-15)


def test_the_best_candidate_has_the_lowest_log_loss_over_all_and_its_margins_are_kept() -> None:
    y, fold = np.array([0.0, 0, 0, 1] * 4), np.repeat([0, 1], 8)
    weight = np.where(y == 1, 3.0, 1.0)
    # Weighted prevalence is one half: the margin nearest to 0 is best. Unweighted, -2 would be better than -0.4.
    part = Part(Constant((-2.0, 3.0, -0.4)), target(y, weight))
    tuned = tune(part, np.zeros((16, 1), np.float32), fold, needed=np.arange(16))
    assert tuned.best.params == {"margin": -0.4}
    assert [candidate.params["margin"] for candidate in tuned.candidates] == [-2.0, 3.0, -0.4]
    np.testing.assert_allclose(tuned.margin, 0.1)
    assert tuned.best.loss == pytest.approx(log_loss(y, expit(np.full(16, 0.1)), sample_weight=weight))
    assert np.mean(tuned.best.fold_loss) == pytest.approx(tuned.best.loss)
    assert tuned.best.to_dict()["params"] == {"margin": -0.4}
    assert tuned.best.to_dict()["measure"] == "log_loss"


def test_a_continuous_target_is_scored_by_squared_error_on_its_own_people_and_predicted_for_others() -> None:
    value = np.array([1.0, 2, 3, 4, np.nan, np.nan])
    weight = np.array([1.0, 1, 1, 3, 0, 0])
    fold = np.array([0, 0, 1, 1, 0, 1])
    part = Part(Constant((0.0, 9.0), kind="continuous"), target(value, weight, kind="continuous", name="pressure"))
    tuned = tune(part, np.zeros((6, 1), np.float32), fold, needed=np.array([4]))
    assert (part.name, tuned.best.part, tuned.best.measure) == (
        "constant:pressure",
        "constant:pressure",
        "squared_error",
    )
    np.testing.assert_allclose(tuned.margin, [3.75, 3.75, 1.5, 1.5, 3.75, np.nan])
    expected = np.average((value - tuned.margin)[:4] ** 2, weights=weight[:4])
    assert tuned.best.loss == pytest.approx(expected)


def learners(toy_people: ToyPeople) -> list[Learner]:
    columns = toy_people.encoder.columns
    trees = BoostedTreesLearner(
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
    )
    return [SplineLearner(space_of(toy_people), c=(0.1,)), trees]


def space_of(people: ToyPeople) -> SplineSpace:
    return SplineSpace.fit(people.encoder.columns, people.matrix, people.weight, knots=4)


BOTH = pytest.mark.parametrize("which", [0, 1], ids=["spline_logistic", "xgboost"])


def tuned_on(
    toy_people: ToyPeople, which: int, *, y: np.ndarray | None = None, X: np.ndarray | None = None
) -> TunedPart:
    """Tune one learner on the analysis, perhaps with other labels or columns."""
    case = toy_people.case if y is None else y
    part = Part(learners(toy_people)[which], target(case, toy_people.weight))
    fold = toy_people.fold[toy_people.inside]
    return tune(part, toy_people.matrix if X is None else X, fold, needed=np.arange(len(fold)))


@BOTH
def test_poisoned_labels_of_a_fold_change_no_margin_of_that_fold(toy_people: ToyPeople, which: int) -> None:
    fold = toy_people.fold[toy_people.inside]
    before = tuned_on(toy_people, which).margin
    after = tuned_on(toy_people, which, y=np.where(fold == 2, 1 - toy_people.case, toy_people.case)).margin
    assert np.isfinite(before).all()
    np.testing.assert_array_equal(after[fold == 2], before[fold == 2])
    assert not np.array_equal(after[fold != 2], before[fold != 2])


@BOTH
def test_a_changed_person_of_a_fold_changes_no_margin_of_the_others_in_it(toy_people: ToyPeople, which: int) -> None:
    fold = toy_people.fold[toy_people.inside]
    X = toy_people.matrix.copy()
    person = int(np.flatnonzero(fold == 2)[5])
    X[person] = np.nan_to_num(X[person]) + 40
    others = np.flatnonzero((fold == 2) & (np.arange(len(fold)) != person))
    np.testing.assert_array_equal(
        tuned_on(toy_people, which, X=X).margin[others], tuned_on(toy_people, which).margin[others]
    )


@BOTH
def test_margins_do_not_depend_on_the_order_of_people_nor_on_the_names_of_folds(
    toy_people: ToyPeople, which: int
) -> None:
    fold = toy_people.fold[toy_people.inside]
    learner = learners(toy_people)[which]
    if isinstance(learner, BoostedTreesLearner):
        learner = replace(learner, subsample=1.0)  # which rows a tree draws is by their place
    everybody, order = np.arange(len(fold)), np.random.default_rng(5).permutation(len(fold))
    straight = Part(learner, target(toy_people.case, toy_people.weight))
    shuffled = Part(learner, target(toy_people.case[order], toy_people.weight[order]))
    tuned = tune(straight, toy_people.matrix, fold, needed=everybody)
    moved = tune(shuffled, toy_people.matrix[order], 10 - fold[order], needed=everybody)
    np.testing.assert_allclose(moved.margin, tuned.margin[order], atol=1e-4 if which else 1e-6)


@BOTH
def test_a_factor_of_zero_leaves_people_out_and_one_of_two_counts_them_twice(toy_people: ToyPeople, which: int) -> None:
    learner = learners(toy_people)[which]
    if isinstance(learner, BoostedTreesLearner):
        learner = replace(learner, subsample=1.0)
    part = Part(learner, target(toy_people.case, toy_people.weight))
    params = learner.candidates()[0]
    factor = np.where(np.arange(len(toy_people.case)) % 3, 1.0, 0.0)
    kept = np.flatnonzero(factor)
    X, design, everybody = toy_people.matrix, learner.design(toy_people.matrix), np.arange(len(factor))
    replicate = part.fit(X, params, factor=factor)
    alone = learner.fit(design[kept], toy_people.case[kept], toy_people.weight[kept], params)
    np.testing.assert_array_equal(part.margin(replicate, X, everybody), alone.margin(design))
    np.testing.assert_array_equal(part.margin(replicate, X, kept), alone.margin(design[kept]))
    double = part.fit(X, params, factor=np.full(len(factor), 2.0))
    np.testing.assert_allclose(
        part.margin(double, X, everybody), part.margin(part.fit(X, params), X, everybody), atol=1e-5
    )


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
    spline = SplineLearner(space_of(toy_people), c=(0.01, 0.1, 1.0))
    assert not isinstance(spline, Searchable)
    part = Part(spline, Target(OUTCOME, "binary", toy_people.y, toy_people.design))
    X = toy_people.encoder.matrix(toy_people.frame)
    found = search(part, X, toy_people.fold, needed=toy_people.inside, trials=1, seed=1)
    assert [each.params for each in found.candidates] == [{"c": 0.01}, {"c": 0.1}, {"c": 1.0}]


EVERY = pipeline_file.Model(
    features=("age_years", "bmi_kg_m2"),
    spline_logistic=pipeline_file.Splines(),
    spline_linear=pipeline_file.Splines(),
    xgboost=pipeline_file.XGBoost(),
    xgboost_monotone=pipeline_file.MonotoneXGBoost(monotone={"age_years": 1}),
    random_forest=pipeline_file.RandomForest(),
    explainable_boosting=pipeline_file.ExplainableBoosting(),
    sums={"blend": ("xgboost", "spline_linear:hba1c_percent", "xgboost:hba1c_percent")},
)
TREES = ["xgboost", "xgboost_monotone", "random_forest", "explainable_boosting"]


def targets(people: ToyPeople) -> tuple[Target, Target]:
    hba1c = Target("hba1c_percent", "continuous", np.zeros(len(people.y)), people.design)
    return Target(OUTCOME, "binary", people.y, people.design), hba1c


def test_each_kind_of_target_has_the_learners_that_can_learn_it(toy_people: ToyPeople) -> None:
    for kind, names in (("binary", ["spline_logistic", *TREES]), ("continuous", ["spline_linear", *TREES])):
        learners = make_learners(EVERY, toy_people.encoder, space_of(toy_people), threads=1, kind=kind)
        assert [learner.name for learner in learners] == names
        assert {learner.kind for learner in learners} == {kind}


def test_only_the_learners_that_were_asked_for_compete(toy_people: ToyPeople) -> None:
    alone = EVERY.model_copy(update=dict.fromkeys(["spline_logistic", *TREES[1:]]))
    assert [learner.name for learner in make_learners(alone, toy_people.encoder, None, threads=1)] == ["xgboost"]


def test_every_learner_on_the_outcome_is_a_model_and_so_is_every_sum(toy_people: ToyPeople) -> None:
    models = make_models(EVERY, toy_people.encoder, space_of(toy_people), targets(toy_people), threads=1)
    assert list(models) == ["spline_logistic", *TREES, "blend"]
    assert [part.name for part in models["blend"]] == list(EVERY.sums["blend"])
    assert [part.target.name for part in models["blend"]] == [OUTCOME, "hba1c_percent", "hba1c_percent"]


def test_spline_parts_share_their_design_columns(toy_people: ToyPeople) -> None:
    space = space_of(toy_people)
    models = make_models(EVERY, toy_people.encoder, space, targets(toy_people), threads=1)
    parts = [part for parts in models.values() for part in parts if isinstance(part.learner, SplineLearner)]
    assert [part.name for part in parts] == ["spline_logistic", "spline_linear:hba1c_percent"]
    assert all(part.learner.space is space for part in parts if isinstance(part.learner, SplineLearner))


def test_a_sum_of_what_is_not_there_is_refused_by_name(toy_people: ToyPeople) -> None:
    with pytest.raises(MgRiskError) as caught:
        make_models(EVERY, toy_people.encoder, space_of(toy_people), targets(toy_people)[:1], threads=1)
    assert caught.value.code == "line_up.unknown_part"
    assert caught.value.status == ExitStatus.USAGE
    assert "spline_linear:hba1c_percent" in caught.value.message
