"""NHANES participants for scoring, of any cycle: what the cycle lacks is empty."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES
from mgrisk.nhanes.store import Store
from mgrisk.steps.people import write_people

NEVER_BEFORE_2007 = {
    "activity_met_min_week", "leisure_activity", "sedentary_min_day", "gestational_diabetes",
    "magnesium_supplement_mg", "magnesium_total_mg",
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path / "cache", offline=True)


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("cycle", "count", "empty"),
    [
        ("1999-2000", 4444, NEVER_BEFORE_2007 | {"family_history_diabetes", "sleep_hours"}),
        ("2003-2004", 4742, NEVER_BEFORE_2007 | {"family_history_diabetes", "sleep_hours"}),
        ("2005-2006", 4773, NEVER_BEFORE_2007),
        ("2007-2008", 5707, set()),
        ("2017-2020", 8544, set()),
        (
            "2021-2023",
            6064,
            {"activity_met_min_week", "leisure_activity", "gestational_diabetes", "family_history_diabetes"},
        ),
    ],
)
def test_features_that_a_cycle_lacks_are_empty_and_all_others_are_not(
    store: Store, tmp_path: Path, cycle: str, count: int, empty: set[str]
) -> None:
    target = tmp_path / "people.csv"
    assert write_people(store, cycles=[cycle], target=str(target)) == count
    people = pd.read_csv(target)
    assert len(people) == count
    assert set(people["cycle"]) == {cycle}
    assert {name for name in FEATURES if people[name].isna().all()} == empty
    filled = people[[name for name in FEATURES if name not in empty]].notna().mean()
    # Two recalls by telephone, and supplements with them: four of five people in 2021-2023.
    assert (filled > 0.75).all(), filled.to_dict()
    assert people["age_years"].between(20, 80).all()


@pytest.mark.parametrize(
    ("cycles", "code"),
    [(["2017-2018", "2017-2020"], "cycles.overlap"), (["2017-2018", "2017-2018"], "people.cycle_twice")],
)
def test_people_are_written_once(tmp_path: Path, cycles: list[str], code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        write_people(Store(source=str(tmp_path), cache=tmp_path), cycles=cycles, target=str(tmp_path / "people.csv"))
    assert (refused.value.code, refused.value.status) == (code, ExitStatus.USAGE)
    assert not (tmp_path / "people.csv").exists()
