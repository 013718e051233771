"""Activity in MET-minutes: zero, "does not do it" and no answer are three things."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features import activity
from mgrisk.features.activity import DOMAINS

NAN = float("nan")
# WHO GPAQ analysis guide: vigorous 8, moderate 4, transport 4.
MET = {"PAQ605": 8, "PAQ620": 4, "PAQ635": 4, "PAQ650": 8, "PAQ665": 4}


def person(**answers: float) -> pd.DataFrame:
    """Answer no to everything but what is given."""
    row = {name: NAN for domain in DOMAINS for name in (domain.days, domain.minutes)}
    row |= {domain.asked: 2.0 for domain in DOMAINS}
    return pd.DataFrame([row | answers])


def met_minutes(**answers: float) -> float:
    return float(activity.activity_met_min_week(person(**answers)).iloc[0])


def test_who_does_nothing_has_exactly_zero() -> None:
    assert met_minutes() == 0.0


def test_zero_minutes_is_read_as_exact_zero() -> None:
    assert met_minutes(PAQ605=1, PAQ610=3, PAD615=0) == 0.0


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.asked)
def test_a_domain_counts_days_times_minutes_times_its_met(domain: activity._Domain) -> None:
    answers = {domain.asked: 1, domain.days: 3, domain.minutes: 20}
    assert met_minutes(**answers) == 60 * MET[domain.asked]


@pytest.mark.parametrize(
    "answers",
    [
        {"PAQ605": NAN},
        {"PAQ605": 1, "PAQ610": NAN, "PAD615": 30},
        {"PAQ605": 1, "PAQ610": 2, "PAD615": NAN},
    ],
    ids=["not said whether", "not said on how many days", "not said for how long"],
)
def test_one_domain_without_an_answer_makes_the_sum_missing_and_not_smaller(answers: dict[str, float]) -> None:
    assert np.isnan(met_minutes(**answers, PAQ650=1, PAQ655=1, PAD660=60))


def test_sixteen_hours_a_day_is_the_most_that_counts_as_an_answer() -> None:
    assert met_minutes(PAQ620=1, PAQ625=7, PAD630=960) == 7 * 960 * 4
    assert np.isnan(met_minutes(PAQ620=1, PAQ625=7, PAD630=961))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 7), st.integers(0, 960)), min_size=5, max_size=5))
def test_the_sum_over_domains_is_the_sum_of_the_domains_alone(answers: list[tuple[bool, int, int]]) -> None:
    alone = [
        {domain.asked: 1, domain.days: days, domain.minutes: minutes} if does else {domain.asked: 2}
        for domain, (does, days, minutes) in zip(DOMAINS, answers, strict=True)
    ]
    together = {name: value for part in alone for name, value in part.items()}
    assert met_minutes(**together) == sum(met_minutes(**part) for part in alone)


def test_leisure_activity_is_yes_if_either_is_no_if_neither_is_and_missing_if_unknown() -> None:
    raw = pd.DataFrame({"PAQ650": [1.0, 2.0, 1.0, 2.0, 2.0, NAN, 1.0], "PAQ665": [2.0, 1.0, 1.0, 2.0, NAN, NAN, NAN]})
    values = activity.leisure_activity(raw)
    assert [None if pd.isna(value) else value for value in values] == ["yes", "yes", "yes", "no", None, None, "yes"]


def test_sitting_is_taken_as_said() -> None:
    np.testing.assert_array_equal(
        activity.sedentary_min_day(pd.DataFrame({"PAD680": [0.0, NAN, 600.0]})), [0, NAN, 600]
    )
