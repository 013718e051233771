"""The index gives the points that NCI's macro gives, and each standard means what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.hei import COMPONENTS, ENERGY, NUTRIENTS, PATTERNS, TOTAL, Component, hei_2020
from mgrisk.features.registry import features
from mgrisk.features.summary import gather, pattern_files
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

GOLDEN = Path(__file__).parents[2] / "golden" / "hei.csv"
every_component = pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)


def diet(**amounts: float) -> pd.DataFrame:
    columns = dict.fromkeys((name for component in COMPONENTS for name in component.columns()), 0.0)
    return pd.DataFrame([{**columns, ENERGY: 2000.0, **amounts}])


def with_value(component: Component, value: float) -> pd.DataFrame:
    """A diet of 2,000 kcal in which the component has this value."""
    amount = {"density": 2.0 * value, "energy": 20.0 * value / (component.kcal or 1.0), "ratio": 10.0 * value}
    rest = {component.over: 10.0} if component.over else {}
    return diet(**{component.of[0]: amount[component.kind]}, **rest)


def test_sample_days_have_the_points_that_the_macro_gave_them() -> None:
    known = pd.read_csv(GOLDEN, comment="#")
    found = hei_2020(known)
    assert len(known) == 6
    # The macro's scores are printed to ten digits.
    pd.testing.assert_frame_equal(found, known[found.columns], rtol=0, atol=1e-8, check_dtype=False)


def test_there_are_thirteen_components_and_a_hundred_points() -> None:
    assert len({component.name for component in COMPONENTS}) == 13
    assert sum(component.points for component in COMPONENTS) == 100


@every_component
def test_points_rise_in_proportion_from_none_to_full_and_stay_there(component: Component) -> None:
    step = component.full - component.none
    values = [component.none - 0.1 * step, component.none, component.none + step / 4, component.full]
    values = [value for value in [*values, component.full + 0.1 * step] if value >= 0]
    found = [hei_2020(with_value(component, value))[component.name].item() for value in values]
    wanted = [component.points * min(max((value - component.none) / step, 0.0), 1.0) for value in values]
    assert found == pytest.approx(wanted, abs=1e-9)
    assert {0.0, component.points} <= {round(each, 6) for each in found}


@pytest.mark.parametrize(("saturated", "other", "points"), [(0.0, 0.0, 0.0), (0.0, 5.0, 10.0), (5.0, 0.0, 0.0)])
def test_fat_without_saturated_fat_is_best_and_no_fat_earns_nothing(
    saturated: float, other: float, points: float
) -> None:
    assert hei_2020(diet(SFAT=saturated, MFAT=other))["fatty_acids"].item() == points


def test_nothing_eaten_earns_nothing_though_less_is_better_for_some() -> None:
    fasting = hei_2020(diet(KCAL=0.0))
    assert (fasting == 0).all(axis=None)
    assert hei_2020(diet(KCAL=2000.0))[TOTAL].item() == 40.0


def test_legumes_count_as_vegetables_and_as_protein_foods() -> None:
    found = hei_2020(diet(V_LEGUMES=0.2, PF_LEGUMES=0.8))
    names = ["total_vegetables", "greens_and_beans", "total_protein_foods", "seafood_and_plant_proteins"]
    assert found[names].iloc[0].tolist() == pytest.approx([5 * 0.1 / 1.1, 2.5, 5 * 0.4 / 2.5, 2.5])


def test_what_is_missing_makes_its_component_and_the_total_missing() -> None:
    found = hei_2020(diet(G_WHOLE=np.nan)).iloc[0]
    assert found.index[found.isna()].tolist() == ["whole_grains", TOTAL]
    assert hei_2020(diet(KCAL=np.nan))[TOTAL].isna().all()


def test_a_column_that_is_not_there_and_a_negative_amount_are_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        hei_2020(diet().drop(columns=["D_TOTAL", "SODI"]))
    assert (caught.value.code, caught.value.got) == ("hei.absent", "D_TOTAL, SODI")
    with pytest.raises(MgRiskError) as caught:
        hei_2020(diet(ADD_SUGARS=-1.0))
    assert (caught.value.code, caught.value.got) == ("hei.negative", "ADD_SUGARS")


@pytest.fixture
def days(put: Callable[..., Path], tmp_path: Path) -> pd.DataFrame:
    """Three people with recalls in a mirror and USDA's files: two days, one day, and a day that USDA does not have."""
    known = pd.read_csv(GOLDEN, comment="#")[[*PATTERNS, *NUTRIENTS]].iloc[:4]
    people = {1: [1, 2, 3], 2: [1, 2, 3]}
    amounts = {1: known.iloc[[0, 2, 3]], 2: known.iloc[[1, 0, 0]]}
    status = {1: [1, 1, 1], 2: [1, 5, 5]}
    put("2017-2018", "DEMO", SEQN=[1, 2, 3, 4])
    for day in (1, 2):
        nutrients = {f"DR{day}T{name}": amounts[day][name].tolist() for name in NUTRIENTS}
        put("2017-2018", f"DR{day}TOT", SEQN=people[day], **{f"DR{day}DRSTZ": status[day]}, **nutrients)
        patterns = amounts[day][list(PATTERNS)].add_prefix(f"DR{day}T_").assign(SEQN=people[day])
        patterns[patterns["SEQN"] != 3].to_csv(tmp_path / f"FPED_DR{day}TOT_1718.csv", index=False)
    return known


def test_a_person_is_scored_by_the_mean_of_the_reliable_days(days: pd.DataFrame, store: Store, tmp_path: Path) -> None:
    chosen, new = features(["healthy_eating_index"]), cycle("2017-2018")
    given = replace(store, food_patterns=tmp_path)
    found = gather(given, cycles=[new], chosen=chosen)
    both = hei_2020(days.iloc[[0, 1]].mean().to_frame().T)[TOTAL].item()
    one = hei_2020(days.iloc[[2]])[TOTAL].item()
    # XPT keeps 56 bits, CSV prints 17 digits.
    np.testing.assert_allclose(found.frame["healthy_eating_index"], [both, one, np.nan, np.nan], rtol=1e-9)
    assert {"FPED_DR1TOT_1718", "FPED_DR2TOT_1718"} <= {table.table for table in found.tables}
    assert len(pattern_files(given, [new], chosen)) == 2


@pytest.mark.usefixtures("days")
def test_without_food_pattern_files_there_is_no_score_and_nothing_stops(store: Store) -> None:
    chosen, new = features(["healthy_eating_index"]), cycle("2017-2018")
    without = replace(store, food_patterns=None)
    assert gather(without, cycles=[new], chosen=chosen).frame["healthy_eating_index"].isna().all()
    assert pattern_files(without, [new], chosen) == ()


def test_who_does_not_ask_for_the_score_reads_no_food_patterns(store: Store, tmp_path: Path) -> None:
    given = replace(store, food_patterns=tmp_path / "nowhere")
    assert pattern_files(given, [cycle("2017-2018")], features(["waist_cm"])) == ()
