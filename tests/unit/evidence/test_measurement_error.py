from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.evidence.measurement_error import CrossProducts, JointIntake, choose_scale
from mgrisk.evidence.regression import Adjusted
from mgrisk.features.mixed_model import BoxCox
from mgrisk.features.usual_intake import fit_usual_intake

RANDOM = np.random.default_rng(3)
ROWS = RANDOM.normal(size=(40, 3))
WEIGHT = RANDOM.uniform(1.0, 5.0, 40)


@given(st.lists(st.integers(0, 39), max_size=40), st.floats(0.0, 3.0))
def test_other_weights_give_what_summing_anew_gives(changed: list[int], factor: float) -> None:
    other = WEIGHT.copy()
    other[changed] *= factor
    anew = (ROWS * other[:, None]).T @ ROWS
    assert CrossProducts(ROWS, WEIGHT).at(other) == pytest.approx(anew, rel=1e-10, abs=1e-9)


LOG = {"magnesium": BoxCox(0.0, 1.0), "energy": BoxCox(0.0, 1.0)}


@pytest.fixture(scope="module")
def eaters(draw_eaters: Callable[..., Any]) -> Any:
    return draw_eaters(np.random.default_rng(8), n=4000)


def test_one_nutrient_alone_is_the_model_of_usual_intake(eaters: Any) -> None:
    panel = eaters.panel
    covariates = np.column_stack([panel.columns["age"], np.ones(4000)])
    amounts = {"magnesium": panel.amounts["magnesium"]}
    scale = choose_scale(amounts["magnesium"], panel.weekend, panel.design)
    weight = panel.design.analysis_weight
    ours = JointIntake(amounts, panel.weekend, covariates, scales={"magnesium": scale}, weight=weight).fit(weight)
    people = pd.DataFrame({"age": panel.columns["age"][:, 0]})
    model = fit_usual_intake(
        amounts["magnesium"], design=panel.design, people=people, weekend=panel.weekend, power=scale.power
    )
    theirs = model.predict(amounts["magnesium"], people, weekend=panel.weekend).usual
    # Moments against maximum likelihood: the same model, two estimators.
    assert ours.attenuation[0] == pytest.approx(model.attenuation(), abs=0.02)
    assert np.corrcoef(ours.usual[:, 0], theirs)[0, 1] > 0.9995
    assert ours.usual[:, 0].mean() == pytest.approx(theirs.mean(), rel=0.005)


def test_covariances_of_two_nutrients_are_found_again(eaters: Any) -> None:
    model = Adjusted.of(eaters.panel, eaters.adjustment).intake_model(LOG)
    found = model.fit(eaters.panel.design.analysis_weight)
    assert found.within == pytest.approx(np.array([[0.1296, 0.0713], [0.0713, 0.1089]]), rel=0.06)
    # The spread of PSUs is part of that between people.
    assert found.between == pytest.approx(np.array([[0.0809, 0.049], [0.049, 0.065]]), rel=0.12)
    assert found.usual.mean(axis=0) == pytest.approx(eaters.usual.mean(axis=0), rel=0.02)


def test_a_prediction_is_nearer_to_the_truth_than_the_days(eaters: Any) -> None:
    adjusted = Adjusted.of(eaters.panel, eaters.adjustment)
    predicted = adjusted.intake_model(LOG).fit(eaters.panel.design.analysis_weight).usual
    for at in (0, 1):
        error = np.sqrt(((predicted[:, at] - eaters.usual[:, at]) ** 2).mean())
        assert error < 0.75 * np.sqrt(((adjusted.recall_mean[:, at] - eaters.usual[:, at]) ** 2).mean())


def test_a_replicate_is_a_fit_with_its_own_weights(eaters: Any) -> None:
    weight = eaters.panel.design.analysis_weight
    other = np.where(eaters.panel.design.cluster == 3, 0.0, weight)
    adjusted = Adjusted.of(eaters.panel, eaters.adjustment)
    updated = adjusted.intake_model(LOG)
    updated.fit(weight)
    amounts = dict(eaters.panel.amounts)
    anew = JointIntake(amounts, eaters.panel.weekend, adjusted.known, scales=LOG, weight=other)
    assert updated.fit(other).usual == pytest.approx(anew.fit(other).usual, rel=1e-9)


def test_the_way_back_is_exact_for_logarithms(eaters: Any) -> None:
    model = Adjusted.of(eaters.panel, eaters.adjustment).intake_model(LOG)
    weight = eaters.panel.design.analysis_weight
    found = model.fit(weight)
    # On the logarithm a prediction is a linear function of the days, and only the spread about it is added: people of
    # equal days and covariates differ by nothing, so that shifting all days by a constant multiplies all predictions.
    more = {name: 1.1 * amount for name, amount in eaters.panel.amounts.items()}
    known = Adjusted.of(eaters.panel, eaters.adjustment).known
    shifted = JointIntake(more, eaters.panel.weekend, known, scales=LOG, weight=weight).fit(weight)
    assert shifted.usual == pytest.approx(1.1 * found.usual, rel=2e-5)
