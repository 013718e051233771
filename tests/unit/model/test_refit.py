"""Refits under bootstrap weights: each is the whole pipeline, and their spread is the design's standard error.

The chosen model again with fewer features: nothing tuned anew, and the same answer where nothing was taken away.

Cycles left out: nothing of the predicted cycle reaches its prediction, and inputs may be taken away from it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from mgrisk.config import pipeline_file
from mgrisk.features.registry import features
from mgrisk.model.calibration import fit_calibrator, fit_logistic_map
from mgrisk.model.refit import again, left_out_log_odds, narrowed, refit
from mgrisk.model.splines import SplineLearner
from mgrisk.model.train import train
from mgrisk.model.uncertainty import OUT, Refit, bootstrap_refits
from mgrisk.survey.variance import rao_wu

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.learners import Fitted


def everybody(toy_people: ToyPeople) -> np.ndarray:
    return toy_people.encoder.matrix(toy_people.frame)


class Fixed:
    """A learner that has nothing to learn: its margin is a column."""

    def margin(self, X: np.ndarray) -> np.ndarray:
        return 0.05 * X[:, 0].astype(np.float64)

    def to_files(self) -> dict[str, bytes]:
        return {}


def test_without_a_learner_the_spread_is_the_design_based_error_of_the_calibration(toy_people: ToyPeople) -> None:
    margin = np.zeros(len(toy_people.y))
    margin[toy_people.inside] = Fixed().margin(toy_people.matrix)
    calibrator = fit_calibrator(margin, toy_people.y, toy_people.design)
    inside = toy_people.inside
    moved = bootstrap_refits(
        lambda factor: Fixed(),
        everybody(toy_people),
        toy_people.data,
        calibrator.log_odds(margin[inside]),
        replicates=600,
        seed=1,
    )
    # Taylor linearisation of the same regression; 600 replicates know a standard error to 3 %.
    ratio = np.sqrt((moved**2).mean(axis=1)) / calibrator.se(margin[inside])
    assert np.median(ratio) == pytest.approx(1, abs=0.12)
    assert ratio.min() > 0.8
    assert ratio.max() < 1.3


def test_a_refit_is_learner_out_of_fold_margins_and_calibration_under_the_replicate_weights(
    toy_people: ToyPeople,
) -> None:
    learner = SplineLearner(columns=toy_people.encoder.columns, knots=4, c=(0.1,))
    X, design, fold = everybody(toy_people), toy_people.design, toy_people.fold
    inside = toy_people.inside

    def refit(factor: np.ndarray) -> Fitted:
        weight = design.analysis_weight * factor
        rows = np.flatnonzero(weight > 0)
        return learner.fit(X[rows], toy_people.y[rows], weight[rows], {"c": 0.1})

    moved = bootstrap_refits(refit, X, toy_people.data, np.zeros(len(inside)), replicates=2, seed=4)
    drawn = rao_wu(design, replicates=2, seed=4)
    factor = np.maximum(drawn.factors[1], OUT)[design.cluster]
    margin = np.zeros(len(design))
    for k in np.unique(fold):
        here = inside[fold[inside] == k]
        margin[here] = refit(np.where(fold == k, 0.0, factor)).margin(X[here])
    # Every PSU that was drawn has twice its weight, so that the regression is that of the drawn PSUs.
    doubled = fit_calibrator(margin, toy_people.y, design.where(drawn.replicate_weight(1) > 0))
    np.testing.assert_allclose(moved[:, 1], doubled.log_odds(refit(factor).margin(X[inside])), atol=1e-7)
    assert not np.allclose(moved[:, 0], moved[:, 1])


@pytest.fixture
def settings(toy_people: ToyPeople) -> pipeline_file.Model:
    return pipeline_file.Model(
        features=tuple(each.name for each in toy_people.features),
        spline_logistic=pipeline_file.Splines(c=(0.01, 0.1)),
        xgboost_monotone=pipeline_file.MonotoneXGBoost(
            depth=(2, 3), trees=(10, 20), monotone={"age_years": 1, "magnesium_total_mg": -1}
        ),
        tuning=pipeline_file.Tuning(trials=5),
        uncertainty=pipeline_file.Uncertainty(replicates=3),
    )


def test_only_the_chosen_settings_of_the_chosen_model_are_left(settings: pipeline_file.Model) -> None:
    params = {"depth": 3, "learning_rate": 0.05, "min_child_weight": 5.0, "l2": 5.0, "trees": 10}
    parts = [{"part": "xgboost_monotone", "params": params, "scale": 1.0}]
    only = narrowed(settings, "xgboost_monotone", parts, ["age_years", "sex"])
    assert only.features == ("age_years", "sex")
    assert only.spline_logistic is None
    assert only.xgboost_monotone is not None
    assert (only.xgboost_monotone.depth, only.xgboost_monotone.trees) == ((3,), (10,))
    assert only.xgboost_monotone.monotone == {"age_years": 1}
    assert only.tuning.trials == 0
    assert only.uncertainty is None


def test_a_sum_keeps_its_parts_and_no_other_sum(settings: pipeline_file.Model) -> None:
    both = settings.model_copy(
        update={"sums": {"a": ("spline_logistic", "xgboost_monotone"), "b": ("spline_logistic",)}}
    )
    parts = [{"part": "spline_logistic", "params": {"c": 0.1}}, {"part": "xgboost_monotone", "params": {"depth": 2}}]
    only = narrowed(both, "a", parts, both.features)
    assert only.sums == {"a": ("spline_logistic", "xgboost_monotone")}
    assert only.spline_logistic is not None
    assert only.spline_logistic.c == (0.1,)


def test_with_all_features_it_is_the_model_itself_and_with_fewer_another(
    toy_people: ToyPeople, settings: pipeline_file.Model
) -> None:
    alone = settings.model_copy(update={"xgboost_monotone": None, "tuning": pipeline_file.Tuning()})
    trained = train(toy_people.data, features=toy_people.features, settings=alone, threads=1)
    model = trained.models["spline_logistic"]
    parts = model.to_dict()["parts"]

    def again(names: tuple[str, ...]) -> np.ndarray:
        _, found = refit(
            toy_people.data,
            features=features(names),
            settings=settings,
            model="spline_logistic",
            parts=parts,
            threads=1,
        )
        return found.oof_risk

    names = tuple(each.name for each in toy_people.features)
    np.testing.assert_array_equal(again(names), model.oof_risk)
    fewer = again(tuple(name for name in names if name != "magnesium_total_mg"))
    assert np.isfinite(fewer[toy_people.inside]).all()
    assert np.abs(fewer - model.oof_risk)[toy_people.inside].max() > 0.01


@pytest.mark.parametrize("model", ["spline_logistic", "xgboost_monotone", "both"])
def test_a_model_fitted_again_on_the_same_weights_is_itself_and_on_others_another(
    toy_people: ToyPeople, settings: pipeline_file.Model, model: str
) -> None:
    plain = settings.model_copy(
        update={
            "uncertainty": None, "tuning": pipeline_file.Tuning(),
            "sums": {"both": ("spline_logistic", "xgboost_monotone")},
        }
    )  # fmt: skip
    trained = train(toy_people.data, features=toy_people.features, settings=plain, threads=1).models[model]
    fit = again(
        toy_people.data,
        fitted=trained.fitted,
        features=toy_people.features,
        settings=plain,
        model=model,
        parts=trained.to_dict()["parts"],
        threads=1,
    )
    X = toy_people.matrix
    np.testing.assert_array_equal(fit(None).margin(X), trained.fitted.margin(X))
    factor = np.where(toy_people.fold == 0, 0.0, 1.0)
    left_out = fit(factor).margin(X)
    np.testing.assert_array_equal(
        left_out, trained.refit(toy_people.encoder.matrix(toy_people.frame), factor=factor).margin(X)
    )
    assert np.abs(left_out - trained.fitted.margin(X)).max() > 0.01


Floats = NDArray[np.float64]


@pytest.fixture
def cycle(toy_people: ToyPeople) -> NDArray[np.int64]:
    return toy_people.design.stratum % 3


@pytest.fixture
def matrix(toy_people: ToyPeople) -> NDArray[np.float32]:
    return toy_people.encoder.matrix(toy_people.frame)


def refitter(toy_people: ToyPeople, y: Floats) -> Refit:
    settings = pipeline_file.Model(
        features=tuple(each.name for each in toy_people.features), spline_logistic=pipeline_file.Splines(c=(0.1,))
    )
    of = {"features": toy_people.features, "settings": settings, "threads": 1}
    data = replace(toy_people.data, y=y)
    trained = train(data, **of).models["spline_logistic"]
    parts = trained.to_dict()["parts"]
    return again(data, fitted=trained.fitted, model="spline_logistic", parts=parts, **of)


def predicted(
    toy_people: ToyPeople,
    matrix: NDArray[np.float32],
    cycle: NDArray[np.int64],
    y: Floats,
    **given: NDArray[np.float32],
) -> dict[str, Floats]:
    data = replace(toy_people.data, y=y)
    return left_out_log_odds(refitter(toy_people, y), matrix, data, cycle, given={"all": matrix, **given})


def test_outcomes_of_a_cycle_do_not_reach_its_own_prediction(
    toy_people: ToyPeople, matrix: NDArray[np.float32], cycle: NDArray[np.int64]
) -> None:
    first = predicted(toy_people, matrix, cycle, toy_people.y)["all"]
    turned = np.where(cycle == 1, 1 - toy_people.y, toy_people.y)
    second = predicted(toy_people, matrix, cycle, turned)["all"]
    inside = toy_people.inside
    own = inside[cycle[inside] == 1]
    np.testing.assert_array_equal(first[own], second[own])
    others = inside[cycle[inside] != 1]
    assert np.abs(first[others] - second[others]).max() > 0.1
    assert np.isnan(np.delete(first, inside)).all()


def test_model_and_calibration_are_those_of_the_other_cycles(
    toy_people: ToyPeople, matrix: NDArray[np.float32], cycle: NDArray[np.int64]
) -> None:
    found = predicted(toy_people, matrix, cycle, toy_people.y)["all"]
    refit, fold, inside = refitter(toy_people, toy_people.y), toy_people.fold, toy_people.inside
    others = cycle != 2
    margin = np.zeros(len(matrix))
    for k in np.unique(fold):
        seen = (others & (fold != k)).astype(float)
        unseen = inside[others[inside] & (fold[inside] == k)]
        margin[unseen] = refit(seen).margin(matrix[unseen])
    weight = np.where(others, toy_people.design.analysis_weight, 0.0)
    line = fit_logistic_map(margin, toy_people.y, weight)
    own = inside[~others[inside]]
    expected = line.intercept + line.slope * refit(others.astype(float)).margin(matrix[own])
    np.testing.assert_allclose(found[own], expected, rtol=1e-12)


def test_inputs_are_taken_from_who_is_predicted_and_not_from_who_is_learned_from(
    toy_people: ToyPeople, matrix: NDArray[np.float32], cycle: NDArray[np.int64]
) -> None:
    without = matrix.copy()
    without[:, 0] = np.nan
    found = predicted(toy_people, matrix, cycle, toy_people.y, without=without)
    alone = predicted(toy_people, matrix, cycle, toy_people.y)
    inside = toy_people.inside
    np.testing.assert_array_equal(found["all"][inside], alone["all"][inside])
    assert np.abs(found["all"] - found["without"])[inside].max() > 0.1
