"""Patterns of missing inputs: what each takes from a model, and that nothing of it can be made again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.config.toml import rows
from mgrisk.evaluate.missing_inputs import Pattern, patterns
from mgrisk.features.compute import complete, typed
from mgrisk.features.registry import FEATURES, features, with_ancestors

MODEL = features(
    ["age_years", "sex", "family_history_diabetes", "waist_cm", "magnesium_total_mg", "fiber_g", "leisure_met_min_week"]
)


def named(name: str) -> Pattern:
    (found,) = (each for each in patterns(MODEL) if each.name == name)
    return found


def test_every_name_and_group_is_of_the_registry() -> None:
    groups = {feature.group for feature in FEATURES.values()}
    for row in rows("mgrisk.evaluate", "missing_inputs.toml", "pattern"):
        assert set(row.get("features", ())) <= set(FEATURES)
        assert set(row.get("groups", ())) <= groups


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("diet", {"magnesium_total_mg", "fiber_g"}),
        ("activity", {"leisure_met_min_week"}),
        ("measured", {"waist_cm"}),
        ("asked_no_more", {"family_history_diabetes"}),
    ],
)
def test_a_pattern_takes_what_the_model_has_of_it(name: str, taken: set[str]) -> None:
    assert {feature.name for feature in named(name).features} == taken


def test_a_pattern_that_takes_nothing_or_everything_is_none() -> None:
    assert [each.name for each in patterns(features(["age_years", "sex"]))] == []
    assert [each.name for each in patterns(features(["fiber_g", "magnesium_food_mg"]))] == []


def test_what_is_taken_cannot_be_made_again_from_its_parts() -> None:
    family = with_ancestors(MODEL)
    people = pd.DataFrame(
        {
            "age_years": [50.0, 60.0], "sex": ["male", "female"], "family_history_diabetes": ["yes", "no"],
            "magnesium_food_mg": [300.0, 250.0], "magnesium_supplement_mg": [100.0, 0.0], "waist_cm": [90.0, 80.0],
        }
    )  # fmt: skip
    given = complete(typed(people, [each for each in family if each.name in people]), family)
    assert given["magnesium_total_mg"].tolist() == [400.0, 250.0]
    without = complete(named("supplements").without(given), family)
    assert np.isnan(without["magnesium_total_mg"]).all()
    assert without["magnesium_food_mg"].tolist() == [300.0, 250.0]
    asked = complete(named("asked_no_more").without(given), family)
    assert asked["family_history_diabetes"].isna().all()
    assert asked["family_history_diabetes"].dtype == given["family_history_diabetes"].dtype
    # The people themselves are left as they were.
    assert given["family_history_diabetes"].tolist() == ["yes", "no"]
