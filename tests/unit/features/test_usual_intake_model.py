"""The Box-Cox scale: transformation and its inverse, the lower limit, and the mean over days.

The mixed model: against R nlme and the likelihood, and the meaning of weights.

Predictions of a known model: shrinkage, error, flags, and the form in a file.

Population figures of usual intake against simulation and closed forms.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.mixed_model import BoxCox, Covariates, Days, Term
from mgrisk.features.usual_intake_model import Population, UsualIntakeModel, UsualScale
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import weighted_quantile

POWERS = [0.0, 1e-9, 0.2, 0.33, 1.0]


@given(power=st.sampled_from(POWERS), amount=st.floats(1.0, 5000.0))
def test_there_and_back_is_where_one_was(power: float, amount: float) -> None:
    scale = BoxCox(power=power, floor=0.5)
    assert float(scale.inverse(scale.forward(amount))) == pytest.approx(amount, rel=1e-6)


def test_zero_is_taken_as_the_floor_and_nothing_comes_back_below_it() -> None:
    scale = BoxCox(power=0.3, floor=2.0)
    assert scale.forward([0.0, 1.0, 2.0]).tolist() == [float(scale.forward(2.0))] * 3
    np.testing.assert_allclose(scale.inverse([-1e6, -4.0]), 2.0)


def test_a_day_that_is_not_there_stays_so() -> None:
    scale = BoxCox(power=0.3, floor=2.0)
    assert np.isnan(scale.forward([np.nan])).all()
    assert np.isnan(scale.inverse([np.nan])).all()


# Not on the natural scale, where days below zero would be cut off at the floor.
@pytest.mark.parametrize("power", POWERS[:-1])
def test_the_mean_over_days_is_the_integral(power: float) -> None:
    scale = BoxCox(power=power, floor=0.5)
    # Day-to-day spread of about 36 % at 300 mg, as magnesium has.
    centre, spread = float(scale.forward(300.0)), 0.36 * 300.0**power
    exact = quad(lambda z: float(scale.inverse(centre + spread * z)) * norm.pdf(z), -12, 12, limit=200)[0]
    assert float(scale.expected(centre, variance=spread**2)) == pytest.approx(exact, rel=2e-6)


def test_the_mean_over_days_is_above_the_back_transformed_mean() -> None:
    scale = BoxCox(power=0.3, floor=0.5)
    centre = scale.forward([150.0, 300.0, 600.0])
    assert (scale.expected(centre, variance=3.8) > 1.02 * scale.inverse(centre)).all()


def test_without_scatter_the_mean_over_days_is_the_day() -> None:
    scale = BoxCox(power=0.3, floor=0.5)
    np.testing.assert_allclose(scale.expected(scale.forward([150.0, 300.0]), variance=0.0), [150.0, 300.0])


@pytest.mark.parametrize(
    ("power", "floor", "code"),
    [(-0.1, 1.0, "power"), (1.1, 1.0, "power"), (0.3, 0.0, "floor"), (0.3, np.nan, "floor")],
)
def test_a_scale_that_cannot_be_is_refused(power: float, floor: float, code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        BoxCox(power=power, floor=floor)
    assert refused.value.code == f"box_cox.bad_{code}"


def test_the_scale_goes_through_a_dict() -> None:
    scale = BoxCox(power=0.3, floor=2.0)
    assert BoxCox(**scale.to_dict()) == scale


Floats = NDArray[np.float64]
N = 40


def example() -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Forty people, most with two days: columns, response, which days are there."""
    random = np.random.default_rng(20261122)
    group = (np.arange(N) % 2).astype(float)
    people, days = random.normal(0, 1.8, (N, 1)), random.normal(0, 1.9, (N, 2))
    y = np.round(15 + 0.8 * group[:, None] + people + days + np.array([0, -0.3]), 2)
    y[::7, 1] = np.nan
    columns = np.stack([np.ones((N, 2)), np.repeat(group[:, None], 2, axis=1), np.tile([0.0, 1.0], (N, 1))], axis=-1)
    return columns, y, np.isfinite(y)


