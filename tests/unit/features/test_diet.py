"""Intake is the mean over the reliable recall days, never over days that were not recalled.

The DASH score: points of each nutrient at its targets, and what a sum needs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features import diet
from mgrisk.features.diet import TARGETS, Target
from mgrisk.features.registry import FEATURES

NAN = float("nan")
STATUS = [1.0, 2.0, 4.0, 5.0, NAN]


def recalls(status_1: list[float], status_2: list[float], day_1: list[float], day_2: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"DR1DRSTZ": status_1, "DR2DRSTZ": status_2, "DR1TKCAL": day_1, "DR2TKCAL": day_2})


def test_two_reliable_days_are_averaged_and_one_counts_alone() -> None:
    raw = recalls([1, 1, 2, 1], [1, 5, 1, 2], [2000, 2000, 2000, 2000], [1000, NAN, 1000, 1000])
    np.testing.assert_array_equal(diet.energy_kcal(raw), [1500.0, 2000.0, 1000.0, 2000.0])
    np.testing.assert_array_equal(diet.recall_days(raw), [2.0, 1.0, 1.0, 1.0])


def test_nobody_without_a_reliable_day_has_an_intake() -> None:
    raw = recalls([2, 4, 5, NAN], [5, 5, 5, NAN], [900, 900, NAN, NAN], [NAN] * 4)
    assert diet.energy_kcal(raw).isna().all()
    assert diet.recall_days(raw).isna().all()


def test_a_day_of_fasting_is_a_zero_and_not_missing() -> None:
    raw = recalls([1, 1], [1, 5], [0, 0], [1000, NAN])
    np.testing.assert_array_equal(diet.energy_kcal(raw), [500.0, 0.0])


def test_a_reliable_day_without_an_amount_does_not_count_as_zero() -> None:
    raw = recalls([1], [1], [NAN], [1000])
    np.testing.assert_array_equal(diet.energy_kcal(raw), [1000.0])


@given(
    st.lists(
        st.tuples(st.sampled_from(STATUS), st.sampled_from(STATUS), st.floats(0, 1e4), st.floats(0, 1e4)),
        min_size=1,
        max_size=20,
    )
)
def test_the_mean_lies_between_the_days_and_exists_exactly_where_a_day_is_reliable(
    rows: list[tuple[float, float, float, float]],
) -> None:
    raw = recalls(*(list(column) for column in zip(*rows, strict=True)))
    mean, days = diet.energy_kcal(raw), diet.recall_days(raw)
    reliable = raw[["DR1DRSTZ", "DR2DRSTZ"]].eq(1).to_numpy()
    amounts = raw[["DR1TKCAL", "DR2TKCAL"]].where(reliable)
    np.testing.assert_array_equal(days.fillna(0), reliable.sum(axis=1))
    np.testing.assert_array_equal(mean.isna(), ~reliable.any(axis=1))
    known = mean.notna()
    assert (mean[known] >= amounts.min(axis=1)[known] - 1e-9).all()
    assert (mean[known] <= amounts.max(axis=1)[known] + 1e-9).all()


NUTRIENTS = [name for name, feature in FEATURES.items() if feature.module == "diet" and feature.unit.endswith("g/d")]


@pytest.mark.parametrize("name", NUTRIENTS)
def test_a_nutrient_is_the_mean_of_its_own_two_columns(name: str) -> None:
    first, _, second, _ = FEATURES[name].sources
    assert first.replace("DR1T", "DR2T") == second
    raw = pd.DataFrame({"DR1DRSTZ": [1.0, 1.0], "DR2DRSTZ": [1.0, 5.0], first: [3.0, 7.0], second: [5.0, NAN]})
    np.testing.assert_array_equal(getattr(diet, name)(raw), [4.0, 7.0])


@pytest.mark.parametrize("day", [1, 2])
def test_friday_saturday_and_sunday_are_the_weekend_of_a_reliable_recall(day: int) -> None:
    raw = pd.DataFrame({f"DR{day}DAY": [*range(1, 8), NAN, 7], f"DR{day}DRSTZ": [1.0] * 8 + [2.0]})
    marks = getattr(diet, f"recall_day_{day}_weekend")(raw)
    assert marks.where(marks.notna(), "").tolist() == ["yes", "no", "no", "no", "no", "yes", "yes", "", ""]


@pytest.mark.nhanes
def test_first_recalls_are_weighted_to_three_weekend_days_in_seven(people: Callable[..., pd.DataFrame]) -> None:
    """CDC adjusts the weights of the first recall to the days of the week: codes read wrongly would not give 3/7."""
    frame = people(["2003-2004", "2013-2014", "2021-2023"], ["recall_day_1_weekend", "age_years"], ["WTDRD1"])
    adults = frame[(frame["age_years"] >= 20) & frame["recall_day_1_weekend"].notna()]
    for _, part in adults.groupby("cycle"):
        share = np.average(part["recall_day_1_weekend"] == "yes", weights=part["WTDRD1"])
        assert share == pytest.approx(3 / 7, abs=1e-4)


ENERGY = 2100.0
every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.feature)

# Composition of the diets of the DASH trial at 2,100 kcal: Appel et al. (1997), N. Engl. J. Med. 336:1117, table 1.
# Sodium is that of the DASH-Sodium trial, 2,400 mg against 3,000 mg of all diets of the first.
TRIAL = {
    "saturated_fat_g": (6, 16),
    "fat_g": (27, 37),
    "protein_g": (18, 15),
    "cholesterol_mg": (150, 300),
    "fiber_g": (31, 9),
    "magnesium_food_mg": (500, 165),
    "calcium_mg": (1240, 450),
    "potassium_mg": (4700, 1700),
    "sodium_mg": (2400, 3000),
}


def amount(target: Target, level: float) -> float:
    """Amount a day that lies at a target when 2,100 kcal are eaten."""
    return ENERGY * level / (1000.0 if target.kcal_per_unit is None else 100.0 * target.kcal_per_unit)


def diet_dash(**changed: float) -> pd.DataFrame:
    """A diet that meets every goal, with some nutrients changed."""
    goals = {target.feature: amount(target, target.goal) for target in TARGETS}
    return pd.DataFrame([{"energy_kcal": ENERGY, **goals, **changed}])


@every_target
def test_goals_are_the_dash_diet_and_intermediate_targets_lie_halfway_to_the_control_diet(target: Target) -> None:
    given, control = TRIAL[target.feature]
    per = 1.0 if target.kcal_per_unit is not None else ENERGY / 1000.0
    assert target.goal == pytest.approx(given / per, rel=0.003)
    assert target.intermediate == pytest.approx((given + control) / 2 / per, rel=0.01)


@every_target
def test_a_target_is_met_from_its_value_on(target: Target) -> None:
    towards = 1e-6 if target.better == "higher" else -1e-6
    levels = [level * (1 + step) for level in (target.goal, target.intermediate) for step in (towards, -towards)]
    amounts = pd.Series([amount(target, level) for level in levels])
    assert target.points(amounts, pd.Series([ENERGY] * 4)).tolist() == [1.0, 0.5, 0.5, 0.0]


def test_the_diet_of_the_trial_has_nine_points_and_eight_without_magnesium() -> None:
    assert diet.derive_dash_score(diet_dash()).item() == 9.0
    assert diet.derive_dash_score_without_magnesium(diet_dash()).item() == 8.0
    assert diet.derive_dash_score(diet_dash(magnesium_food_mg=400.0)).item() == 8.5
    assert diet.derive_dash_score_without_magnesium(diet_dash(magnesium_food_mg=400.0)).item() == 8.0


def test_a_sum_needs_every_nutrient_and_energy() -> None:
    for missing in ({"sodium_mg": np.nan}, {"energy_kcal": np.nan}, {"energy_kcal": 0.0}):
        assert np.isnan(diet.derive_dash_score(diet_dash(**missing)).item())
    assert np.isnan(diet.derive_dash_score(diet_dash(magnesium_food_mg=np.nan)).item())
    assert diet.derive_dash_score_without_magnesium(diet_dash(magnesium_food_mg=np.nan)).item() == 8.0


def test_the_registry_names_what_the_scores_are_made_of() -> None:
    nutrients = {target.feature for target in TARGETS}
    assert set(FEATURES["dash_score"].derived_from) == nutrients | {"energy_kcal"}
    without = FEATURES["dash_score_without_magnesium"]
    assert set(without.derived_from) == nutrients - {"magnesium_food_mg"} | {"energy_kcal"}
    assert without.maximum == len(nutrients) - 1
