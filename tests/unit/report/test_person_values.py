from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.features.registry import features
from mgrisk.report.person_values import compact_values, reference_value, shown_value

AGE, SEX = features(["age_years", "sex"])


@pytest.mark.parametrize(("value", "shown"), [(43.0, "45"), (np.nan, "missing")])
def test_a_number_is_rounded_by_its_unit_or_missing(value: float, shown: str) -> None:
    assert shown_value(value, AGE) == shown


@pytest.mark.parametrize(("value", "shown"), [("male", "male"), (None, "missing"), (np.nan, "missing")])
def test_a_category_is_its_level_or_missing(value: object, shown: str) -> None:
    assert shown_value(value, SEX) == shown


def test_the_population_is_a_median_or_the_most_frequent_level() -> None:
    assert reference_value(AGE, {"quantiles": {"0.5": 46.2}}) == ("median 46", {"median": 46.2})
    shares = {"female": 0.52, "male": 0.48}
    assert reference_value(SEX, {"shares": shares}) == ("female 52\u00a0%", {"shares": shares})
    assert reference_value(AGE, {"quantiles": {}})[0] == "not known"


def test_strangers_are_rounded_and_one_s_own_people_are_not() -> None:
    ages = pd.Series([43.0, np.nan, 41.5])
    assert compact_values(ages, AGE, coarse=True) == [45, None, 40]
    assert compact_values(ages, AGE, coarse=False) == [43, None, 41.5]
    (steps,) = features(["activity_met_min_week"])
    assert compact_values(pd.Series([12345.6]), steps, coarse=False) == [12346]


def test_a_category_is_the_place_of_its_level() -> None:
    sexes = pd.Series(pd.Categorical(["male", None, "female"], categories=list(SEX.levels)))
    assert compact_values(sexes, SEX, coarse=True) == [1, None, 0]
