"""Refits under bootstrap weights: each repeats the whole pipeline, and their spread is the design-based standard error.

The chosen model with fewer features: settings are kept, and without a change the result is the same.

Cycles left out: its prediction uses nothing of the predicted cycle, and inputs may be removed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from mgrisk.config import pipeline_file
from mgrisk.features.registry import features
from mgrisk.model.additive import Additive
from mgrisk.model.calibration import fit_calibrator, fit_logistic_map
from mgrisk.model.candidates import Part
from mgrisk.model.fits import Fits
from mgrisk.model.missing_inputs import fit_moments
from mgrisk.model.refit import Chosen, LeftOut, Refitter, left_out_log_odds, make_refitter, narrowed, refit, space_of
from mgrisk.model.splines import SplineLearner, SplineSpace, design_columns
from mgrisk.model.train import TrainedModel, train
from mgrisk.model.uncertainty import OUT, bootstrap_refits
from mgrisk.survey.variance import rao_wu

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle


def everybody(toy_people: ToyPeople) -> np.ndarray:
    return toy_people.encoder.matrix(toy_people.frame)


class Fixed(Fits):
    """A fit that has nothing to learn: its margin is a column."""

    def margin(self, X: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return 0.05 * X[rows, 0].astype(np.float64)


FIXED = Fixed((), (), None)


def test_without_a_learner_the_spread_is_the_design_based_error_of_the_calibration(toy_people: ToyPeople) -> None:
    margin = np.zeros(len(toy_people.y))
    margin[toy_people.inside] = FIXED.margin(everybody(toy_people), toy_people.inside)
    calibrator = fit_calibrator(margin, toy_people.y, toy_people.design)
    inside = toy_people.inside
    moved = bootstrap_refits(
        lambda factor: FIXED,
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
    space = SplineSpace.fit(toy_people.encoder.columns, toy_people.matrix, toy_people.weight, knots=4)
    part = Part(SplineLearner(space, c=(0.1,)), toy_people.data.outcome)
    X, design, fold = everybody(toy_people), toy_people.design, toy_people.fold
    inside = toy_people.inside

    def refit(factor: np.ndarray) -> Fits:
        return Fits((part,), (part.fit(X, {"c": 0.1}, factor=factor),), None)

    moved = bootstrap_refits(refit, X, toy_people.data, np.zeros(len(inside)), replicates=2, seed=4)
    drawn = rao_wu(design, replicates=2, seed=4)
    factor = np.maximum(drawn.factors[1], OUT)[design.cluster]
    margin = np.zeros(len(design))
    for k in np.unique(fold):
        here = inside[fold[inside] == k]
        margin[here] = refit(np.where(fold == k, 0.0, factor)).margin(X, here)
    # Every PSU that was drawn has twice its weight, so that the regression is that of the drawn PSUs.
    doubled = fit_calibrator(margin, toy_people.y, design.where(drawn.replicate_weight(1) > 0))
    np.testing.assert_allclose(moved[:, 1], doubled.log_odds(refit(factor).margin(X, inside)), atol=1e-7)
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
    fit = fitter(toy_people, plain, trained, model)
    X, inside = toy_people.data.matrix(toy_people.encoder), toy_people.inside
    fitted, calibrator = fit.model(fit(None))
    assert fitted.to_files() == trained.fitted.to_files()
    assert calibrator.to_dict() == trained.calibrator.to_dict()
    factor = np.where(toy_people.fold == 0, 0.0, 1.0)
    left_out, whole = fit(factor).margin(X, inside), fit(None).margin(X, inside)
    np.testing.assert_array_equal(left_out, trained.refit(X, factor=factor).margin(X, inside))
    assert np.abs(left_out - whole).max() > 0.01


Floats = NDArray[np.float64]


def fitter(
    people: ToyPeople,
    settings: pipeline_file.Model,
    trained: TrainedModel,
    model: str,
    space: SplineSpace | None = None,
) -> Refitter:
    """Return what fits a trained model again, as a run does from what it wrote."""
    record = trained.to_dict()
    return make_refitter(
        people.data,
        chosen=Chosen(model, record["parts"], record["intercept"], trained.calibration),
        space=space_of(trained.fitted),
        features=people.features,
        settings=settings,
        threads=1,
    )


@pytest.fixture
def cycle(toy_people: ToyPeople) -> NDArray[np.int64]:
    return toy_people.design.stratum % 3


SPLINES = pipeline_file.Model(features=("age_years",), spline_logistic=pipeline_file.Splines(c=(0.1,)))
TREES = pipeline_file.Model(
    features=("age_years",), xgboost=pipeline_file.XGBoost(depth=(2,), trees=(20,), min_child_weight=(2.0,))
)
ABSENT = {"nothing": np.empty(0, dtype=np.int64), "bmi": np.array([4]), "most": np.array([2, 3, 4, 5])}


@pytest.fixture(scope="module")
def known(toy_people: ToyPeople) -> dict[str, TrainedModel]:
    """Each model trained on everybody: its settings and design columns are held while people change."""
    return {
        name: train(toy_people.data, features=toy_people.features, settings=settings, threads=1).models[name]
        for name, settings in (("spline_logistic", SPLINES), ("xgboost", TREES))
    }


def predicted(
    people: ToyPeople, cycle: NDArray[np.int64], known: dict[str, TrainedModel], model: str = "spline_logistic"
) -> LeftOut:
    settings = SPLINES if model == "spline_logistic" else TREES
    return left_out_log_odds(fitter(people, settings, known[model], model), people.data, cycle, absent=ABSENT)


@pytest.mark.parametrize("model", ["spline_logistic", "xgboost"])
def test_outcomes_of_a_cycle_do_not_reach_its_own_prediction(
    toy_people: ToyPeople, cycle: NDArray[np.int64], known: dict[str, TrainedModel], model: str
) -> None:
    turned = replace(toy_people, y=np.where(cycle == 1, 1 - toy_people.y, toy_people.y))
    first, second = (predicted(people, cycle, known, model) for people in (toy_people, turned))
    inside = toy_people.inside
    own, others = inside[cycle[inside] == 1], inside[cycle[inside] != 1]
    for name in ABSENT:
        np.testing.assert_array_equal(first.predicted[name][own], second.predicted[name][own], err_msg=name)
        assert np.abs(first.predicted[name][others] - second.predicted[name][others]).max() > 0.1
        assert np.isnan(np.delete(first.predicted[name], inside)).all()
    assert first.refitted.keys() == (set(ABSENT) if model == "spline_logistic" else set())
    for name, found in first.refitted.items():
        np.testing.assert_array_equal(found[own], second.refitted[name][own], err_msg=name)
        assert np.abs(found[others] - second.refitted[name][others]).max() > 0.1


def test_inputs_of_a_cycle_do_not_reach_the_prediction_of_others_in_it(
    toy_people: ToyPeople, cycle: NDArray[np.int64], known: dict[str, TrainedModel]
) -> None:
    # Half of the cycle gets other inputs, among them some who have none: means and covariances would move.
    half = (cycle == 1) & (np.arange(len(cycle)) % 2 == 0)
    frame = toy_people.frame.copy()
    frame.loc[half, "age_years"] = 80.0
    frame.loc[half, "bmi_kg_m2"] = np.where(np.arange(half.sum()) % 3, 60.0, np.nan)
    frame.loc[half, "smoking"] = "current"
    changed = replace(toy_people, frame=frame)
    first, second = (predicted(people, cycle, known) for people in (toy_people, changed))
    own = toy_people.inside[(cycle == 1)[toy_people.inside] & ~half[toy_people.inside]]
    for one, other in ((first.predicted, second.predicted), (first.refitted, second.refitted)):
        for name in ABSENT:
            # Sums over blocks of rows are rounded by the size of the block.
            np.testing.assert_allclose(one[name][own], other[name][own], rtol=0, atol=1e-10, err_msg=name)
            assert np.abs(one[name] - other[name])[toy_people.inside].max() > 0.1


def test_design_columns_among_some_are_described_by_them_alone(
    toy_people: ToyPeople, cycle: NDArray[np.int64], known: dict[str, TrainedModel]
) -> None:
    fit = fitter(toy_people, SPLINES, known["spline_logistic"], "spline_logistic")
    others = cycle != 1
    (part,) = fit.among(others).parts
    assert isinstance(part.learner, SplineLearner)
    whole = fit.parts[0].learner
    assert isinstance(whole, SplineLearner)
    assert part.learner.space.terms == whole.space.terms
    rows = toy_people.inside[others[toy_people.inside]]
    Z = design_columns(whole.space.terms, fit.X[rows])
    alone = fit_moments(Z, toy_people.design.analysis_weight[rows])
    found = part.learner.space.moments
    np.testing.assert_allclose((found.mean - alone.mean) / alone.scale, 0, atol=2e-3)
    np.testing.assert_allclose(
        found.covariance / np.outer(alone.scale, alone.scale),
        alone.covariance / np.outer(alone.scale, alone.scale),
        atol=5e-3,
    )
    assert np.abs(found.mean - whole.space.moments.mean).max() > 1e-2
    assert not fit.among(others).weight[~others].any()


def test_model_and_calibration_are_those_of_the_other_cycles(
    toy_people: ToyPeople, cycle: NDArray[np.int64], known: dict[str, TrainedModel]
) -> None:
    found = predicted(toy_people, cycle, known)
    fold, inside = toy_people.fold, toy_people.inside
    others = cycle != 2
    local = fitter(toy_people, SPLINES, known["spline_logistic"], "spline_logistic").among(others)
    margin = np.zeros(len(fold))
    for k in np.unique(fold):
        unseen = inside[others[inside] & (fold[inside] == k)]
        margin[unseen] = local((others & (fold != k)).astype(float)).margin(local.X, unseen)
    weight = np.where(others, toy_people.design.analysis_weight, 0.0)
    line = fit_logistic_map(margin, toy_people.y, weight)
    own = inside[~others[inside]]
    (fit,) = local(others.astype(float)).fits
    space = next(part.learner.space for part in local.parts if isinstance(part.learner, SplineLearner))
    expected = line.intercept + line.slope * fit.margin(space.expected(local.X)[own])
    complete = np.isfinite(local.X[own]).all(axis=1)
    assert 0.3 < complete.mean() < 0.9
    np.testing.assert_allclose(found.predicted["nothing"][own][complete], expected[complete], rtol=1e-9)
    # Who lacks an input has the expected risk, by a line that is near the diagonal.
    np.testing.assert_allclose(found.predicted["nothing"][own], expected, atol=0.5)


def test_inputs_are_taken_from_who_is_predicted_and_not_from_who_is_learned_from(
    toy_people: ToyPeople, cycle: NDArray[np.int64], known: dict[str, TrainedModel]
) -> None:
    inside, own = toy_people.inside, toy_people.inside[cycle[toy_people.inside] == 1]
    for model in known:
        found = predicted(toy_people, cycle, known, model).predicted
        assert np.abs(found["nothing"] - found["bmi"])[inside].max() > 0.1
        # Taking the input from the people of the cycle alone is the same as the pattern.
        frame = toy_people.frame.copy()
        frame.loc[cycle == 1, "bmi_kg_m2"] = np.nan
        lacking = predicted(replace(toy_people, frame=frame), cycle, known, model).predicted["nothing"]
        np.testing.assert_allclose(lacking[own], found["bmi"][own], atol=1e-9)


def test_the_model_of_the_inputs_that_are_left_is_a_model_trained_on_them(
    toy_people: ToyPeople, cycle: NDArray[np.int64], known: dict[str, TrainedModel]
) -> None:
    found = predicted(toy_people, cycle, known)
    others, inside = cycle != 0, toy_people.inside
    local = fitter(toy_people, SPLINES, known["spline_logistic"], "spline_logistic").among(others)
    kept = [place for place, owner in enumerate(local.owners) if owner not in ABSENT["bmi"]]
    (part,) = local.parts
    assert isinstance(part.learner, SplineLearner)
    model = known["spline_logistic"].fitted
    assert isinstance(model, Additive)
    design = part.learner.space.expected(local.X)[:, ~np.isin(model.of_input, ABSENT["bmi"])]
    rows, own = inside[others[inside]], inside[~others[inside]]
    alone = part.learner.fit(design[rows], toy_people.y[rows], local.weight[rows], {"c": 0.1})
    line = fit_logistic_map(alone.margin(design[rows]), toy_people.y[rows], local.weight[rows])
    expected = line.intercept + line.slope * alone.margin(design[own])
    complete = np.isfinite(local.X[own][:, kept]).all(axis=1)
    np.testing.assert_allclose(found.refitted["bmi"][own][complete], expected[complete], atol=1e-3)


def test_the_design_columns_of_a_bundled_model_are_found_in_a_sum_too(toy_bundles: dict[str, Bundle]) -> None:
    for name in ("spline_logistic", "blend"):
        space = space_of(toy_bundles[name].fitted)
        assert space is not None
        assert len(space.moments.mean) == sum(term.width for term in space.terms)
    assert space_of(toy_bundles["xgboost"].fitted) is None
