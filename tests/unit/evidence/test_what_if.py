from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.literature import STUDIES
from mgrisk.evidence.what_if import ASK, OPTIONS, what_if

PERSON = {
    "age_years": 52.0, "sex": "male", "usual_magnesium_mg": 270.0, "magnesium_supplement_mg": 50.0, "weight_kg": 100.0,
    "bmi_kg_m2": 32.0, "leisure_met_min_week": 0.0, "dash_score": 2.0, "egfr": 90.0, "diuretic_use": "no",
    "ppi_use": "no",
}  # fmt: skip


def one(risk: float = 0.1, **changes: object) -> pd.Series:
    values = {name: value for name, value in {**PERSON, **changes}.items() if value is not None}
    return what_if(pd.DataFrame([values]), [risk]).iloc[0]


def test_magnesium_from_food_is_priced_per_100_mg_up_to_the_allowance() -> None:
    found = one()
    assert found["what_if_magnesium_food_dose"] == 100.0  # 420 - 270 - 50
    assert found["what_if_magnesium_food_risk"] == pytest.approx(0.086)
    assert found["what_if_magnesium_food_low"] == pytest.approx(0.082)
    assert found["what_if_magnesium_food_high"] == pytest.approx(0.089)


def test_five_percent_of_weight_is_priced_per_5_kg_from_bmi_25_on() -> None:
    assert one()["what_if_weight_dose"] == pytest.approx(5.0)
    assert one()["what_if_weight_risk"] == pytest.approx(0.042)
    assert one(bmi_kg_m2=24.9)["what_if_weight_dose"] == 0.0
    assert one(bmi_kg_m2=24.9)["what_if_weight_risk"] == 0.1


def test_activity_is_priced_by_what_is_lacking_to_150_minutes() -> None:
    assert one()["what_if_activity_risk"] == pytest.approx(0.074)
    half = one(leisure_met_min_week=337.5)
    assert half["what_if_activity_dose"] == pytest.approx(5.625)
    assert half["what_if_activity_risk"] == pytest.approx(0.1 * np.sqrt(0.74))
    assert one(leisure_met_min_week=None, activity_met_min_week=2000.0)["what_if_activity_dose"] == 0.0


def test_together_multiplies_and_its_interval_is_wider_than_any_on_the_log() -> None:
    found = one()
    ratios = [found[f"what_if_{name}_risk"] / 0.1 for name in ("magnesium_food", "activity", "weight", "diet")]
    assert found["what_if_together_risk"] == pytest.approx(0.1 * np.prod(ratios))
    width = np.log(found["what_if_together_high"] / found["what_if_together_low"])
    study = STUDIES["hamman-2006"]
    assert width > np.log(study.high / study.low)


@pytest.mark.parametrize("changes", [{"egfr": 29.0}, {"diuretic_use": "yes"}, {"ppi_use": "yes"}])
def test_kidney_disease_and_medicines_get_no_supplement_number(changes: dict[str, object]) -> None:
    found = one(**changes)
    assert found["what_if_magnesium_supplement_advice"] == ASK
    assert np.isnan(found["what_if_magnesium_supplement_dose"])
    # Food is no medicine.
    assert found["what_if_magnesium_food_dose"] == 100.0


def test_a_supplement_stays_within_the_upper_level_and_unknown_kidneys_are_warned_of() -> None:
    assert one(usual_magnesium_mg=20.0)["what_if_magnesium_supplement_dose"] == 300.0  # 350 - 50
    assert one(magnesium_supplement_mg=400.0, usual_magnesium_mg=10.0)["what_if_magnesium_supplement_dose"] == 0.0
    assert one()["what_if_magnesium_supplement_advice"] == ""
    assert "kidney" in one(egfr=None)["what_if_magnesium_supplement_advice"]


def test_a_supplement_has_no_risk_because_no_trial_counted_diabetes() -> None:
    assert not OPTIONS["magnesium_supplement"].study
    assert not any(name.startswith("what_if_magnesium_supplement_risk") for name in one().index)


def test_what_is_not_known_costs_its_option_alone() -> None:
    found = one(weight_kg=None, dash_score=None)
    assert np.isnan(found["what_if_weight_risk"])
    assert np.isnan(found["what_if_diet_risk"])
    assert found["what_if_together_risk"] == pytest.approx(0.1 * 0.86 * 0.74)


def test_a_row_does_not_depend_on_the_others_and_keeps_its_index() -> None:
    frame = pd.DataFrame([PERSON, {**PERSON, "sex": "female"}, PERSON], index=[7, 8, 9])
    found = what_if(frame, [0.1, 0.2, np.nan])
    assert found.index.tolist() == [7, 8, 9]
    pd.testing.assert_series_equal(found.loc[7], one(), check_names=False)
    assert np.isnan(found.loc[9, "what_if_together_risk"])
    assert found.loc[8, "what_if_magnesium_food_dose"] == 0.0


def test_nobody_without_any_known_option_has_a_joint_risk() -> None:
    bare = what_if(pd.DataFrame({"age_years": [50.0], "sex": ["female"]}), [0.1]).iloc[0]
    assert np.isnan(bare["what_if_together_risk"])
