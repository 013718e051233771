"""The workspace of the steps: which features the model uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.pipeline.workspace import Workspace

NHANES = Path(__file__).parents[3] / "pipelines" / "nhanes.toml"


def workspace(*overrides: str) -> Workspace:
    return Workspace(load(NHANES, overrides=overrides), Path("runs"))


def names(*overrides: str) -> list[str]:
    return [feature.name for feature in workspace(*overrides).model_features]


def test_race_and_ethnicity_is_used_or_left_out_by_one_setting() -> None:
    everything = names()
    assert "race_ethnicity" in everything
    without = names('model.leave_out=["race_ethnicity"]')
    assert without == [name for name in everything if name != "race_ethnicity"]


def test_what_is_made_of_a_feature_left_out_goes_with_it() -> None:
    features = 'model.features=["age_years", "bmi_class", "waist_cm"]'
    assert names(features, 'model.leave_out=["race_ethnicity"]') == ["age_years", "waist_cm"]


def test_a_published_score_that_asks_for_it_still_gets_what_the_model_leaves_out() -> None:
    of_run = workspace('model.leave_out=["race_ethnicity"]').all_features
    assert "race_ethnicity" in {feature.name for feature in of_run}


def test_a_misspelt_feature_cannot_be_left_out_in_silence() -> None:
    with pytest.raises(MgRiskError) as caught:
        names('model.leave_out=["race"]')
    assert caught.value.code == "features.unknown"


def test_a_model_is_not_left_without_features() -> None:
    with pytest.raises(MgRiskError) as caught:
        names('model.features=["bmi_class"]', 'model.leave_out=["race_ethnicity"]')
    assert caught.value.code == "features.none_left"


def test_what_the_file_gives_is_told_of_an_own_cohort_and_of_no_other() -> None:
    with pytest.raises(ValueError, match="user's cohort"):
        Workspace(load(NHANES), Path("runs"), given=frozenset({"age_years"}))
