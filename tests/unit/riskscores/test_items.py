"""Items of scores: bounds, categories, units, conditions, and what no answer means to each."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from mgrisk.features.compute import typed
from mgrisk.features.registry import features
from mgrisk.riskscores.items import Condition, Item


def people(**answers: list[Any]) -> pd.DataFrame:
    return typed(pd.DataFrame(answers), features(answers))


def gained(item: Item, **answers: list[Any]) -> list[float]:
    return item.gained(people(**answers)).tolist()


def unanswered(item: Item, **answers: list[Any]) -> list[bool]:
    return item.unanswered(people(**answers)).tolist()


def test_the_highest_bound_passed_counts_from_it_on_or_above_it() -> None:
    item = Item(feature="bmi_kg_m2", bands=((25, 1),), above=((30, 3),))
    assert gained(item, bmi_kg_m2=[24.9, 25.0, 30.0, 30.1, 50.0, None]) == [0, 1, 1, 3, 3, 0]
    assert unanswered(item, bmi_kg_m2=[25.0, None]) == [False, True]


def test_a_band_may_take_back_what_the_one_before_gave() -> None:
    item = Item(feature="activity_met_min_week", bands=((0, 2), (600, 0)))
    assert gained(item, activity_met_min_week=[0.0, 599.0, 600.0, None]) == [2, 2, 0, 0]


def test_a_category_gains_what_is_said_and_others_nothing() -> None:
    item = Item(feature="smoking", levels={"former": -0.218, "current": 0.855})
    assert gained(item, smoking=["never", "former", "current", None]) == [0, -0.218, 0.855, 0]
    assert unanswered(item, smoking=["never", None]) == [False, True]


def test_a_number_gains_by_its_units() -> None:
    item = Item(feature="age_years", per_unit=0.063)
    assert gained(item, age_years=[50.0, None]) == [pytest.approx(3.15), 0]


def test_an_item_counts_only_for_those_it_is_for() -> None:
    item = Item(feature="waist_cm", bands=((94, 3),), when=(Condition(feature="sex", level="male"),))
    assert gained(item, waist_cm=[95.0, 95.0, None], sex=["male", "female", "male"]) == [3, 0, 0]
    assert unanswered(item, waist_cm=[None, None], sex=["male", "female"]) == [True, False]


def test_all_conditions_or_any_of_them() -> None:
    at_risk = (Condition(feature="age_years", at_least=35), Condition(feature="age_years", below=71))
    both = Item(all=at_risk, worth=1)
    assert gained(both, age_years=[34.0, 35.0, 70.9, 71.0]) == [0, 1, 1, 0]
    either = Item(
        any=(Condition(feature="systolic_mmhg", above=130), Condition(feature="hypertension_told", level="yes")),
        worth=2,
    )
    answers = {"systolic_mmhg": [130.0, 131.0, None, 120.0], "hypertension_told": ["no", None, "yes", "yes"]}
    assert gained(either, **answers) == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ("age", "bmi", "is_open"),
    [(50.0, None, True), (30.0, None, False), (None, 22.0, False), (50.0, 30.0, False), (50.0, 22.0, False)],
)
def test_an_answer_is_missed_only_where_it_could_have_decided(
    age: float | None, bmi: float | None, is_open: bool
) -> None:
    rule = Item(all=(Condition(feature="age_years", at_least=35), Condition(feature="bmi_kg_m2", at_least=25)), worth=1)
    assert unanswered(rule, age_years=[age], bmi_kg_m2=[bmi]) == [is_open]
    either = Item(any=(Condition(feature="age_years", below=35), Condition(feature="bmi_kg_m2", below=25)), worth=1)
    assert unanswered(either, age_years=[age], bmi_kg_m2=[bmi]) == [is_open]


def test_who_is_of_unknown_origin_is_not_of_the_one_that_is_named() -> None:
    item = Item(all=(Condition(feature="race_ethnicity", not_level="white"),), worth=6)
    assert gained(item, race_ethnicity=["white", "asian", None]) == [0, 6, 6]
    assert unanswered(item, race_ethnicity=["white", None]) == [False, False]


@pytest.mark.parametrize(
    "wrong",
    [
        {"feature": "sex"},
        {"feature": "sex", "levels": {"male": 1}, "per_unit": 1},
        {"levels": {"male": 1}},
        {"feature": "sex", "all": [{"feature": "sex", "level": "male"}]},
        {"all": [{"feature": "sex"}]},
        {"all": [{"feature": "age_years", "at_least": 1, "below": 2}]},
        {"feature": "sex", "levels": {"male": 1}, "points": 3},
    ],
)
def test_an_item_that_says_too_little_or_too_much_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Item.model_validate(wrong)
