"""Activity in MET-minutes: zero, "does not do it", unable to and no answer are distinguished in each questionnaire.

Listed leisure activities: times, minutes and METs of 30 days give MET-minutes a week.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features import activity
from mgrisk.features.activity import DOMAINS, listed_by_level, questionnaire_by_level
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import features
from mgrisk.features.summary import gather
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

NAN = float("nan")
# WHO GPAQ analysis guide: vigorous 8, moderate 4, transport 4.
MET = {"PAQ605": 8, "PAQ620": 4, "PAQ635": 4, "PAQ650": 8, "PAQ665": 4}
GPAQ = [name for domain in DOMAINS for name in (domain.asked, domain.days, domain.minutes)]
RECALLED = ["PAD020", "PAQ050Q", "PAQ050U", "PAD080", "PAD200", "PAD320"]
FREQUENCY = ["PAD790Q", "PAD790U", "PAD800", "PAD810Q", "PAD810U", "PAD820"]


def unasked(**answers: float | str) -> pd.DataFrame:
    """Answer only what is given; all other questions were not asked."""
    row: dict[str, float | str | None] = dict.fromkeys([*GPAQ, *RECALLED, *FREQUENCY], NAN)
    row |= {"PAD790U": None, "PAD810U": None}
    return pd.DataFrame([row | answers])


def person(**answers: float) -> pd.DataFrame:
    """Answer no to everything of GPAQ but what is given."""
    return unasked(**({domain.asked: 2.0 for domain in DOMAINS} | answers))


def leisure_met_min_week(raw: pd.DataFrame) -> pd.Series:
    found = questionnaire_by_level(raw.assign(SEQN=range(len(raw))))
    return found["moderate_met_min"] + found["vigorous_met_min"]


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
def test_the_sum_over_domains_is_the_sum_of_work_transport_and_leisure(answers: list[tuple[bool, int, int]]) -> None:
    raw = person(
        **{
            name: value
            for domain, (does, days, minutes) in zip(DOMAINS, answers, strict=True)
            if does
            for name, value in ((domain.asked, 1), (domain.days, days), (domain.minutes, minutes))
        }
    )
    parts = (activity.work_met_min_week, activity.transport_met_min_week, leisure_met_min_week)
    assert activity.activity_met_min_week(raw).iloc[0] == sum(part(raw).iloc[0] for part in parts)


@pytest.mark.parametrize(
    ("often", "unit", "days"),
    [(1, 1, 7), (4, 1, 7), (3, 2, 3), (20, 2, 7), (30, 3, 7), (6, 3, 1.4)],
    ids=["daily", "four times a day", "three a week", "twenty a week", "thirty a month", "six a month"],
)
def test_recalled_transport_counts_days_because_its_minutes_are_of_a_whole_day(
    often: float, unit: float, days: float
) -> None:
    raw = unasked(PAD020=1, PAQ050Q=often, PAQ050U=unit, PAD080=30)
    assert activity.transport_met_min_week(raw).iloc[0] == pytest.approx(days * 30 * 4)


def test_who_did_not_walk_or_is_unable_to_has_zero_and_who_does_not_say_has_none() -> None:
    raw = pd.concat([unasked(PAD020=2), unasked(PAD020=3), unasked(), unasked(PAD020=1, PAQ050Q=1, PAQ050U=1)])
    np.testing.assert_array_equal(activity.transport_met_min_week(raw), [0, 0, NAN, NAN])


@pytest.mark.parametrize(
    ("unit", "a_year"), [("D", 365.25), ("W", 365.25 / 7), ("M", 12), ("Y", 1)], ids=["day", "week", "month", "year"]
)
def test_times_a_day_week_month_or_year_come_to_the_same_minutes_in_a_year(unit: str, a_year: float) -> None:
    raw = unasked(PAD790Q=1, PAD790U=unit, PAD800=30, PAD810Q=0)
    moderate, vigorous = activity.leisure_minutes(raw)
    assert moderate.iloc[0] * 365.25 / 7 == pytest.approx(30 * a_year)
    assert vigorous.iloc[0] == 0
    assert leisure_met_min_week(raw).iloc[0] == pytest.approx(4 * moderate.iloc[0])


def test_never_is_zero_and_an_unknown_time_or_more_than_sixteen_hours_a_day_is_missing() -> None:
    known: dict[str, float | str] = {"PAD810Q": 2, "PAD810U": "W", "PAD820": 30}
    raw = pd.concat(
        [
            unasked(PAD790Q=0, **known),
            unasked(PAD790Q=3, PAD790U="W", **known),
            unasked(**known),
            unasked(PAD790Q=60, PAD790U="D", PAD800=60, **known),
        ]
    )
    np.testing.assert_array_equal(leisure_met_min_week(raw), [480, NAN, NAN, NAN])


def test_seventy_five_vigorous_minutes_are_as_good_as_one_hundred_and_fifty_moderate_ones() -> None:
    raw = pd.concat(
        [
            person(PAQ665=1, PAQ670=5, PAD675=30),
            person(PAQ665=1, PAQ670=5, PAD675=29),
            person(PAQ650=1, PAQ655=3, PAD660=25),
            person(PAQ650=1, PAQ655=1, PAD660=25, PAQ665=1, PAQ670=5, PAD675=20),
            person(PAQ605=1, PAQ610=5, PAD615=60),
            person(PAQ650=NAN),
        ]
    )
    expected = ["yes", "no", "yes", "yes", "no", None]
    assert activity.guideline(*activity.leisure_minutes(raw)).tolist() == expected
    given_frame = pd.DataFrame({"leisure_met_min_week": leisure_met_min_week(raw)})
    assert activity.derive_meets_guidelines(given_frame).tolist() == expected


def test_leisure_activity_is_yes_if_either_is_no_if_neither_is_and_missing_if_unknown() -> None:
    raw = pd.concat(
        unasked(PAQ650=vigorous, PAQ665=moderate)
        for vigorous, moderate in zip([1, 2, 1, 2, 2, NAN, 1], [2, 1, 1, 2, NAN, NAN, NAN], strict=True)
    )
    values = activity.leisure_activity(raw)
    assert [None if pd.isna(value) else value for value in values] == ["yes", "yes", "yes", "no", None, None, "yes"]


@pytest.mark.parametrize(
    ("answers", "does"),
    [
        ({"PAD200": 1, "PAD320": 2}, "yes"),
        ({"PAD200": 3, "PAD320": 2}, "no"),
        ({"PAD200": 2}, None),
        ({"PAD790Q": 1, "PAD810Q": 0}, "yes"),
        ({"PAD790Q": 0, "PAD810Q": 0}, "no"),
        ({"PAD790Q": 0}, None),
    ],
)
def test_leisure_activity_of_other_years_follows_what_they_asked(answers: dict[str, float], does: str | None) -> None:
    (value,) = activity.leisure_activity(unasked(**answers))
    assert (None if pd.isna(value) else value) == does


def weighted(store: Store, years: list[str], names: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return features of adults of 18 and older, and the interview weights."""
    chosen = features(names)
    wanted = ["RIDAGEYR", "WTINT2YR"]
    frame = gather(store, cycles=[cycle(each) for each in years], chosen=chosen, names=wanted).frame
    frame = frame[frame["RIDAGEYR"] >= 18]
    return from_nhanes(frame, chosen), frame["WTINT2YR"].to_numpy()


