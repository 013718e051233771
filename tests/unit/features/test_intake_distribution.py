"""Population figures of usual intake against simulation and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.box_cox import BoxCox
from mgrisk.features.intake_distribution import Population, UsualScale
from mgrisk.survey.quantiles import weighted_quantile

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
