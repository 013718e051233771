"""Names and units that a header announces: converted where declared, refused where somebody would have to guess."""

from __future__ import annotations

import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import FEATURES, features
from mgrisk.score.contract import check
from mgrisk.score.units import Given, check_units, given_columns

INPUTS = features(
    ["age_years", "height_cm", "weight_kg", "bmi_kg_m2", "magnesium_food_mg", "energy_kcal", "sleep_hours"]
)


@pytest.mark.parametrize(
    ("column", "feature", "value", "expected"),
    [
        ("height_in", "height_cm", "70", 177.8),
        ("height_m", "height_cm", "1.78", 178.0),
        ("weight_lb", "weight_kg", "100", 45.359237),
        ("magnesium_food_g", "magnesium_food_mg", "0.3", 300.0),
        ("energy_kj", "energy_kcal", "8368", 2000.0),
        ("sleep_min", "sleep_hours", "450", 7.5),
        ("bmi", "bmi_kg_m2", "25", 25.0),
    ],
)
def test_declared_units_and_synonyms_are_converted(column: str, feature: str, value: str, expected: float) -> None:
    for cell in (value, float(value)):
        checked = check(pd.DataFrame({"age_years": ["50"], column: [cell]}), INPUTS)
        assert checked.values[feature].tolist() == pytest.approx([expected])
        assert checked.problems.tolist() == [""]


def test_the_range_is_that_of_the_feature_and_not_of_the_column() -> None:
    checked = check(pd.DataFrame({"age_years": ["50"], "height_in": ["178"]}), INPUTS)
    assert checked.problems.tolist() == ["out_of_range:height_cm"]


@pytest.mark.parametrize("column", ["height_yd", "weight_oz", "age_months", "magnesium_food_mmol", "energy_mj"])
def test_a_unit_that_nobody_declared_is_refused(column: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        check_units([column], INPUTS, where="people.csv")
    assert caught.value.code == "input.unknown_unit"
    assert column in caught.value.what()


def test_two_columns_for_one_feature_are_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        check_units(["height_cm", "height_in"], INPUTS, where="people.csv")
    assert caught.value.code == "input.duplicate_column"


def test_other_columns_pass() -> None:
    check_units(["note", "sleep_quality", "heights", "visit_date", "weight_kg"], INPUTS, where="people.csv")


def test_every_name_of_the_registry_means_itself_alone() -> None:
    everything = tuple(FEATURES.values())
    assert given_columns(list(FEATURES), everything) == {name: Given(name) for name in FEATURES}
    check_units(list(FEATURES), everything, where="the registry")
