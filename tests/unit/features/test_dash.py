"""The DASH score: points of each nutrient at its targets, and what a sum needs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.features import dash
from mgrisk.features.dash import TARGETS, Target
from mgrisk.features.registry import FEATURES

ENERGY = 2100.0
every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.feature)

# Composition of the diets of the DASH trial at 2,100 kcal: Appel et al. (1997), N. Engl. J. Med. 336:1117, table 1.
# Sodium is that of the DASH-Sodium trial, 2,400 mg against 3,000 mg of all diets of the first.
TRIAL = {
    "saturated_fat_g": (6, 16),
    "fat_g": (27, 37),
    "protein_g": (18, 15),
    "cholesterol_mg": (150, 300),
    "fiber_g": (31, 9),
    "magnesium_food_mg": (500, 165),
    "calcium_mg": (1240, 450),
    "potassium_mg": (4700, 1700),
    "sodium_mg": (2400, 3000),
}


def amount(target: Target, level: float) -> float:
    """Amount a day that lies at a target when 2,100 kcal are eaten."""
    return ENERGY * level / (1000.0 if target.kcal_per_unit is None else 100.0 * target.kcal_per_unit)


def diet(**changed: float) -> pd.DataFrame:
    """A diet that meets every goal, with some nutrients changed."""
    goals = {target.feature: amount(target, target.goal) for target in TARGETS}
    return pd.DataFrame([{"energy_kcal": ENERGY, **goals, **changed}])


@every_target
def test_goals_are_the_dash_diet_and_intermediate_targets_lie_halfway_to_the_control_diet(target: Target) -> None:
    given, control = TRIAL[target.feature]
    per = 1.0 if target.kcal_per_unit is not None else ENERGY / 1000.0
    assert target.goal == pytest.approx(given / per, rel=0.003)
    assert target.intermediate == pytest.approx((given + control) / 2 / per, rel=0.01)


@every_target
def test_a_target_is_met_from_its_value_on(target: Target) -> None:
    towards = 1e-6 if target.better == "higher" else -1e-6
    levels = [level * (1 + step) for level in (target.goal, target.intermediate) for step in (towards, -towards)]
    amounts = pd.Series([amount(target, level) for level in levels])
    assert target.points(amounts, pd.Series([ENERGY] * 4)).tolist() == [1.0, 0.5, 0.5, 0.0]


def test_the_diet_of_the_trial_has_nine_points_and_eight_without_magnesium() -> None:
    assert dash.derive_dash_score(diet()).item() == 9.0
    assert dash.derive_dash_score_without_magnesium(diet()).item() == 8.0
    assert dash.derive_dash_score(diet(magnesium_food_mg=400.0)).item() == 8.5
    assert dash.derive_dash_score_without_magnesium(diet(magnesium_food_mg=400.0)).item() == 8.0


def test_a_sum_needs_every_nutrient_and_energy() -> None:
    for missing in ({"sodium_mg": np.nan}, {"energy_kcal": np.nan}, {"energy_kcal": 0.0}):
        assert np.isnan(dash.derive_dash_score(diet(**missing)).item())
    assert np.isnan(dash.derive_dash_score(diet(magnesium_food_mg=np.nan)).item())
    assert dash.derive_dash_score_without_magnesium(diet(magnesium_food_mg=np.nan)).item() == 8.0


def test_the_registry_names_what_the_scores_are_made_of() -> None:
    nutrients = {target.feature for target in TARGETS}
    assert set(FEATURES["dash_score"].derived_from) == nutrients | {"energy_kcal"}
    without = FEATURES["dash_score_without_magnesium"]
    assert set(without.derived_from) == nutrients - {"magnesium_food_mg"} | {"energy_kcal"}
    assert without.maximum == len(nutrients) - 1
