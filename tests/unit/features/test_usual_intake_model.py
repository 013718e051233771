"""Predictions of a known model: shrinkage, error, flags, and the form in a file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.box_cox import BoxCox
from mgrisk.features.intake_covariates import Covariates, Term
from mgrisk.features.usual_intake_model import UsualIntakeModel
from mgrisk.survey.design import SurveyDesign, WeightLevel

NAN = np.nan
MEN = pd.DataFrame({"sex": ["male"]})


@pytest.fixture
def model() -> UsualIntakeModel:
    return UsualIntakeModel(
        transform=BoxCox(power=0.3, floor=2.0),
        covariates=Covariates((Term("sex", ("female", "male")),), np.array([0.5])),
        coefficients=np.array([14.0, 1.2]),
        weekend=-0.1,
        sequence=-0.3,
        between=3.5,
        within=3.8,
        n=100,
        n_repeated=85,
        deviance=1.0,
    )


def one(model: UsualIntakeModel, *days: float, weekend: list[float] | None = None) -> tuple[float, float]:
    found = model.predict([days], MEN, weekend=None if weekend is None else [weekend])
    return float(found.usual[0]), float(found.se[0])


def test_a_prediction_is_the_mean_of_usual_intake_given_the_recalls(model: UsualIntakeModel) -> None:
    days, weekend = np.array([500.0, 420.0]), np.array([1.0, 0.0])
    expected_day = 15.2 - 0.1 * weekend + np.array([0.0, -0.3])

    def joint(u: float) -> float:
        error = model.transform.forward(days) - expected_day - u
        return float(norm.pdf(u, scale=np.sqrt(3.5)) * norm.pdf(error, scale=np.sqrt(3.8)).prod())

    total = quad(joint, -12, 12)[0]
    mean = quad(lambda u: joint(u) * float(model.scale.usual(15.2 + u)), -12, 12)[0] / total
    square = quad(lambda u: joint(u) * float(model.scale.usual(15.2 + u)) ** 2, -12, 12)[0] / total
    usual, se = one(model, *days, weekend=list(weekend))
    assert usual == pytest.approx(mean, rel=1e-6)
    assert se == pytest.approx(np.sqrt(square - mean**2), rel=1e-4)


def test_a_prediction_lies_between_the_recalls_and_the_mean_of_people_alike(model: UsualIntakeModel) -> None:
    nothing_known, _ = one(model, NAN, NAN)
    assert nothing_known < one(model, 600.0, NAN)[0] < one(model, 600.0, 600.0)[0] < 600.0
    assert 150.0 < one(model, 150.0, 150.0)[0] < one(model, 150.0, NAN)[0] < nothing_known


def test_more_recalls_leave_less_unknown(model: UsualIntakeModel) -> None:
    usual, _ = one(model, NAN, NAN)
    day = float(model.transform.inverse(15.2))
    errors = [one(model, *days)[1] for days in ((NAN, NAN), (day, NAN), (day, day))]
    assert errors[0] > 1.2 * errors[1] > 1.2 * errors[2]
    assert errors[0] / usual > 0.25


def test_a_low_second_recall_speaks_for_more_than_a_low_first_one(model: UsualIntakeModel) -> None:
    assert one(model, NAN, 300.0)[0] > one(model, 300.0, NAN)[0]


def test_an_unknown_day_of_the_week_is_between_the_known_ones(model: UsualIntakeModel) -> None:
    weekday, unknown, weekend = (one(model, 300.0, weekend=[mark])[0] for mark in (0.0, NAN, 1.0))
    assert weekday < unknown < weekend
    assert one(model, 300.0)[0] == unknown


def test_flags_say_what_was_not_known(model: UsualIntakeModel) -> None:
    people = pd.DataFrame({"sex": ["male", "female", None, None]}, index=[4, 5, 6, 7])
    found = model.predict([[300.0, NAN], [NAN, NAN], [300.0, 200.0], [NAN, NAN]], people)
    assert found.frame(people.index)["flag"].to_dict() == {
        4: "",
        5: "no_recall",
        6: "covariate_missing",
        7: "no_recall covariate_missing",
    }
    assert found.recalls.tolist() == [1, 0, 2, 0]
    assert found.to_dict() == {"people": 4, "recalls": {0: 2, 1: 1, 2: 1}, "covariates_missing": 2}
    assert np.isfinite(found.usual).all()


def test_a_person_is_predicted_alike_alone_and_among_others(model: UsualIntakeModel) -> None:
    days = np.array([[300.0, NAN], [100.0, 250.0], [NAN, NAN]])
    people = pd.DataFrame({"sex": ["male", "female", "male"]})
    whole = model.predict(days, people)
    for row in range(3):
        alone = model.predict(days[[row]], people.iloc[[row]])
        assert (alone.usual[0], alone.se[0]) == (whole.usual[row], whole.se[row])


def test_attenuation_is_the_share_of_variance_between_people(model: UsualIntakeModel) -> None:
    assert model.attenuation() == pytest.approx(3.5 / 7.3)
    assert model.attenuation(2) == pytest.approx(3.5 / 5.4)
    assert model.attenuation(10_000) == pytest.approx(1.0, abs=1e-3)


def test_a_model_without_data_describes_and_predicts_as_before(model: UsualIntakeModel) -> None:
    back = UsualIntakeModel.from_dict(json.loads(json.dumps(model.to_dict())))
    design = SurveyDesign([1.0, 2.0], [1, 1], [1, 2], WeightLevel.RECALL1)
    people = pd.DataFrame({"sex": ["male", "female"]})
    days = [[300.0, NAN], [100.0, 250.0]]
    assert back.predict(days, people).usual.tolist() == model.predict(days, people).usual.tolist()
    assert back.distribution(people, design).to_dict() == model.distribution(people, design).to_dict()
    assert back.share_below(300.0, people, design) == model.share_below(300.0, people, design)
    assert back.to_dict() == model.to_dict()


@pytest.mark.parametrize("change", [{"format": 2}, {"transform": {}}, {"surprise": 1}, {"coefficients": "many"}])
def test_a_damaged_file_is_refused(model: UsualIntakeModel, change: dict[str, Any]) -> None:
    with pytest.raises(MgRiskError) as refused:
        UsualIntakeModel.from_dict({**model.to_dict(), **change})
    assert (refused.value.code, refused.value.status) == ("usual_intake.bad_file", ExitStatus.BUNDLE)


@pytest.mark.parametrize("days", [[[-1.0, 2.0]], [[np.inf, 2.0]], [[[1.0]]]])
def test_amounts_that_cannot_be_are_refused(model: UsualIntakeModel, days: list[Any]) -> None:
    with pytest.raises(MgRiskError) as refused:
        model.predict(days, MEN)
    assert refused.value.code == "usual_intake.bad_amount"


def test_marks_of_weekends_have_the_shape_of_the_amounts(model: UsualIntakeModel) -> None:
    with pytest.raises(MgRiskError) as refused:
        model.predict([[300.0, 200.0]], MEN, weekend=[1.0])
    assert refused.value.code == "usual_intake.bad_length"
