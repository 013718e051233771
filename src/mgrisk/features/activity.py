"""Self-reported physical activity at work, for transport and in leisure time.

NHANES used three questionnaires: up to 2006 the past 30 days, with single leisure activities (PAQIAF); from 2007 a
typical week (Global Physical Activity Questionnaire, GPAQ); from 2021 leisure only, by frequency. Each person answered
one of them; the columns of the others are missing. Weekly minutes and MET-minutes of leisure are summed over the single
activities (`leisure_list`) or computed from the questionnaire.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mgrisk.features.summary import CycleTables, Summary
from mgrisk.nhanes.codebook import KEY

# WHO GPAQ analysis guide: more than 16 hours a day in one domain is invalid.
MOST_MINUTES_A_DAY = 960.0
DAYS_IN_WEEK = 7.0
DAYS_RECALLED = 30.0  # PAQ and PAQIAF of 1999-2006: "over the past 30 days"
DAYS_IN_YEAR = 365.25
# WHO GPAQ analysis guide, also used by CDC (appendix 1 of PAQ_E and later).
MET_MODERATE = 4.0
MET_VIGOROUS = 8.0
# 150 minutes a week of moderate activity, 75 of vigorous, or an equivalent combination.
GUIDELINE_MINUTES = 150.0
YES, NO, UNABLE = 1.0, 2.0, 3.0


@dataclass(frozen=True)
class _Domain:
    asked: str
    days: str
    minutes: str
    met: float


VIGOROUS_WORK = _Domain("PAQ605", "PAQ610", "PAD615", MET_VIGOROUS)
MODERATE_WORK = _Domain("PAQ620", "PAQ625", "PAD630", MET_MODERATE)
TRANSPORT = _Domain("PAQ635", "PAQ640", "PAD645", MET_MODERATE)
VIGOROUS_LEISURE = _Domain("PAQ650", "PAQ655", "PAD660", MET_VIGOROUS)
MODERATE_LEISURE = _Domain("PAQ665", "PAQ670", "PAD675", MET_MODERATE)
DOMAINS = (VIGOROUS_WORK, MODERATE_WORK, TRANSPORT, VIGOROUS_LEISURE, MODERATE_LEISURE)

# Days per week for one time per unit of PAQ050U (day, week, 30 days).
DAYS_BY_CODE = {1.0: DAYS_IN_WEEK, 2.0: 1.0, 3.0: DAYS_IN_WEEK / DAYS_RECALLED}
# Times per week for one time per unit of PAD790U and PAD810U.
TIMES_BY_LETTER = {
    "D": DAYS_IN_WEEK,
    "W": 1.0,
    "M": 12 * DAYS_IN_WEEK / DAYS_IN_YEAR,
    "Y": DAYS_IN_WEEK / DAYS_IN_YEAR,
}


def activity_met_min_week(raw: pd.DataFrame) -> pd.Series:
    """Return MET-minutes a week over all domains; a domain not done is zero, one without an answer is missing."""
    return _met_minutes(raw, *DOMAINS)


def work_met_min_week(raw: pd.DataFrame) -> pd.Series:
    """Return MET-minutes a week of paid and unpaid work, including chores."""
    return _met_minutes(raw, VIGOROUS_WORK, MODERATE_WORK)


def transport_met_min_week(raw: pd.DataFrame) -> pd.Series:
    """Return MET-minutes a week of walking and cycling for transport; zero for people unable to do it."""
    typical = _met_minutes(raw, TRANSPORT)
    return typical.where(typical.notna(), _recalled_transport(raw))


def leisure_minutes(raw: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return minutes a week of moderate and of vigorous leisure activity, from the questions from 2007 on.

    Parameters
    ----------
    raw
        Harmonised variables of GPAQ leisure (PAQ650 to PAD675) and of PAQ_L (PAD790Q to PAD820).
    """
    moderate, vigorous = _typical_week(raw, MODERATE_LEISURE), _typical_week(raw, VIGOROUS_LEISURE)
    return (
        moderate.where(moderate.notna(), _by_frequency(raw, times="PAD790Q", unit="PAD790U", minutes="PAD800")),
        vigorous.where(vigorous.notna(), _by_frequency(raw, times="PAD810Q", unit="PAD810U", minutes="PAD820")),
    )


def derive_meets_guidelines(given: pd.DataFrame) -> pd.Series:
    """Return whether leisure activity has at least the MET-minutes of 150 minutes of moderate activity a week."""
    return guideline(given["leisure_met_min_week"] / MET_MODERATE, 0.0)


def guideline(moderate: pd.Series, vigorous: pd.Series | float) -> pd.Series:
    """Return whether the aerobic guideline is met, "yes" or "no"; missing if minutes a week are.

    Examples
    --------
    >>> guideline(pd.Series([150.0, 100.0, 0.0]), pd.Series([0.0, 20.0, 75.0])).tolist()
    ['yes', 'no', 'yes']
    """
    minutes = moderate + 2 * vigorous
    answer = np.where(minutes >= GUIDELINE_MINUTES, "yes", "no")
    return pd.Series(answer, index=minutes.index, dtype=object).where(minutes.notna(), None)


def leisure_activity(raw: pd.DataFrame) -> pd.Series:
    """Return whether any moderate or vigorous leisure activity is done; no for people unable to do it."""
    vigorous, moderate = _does(raw, "PAQ650", "PAD200", "PAD810Q"), _does(raw, "PAQ665", "PAD320", "PAD790Q")
    any_yes = (vigorous == YES) | (moderate == YES)
    both_no = (vigorous == NO) & (moderate == NO)
    return pd.Series(np.select([any_yes, both_no], ["yes", "no"], default=""), index=raw.index).replace("", None)


