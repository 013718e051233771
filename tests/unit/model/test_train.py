"""Training depends only on people in the analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from mgrisk.config import pipeline_file
from mgrisk.errors import MgRiskError
from mgrisk.model.additive import Additive
from mgrisk.model.calibration import fit_calibrator
from mgrisk.model.candidates import make_learners
from mgrisk.model.learners import OUTCOME, Target
from mgrisk.model.stacking import FittedSum, fit_scales
from mgrisk.model.train import Trained, TrainedModel, choose, fit_space, train
from mgrisk.survey.design import SurveyDesign, WeightLevel

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

FOLDS = 4
SETTINGS = pipeline_file.Model(
    features=("age_years",),
    spline_logistic=pipeline_file.Splines(c=(0.03, 0.3)),
    spline_linear=pipeline_file.Splines(c=(0.1,)),
    xgboost=pipeline_file.XGBoost(depth=(2,), trees=(10, 20), min_child_weight=(2.0,)),
    sums={
        "margin": ("spline_logistic", "spline_linear:hba1c_percent"),
        "mixed": ("spline_logistic", "xgboost:hba1c_percent"),
        "one": ("xgboost:hba1c_percent",),
    },
)


def everybody(people: ToyPeople) -> np.ndarray:
    return replace(people.data, targets=(hba1c(people),)).matrix(people.encoder)


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
    assert list(trained.models) == ["spline_logistic", "xgboost", "margin", "mixed", "one"]


def test_the_bundled_model_is_the_best_candidate_refitted_on_the_whole_analysis(
    trained: Trained, toy_people: ToyPeople
) -> None:
    X = everybody(toy_people)
    space = fit_space(SETTINGS, toy_people.encoder, X, toy_people.data)
    for learner in make_learners(SETTINGS, toy_people.encoder, space, threads=1):
        model = trained.models[learner.name]
        design = learner.design(X)[toy_people.inside]
        alone = learner.fit(design, toy_people.case, toy_people.weight, model.params[0]).margin(design)
        assert model.scales is None
        np.testing.assert_array_equal(model.refit(X).margin(X, toy_people.inside), alone)
        if isinstance(model.fitted, Additive):
            # The calibration is taken in, and what follows is for who lacks an input.
            found = model.fitted.answer(toy_people.matrix).expected
            np.testing.assert_allclose(found, model.calibration.log_odds(alone), atol=1e-9)
            assert (model.calibrator.intercept, model.calibrator.slope) == (0.0, 1.0)
        else:
            np.testing.assert_array_equal(model.fitted.margin(toy_people.matrix), alone)
            assert model.calibrator is model.calibration


def test_a_sum_has_the_parts_and_scales_that_its_record_names(trained: Trained, toy_people: ToyPeople) -> None:
    X, inside = everybody(toy_people), toy_people.inside
    of_part = {each.part.name: each for each in trained.tuned}
    for name in ("margin", "mixed"):
        model = trained.models[name]
        record = model.to_dict()
        assert [part["part"] for part in record["parts"]] == list(SETTINGS.sums[name])
        expected = np.full(len(inside), record["intercept"])
        for part in record["parts"]:
            known = of_part[part["part"]].part
            assert part["params"] == of_part[part["part"]].best.params
            expected += part["scale"] * known.margin(known.fit(X, part["params"]), X, inside)
        np.testing.assert_allclose(model.refit(X).margin(X, inside), expected, atol=1e-9)


def test_a_sum_of_splines_is_one_additive_model_and_a_sum_with_trees_holds_one(trained: Trained) -> None:
    assert isinstance(trained.models["margin"].fitted, Additive)
    mixed = trained.models["mixed"].fitted
    assert isinstance(mixed, FittedSum)
    assert isinstance(mixed.parts[0], Additive)
    assert len(mixed.parts) == 2


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


def test_the_winner_is_the_additive_model_with_the_lowest_log_loss_where_no_other_is_surely_better(
    trained: Trained, toy_people: ToyPeople
) -> None:
    losses = {
        name: log_loss(toy_people.case, model.oof_risk[toy_people.inside], sample_weight=toy_people.weight)
        for name, model in trained.models.items()
    }
    for name, model in trained.models.items():
        assert model.log_loss == pytest.approx(losses[name])
    assert trained.winner == min(("spline_logistic", "margin"), key=lambda name: losses[name])


def with_log_odds(model: TrainedModel, people: ToyPeople, log_odds: np.ndarray) -> TrainedModel:
    """Return a model as if these had been its out-of-fold predictions, in the analysis."""
    oof = np.full(len(people.y), np.nan)
    oof[people.inside] = expit(log_odds)
    loss = log_loss(people.case, expit(log_odds), sample_weight=people.weight)
    return replace(model, oof_risk=oof, log_loss=loss)


def test_trees_are_chosen_only_where_they_are_better_by_more_than_chance(
    trained: Trained, toy_people: ToyPeople
) -> None:
    known, trees = trained.models["spline_logistic"], trained.models["xgboost"]
    sign, truth = 2 * toy_people.case - 1, trained.models["margin"].oof_margin[toy_people.inside]
    few = np.arange(len(truth)) == int(np.argmax(toy_people.weight))
    outcome = toy_people.data.outcome

    def chosen(moved: np.ndarray) -> str:
        models = {"s": with_log_odds(known, toy_people, truth), "x": with_log_odds(trees, toy_people, truth + moved)}
        return choose(models, outcome)

    assert chosen(0.2 * sign) == "x"
    assert chosen(-0.2 * sign) == "s"
    # Better on average, but of one person alone.
    assert chosen(0.2 * sign * few) == "s"
    assert chosen(np.zeros(len(truth))) == "s"


def test_without_an_additive_model_the_lowest_log_loss_wins(trained: Trained, toy_people: ToyPeople) -> None:
    trees, shift = trained.models["xgboost"], trained.models["xgboost"].oof_margin[toy_people.inside]
    models = {
        "a": with_log_odds(trees, toy_people, shift),
        "b": with_log_odds(trees, toy_people, shift + 1e-3 * (2 * toy_people.case - 1)),
    }
    assert choose(models, toy_people.data.outcome) == "b"
    # Of additive models alone, too.
    known = trained.models["spline_logistic"]
    two = {"a": with_log_odds(known, toy_people, shift), "b": replace(models["b"], fitted=known.fitted)}
    assert choose(two, toy_people.data.outcome) == "b"


def test_the_model_that_the_pipeline_file_names_wins_whatever_its_loss(trained: Trained, toy_people: ToyPeople) -> None:
    worst = max(trained.models, key=lambda name: trained.models[name].log_loss)
    assert trained.winner != worst
    assert trained_on(toy_people, SETTINGS.model_copy(update={"choose": worst})).winner == worst


def test_refits_tell_the_sampling_error_of_the_winner_alone(toy_people: ToyPeople) -> None:
    settings = SETTINGS.model_copy(update={"sums": {}, "uncertainty": pipeline_file.Uncertainty(replicates=4)})
    by_choice = {
        name: train(
            toy_people.data,
            features=toy_people.features,
            settings=settings.model_copy(update={"choose": name}),
            threads=1,
        )
        for name in ("spline_logistic", "xgboost")
    }
    for name, found in by_choice.items():
        assert [each for each, model in found.models.items() if model.refitted] == [name]
    additive = by_choice["spline_logistic"].models["spline_logistic"].fitted
    assert isinstance(additive, Additive)
    assert additive.sampling is not None
    assert additive.sampling.replicates == 4
    assert (additive.answer(toy_people.matrix).variance > 0).all()


def test_a_replicate_is_refitted_with_the_same_settings_and_scales(trained: Trained, toy_people: ToyPeople) -> None:
    model = trained.models["margin"]
    X = everybody(toy_people)
    rows = toy_people.inside
    again = model.refit(X).margin(X, rows)
    assert isinstance(model.fitted, Additive)
    found = model.fitted.answer(X[rows]).expected
    np.testing.assert_allclose(model.calibration.log_odds(again), found, atol=1e-9)
    factor = np.where(toy_people.design.psu == 1, 2.0, 0.0)
    replicate = model.refit(X, factor=factor)
    assert replicate.scales == model.scales
    assert replicate.parts == model.parts
    assert not np.array_equal(replicate.margin(X, rows), again)


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
        risk = learner.calibration.risk(learner.oof_margin[toy_people.inside])
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
    trained, X = trained_on(toy_people, ONE_CANDIDATE), everybody(toy_people)
    for name, model in trained.models.items():
        for k in range(FOLDS):
            own = toy_people.inside[toy_people.fold[toy_people.inside] == k]
            flipped = np.where(toy_people.fold == k, 1 - toy_people.y, toy_people.y)
            margin = np.nan_to_num(model.oof_margin)
            calibrator = fit_calibrator(margin, flipped, toy_people.design.where(toy_people.fold != k))
            log_odds = calibrator.log_odds(margin[own])
            if isinstance(model.fitted, Additive):
                log_odds = model.fitted.of_expected_risk(log_odds, X[own])
            np.testing.assert_allclose(model.oof_risk[own], expit(log_odds), rtol=1e-9, err_msg=name)


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
