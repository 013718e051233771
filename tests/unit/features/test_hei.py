"""The index gives the points that NCI's macro gives, and each standard means what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.hei import COMPONENTS, ENERGY, TOTAL, Component, hei_2020

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
