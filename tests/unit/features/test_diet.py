"""Intake is the mean over the reliable recall days, never over days that were not recalled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features import diet
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
