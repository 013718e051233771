"""What is asked or measured after the outcome is known is said so."""

from __future__ import annotations

import pytest

from mgrisk.cohort.audit import ORDER, STAGES, timing
from mgrisk.cohort.outcomes import OUTCOMES, outcome
from mgrisk.features.registry import FEATURES, features
from mgrisk.survey.design import WeightLevel

PIPELINE = ["age_years", "sex", "race_ethnicity", "family_history_diabetes", "smoking", "waist_cm", "magnesium_food_mg"]


def test_every_level_has_a_stage() -> None:
    assert set(STAGES) == set(WeightLevel)
    assert set(STAGES.values()) < set(ORDER)


@pytest.mark.parametrize("name", [name for name in OUTCOMES if name != "diabetes"])
def test_nothing_of_the_visit_follows_an_outcome_that_blood_alone_tells(name: str) -> None:
    found = timing(outcome(name), features(PIPELINE))
    assert {each.known for each in found} == {"results"}
    assert not any(each.finding for each in found)


def test_all_that_a_diagnosis_can_change_follows_it_but_not_age_sex_origin_and_relatives() -> None:
    found = {each.feature: each.finding for each in timing(outcome("diabetes"), features(PIPELINE))}
    assert {name for name, finding in found.items() if finding} == {"smoking", "waist_cm", "magnesium_food_mg"}


def test_the_source_that_comes_last_decides_also_behind_a_derived_feature() -> None:
    second = FEATURES["waist_cm"].model_copy(update={"name": "second", "sources": ("BMXWAIST", "DR2TMAGN")})
    (found,) = timing(outcome("undiagnosed"), [second])
    assert (found.source, found.stage, found.finding) == ("DR2TMAGN", "telephone", False)
    derived = FEATURES["waist_cm"].model_copy(update={"sources": (), "derived_from": ("height_cm",)})
    (found,) = timing(outcome("undiagnosed"), [derived])
    assert found.to_dict() == {
        "feature": "waist_cm",
        "source": "BMXHT",
        "stage": "examination",
        "known": "results",
        "finding": False,
    }
