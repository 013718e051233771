"""Training data: inconsistent parts are refused, and people outside the analysis are not used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.learners import Target
from mgrisk.survey.design import SurveyDesign, WeightLevel

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


def test_parts_of_other_people_are_refused_and_named(toy_people: ToyPeople) -> None:
    data = toy_people.data
    short = Target("hba1c_percent", "continuous", np.zeros(3), data.design)
    for change, name in [
        ({"frame": data.frame[:-1]}, "features"),
        ({"y": data.y[:-1]}, "outcome"),
        ({"fold": data.fold[:-1]}, "folds"),
        ({"targets": (short,)}, "hba1c_percent"),
    ]:
        with pytest.raises(MgRiskError) as caught:
            replace(data, **change)
        assert caught.value.code == "train.other_people"
        assert caught.value.got is not None
        assert caught.value.got.startswith(f"{name}: ")


@pytest.mark.parametrize("value", [2.0, 0.5, np.nan])
def test_an_outcome_is_0_or_1_in_the_analysis_and_anything_outside(toy_people: ToyPeople, value: float) -> None:
    outside = toy_people.design.analysis_weight == 0
    assert outside.any()
    data = replace(toy_people.data, y=np.where(outside, value, toy_people.y))
    assert (data.outcome.value[outside] == 0).all()
    np.testing.assert_array_equal(data.outcome.value[data.inside], toy_people.case)
    y = toy_people.y.copy()
    y[toy_people.inside[0]] = value
    with pytest.raises(MgRiskError) as caught:
        replace(toy_people.data, y=y)
    assert caught.value.code == "train.bad_outcome"


def test_only_those_whom_a_target_is_learned_from_are_encoded(toy_people: ToyPeople) -> None:
    alone = toy_people.data.matrix(toy_people.encoder)
    np.testing.assert_array_equal(alone[toy_people.inside], toy_people.matrix)
    assert np.isnan(np.delete(alone, toy_people.inside, axis=0)).all()
    weight = np.zeros(len(toy_people.y))
    weight[np.flatnonzero(toy_people.design.analysis_weight == 0)[:5]] = 1.0
    design = SurveyDesign(weight, toy_people.design.stratum, toy_people.design.psu, WeightLevel.EXAM)
    target = Target("hba1c_percent", "continuous", np.zeros(len(weight)), design)
    both = replace(toy_people.data, targets=(target,)).matrix(toy_people.encoder)
    added = weight > 0
    np.testing.assert_array_equal(both[added], toy_people.encoder.matrix(toy_people.frame[added]))
    np.testing.assert_array_equal(both[~added], alone[~added])
