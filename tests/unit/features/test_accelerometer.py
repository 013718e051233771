"""Accelerometer: only whole days that were worn count, and a person is the mean of them."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from mgrisk.features.accelerometer import accelerometer
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import features
from mgrisk.features.summary import CycleTables, gather
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

NAMES = ["mims_per_day", "accelerometer_days", "wake_wear_min_day", "not_worn_min_day"]
NAN = float("nan")


def summarised(*days: tuple[int, float, float, float, float]) -> pd.DataFrame:
    """Summarise days of SEQN, minutes with data, MIMS units, minutes awake and minutes not worn."""
    table = pd.DataFrame(days, columns=["SEQN", "PAXTMD", "PAXMTSD", "PAXWWMD", "PAXNWMD"])
    people = pd.DataFrame({"SEQN": [1, 2, 3]})
    return accelerometer(CycleTables(cycle("2011-2012"), people, {"PAXDAY": table}, {}))[NAMES]


def test_first_and_last_day_and_days_that_were_not_worn_do_not_count() -> None:
    found = summarised(
        (1, 700, 5000, 300, 0),
        (1, 1440, 12000, 900, 0),
        (1, 1440, 16000, 1000, 71),
        (1, 1440, 1000, 100, 72),
        (1, 500, 3000, 200, 0),
    )
    np.testing.assert_array_equal(found.loc[1], [14000, 2, 950, 35.5])


def test_who_wore_it_on_no_valid_day_has_zero_days_and_no_means_and_who_never_wore_it_is_not_there() -> None:
    found = summarised((1, 1440, 12000, 900, 0), (2, 1440, 500, 60, 1300))
    np.testing.assert_array_equal(found.loc[2], [NAN, 0, NAN, NAN])
    assert 3 not in found.index


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path_factory.mktemp("cache"), offline=True)
    cycles = [cycle("2011-2012"), cycle("2013-2014"), cycle("2015-2016")]
    chosen = features(NAMES)
    raw = gather(store, cycles=cycles, chosen=chosen, names=["RIDAGEYR", "RIAGENDR", "WTMEC2YR"]).frame
    return pd.concat([raw[["cycle", "RIDAGEYR", "RIAGENDR", "WTMEC2YR"]], from_nhanes(raw, chosen)], axis=1)


@pytest.mark.nhanes
def test_people_of_two_cycles_have_it_and_most_wore_it_for_the_whole_week(worn: pd.DataFrame) -> None:
    # CDC's counts of PAXDAY_G and PAXDAY_H: 6,917 and 7,776 first days of wear.
    assert worn.groupby("cycle")["accelerometer_days"].count().to_dict() == {
        "2011-2012": 6917, "2013-2014": 7776, "2015-2016": 0,
    }  # fmt: skip
    # Belcher 2021 has 14,705 people with those of the youth survey of 2012 (about 1,500), which mgrisk does not read.
    assert worn["mims_per_day"].count() == 13619
    assert worn["accelerometer_days"].max() == 7
    assert (worn["wake_wear_min_day"].dropna() <= 1440).all()
    assert (worn["not_worn_min_day"].dropna() < 72).all()


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("ages", "sex", "median"),
    [((5, 7), 1, 20613), ((5, 7), 2, 20706), ((80, 80), 1, 8799), ((80, 80), 2, 9503)],
    ids=["boys around 6", "girls around 6", "men of 80", "women of 80"],
)
def test_medians_are_near_the_published_smoothed_ones(
    worn: pd.DataFrame, ages: tuple[int, int], sex: int, median: float
) -> None:
    # Belcher 2021, doi 10.1249/MSS.0000000000002726: GAMLSS curves, at their highest and lowest age.
    part = worn[worn["RIDAGEYR"].between(*ages) & (worn["RIAGENDR"] == sex) & worn["mims_per_day"].notna()]
    part = part.sort_values("mims_per_day")
    half = part["WTMEC2YR"].cumsum().searchsorted(part["WTMEC2YR"].sum() / 2)
    assert part["mims_per_day"].iloc[half] == pytest.approx(median, rel=0.06)