def _met_minutes(raw: pd.DataFrame, *domains: _Domain) -> pd.Series:
    total = pd.Series(0.0, index=raw.index)
    for domain in domains:
        total = total + _typical_week(raw, domain) * domain.met
    return total


def _typical_week(raw: pd.DataFrame, domain: _Domain) -> pd.Series:
    """Return minutes a week of a GPAQ domain."""
    minutes = raw[domain.minutes].where(raw[domain.minutes] <= MOST_MINUTES_A_DAY)
    asked, amount = raw[domain.asked], raw[domain.days] * minutes
    return pd.Series(np.select([asked == YES, asked == NO], [amount, 0.0], default=np.nan), index=raw.index)


def _by_frequency(raw: pd.DataFrame, *, times: str, unit: str, minutes: str) -> pd.Series:
    """Return minutes a week from times per day, week, month or year; a frequency of 0 has no unit."""
    weekly = raw[times] * raw[unit].map(TIMES_BY_LETTER).astype("float64") * raw[minutes]
    weekly = weekly.where(weekly <= MOST_MINUTES_A_DAY * DAYS_IN_WEEK)
    return weekly.mask(raw[times] == 0, 0.0)


def _recalled_transport(raw: pd.DataFrame) -> pd.Series:
    """Return MET-minutes a week of walking and cycling for transport over the past 30 days, 1999-2006."""
    # PAD080 is the time per day, so that several times on one day count as one day.
    days = (raw["PAQ050Q"] * raw["PAQ050U"].map(DAYS_BY_CODE)).clip(upper=DAYS_IN_WEEK)
    asked, amount = raw["PAD020"], days * raw["PAD080"] * MET_MODERATE
    values = np.select([asked == YES, asked.isin([NO, UNABLE])], [amount, 0.0], default=np.nan)
    return pd.Series(values, index=raw.index)


def _does(raw: pd.DataFrame, typical: str, recalled: str, times: str) -> pd.Series:
    """Return YES, NO or missing, from the one of the three questions that was asked."""
    done = raw[typical].where(raw[typical].notna(), raw[recalled].replace(UNABLE, NO))
    often = raw[times].where(raw[times].isna(), np.where(raw[times] > 0, YES, NO))
    return done.where(done.notna(), often)


MODERATE, VIGOROUS = 1.0, 2.0  # PADLEVEL
# Whether any activity of a level was done, and the level of the activities listed under it.
ASKED = {"PAD320": MODERATE, "PAD200": VIGOROUS}


def listed_by_level(people: pd.DataFrame, listed: pd.DataFrame) -> pd.DataFrame:
    """Return minutes and MET-minutes a week of moderate and of vigorous leisure activity.

    Parameters
    ----------
    people
        SEQN, PAD320 and PAD200, one row for each person.
    listed
        PAQIAF: SEQN, PADLEVEL, PADTIMES, PADDURAT (minutes) and PADMETS, one row for each activity.

    Returns
    -------
    pandas.DataFrame
        Indexed by SEQN: ``moderate_min``, ``vigorous_min``, ``moderate_met_min``, ``vigorous_met_min``. Zero if no
        such activity was done or the person is unable to do it; missing if that is unknown, if times or duration of an
        activity are missing, or if the sum is more than 16 hours a day.

    Notes
    -----
    Times x minutes x MET over 30 days, times 7/30. Source: NHANES physical activity tutorial, preparing PAQ data, task
    4 step 2c (PAQMSTR.sas).
    """
    minutes = listed["PADTIMES"] * listed["PADDURAT"] * DAYS_IN_WEEK / DAYS_RECALLED
    amounts = pd.DataFrame({"min": minutes, "met_min": minutes * listed["PADMETS"]})
    columns: dict[str, pd.Series] = {}
    for (question, level), name in zip(ASKED.items(), ("moderate", "vigorous"), strict=True):
        asked = people.set_index(KEY)[question]
        at_level = listed["PADLEVEL"] == level
        # An unknown amount among known ones makes the sum unknown, not smaller.
        sums = amounts[at_level].groupby(listed.loc[at_level, KEY]).sum(skipna=False).reindex(asked.index)
        sums = sums.where(sums["min"] <= MOST_MINUTES_A_DAY * DAYS_IN_WEEK)
        for measure in ("min", "met_min"):
            amount = np.select([asked == YES, asked.isin([NO, UNABLE])], [sums[measure], 0.0], default=np.nan)
            columns[f"{name}_{measure}"] = pd.Series(amount, index=asked.index)
    return pd.DataFrame(columns)


def questionnaire_by_level(people: pd.DataFrame) -> pd.DataFrame:
    """Return the same columns as `listed_by_level` from the questions from 2007 on, with 4 and 8 MET."""
    moderate, vigorous = leisure_minutes(people.set_index(KEY))
    return pd.DataFrame(
        {
            "moderate_min": moderate,
            "moderate_met_min": moderate * MET_MODERATE,
            "vigorous_min": vigorous,
            "vigorous_met_min": vigorous * MET_VIGOROUS,
        }
    )


def leisure_list(tables: CycleTables) -> pd.DataFrame:
    """Return leisure MET-minutes a week and whether the aerobic guideline is met, indexed by SEQN."""
    listed = tables.records.get("PAQIAF")
    found = questionnaire_by_level(tables.people) if listed is None else listed_by_level(tables.people, listed)
    return pd.DataFrame(
        {
            "leisure_met_min_week": found["moderate_met_min"] + found["vigorous_met_min"],
            "meets_guidelines": guideline(found["moderate_min"], found["vigorous_min"]),
        }
    )


SUMMARY = Summary(records=("PAQIAF",), function=leisure_list, partly=True)
