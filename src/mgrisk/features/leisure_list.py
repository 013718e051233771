"""Leisure activity in minutes and MET-minutes a week: listed one by one to 2006 (PAQIAF), told in sum from 2007."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.features.activity import (
    DAYS_IN_WEEK,
    DAYS_RECALLED,
    MET_MODERATE,
    MET_VIGOROUS,
    MOST_MINUTES_A_DAY,
    NO,
    UNABLE,
    YES,
    guideline,
    leisure_minutes,
)
from mgrisk.features.summary import CycleTables, Summary
from mgrisk.nhanes.codebook import KEY

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
        Indexed by SEQN: ``moderate_min``, ``vigorous_min``, ``moderate_met_min``, ``vigorous_met_min``. Zero where no
        such activity was done or the person is unable to; missing where that is not known, where times or duration of
        an activity are, and where a level comes to more than 16 hours a day.

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


def told_by_level(people: pd.DataFrame) -> pd.DataFrame:
    """Return what `listed_by_level` does for people asked from 2007 on, at 4 and 8 MET."""
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
    """Return MET-minutes a week and whether minutes meet the aerobic guideline, indexed by SEQN."""
    listed = tables.records.get("PAQIAF")
    found = told_by_level(tables.people) if listed is None else listed_by_level(tables.people, listed)
    return pd.DataFrame(
        {
            "leisure_met_min_week": found["moderate_met_min"] + found["vigorous_met_min"],
            "meets_guidelines": guideline(found["moderate_min"], found["vigorous_min"]),
        }
    )


SUMMARY = Summary(records=("PAQIAF",), function=leisure_list, partly=True)
