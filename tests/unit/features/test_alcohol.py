"""Drinks a day: never and not this year are 0, unknown is missing, and both questionnaires mean the same."""

from __future__ import annotations

import pandas as pd
import pytest

from mgrisk.features.alcohol import FREQUENCIES, derive_heavy_drinking, drinks_per_day
from mgrisk.features.registry import FEATURES

NAN = float("nan")


def drinks(**answers: float) -> float:
    return float(
        drinks_per_day(pd.DataFrame([dict.fromkeys(FEATURES["drinks_per_day"].sources, NAN) | answers])).iloc[0]
    )


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"ALQ120Q": 3.0, "ALQ120U": 1.0, "ALQ130_FROM_2005": 2.0}, 3 * 52 * 2 / 365),
        ({"ALQ120Q": 2.0, "ALQ120U": 2.0, "ALQ130_TO_2004": 5.0}, 2 * 12 * 5 / 365),
        ({"ALQ120Q": 10.0, "ALQ120U": 3.0, "ALQ130_FROM_2005": 1.0}, 10 / 365),
        ({"ALQ110": 1.0, "ALQ120Q": 365.0, "ALQ120U": 3.0, "ALQ130_FROM_2005": 83.0}, 83.0),
        ({"ALQ111": 1.0, "ALQ121": 1.0, "ALQ130_FROM_2005": 2.0}, 2.0),
        ({"ALQ111": 1.0, "ALQ121": 10.0, "ALQ130_FROM_2005": 1.0}, 1.5 / 365),
    ],
)
def test_how_often_times_how_many(answers: dict[str, float], expected: float) -> None:
    assert drinks(**answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    "answers",
    [
        {"ALQ110": 2.0},
        {"ALQ110": 1.0, "ALQ120Q": 0.0},
        {"ALQ120Q": 0.0},
        {"ALQ111": 2.0},
        {"ALQ111": 1.0, "ALQ121": 0.0},
    ],
)
def test_who_never_drank_or_not_this_year_has_none(answers: dict[str, float]) -> None:
    assert drinks(**answers) == 0


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"ALQ110": 1.0},
        {"ALQ120Q": 3.0, "ALQ120U": 1.0},
        {"ALQ120Q": 3.0, "ALQ130_FROM_2005": 2.0},
        {"ALQ111": 1.0, "ALQ130_FROM_2005": 2.0},
        {"ALQ111": 1.0, "ALQ121": 5.0},
    ],
)
def test_who_did_not_say_how_often_or_how_many_is_missing(answers: dict[str, float]) -> None:
    assert pd.isna(drinks(**answers))


def test_each_answer_how_often_is_fewer_days_than_the_one_before_it() -> None:
    drinking = [FREQUENCIES[float(code)] for code in range(1, 11)]
    assert drinking == sorted(drinking, reverse=True)
    assert FREQUENCIES[0.0] == 0


def test_heavy_is_above_one_drink_for_women_and_two_for_men_and_missing_where_either_is() -> None:
    given = pd.DataFrame(
        {
            "drinks_per_day": [1.0, 1.01, 2.0, 2.01, NAN, 5.0],
            "sex": pd.Categorical(["female", "female", "male", "male", "male", None]),
        }
    )
    assert derive_heavy_drinking(given).where(lambda found: found.notna(), None).tolist() == [
        "no",
        "yes",
        "no",
        "yes",
        None,
        None,
    ]
