"""Listed leisure activities: times, minutes and METs of 30 days come to MET-minutes of a week."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.features.compute import from_nhanes
from mgrisk.features.leisure_list import listed_by_level
from mgrisk.features.registry import features
from mgrisk.features.summary import gather
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

NAN = float("nan")
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
