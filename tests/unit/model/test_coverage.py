"""The coverage of intervals is estimated on outcomes with known risks, and intervals are widened to reach it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit

from mgrisk.config import pipeline_file
from mgrisk.errors import MgRiskError
from mgrisk.model.additive import Additive
from mgrisk.model.coverage import Known, _donors, draw_known, from_cases
from mgrisk.model.learners import Target
from mgrisk.model.train import Trained, TrainedModel, train
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.variance import t_quantile

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

DRAWS = 4
BOTH = {"both": ("spline_logistic", "spline_linear:hba1c_percent")}
SETTINGS = pipeline_file.Model(
    features=("age_years",),
    spline_logistic=pipeline_file.Splines(c=(0.03,)),
    spline_linear=pipeline_file.Splines(c=(0.01,)),
    xgboost=pipeline_file.XGBoost(depth=(2,), trees=(10,), min_child_weight=(2.0,)),
    sums=BOTH,
)


def hba1c(people: ToyPeople) -> Target:
    """Return a marker that goes with the outcome, of more people than the outcome."""
    random = np.random.default_rng(11)
    age = people.frame["age_years"].to_numpy(dtype=float)
    value = 0.01 * (age - 50) + 0.3 * np.nan_to_num(people.y) + random.normal(0, 0.1, len(age))
    everybody = SurveyDesign(np.full(len(age), 2.0), people.design.stratum, people.design.psu, WeightLevel.EXAM)
    return Target("hba1c_percent", "continuous", value, everybody)


def trained_on(people: ToyPeople, *, choose: str, draws: int) -> Trained:
    settings = SETTINGS.model_copy(
        update={"choose": choose, "uncertainty": pipeline_file.Uncertainty(replicates=6, draws=draws)}
    )
    return train(replace(people.data, targets=(hba1c(people),)), features=people.features, settings=settings, threads=1)


@pytest.fixture(scope="module")
def alone(toy_people: ToyPeople) -> TrainedModel:
    """The sum with the interval of the bootstrap alone."""
    return trained_on(toy_people, choose="both", draws=0).models["both"]


@pytest.fixture(scope="module")
def known(alone: TrainedModel, toy_people: ToyPeople) -> Known:
    data = replace(toy_people.data, targets=(hba1c(toy_people),))
    return draw_known(alone, data.matrix(toy_people.encoder), data, draws=DRAWS, seed=1)


def noise(spread: float, *, n: int = 4000) -> Known:
    random = np.random.default_rng(3)
    return Known(np.linspace(-6, 0, n), random.normal(0, spread, size=(n, 12)), random.uniform(1, 9, n))


def test_the_factor_is_the_multiple_of_the_standard_error_that_covers_nine_in_ten_in_each_fifth() -> None:
    known = noise(0.4)
    se = np.full(4000, 0.2)
    found = known.widening(se, 1.6449, before=se)
    assert found.factor == pytest.approx(2.0, abs=0.06)
    assert min(found.covered) >= 0.90
    assert np.mean(found.before) == pytest.approx(0.589, abs=0.02)
    # Where the fifth with the highest risk has twice the error, that fifth decides.
    high = known.fifth == 4
    errors = np.where(high[:, None], 2.0, 1.0) * known.errors
    assert replace(known, errors=errors).widening(se, 1.6449, before=se).factor == pytest.approx(4.0, abs=0.12)


def test_an_interval_that_covers_more_than_it_says_is_not_narrowed() -> None:
    found = noise(0.1).widening(np.full(4000, 0.2), 1.6449, before=np.full(4000, 0.2))
    assert found.factor == 1.0
    assert min(found.covered) > 0.95


def test_the_stretch_is_the_slope_of_the_error_on_the_known_log_odds() -> None:
    known = noise(0.1)
    compressed = replace(known, errors=known.errors - 0.25 * (known.log_odds + 2.0)[:, None])
    assert compressed.stretch == pytest.approx(0.25, abs=0.01)
    assert known.stretch < 0.01


def test_fifths_hold_a_fifth_of_the_weight_each_from_low_to_high_risk() -> None:
    known = noise(0.1)
    shares = np.bincount(known.fifth, weights=known.weight) / known.weight.sum()
    np.testing.assert_allclose(shares, 0.2, atol=0.005)
    assert (np.diff(known.fifth) >= 0).all()


def test_log_odds_are_counted_from_their_mean_among_expected_cases() -> None:
    log_odds, weight = np.array([-4.0, -1.0, 0.5]), np.array([5.0, 2.0, 1.0])
    away = from_cases(log_odds, weight)
    np.testing.assert_allclose(np.diff(away), np.diff(log_odds))
    assert np.average(away, weights=weight * expit(log_odds)) == pytest.approx(0.0, abs=1e-12)


def test_known_risks_keep_the_prevalence_and_vary_more_than_those_of_the_model(
    known: Known, alone: TrainedModel, toy_people: ToyPeople
) -> None:
    prevalence = np.average(toy_people.case, weights=toy_people.weight)
    assert np.average(expit(known.log_odds), weights=toy_people.weight) == pytest.approx(prevalence, abs=1e-6)
    assert known.log_odds.std() > alone.fitted.margin(toy_people.matrix).std()
    assert known.errors.shape == (len(toy_people.inside), DRAWS)


def test_a_model_that_is_penalised_more_compresses_more(
    known: Known, alone: TrainedModel, toy_people: ToyPeople
) -> None:
    data = replace(toy_people.data, targets=(hba1c(toy_people),))
    hard = replace(alone, params=tuple({"c": value["c"] / 100} for value in alone.params))
    again = draw_known(hard, data.matrix(toy_people.encoder), data, draws=DRAWS, seed=1)
    slope = [np.polyfit(each.log_odds, each.errors.mean(axis=1), 1)[0] for each in (known, again)]
    assert slope[1] < slope[0]
    assert slope[1] < 0


def test_draws_are_those_of_the_seed(known: Known, alone: TrainedModel, toy_people: ToyPeople) -> None:
    data = replace(toy_people.data, targets=(hba1c(toy_people),))
    X = data.matrix(toy_people.encoder)
    np.testing.assert_array_equal(draw_known(alone, X, data, draws=DRAWS, seed=1).errors, known.errors)
    assert not np.allclose(draw_known(alone, X, data, draws=DRAWS, seed=2).errors, known.errors)


def test_a_person_gets_the_residuals_of_somebody_of_nearly_the_risk_who_has_the_outcome_drawn(
    alone: TrainedModel, toy_people: ToyPeople
) -> None:
    data = replace(toy_people.data, targets=(hba1c(toy_people),))
    random = np.random.default_rng(1)
    n = len(data.y)
    rows, log_odds = np.arange(n), random.normal(-2, 1, n)
    case = (random.random(n) < expit(log_odds)).astype(float)
    donor = _donors(case, log_odds, rows, alone.parts, data, random)
    assert np.isin(donor, data.inside).all()
    np.testing.assert_array_equal(data.y[donor], case)
    assert np.abs(log_odds[donor] - log_odds).mean() < 0.2
    nobody = replace(data, y=np.where(data.design.analysis_weight > 0, 0.0, data.y))
    with pytest.raises(MgRiskError) as caught:
        _donors(case, log_odds, rows, alone.parts, nobody, random)
    assert caught.value.code == "coverage.no_donors"


def test_the_standard_error_of_an_additive_model_is_multiplied_by_the_factor_and_grows_with_the_stretch(
    alone: TrainedModel, toy_people: ToyPeople
) -> None:
    widened = trained_on(toy_people, choose="both", draws=DRAWS).models["both"]
    assert isinstance(alone.fitted, Additive)
    assert isinstance(widened.fitted, Additive)
    assert alone.widening is None
    found = widened.widening
    assert found is not None
    assert found.factor > 1.0
    before, after = alone.fitted.answer(toy_people.matrix), widened.fitted.answer(toy_people.matrix)
    np.testing.assert_array_equal(before.log_odds, after.log_odds)
    complete = ~np.isnan(toy_people.matrix).any(axis=1)
    away = from_cases(before.log_odds, toy_people.weight)
    expected = found.factor**2 * (before.variance + found.stretch**2 * away**2)
    # The forms leave out a share of the variance and hold it on average.
    ratio = np.sqrt(after.variance / expected)[complete]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.average(after.variance[complete]) == pytest.approx(np.average(expected[complete]), rel=0.1)
    assert np.corrcoef(after.variance[complete], expected[complete])[0, 1] > 0.9
    assert widened.fitted.sampling is not None
    assert widened.fitted.sampling.replicates == 6
    assert min(found.covered) >= 0.90
    assert max(found.covered) > max(found.before)
    assert widened.to_dict()["widening"]["factor"] == found.factor


def test_the_standard_error_of_a_model_with_trees_is_widened_too(toy_people: ToyPeople) -> None:
    before = trained_on(toy_people, choose="xgboost", draws=0).models["xgboost"]
    after = trained_on(toy_people, choose="xgboost", draws=DRAWS).models["xgboost"]
    assert before.uncertainty is not None
    assert after.uncertainty is not None
    assert after.widening is not None
    ratio = after.uncertainty.se(toy_people.matrix) / before.uncertainty.se(toy_people.matrix)
    assert ratio.mean() >= 0.98 * after.widening.factor
    assert ratio.mean() > 1.02
    known = draw_known(after, toy_people.data.matrix(toy_people.encoder), toy_people.data, draws=DRAWS, seed=1)
    reach = t_quantile(0.90, toy_people.design.df) * after.uncertainty.se(toy_people.matrix)
    hit = (np.abs(known.errors) <= reach[:, None]).mean(axis=1)
    assert np.average(hit, weights=toy_people.weight) >= 0.90
