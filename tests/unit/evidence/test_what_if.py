"""

Inputs are changed by the dose if both are known; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mgrisk.evidence.what_if import (
    ASK,
    FEATURES,
    FORMS,
    OPTIONS,
    STUDIES,
    SWAPS,
    TOGETHER,
    TYPICAL,
    Study,
    Swap,
    changed,
    swaps_for,
    what_if,
)
from mgrisk.features.registry import FEATURES as REGISTRY


def test_the_cohorts_of_the_forest_are_the_published_ones() -> None:
    per_100 = {name: (s.estimate, s.low, s.high) for name, s in STUDIES.items() if s.per_100}
    assert per_100 == {
        "larsson-2007": (0.85, 0.79, 0.92),
        "dong-2011": (0.86, 0.82, 0.89),
        "fang-2016": (0.81, 0.77, 0.86),
    }


def test_no_trial_counted_diabetes_on_magnesium() -> None:
    trials = [s for s in STUDIES.values() if s.kind == "trials" and s.exposure == "magnesium supplements"]
    assert trials
    assert not any(study.ratio for study in trials)


def test_an_estimate_outside_its_interval_is_refused() -> None:
    with pytest.raises(ValidationError, match="within its interval"):
        Study.model_validate({**STUDIES["dong-2011"].model_dump(), "low": 0.9})


def test_every_study_says_who_was_studied_how_it_differs_and_where_it_stands() -> None:
    for study in STUDIES.values():
        assert study.population
        assert study.differs
        assert any(character.isdigit() for character in study.citation)


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


def test_together_an_option_is_not_multiplied_by_what_it_contains() -> None:
    # Weight alone, because the trial's weight was lost by diet and activity.
    assert one(weight_kg=80.0)["what_if_together_risk"] == pytest.approx(0.1 * 0.42**0.8)
    # Without weight to lose: activity times the stronger of the diet and the magnesium in it.
    thin = one(bmi_kg_m2=22.0)
    assert thin["what_if_together_risk"] == pytest.approx(0.1 * 0.74 * 0.82)
    assert one(bmi_kg_m2=22.0, usual_magnesium_mg=70.0)["what_if_together_risk"] == pytest.approx(0.1 * 0.74 * 0.86**3)


def test_together_spans_from_all_multiplied_to_the_strongest_alone() -> None:
    found = one(bmi_kg_m2=22.0)
    studies = [STUDIES[OPTIONS[name].study] for name in ("magnesium_food", "activity", "diet")]
    se = [(np.log(each.high) - np.log(each.low)) / (2 * 1.959964) for each in studies]
    product = sum(np.log(each.estimate) for each in studies) - 1.959964 * np.hypot.reduce(se)
    assert found["what_if_together_low"] == pytest.approx(0.1 * np.exp(product))
    assert found["what_if_together_high"] == pytest.approx(0.1 * STUDIES["smith-2016"].high)


@given(
    weight=st.floats(40.0, 250.0), bmi=st.floats(16.0, 70.0), magnesium=st.floats(0.0, 500.0),
    met=st.floats(0.0, 5000.0), dash=st.floats(0.0, 9.0),
)  # fmt: skip
def test_nothing_is_given_more_than_the_trial_of_the_whole_programme(
    weight: float, bmi: float, magnesium: float, met: float, dash: float
) -> None:
    found = one(
        1.0, weight_kg=weight, bmi_kg_m2=bmi, usual_magnesium_mg=magnesium, leisure_met_min_week=met, dash_score=dash
    )
    singles = ("magnesium_food", "activity", "weight", "diet")
    for name in (*singles, TOGETHER):
        risk, low, high = (found[f"what_if_{name}_{bound}"] for bound in ("risk", "low", "high"))
        assert low <= risk <= high
        assert (risk >= 0.42, low >= 0.34, high >= 0.52) == (True, True, True)
    # Nor does an option more alone than with others.
    assert found["what_if_together_risk"] <= min(found[f"what_if_{name}_risk"] for name in singles) + 1e-12


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


PEOPLE = pd.DataFrame(
    {
        "age_years": [52.0, 40.0],
        "sex": ["male", "female"],
        "weight_kg": [96.0, 60.0],
        "bmi_kg_m2": [32.0, None],
        "magnesium_food_mg": [290.0, 400.0],
        "magnesium_supplement_mg": [0.0, 0.0],
        "magnesium_total_mg": [290.0, 400.0],
        "leisure_met_min_week": [0.0, 900.0],
        "dash_score": [2.0, 6.0],
        "egfr": [90.0, 90.0],
    }
)
ANSWERS = what_if(PEOPLE, [0.2, 0.05])


def test_each_option_moves_its_inputs_by_its_dose_and_no_others() -> None:
    moved = {name: changed(PEOPLE, ANSWERS, name) for name in OPTIONS}
    differing = {name: [c for c in PEOPLE if not frame[c].equals(PEOPLE[c])] for name, frame in moved.items()}
    assert differing == {
        "magnesium_food": ["magnesium_food_mg", "magnesium_total_mg"],
        "magnesium_supplement": ["magnesium_supplement_mg", "magnesium_total_mg"],
        "activity": ["leisure_met_min_week"],
        "weight": ["weight_kg", "bmi_kg_m2"],
        "diet": ["dash_score"],
    }
    assert moved["magnesium_food"]["magnesium_total_mg"].tolist() == [420.0, 400.0]
    assert moved["activity"]["leisure_met_min_week"].tolist() == [675.0, 900.0]
    assert moved["weight"]["bmi_kg_m2"].round(6).tolist()[0] == 30.4
    # Of the second person the body mass index is not known, so that there is no dose.
    assert moved["weight"]["weight_kg"].round(6).tolist() == [91.2, 60.0]
    assert moved["diet"]["dash_score"].tolist() == [4.5, 6.0]


def test_together_leaves_the_supplement_out() -> None:
    moved = changed(PEOPLE, ANSWERS, TOGETHER)
    assert moved["magnesium_supplement_mg"].tolist() == [0.0, 0.0]
    assert moved["magnesium_total_mg"].tolist() == [420.0, 400.0]
    assert moved["dash_score"].tolist() == [4.5, 6.0]


def test_a_swap_keeps_the_energy_and_adds_magnesium() -> None:
    for swap in SWAPS:
        assert swap.grams_of_other * swap.into.kcal == pytest.approx(swap.grams * swap.out.kcal)
        assert swap.gain_mg > 20.0
        assert 10.0 < swap.grams_of_other < 250.0


@given(st.floats(0.0, 1000.0))
def test_the_fewest_swaps_close_the_gap_and_of_as_few_those_that_pass_it_least(gap: float) -> None:
    def gain(swaps: Iterable[Swap]) -> float:
        return sum(swap.gain_mg for swap in swaps)

    chosen = swaps_for(gap)
    assert gain(chosen) >= gap or chosen == SWAPS
    if chosen and chosen != SWAPS:
        assert gain(SWAPS[: len(chosen) - 1]) < gap
        as_few = [gain(some) for some in combinations(SWAPS, len(chosen))]
        assert not any(gap <= other < gain(chosen) for other in as_few)


def test_what_thirty_milligrams_need_is_not_answered_by_a_hundred() -> None:
    (swap,) = swaps_for(30.0)
    assert swap.gain_mg < 35.0


def test_a_sentence_has_grams_and_milligrams() -> None:
    assert SWAPS[0].sentence == (
        "176 g of black beans, cooked from dried in place of 85 g of ground beef patty: 106 mg more at the same energy"
    )


def test_three_people_of_known_features_within_their_ranges() -> None:
    assert len(TYPICAL) == 3
    for person in TYPICAL:
        for name, value in person.values.items():
            feature = REGISTRY[name]
            if feature.kind == "category":
                assert value in feature.levels, (person.name, name)
            else:
                assert feature.minimum is not None
                assert feature.maximum is not None
                assert feature.minimum <= float(value) <= feature.maximum, (person.name, name)


def test_every_option_has_what_it_reads() -> None:
    for person in TYPICAL:
        assert set(FEATURES) - set(person.values) <= {"usual_magnesium_mg"}
        bmi = float(person.values["weight_kg"]) / (float(person.values["height_cm"]) / 100.0) ** 2
        assert abs(bmi - float(person.values["bmi_kg_m2"])) < 0.1


MASSES = {"Mg": 24.305, "O": 15.999, "C": 12.011, "H": 1.008, "N": 14.007, "Cl": 35.45}
ATOMS = {
    "oxide": {"Mg": 1, "O": 1},
    "citrate": {"Mg": 3, "C": 12, "H": 10, "O": 14},
    "glycinate": {"Mg": 1, "C": 4, "H": 8, "N": 2, "O": 4},
    "chloride": {"Mg": 1, "Cl": 2, "H": 12, "O": 6},
}


def test_a_salt_weighs_what_its_atoms_weigh() -> None:
    assert {form.name for form in FORMS} == set(ATOMS)
    for form in FORMS:
        atoms = ATOMS[form.name]
        assert form.weight == pytest.approx(sum(MASSES[name] * number for name, number in atoms.items()), abs=0.002)
        assert form.magnesium == pytest.approx(MASSES["Mg"] * atoms["Mg"], abs=0.001)
