"""Physical activity by the Global Physical Activity Questionnaire, asked alike from 2007 to 2018."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# WHO GPAQ analysis guide: more than 16 hours a day in one domain is not an answer.
MOST_MINUTES_A_DAY = 960.0


@dataclass(frozen=True)
class _Domain:
    asked: str
    days: str
    minutes: str
    met: float


DOMAINS = (
    _Domain("PAQ605", "PAQ610", "PAD615", 8.0),  # vigorous work
    _Domain("PAQ620", "PAQ625", "PAD630", 4.0),  # moderate work
    _Domain("PAQ635", "PAQ640", "PAD645", 4.0),  # walking and cycling to get about
    _Domain("PAQ650", "PAQ655", "PAD660", 8.0),  # vigorous leisure
    _Domain("PAQ665", "PAQ670", "PAD675", 4.0),  # moderate leisure
)


def activity_met_min_week(raw: pd.DataFrame) -> pd.Series:
    """Return MET-minutes a week over all domains; "does not do it" is zero, no answer is missing."""
    total = pd.Series(0.0, index=raw.index)
    for domain in DOMAINS:
        minutes = raw[domain.minutes].where(raw[domain.minutes] <= MOST_MINUTES_A_DAY)
        amount = raw[domain.days] * minutes * domain.met
        total = total + np.select([raw[domain.asked] == 1, raw[domain.asked] == 2], [amount, 0.0], default=np.nan)
    return total


def leisure_activity(raw: pd.DataFrame) -> pd.Series:
    """Return whether any moderate or vigorous leisure activity is done in a usual week."""
    any_yes = (raw["PAQ650"] == 1) | (raw["PAQ665"] == 1)
    both_no = (raw["PAQ650"] == 2) & (raw["PAQ665"] == 2)
    return pd.Series(np.select([any_yes, both_no], ["yes", "no"], default=""), index=raw.index).replace("", None)


def sedentary_min_day(raw: pd.DataFrame) -> pd.Series:
    """Return minutes of sitting on a usual day."""
    return raw["PAD680"]
