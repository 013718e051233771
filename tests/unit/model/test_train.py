"""Training: what is in the analysis decides everything, and what is outside decides nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk import config
from mgrisk.errors import MgRiskError
from mgrisk.model.train import Trained, make_learners, train

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

SETTINGS = config.Model(
    features=("age_years",),
    spline_logistic=config.SplineLogistic(c=(0.03, 0.3)),
    xgboost=config.XGBoost(depth=(2,), trees=(10, 20), min_child_weight=(2.0,)),
)


def trained_on(people: ToyPeople) -> Trained:
    return train(
        people.frame, people.y, people.design, people.fold, features=people.features, settings=SETTINGS, threads=1
    )


@pytest.fixture(scope="module")
def trained(toy_people: ToyPeople) -> Trained:
    return trained_on(toy_people)


def test_every_candidate_of_every_learner_is_tried_and_the_best_of_each_is_kept(trained: Trained) -> None:
    tried = [(candidate.learner, *candidate.params.values()) for candidate in trained.tuned.candidates]
    assert tried == [
        ("spline_logistic", 0.03),
        ("spline_logistic", 0.3),
        ("xgboost", 2, 0.05, 2.0, 5.0, 10),
        ("xgboost", 2, 0.05, 2.0, 5.0, 20),
    ]
    for name, best in trained.tuned.best.items():
        assert best.log_loss == min(c.log_loss for c in trained.tuned.candidates if c.learner == name)
    assert list(trained.learners) == ["spline_logistic", "xgboost"]


def test_the_bundled_model_is_the_best_candidate_refitted_on_the_whole_analysis(
    trained: Trained, toy_people: ToyPeople
) -> None:
    for learner in make_learners(SETTINGS, toy_people.encoder, threads=1):
        best = trained.tuned.best[learner.name].params
        alone = learner.fit(toy_people.matrix, toy_people.case, toy_people.weight, best)
        np.testing.assert_array_equal(
            trained.learners[learner.name].fitted.margin(toy_people.matrix), alone.margin(toy_people.matrix)
        )


def test_people_outside_the_analysis_have_no_out_of_fold_risk_and_everybody_inside_has_one(
    trained: Trained, toy_people: ToyPeople
) -> None:
    inside = toy_people.design.analysis_weight > 0
    for learner in trained.learners.values():
        np.testing.assert_array_equal(np.isfinite(learner.oof_margin), inside)
        np.testing.assert_array_equal(np.isfinite(learner.oof_risk), inside)
        assert ((learner.oof_risk[inside] > 0) & (learner.oof_risk[inside] < 1)).all()


def test_the_calibrated_mean_of_out_of_fold_margins_is_the_weighted_prevalence(
    trained: Trained, toy_people: ToyPeople
) -> None:
    prevalence = np.average(toy_people.case, weights=toy_people.weight)
    for learner in trained.learners.values():
        risk = learner.calibrator.risk(learner.oof_margin[toy_people.inside])
        assert np.average(risk, weights=toy_people.weight) == pytest.approx(prevalence, abs=1e-9)


def assert_same(one: Trained, other: Trained) -> None:
    for name, learner in one.learners.items():
        assert other.learners[name].calibrator.to_dict() == learner.calibrator.to_dict()
        assert other.learners[name].fitted.to_files() == learner.fitted.to_files()
        np.testing.assert_array_equal(other.learners[name].oof_risk, learner.oof_risk)


def test_poisoned_people_outside_the_analysis_change_nothing(trained: Trained, toy_people: ToyPeople) -> None:
    outside = toy_people.design.analysis_weight == 0
    frame = toy_people.frame.copy()
    frame.loc[outside, ["bmi_kg_m2", "age_years", "magnesium_total_mg"]] = 1e6
    frame.loc[outside, "sex"] = "female"
    poisoned = replace(toy_people, frame=frame, y=np.where(outside, np.nan, toy_people.y))
    assert_same(trained, trained_on(poisoned))


def test_a_person_inside_the_analysis_changes_the_model(trained: Trained, toy_people: ToyPeople) -> None:
    y = toy_people.y.copy()
    y[toy_people.inside[0]] = 1 - y[toy_people.inside[0]]
    other = trained_on(replace(toy_people, y=y))
    for name, learner in trained.learners.items():
        assert other.learners[name].fitted.to_files() != learner.fitted.to_files()


def test_training_twice_gives_the_same_to_the_bit(trained: Trained, toy_people: ToyPeople) -> None:
    assert_same(trained, trained_on(toy_people))


def test_a_fold_with_fewer_than_five_cases_stops_before_anything_is_fitted(toy_people: ToyPeople) -> None:
    cases = toy_people.inside[(toy_people.fold[toy_people.inside] == 3) & (toy_people.case == 1)]
    y = toy_people.y.copy()
    y[cases[4:]] = 0
    with pytest.raises(MgRiskError) as caught:
        trained_on(replace(toy_people, y=y))
    assert caught.value.code == "train.too_few_events"
    assert caught.value.message == "fold 3 has 4 cases"


def test_only_the_learners_that_were_asked_for_compete(toy_people: ToyPeople) -> None:
    alone = SETTINGS.model_copy(update={"spline_logistic": None})
    assert [learner.name for learner in make_learners(alone, toy_people.encoder, threads=1)] == ["xgboost"]
