"""Energy-adjusted magnesium is uncorrelated with energy, and a saved model gives the same value."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features import energy_adjusted
from mgrisk.features.energy_adjusted import EnergyAdjusted
from mgrisk.survey.design import SurveyDesign, WeightLevel

N = 600


def population() -> tuple[pd.DataFrame, SurveyDesign]:
    random = np.random.default_rng(5)
    energy = np.exp(random.normal(7.6, 0.35, N))
    magnesium = np.exp(0.8 * np.log(energy) + random.normal(-0.4, 0.3, N))
    people = pd.DataFrame({"magnesium_food_mg": magnesium, "energy_kcal": energy})
    weight = random.uniform(0.2, 5.0, N)
    return people, SurveyDesign(weight, np.arange(N) % 10, np.arange(N) // 10 % 2, WeightLevel.RECALL1)


def correlation(adjusted: pd.Series, energy: pd.Series, weight: np.ndarray) -> float:
    a, b = np.log(adjusted.to_numpy()), np.log(energy.to_numpy())
    a, b = a - np.average(a, weights=weight), b - np.average(b, weights=weight)
    return float((weight * a * b).sum() / np.sqrt((weight * a**2).sum() * (weight * b**2).sum()))


def test_the_adjusted_amount_has_no_weighted_correlation_with_energy() -> None:
    people, design = population()
    adjusted = energy_adjusted.fit(people, design).predict(people)["magnesium_energy_adjusted_mg"]
    assert abs(correlation(adjusted, people["energy_kcal"], design.weight)) < 1e-8
    assert abs(correlation(people["magnesium_food_mg"], people["energy_kcal"], design.weight)) > 0.5


def test_the_line_is_that_of_weighted_least_squares() -> None:
    people, design = population()
    slope, _ = np.polyfit(
        np.log(people["energy_kcal"]), np.log(people["magnesium_food_mg"]), 1, w=np.sqrt(design.weight)
    )
    model = energy_adjusted.fit(people, design)
    assert model.slope == pytest.approx(slope)
    assert model.mean_log_energy == pytest.approx(np.average(np.log(people["energy_kcal"]), weights=design.weight))
    assert model.n == N


def test_only_people_of_the_domain_with_both_amounts_are_fitted() -> None:
    people, design = population()
    strange = people.copy()
    strange.loc[:99, "magnesium_food_mg"] = 1e4
    strange.loc[100, "energy_kcal"] = 0.0
    strange.loc[101, "magnesium_food_mg"] = np.nan
    inside = np.arange(N) >= 100
    ours = energy_adjusted.fit(strange, design.where(inside))
    theirs = energy_adjusted.fit(people, design.where(np.arange(N) >= 102))
    assert ours == theirs


def test_whoever_ate_nothing_has_no_value() -> None:
    model = EnergyAdjusted(slope=0.8, mean_log_energy=7.6, n=1)
    people = pd.DataFrame(
        {"magnesium_food_mg": [0.0, 300.0, np.nan], "energy_kcal": [0.0, np.nan, 2000.0]}, index=[7, 3, 5]
    )
    found = model.predict(people)
    assert found["magnesium_energy_adjusted_mg"].isna().all()
    assert found.index.tolist() == [7, 3, 5]


def test_a_model_from_a_file_gives_the_same_values() -> None:
    people, design = population()
    model = energy_adjusted.fit(people, design)
    again = energy_adjusted.from_dict(json.loads(json.dumps(model.to_dict())))
    pd.testing.assert_frame_equal(again.predict(people), model.predict(people), check_exact=True)


@pytest.mark.parametrize("content", [{}, {"slope": "steep", "mean_log_energy": 7.6, "n": 1}])
def test_a_damaged_file_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(MgRiskError) as refused:
        energy_adjusted.from_dict(content)
    assert refused.value.code == "energy_adjusted.bad_file"


def test_people_without_a_spread_of_energy_are_refused() -> None:
    people, design = population()
    with pytest.raises(MgRiskError) as refused:
        energy_adjusted.fit(people.assign(energy_kcal=2000.0), design)
    assert refused.value.code == "energy_adjusted.no_spread"


@pytest.mark.nhanes
def test_on_nhanes_nothing_of_energy_is_left(people: Callable[..., pd.DataFrame]) -> None:
    names = ["age_years", "magnesium_food_mg", "energy_kcal"]
    frame = people(["2013-2014"], names, ["WTDRD1", "SDMVSTRA", "SDMVPSU"])
    design = SurveyDesign(frame["WTDRD1"].fillna(0.0), frame["SDMVSTRA"], frame["SDMVPSU"], WeightLevel.RECALL1)
    adults = design.where((frame["age_years"] >= 20).to_numpy())
    model = energy_adjusted.fit(frame, adults)
    inside = adults.analysis_weight > 0
    adjusted = model.predict(frame)["magnesium_energy_adjusted_mg"][inside]
    assert abs(correlation(adjusted, frame["energy_kcal"][inside], adults.analysis_weight[inside])) < 1e-8
    assert 0.7 < model.slope < 0.9