def share(found: pd.Series, weight: np.ndarray) -> float:
    """Return the weighted percentage of True among those known."""
    known = found.notna().to_numpy()
    return float(100 * np.average(found[known].astype(float), weights=weight[known]))


@pytest.fixture
def mirror(tmp_path: Path) -> Store:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)


@pytest.mark.nhanes
def test_adults_who_meet_the_guideline_in_leisure_time_are_as_many_as_published(mirror: Store) -> None:
    # Whitfield 2020, Prev Chronic Dis, doi 10.5888/pcd17.200137: 38.6 %, NHANES 2011-2016, 18 years and older.
    found, weight = weighted(mirror, ["2011-2012", "2013-2014", "2015-2016"], ["meets_guidelines"])
    meets = found["meets_guidelines"].map({"yes": 1.0, "no": 0.0})
    assert share(meets, weight) == pytest.approx(38.6, abs=0.7)


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("years", "meets", "hours"), [("2007-2008", 63.2, 5.7), ("2015-2016", 65.2, 6.4)], ids=["2007", "2015"]
)
def test_all_domains_and_sitting_are_as_published(mirror: Store, years: str, meets: float, hours: float) -> None:
    # Du 2019, JAMA Netw Open, doi 10.1001/jamanetworkopen.2019.7597: 18 years and older, complete in more than these.
    found, weight = weighted(mirror, [years], ["activity_met_min_week", "sedentary_min_day"])
    total, sitting = found["activity_met_min_week"], found["sedentary_min_day"]
    assert share((total >= 600).where(total.notna()), weight) == pytest.approx(meets, abs=1.0)
    known = sitting.notna().to_numpy()
    assert np.average(sitting[known] / 60, weights=weight[known]) == pytest.approx(hours, abs=0.2)


