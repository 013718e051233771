"""Movement by an accelerometer on the wrist, worn day and night for a week, NHANES 2011-2014: means over valid days."""

from __future__ import annotations

import pandas as pd

from mgrisk.features.summary import CycleTables, Summary
from mgrisk.nhanes.codebook import KEY

MINUTES_IN_DAY = 1440.0
# Belcher 2021 (doi 10.1249/MSS.0000000000002726): the first and last day, which are not whole, do not count, nor does a
# day that was not worn for 5 % of its time or more. One valid day is enough.
MOST_NOT_WORN = 0.05 * MINUTES_IN_DAY


def valid_days(days: pd.DataFrame) -> pd.Series:
    """Return whether a day is whole and was worn for more than 95 % of its time.

    Examples
    --------
    >>> valid_days(pd.DataFrame({"PAXTMD": [1440.0, 1440.0, 900.0], "PAXNWMD": [71.0, 72.0, 0.0]})).tolist()
    [True, False, False]
    """
    return (days["PAXTMD"] == MINUTES_IN_DAY) & (days["PAXNWMD"] < MOST_NOT_WORN)


def accelerometer(tables: CycleTables) -> pd.DataFrame:
    """Return means over valid days, indexed by SEQN; weekdays and weekends count alike.

    Who wore the device without a valid day has none of the means and 0 days; who did not wear it has nothing.
    """
    days = tables.records["PAXDAY"]
    valid = days[valid_days(days)]
    means = valid.groupby(KEY)[["PAXMTSD", "PAXWWMD", "PAXNWMD"]].mean()
    means = means.set_axis(["mims_per_day", "wake_wear_min_day", "not_worn_min_day"], axis=1)
    worn = pd.Index(days[KEY].unique(), name=KEY)
    return means.reindex(worn).assign(accelerometer_days=valid.groupby(KEY).size().reindex(worn, fill_value=0))


SUMMARY = Summary(records=("PAXDAY",), function=accelerometer)