def minus_twice_log_likelihood(
    columns: Floats, y: Floats, weight: Floats, coefficients: Floats, between: float, within: float
) -> float:
    total = 0.0
    for x, days, w in zip(columns, y, weight, strict=True):
        here = np.isfinite(days)
        covariance = within * np.eye(int(here.sum())) + between
        total -= 2 * w * multivariate_normal.logpdf(days[here], x[here] @ coefficients, covariance)
    return float(total)


def test_the_fit_is_that_of_r() -> None:
    # R 4.2.2, nlme 3.1.162: lme(y ~ group + day, random = ~1 | id, method = "ML") on `example()`, 2026-11-22.
    columns, y, present = example()
    found = Days(columns, present).fit(y, np.ones(N))
    np.testing.assert_allclose(found.coefficients, [14.3327902504, 1.2749194992, -0.3298859035], rtol=1e-7)
    assert found.between == pytest.approx(4.081162, rel=1e-6)
    assert found.within == pytest.approx(3.92064384326, rel=1e-6)
    assert found.deviance == pytest.approx(353.6546982099, rel=1e-10)


def test_the_weighted_deviance_is_that_of_the_likelihood_and_nothing_near_is_better() -> None:
    columns, y, present = example()
    weight = np.random.default_rng(3).uniform(0.2, 3.0, N)
    found = Days(columns, present).fit(y, weight)
    at = found.coefficients, found.between, found.within
    assert minus_twice_log_likelihood(columns, y, weight, *at) == pytest.approx(found.deviance, rel=1e-10)
    for step in (0.97, 1.03):
        for other in (
            (found.coefficients * step, found.between, found.within),
            (found.coefficients, found.between * step, found.within),
            (found.coefficients, found.between, found.within * step),
        ):
            assert minus_twice_log_likelihood(columns, y, weight, *other) > found.deviance


def test_a_weight_of_two_is_a_person_twice_and_a_weight_of_zero_nobody() -> None:
    columns, y, present = example()
    weight = np.tile([1.0, 2.0, 0.0, 1.0], N // 4)
    rows = np.repeat(np.arange(N), weight.astype(int))
    weighted, repeated = (
        Days(columns, present).fit(y, weight),
        Days(columns[rows], present[rows]).fit(y[rows], np.ones(rows.size)),
    )
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-7)
    assert (weighted.between, weighted.within) == pytest.approx((repeated.between, repeated.within), rel=1e-6)


def test_the_scale_of_the_weights_does_not_matter() -> None:
    columns, y, present = example()
    small, large = (Days(columns, present).fit(y, np.full(N, weight)) for weight in (1e-3, 1e5))
    assert (small.between, small.within) == pytest.approx((large.between, large.within), rel=1e-6)


def test_people_who_do_not_differ_have_no_variance_between_them() -> None:
    random = np.random.default_rng(5)
    days = random.normal(size=(400, 2))
    days -= days.mean(axis=1, keepdims=True)
    found = Days(np.ones((400, 2, 1)), np.ones((400, 2), dtype=bool)).fit(days, np.ones(400))
    assert found.between < 1e-4 * found.within


def test_one_day_each_cannot_tell_people_from_days() -> None:
    columns, y, present = example()
    present[:, 1] = False
    with pytest.raises(MgRiskError) as refused:
        Days(columns, present).fit(y, np.ones(N))
    assert refused.value.code == "random_intercept.no_repeats"


def test_rank_sees_a_column_that_says_the_same_as_others() -> None:
    columns, _, present = example()
    again = np.concatenate([columns, 2.0 - columns[..., 1:2]], axis=2)
    assert Days(columns, present).rank(np.ones(N)) == 3
    assert Days(again, present).rank(np.ones(N)) == 3


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