@pytest.mark.nhanes
def test_adults_without_leisure_activity_before_2007_are_nearly_as_many_as_published(mirror: Store) -> None:
    # PMC4487906, table 2: 37.5 % (36.0 to 39.1) list none, NHANES 1999-2006; yard work is not in its list.
    years = ["1999-2000", "2001-2002", "2003-2004", "2005-2006"]
    found, weight = weighted(mirror, years, ["leisure_activity"])
    none = found["leisure_activity"].map({"yes": 0.0, "no": 1.0})
    assert share(none, weight) == pytest.approx(37.5, abs=2.0)


MODERATE, VIGOROUS = 1.0, 2.0


def people(*rows: tuple[int, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["SEQN", "PAD320", "PAD200"])


def listed(*rows: tuple[int, float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["SEQN", "PADLEVEL", "PADTIMES", "PADDURAT", "PADMETS"])


def test_times_minutes_and_mets_of_thirty_days_are_added_up_by_level_and_taken_to_a_week() -> None:
    rows = listed(
        (1, MODERATE, 15, 20, 3.5), (1, MODERATE, 30, 10, 5), (1, VIGOROUS, 6, 50, 8), (2, MODERATE, 3, 10, 4)
    )
    found = listed_by_level(people((1, 1, 1), (2, 1, 2)), rows)
    np.testing.assert_allclose(
        found.loc[1, ["moderate_min", "vigorous_min", "moderate_met_min", "vigorous_met_min"]].to_numpy(float),
        [140, 70, 70 * 3.5 + 70 * 5, 560],
    )
    np.testing.assert_allclose(found.loc[2].to_numpy(float), [7, 28, 0, 0])


@pytest.mark.parametrize("answer", [2.0, 3.0], ids=["does none", "unable to"])
def test_who_does_none_or_is_unable_to_has_zero(answer: float) -> None:
    assert (listed_by_level(people((1, answer, answer)), listed()) == 0).all(axis=None)


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ((1, NAN, 2), []),
        ((1, 1, 2), []),
        ((1, 1, 2), [(1, MODERATE, 5, 30, 4), (1, MODERATE, NAN, 30, 4)]),
        ((1, 1, 2), [(1, MODERATE, 60, 600, 4)]),
    ],
    ids=["did not say whether", "did some and listed none", "times of one not known", "more than 16 hours a day"],
)
def test_what_is_not_known_of_a_level_is_missing_and_not_zero(
    asked: tuple[int, float, float], rows: list[tuple[int, float, float, float, float]]
) -> None:
    found = listed_by_level(people(asked), listed(*rows))
    assert found[["moderate_min", "moderate_met_min"]].isna().all(axis=None)
    assert (found["vigorous_min"] == 0).all()


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("years", "known", "mean"),
    [
        ("1999-2000", 4868, 984.4),
        ("2001-2002", 5394, 1163),
        ("2003-2004", 5032, 945.4),
        ("2005-2006", 4974, 1102),
        ("2007-2008", 5925, 801),
        ("2017-2018", 5560, 907.5),
        ("2021-2023", 7697, 1517),
    ],
)
def test_nearly_every_adult_asked_in_whichever_way_has_a_value(
    years: str, known: int, mean: float, tmp_path: Path
) -> None:
    """Counts and means of 20 years and older are of this module itself: a change of them is to be looked at."""
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    chosen = features(["leisure_met_min_week", "leisure_activity"])
    raw = gather(store, cycles=[cycle(years)], chosen=chosen, names=["RIDAGEYR", "WTINT2YR"]).frame
    adult = raw["RIDAGEYR"] >= 20
    found = from_nhanes(raw, chosen)[adult]
    amount, weight = found["leisure_met_min_week"], raw.loc[adult, "WTINT2YR"]
    there = amount.notna()
    assert there.sum() == known
    assert np.average(amount[there], weights=weight[there]) == pytest.approx(mean, rel=1e-3)
    # Who says no lists nothing, who says yes lists something; GPAQ and PAQ_L know yes with zero minutes.
    if cycle(years).first < 2007:
        assert ((amount > 0) == (found["leisure_activity"] == "yes"))[there].all()
