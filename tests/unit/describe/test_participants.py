"""NHANES participants of any cycle for scoring; inputs that the cycle lacks are empty."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.describe.participants import write_people
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.store import Store

YEARS = [cycle.years for cycle in CYCLES]
CORE = [
    "age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2", "waist_cm", "magnesium_food_mg", "magnesium_total_mg",
    "energy_kcal", "fiber_g", "leisure_activity", "activity_met_min_week", "sedentary_min_day", "sleep_hours",
    "smoking", "family_history_diabetes", "hypertension_told", "education", "systolic_mmhg",
    "upper_leg_length_cm", "pulse_bpm",
]  # fmt: skip

# The mirror holds no FSQ, and nobody has given it food patterns.
NOT_HERE = {"food_security", "healthy_eating_index"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path / "cache", offline=True)


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("cycle", "count"),
    [
        ("1999-2000", 4444), ("2003-2004", 4742), ("2005-2006", 4773), ("2007-2008", 5707), ("2017-2020", 8544),
        ("2021-2023", 6064),
    ],
)  # fmt: skip
def test_features_that_a_cycle_lacks_are_empty_and_all_others_are_not(
    store: Store, tmp_path: Path, cycle: str, count: int
) -> None:
    target = tmp_path / "people.csv"
    assert write_people(store, cycles=[cycle], target=str(target)) == count
    people = pd.read_csv(target, low_memory=False)
    assert len(people) == count
    assert set(people["cycle"]) == {cycle}
    place = YEARS.index(cycle)
    written = [FEATURES[name] for name in people.columns if name in FEATURES]
    lacking = {
        each.name
        for each in written
        if not YEARS.index(each.comparable[0]) <= place <= YEARS.index(each.comparable[1]) or cycle in each.gaps
    }
    assert {each.name for each in written if people[each.name].isna().all()} == lacking | NOT_HERE
    core = [name for name in CORE if name not in lacking]
    # Two recalls by telephone, and supplements with them: four of five people in 2021-2023.
    filled = people[core].notna().mean()
    assert (filled > 0.75).all(), filled.to_dict()
    assert people["age_years"].between(20, 80).all()


@pytest.mark.nhanes
def test_markers_and_what_needs_the_model_of_a_bundle_are_not_written(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "people.csv"
    write_people(store, cycles=["2017-2018"], target=str(target))
    columns = set(pd.read_csv(target, nrows=1).columns)
    assert columns.isdisjoint({"glucose_mg_dl", "statin_use", "usual_magnesium_mg", "magnesium_below_ear"})
    assert {"person_id", "cycle", "data", "magnesium_food_day_1_mg"} <= columns


@pytest.mark.parametrize(
    ("cycles", "code"),
    [(["2017-2018", "2017-2020"], "cycles.overlap"), (["2017-2018", "2017-2018"], "people.cycle_twice")],
)
def test_people_are_written_once(tmp_path: Path, cycles: list[str], code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        write_people(Store(source=str(tmp_path), cache=tmp_path), cycles=cycles, target=str(tmp_path / "people.csv"))
    assert (refused.value.code, refused.value.status) == (code, ExitStatus.USAGE)
    assert not (tmp_path / "people.csv").exists()
