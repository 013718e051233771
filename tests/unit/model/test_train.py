"""Training: what is in the analysis decides everything, and what is outside decides nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import log_loss

from mgrisk.config import pipeline_file
from mgrisk.errors import MgRiskError
from mgrisk.model.calibration import fit_calibrator
from mgrisk.model.candidates import make_learners
from mgrisk.model.learners import OUTCOME, Target
from mgrisk.model.stacking import FittedSum, fit_scales
from mgrisk.model.train import Trained, train
from mgrisk.survey.design import SurveyDesign, WeightLevel

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

FOLDS = 4
SETTINGS = pipeline_file.Model(
    features=("age_years",),
    spline_logistic=pipeline_file.Splines(c=(0.03, 0.3)),
    spline_linear=pipeline_file.Splines(c=(0.1,)),
    xgboost=pipeline_file.XGBoost(depth=(2,), trees=(10, 20), min_child_weight=(2.0,)),
    sums={"margin": ("spline_logistic", "spline_linear:hba1c_percent"), "one": ("xgboost:hba1c_percent",)},
)


def hba1c(people: ToyPeople) -> Target:
    """Return a measurement that knows more than the label, of a larger subsample."""
    random = np.random.default_rng(11)
    age = people.frame["age_years"].to_numpy(dtype=float)
    value = 0.01 * (age - 50) + random.normal(0, 0.1, len(age))
    everybody = SurveyDesign(np.full(len(age), 2.0), people.design.stratum, people.design.psu, WeightLevel.EXAM)
    return Target("hba1c_percent", "continuous", value, everybody)


def trained_on(people: ToyPeople, settings: pipeline_file.Model = SETTINGS) -> Trained:
    data = replace(people.data, targets=(hba1c(people),))
    return train(data, features=people.features, settings=settings, threads=1)


@pytest.fixture(scope="module")
def trained(toy_people: ToyPeople) -> Trained:
    return trained_on(toy_people)


def test_every_candidate_of_every_part_is_tried_once_and_the_best_of_each_is_kept(trained: Trained) -> None:
    tried = [(each.part, *each.params.values()) for part in trained.tuned for each in part.candidates]
    assert tried == [
        ("spline_logistic", 0.03),
        ("spline_logistic", 0.3),
        ("xgboost", 2, 0.05, 2.0, 5.0, 10),
        ("xgboost", 2, 0.05, 2.0, 5.0, 20),
        ("spline_linear:hba1c_percent", 0.1),
        ("xgboost:hba1c_percent", 2, 0.05, 2.0, 5.0, 10),
        ("xgboost:hba1c_percent", 2, 0.05, 2.0, 5.0, 20),
    ]
    for part in trained.tuned:
        assert part.best.loss == min(each.loss for each in part.candidates)
    assert list(trained.models) == ["spline_logistic", "xgboost", "margin", "one"]


def test_the_bundled_model_is_the_best_candidate_refitted_on_the_whole_analysis(
    trained: Trained, toy_people: ToyPeople
) -> None:
    for learner in make_learners(SETTINGS, toy_people.encoder, threads=1):
        model = trained.models[learner.name]
        alone = learner.fit(toy_people.matrix, toy_people.case, toy_people.weight, model.params[0])
        np.testing.assert_array_equal(model.fitted.margin(toy_people.matrix), alone.margin(toy_people.matrix))
        assert model.scales is None


def test_a_sum_has_the_parts_and_scales_that_its_record_names(trained: Trained, toy_people: ToyPeople) -> None:
    model = trained.models["margin"]
    assert isinstance(model.fitted, FittedSum)
    record = model.to_dict()["parts"]
    assert [part["part"] for part in record] == ["spline_logistic", "spline_linear:hba1c_percent"]
    assert tuple(part["scale"] for part in record if part["scale"] > 0) == model.fitted.scales.scales
    alone = trained.models["spline_logistic"].fitted.margin(toy_people.matrix)
    np.testing.assert_array_equal(model.fitted.parts[0].margin(toy_people.matrix), alone)


def test_a_sum_of_one_marker_ranks_by_what_the_marker_is_expected_to_be(
    trained: Trained, toy_people: ToyPeople
) -> None:
    fitted = trained.models["one"].fitted
    assert isinstance(fitted, FittedSum)
    rising = fitted.parts[0].margin(toy_people.matrix)
    assert fitted.scales.scales[0] > 0
    np.testing.assert_array_equal(
        np.argsort(fitted.margin(toy_people.matrix), kind="stable"), np.argsort(rising, kind="stable")
    )


def test_the_winner_has_the_lowest_log_loss_of_calibrated_out_of_fold_risks(
    trained: Trained, toy_people: ToyPeople
) -> None:
    losses = {
        name: log_loss(toy_people.case, model.oof_risk[toy_people.inside], sample_weight=toy_people.weight)
        for name, model in trained.models.items()
    }
    for name, model in trained.models.items():
        assert model.log_loss == pytest.approx(losses[name])
    assert trained.winner == min(losses, key=lambda name: losses[name])


def test_a_replicate_is_refitted_with_the_same_settings_and_scales(trained: Trained, toy_people: ToyPeople) -> None:
    model = trained.models["margin"]
    X = toy_people.encoder.matrix(toy_people.frame)
    again = model.refit(X)
    np.testing.assert_array_equal(again.margin(X), model.fitted.margin(X))
    factor = np.where(toy_people.design.psu == 1, 2.0, 0.0)
    replicate = model.refit(X, factor=factor)
    assert isinstance(replicate, FittedSum)
    assert isinstance(model.fitted, FittedSum)
    assert replicate.scales == model.fitted.scales
    assert not np.array_equal(replicate.margin(X), again.margin(X))


def test_people_outside_the_analysis_have_no_out_of_fold_risk_and_everybody_inside_has_one(
    trained: Trained, toy_people: ToyPeople
) -> None:
    inside = toy_people.design.analysis_weight > 0
    for learner in trained.models.values():
        np.testing.assert_array_equal(np.isfinite(learner.oof_margin), inside)
        np.testing.assert_array_equal(np.isfinite(learner.oof_risk), inside)
        assert ((learner.oof_risk[inside] > 0) & (learner.oof_risk[inside] < 1)).all()


def test_the_calibrated_mean_of_out_of_fold_margins_is_the_weighted_prevalence(
    trained: Trained, toy_people: ToyPeople
) -> None:
    prevalence = np.average(toy_people.case, weights=toy_people.weight)
    for learner in trained.models.values():
        risk = learner.calibrator.risk(learner.oof_margin[toy_people.inside])
        assert np.average(risk, weights=toy_people.weight) == pytest.approx(prevalence, abs=1e-9)


ONE_CANDIDATE = pipeline_file.Model(
    features=("age_years",),
    spline_logistic=pipeline_file.Splines(c=(0.1,)),
    spline_linear=pipeline_file.Splines(c=(0.1,)),
    xgboost=pipeline_file.XGBoost(depth=(2,), trees=(20,), min_child_weight=(2.0,)),
    random_forest=pipeline_file.RandomForest(depth=(4,), min_child_weight=(2.0,), trees=10),
    explainable_boosting=pipeline_file.ExplainableBoosting(rounds=(20,), interactions=(1,)),
    sums={
        "margin": ("spline_logistic", "spline_linear:hba1c_percent"),
        "stack": ("spline_logistic", "xgboost", "random_forest"),
    },
)
"""A grid of one setting each: which setting is best may well depend on every fold."""


def test_the_outcomes_of_a_fold_do_not_move_its_own_out_of_fold_margins(toy_people: ToyPeople) -> None:
    before = trained_on(toy_people, ONE_CANDIDATE)
    y = np.where(toy_people.fold == 2, 1 - toy_people.y, toy_people.y)
    after = trained_on(replace(toy_people, y=y), ONE_CANDIDATE)
    assert len(before.tuned) == 5
    own = toy_people.inside[toy_people.fold[toy_people.inside] == 2]
    others = toy_people.inside[toy_people.fold[toy_people.inside] != 2]
    for one, other in zip(before.tuned, after.tuned, strict=True):
        np.testing.assert_array_equal(one.margin[own], other.margin[own], err_msg=one.part.name)
        if one.part.target.name == OUTCOME:
            assert not np.array_equal(one.margin[others], other.margin[others]), one.part.name


def test_the_margin_of_a_sum_has_scales_that_the_outcomes_of_the_fold_had_no_part_in(toy_people: ToyPeople) -> None:
    trained = trained_on(toy_people, ONE_CANDIDATE)
    of_part = {each.part.name: each.margin for each in trained.tuned}
    for name, parts in ONE_CANDIDATE.sums.items():
        margins = [of_part[part] for part in parts]
        for k in range(FOLDS):
            own = toy_people.inside[toy_people.fold[toy_people.inside] == k]
            flipped = np.where(toy_people.fold == k, 1 - toy_people.y, toy_people.y)
            scales = fit_scales(margins, flipped, toy_people.design.where(toy_people.fold != k))
            expected = scales.total(np.column_stack([margin[own] for margin in margins]))
            np.testing.assert_array_equal(trained.models[name].oof_margin[own], expected)


def test_the_out_of_fold_risk_of_a_fold_is_calibrated_without_its_outcomes(toy_people: ToyPeople) -> None:
    trained = trained_on(toy_people, ONE_CANDIDATE)
    for name, model in trained.models.items():
        for k in range(FOLDS):
            own = toy_people.inside[toy_people.fold[toy_people.inside] == k]
            flipped = np.where(toy_people.fold == k, 1 - toy_people.y, toy_people.y)
            margin = np.nan_to_num(model.oof_margin)
            calibrator = fit_calibrator(margin, flipped, toy_people.design.where(toy_people.fold != k))
            np.testing.assert_allclose(model.oof_risk[own], calibrator.risk(margin[own]), rtol=1e-9, err_msg=name)


def assert_same(one: Trained, other: Trained) -> None:
    for name, learner in one.models.items():
        assert other.models[name].calibrator.to_dict() == learner.calibrator.to_dict()
        assert other.models[name].fitted.to_files() == learner.fitted.to_files()
        np.testing.assert_array_equal(other.models[name].oof_risk, learner.oof_risk)


def test_poisoned_people_outside_the_analysis_change_nothing(toy_people: ToyPeople) -> None:
    outside = toy_people.design.analysis_weight == 0
    frame = toy_people.frame.copy()
    frame.loc[outside, ["bmi_kg_m2", "age_years", "magnesium_total_mg"]] = 1e6
    frame.loc[outside, "sex"] = "female"
    poisoned = replace(toy_people, frame=frame, y=np.where(outside, np.nan, toy_people.y))
    alone = SETTINGS.model_copy(update={"sums": {}})
    assert_same(trained_alone(toy_people, alone), trained_alone(poisoned, alone))


def trained_alone(people: ToyPeople, settings: pipeline_file.Model) -> Trained:
    return train(people.data, features=people.features, settings=settings, threads=1)


def test_a_person_inside_the_analysis_changes_the_model(trained: Trained, toy_people: ToyPeople) -> None:
    y = toy_people.y.copy()
    y[toy_people.inside[0]] = 1 - y[toy_people.inside[0]]
    other = trained_on(replace(toy_people, y=y))
    for name, learner in trained.models.items():
        assert other.models[name].fitted.to_files() != learner.fitted.to_files()


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
