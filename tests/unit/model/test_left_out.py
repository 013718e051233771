"""Cycles left out: nothing of the predicted cycle reaches its prediction, and inputs may be taken away from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from mgrisk import config_model
from mgrisk.model.calibrators import fit_logistic_map
from mgrisk.model.left_out import left_out_log_odds
from mgrisk.model.refit import again
from mgrisk.model.refits import Refit
from mgrisk.model.train import train

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

Floats = NDArray[np.float64]


@pytest.fixture
def cycle(toy_people: ToyPeople) -> NDArray[np.int64]:
    return toy_people.design.stratum % 3


@pytest.fixture
def matrix(toy_people: ToyPeople) -> NDArray[np.float32]:
    return toy_people.encoder.matrix(toy_people.frame)


def refitter(toy_people: ToyPeople, y: Floats) -> Refit:
    settings = config_model.Model(
        features=tuple(each.name for each in toy_people.features), spline_logistic=config_model.Splines(c=(0.1,))
    )
    of = {"features": toy_people.features, "settings": settings, "threads": 1}
    trained = train(toy_people.frame, y, toy_people.design, toy_people.fold, **of).models["spline_logistic"]
    parts = trained.to_dict()["parts"]
    people = toy_people.frame, y, toy_people.design
    return again(*people, fitted=trained.fitted, model="spline_logistic", parts=parts, **of)


def predicted(
    toy_people: ToyPeople,
    matrix: NDArray[np.float32],
    cycle: NDArray[np.int64],
    y: Floats,
    **given: NDArray[np.float32],
) -> dict[str, Floats]:
    return left_out_log_odds(
        refitter(toy_people, y), matrix, y, toy_people.design, toy_people.fold, cycle, given={"all": matrix, **given}
    )


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