SCALE = UsualScale(BoxCox(power=0.3, floor=5.0), within=3.8, weekend=-0.4)
CENTRE = np.array([14.0, 15.0, 16.0, 15.0])
WEIGHT = np.array([1.0, 2.0, 0.5, 0.0])
BETWEEN = 3.5


@pytest.fixture
def population() -> Population:
    return Population(SCALE, CENTRE, WEIGHT, between=BETWEEN)


@pytest.fixture(scope="module")
def simulated() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(11)
    own = CENTRE[:, None] + np.sqrt(BETWEEN) * random.standard_normal((4, 200_000))
    return SCALE.usual(own), np.repeat(WEIGHT[:, None], 200_000, axis=1)


def test_quantiles_mean_and_spread_are_those_of_simulated_people(
    population: Population, simulated: tuple[np.ndarray, np.ndarray]
) -> None:
    usual, weight = (array.ravel() for array in simulated)
    found = population.describe(probabilities=[0.05, 0.5, 0.95])
    np.testing.assert_allclose(found.quantiles, weighted_quantile(usual, weight, [0.05, 0.5, 0.95]), rtol=0.01)
    mean = np.average(usual, weights=weight)
    assert found.mean == pytest.approx(mean, rel=0.004)
    assert found.sd == pytest.approx(np.sqrt(np.average((usual - mean) ** 2, weights=weight)), rel=0.01)
    assert (found.n, found.population) == (3, 3.5)


def test_the_share_below_a_persons_own_cut_point_is_that_of_simulated_people(
    population: Population, simulated: tuple[np.ndarray, np.ndarray]
) -> None:
    usual, weight = simulated
    cuts = np.array([250.0, 350.0, 350.0, np.nan])
    expected = np.average(usual < cuts[:, None], weights=weight)
    assert population.share_below(cuts) == pytest.approx(expected, abs=0.003)


def test_a_quantile_has_its_share_below_it(population: Population) -> None:
    found = population.describe(probabilities=[0.1, 0.5, 0.9])
    for probability, quantile in zip(found.probabilities, found.quantiles, strict=True):
        assert population.share_below(quantile) == pytest.approx(probability, abs=1e-9)


def test_log_normal_people_have_the_closed_forms() -> None:
    people = Population(
        UsualScale(BoxCox(power=0.0, floor=0.1), within=0.13), np.array([5.7]), np.ones(1), between=0.11
    )
    found = people.describe(probabilities=[0.5])
    assert found.quantiles[0] == pytest.approx(np.exp(5.7 + 0.13 / 2), rel=1e-8)
    assert found.mean == pytest.approx(np.exp(5.7 + 0.13 / 2 + 0.11 / 2), rel=1e-8)
    assert found.sd / found.mean == pytest.approx(np.sqrt(np.expm1(0.11)), rel=1e-6)


def test_usual_intake_lies_between_weekdays_and_weekends_nearer_to_weekdays() -> None:
    weekday = float(UsualScale(SCALE.transform, SCALE.within).usual(15.0))
    weekend = float(UsualScale(SCALE.transform, SCALE.within).usual(15.0 - 0.4))
    assert float(SCALE.usual(15.0)) == pytest.approx((4 * weekday + 3 * weekend) / 7)


def test_nobody_is_below_the_floor_and_everybody_below_much(population: Population) -> None:
    assert population.share_below(5.0) == 0.0
    assert population.share_below(1e5) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda p: p.share_below([300.0, 300.0]), "bad_cut_point"),
        (lambda p: p.share_below([300.0, np.nan, 300.0, 300.0]), "bad_cut_point"),
        (lambda p: p.describe(probabilities=[0.5, 1.0]), "bad_probability"),
        (lambda p: Population(SCALE, CENTRE, np.zeros(4), between=1.0), "nobody"),
    ],
)
def test_what_has_no_answer_is_refused(population: Population, call: object, code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        call(population)  # type: ignore[operator]
    assert refused.value.code == f"intake_distribution.{code}"
