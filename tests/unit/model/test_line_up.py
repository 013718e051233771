"""The line-up: every learner that was asked for, alone and in sums, and nothing that was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk import config_model
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.model.line_up import make_learners, make_models
from mgrisk.model.targets import OUTCOME, Target

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

EVERY = config_model.Model(
    features=("age_years", "bmi_kg_m2"),
    spline_logistic=config_model.Splines(),
    spline_linear=config_model.Splines(),
    xgboost=config_model.XGBoost(),
    xgboost_monotone=config_model.MonotoneXGBoost(monotone={"age_years": 1}),
    random_forest=config_model.RandomForest(),
    explainable_boosting=config_model.ExplainableBoosting(),
    sums={"blend": ("xgboost", "spline_linear:hba1c_percent", "xgboost:hba1c_percent")},
)
TREES = ["xgboost", "xgboost_monotone", "random_forest", "explainable_boosting"]


def targets(people: ToyPeople) -> tuple[Target, Target]:
    hba1c = Target("hba1c_percent", "continuous", np.zeros(len(people.y)), people.design)
    return Target(OUTCOME, "binary", people.y, people.design), hba1c


def test_each_kind_of_target_has_the_learners_that_can_learn_it(toy_people: ToyPeople) -> None:
    for kind, names in (("binary", ["spline_logistic", *TREES]), ("continuous", ["spline_linear", *TREES])):
        learners = make_learners(EVERY, toy_people.encoder, threads=1, kind=kind)
        assert [learner.name for learner in learners] == names
        assert {learner.kind for learner in learners} == {kind}


def test_only_the_learners_that_were_asked_for_compete(toy_people: ToyPeople) -> None:
    alone = EVERY.model_copy(update=dict.fromkeys(["spline_logistic", *TREES[1:]]))
    assert [learner.name for learner in make_learners(alone, toy_people.encoder, threads=1)] == ["xgboost"]


def test_every_learner_on_the_outcome_is_a_model_and_so_is_every_sum(toy_people: ToyPeople) -> None:
    models = make_models(EVERY, toy_people.encoder, targets(toy_people), threads=1)
    assert list(models) == ["spline_logistic", *TREES, "blend"]
    assert [part.name for part in models["blend"]] == list(EVERY.sums["blend"])
    assert [part.target.name for part in models["blend"]] == [OUTCOME, "hba1c_percent", "hba1c_percent"]


def test_a_sum_of_what_is_not_there_is_refused_by_name(toy_people: ToyPeople) -> None:
    with pytest.raises(MgRiskError) as caught:
        make_models(EVERY, toy_people.encoder, targets(toy_people)[:1], threads=1)
    assert caught.value.code == "line_up.unknown_part"
    assert caught.value.status == ExitStatus.USAGE
    assert "spline_linear:hba1c_percent" in caught.value.message
