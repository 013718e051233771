"""The chosen model again with fewer features: nothing tuned anew, and the same answer where nothing was taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk import config_model
from mgrisk.features.registry import features
from mgrisk.model.refit import again, narrowed, refit
from mgrisk.model.train import train

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


@pytest.fixture
def settings(toy_people: ToyPeople) -> config_model.Model:
    return config_model.Model(
        features=tuple(each.name for each in toy_people.features),
        spline_logistic=config_model.Splines(c=(0.01, 0.1)),
        xgboost_monotone=config_model.MonotoneXGBoost(
            depth=(2, 3), trees=(10, 20), monotone={"age_years": 1, "magnesium_total_mg": -1}
        ),
        tuning=config_model.Tuning(trials=5),
        uncertainty=config_model.Uncertainty(replicates=3),
    )


def test_only_the_chosen_settings_of_the_chosen_model_are_left(settings: config_model.Model) -> None:
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


def test_a_sum_keeps_its_parts_and_no_other_sum(settings: config_model.Model) -> None:
    both = settings.model_copy(
        update={"sums": {"a": ("spline_logistic", "xgboost_monotone"), "b": ("spline_logistic",)}}
    )
    parts = [{"part": "spline_logistic", "params": {"c": 0.1}}, {"part": "xgboost_monotone", "params": {"depth": 2}}]
    only = narrowed(both, "a", parts, both.features)
    assert only.sums == {"a": ("spline_logistic", "xgboost_monotone")}
    assert only.spline_logistic is not None
    assert only.spline_logistic.c == (0.1,)


def test_with_all_features_it_is_the_model_itself_and_with_fewer_another(
    toy_people: ToyPeople, settings: config_model.Model
) -> None:
    people = toy_people.frame, toy_people.y, toy_people.design, toy_people.fold
    alone = settings.model_copy(update={"xgboost_monotone": None, "tuning": config_model.Tuning()})
    trained = train(*people, features=toy_people.features, settings=alone, threads=1)
    model = trained.models["spline_logistic"]
    parts = model.to_dict()["parts"]

    def again(names: tuple[str, ...]) -> np.ndarray:
        _, found = refit(
            *people, features=features(names), settings=settings, model="spline_logistic", parts=parts, threads=1
        )
        return found.oof_risk

    names = tuple(each.name for each in toy_people.features)
    np.testing.assert_array_equal(again(names), model.oof_risk)
    fewer = again(tuple(name for name in names if name != "magnesium_total_mg"))
    assert np.isfinite(fewer[toy_people.inside]).all()
    assert np.abs(fewer - model.oof_risk)[toy_people.inside].max() > 0.01


@pytest.mark.parametrize("model", ["spline_logistic", "xgboost_monotone", "both"])
def test_a_model_fitted_again_on_the_same_weights_is_itself_and_on_others_another(
    toy_people: ToyPeople, settings: config_model.Model, model: str
) -> None:
    plain = settings.model_copy(
        update={
            "uncertainty": None, "tuning": config_model.Tuning(),
            "sums": {"both": ("spline_logistic", "xgboost_monotone")},
        }
    )  # fmt: skip
    people = toy_people.frame, toy_people.y, toy_people.design
    trained = train(*people, toy_people.fold, features=toy_people.features, settings=plain, threads=1).models[model]
    fit = again(
        *people,
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
