"""Targets use eligible development people with a measurement, and the weight of their subsample."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort import select, targets
from mgrisk.cohort.outcomes import OUTCOMES, outcome
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES, features
from mgrisk.survey.design import WeightLevel

NAN = float("nan")
DEVELOPED, TESTED = ("2013-2014", "2015-2016"), ("2017-2018",)
NAMES = ("hba1c_percent", "glucose_mg_dl")
ORDINARY = {
    "cycle": "2013-2014", "RIDSTATR": 2.0, "RIDAGEYR": 50.0, "RIDEXPRG": NAN, "SDMVSTRA": 100.0, "SDMVPSU": 1.0,
    "WTMEC2YR": 20.0, "WTSAF2YR": 60.0, "LBXGH": 5.5, "LBXGLU": 95.0, "DIQ010": 2.0,
}  # fmt: skip


def measured(*different: dict[str, object]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the selected people, ordinary but for what is given, and their targets."""
    raw = pd.DataFrame([{"SEQN": number, **ORDINARY, **person} for number, person in enumerate(different, start=1)])
    cohort = select.select(
        raw,
        outcome=outcome("undiagnosed"),
        chosen=features(["age_years"]),
        development=DEVELOPED,
        held_out=TESTED,
        minimum_age=20,
    )
    return cohort.frame, targets.measure_targets(raw, cohort.frame, NAMES, development=DEVELOPED)


def test_values_are_natural_logarithms_and_weights_those_of_each_targets_subsample_over_the_cycles_together() -> None:
    _, found = measured({})
    assert found["target"].tolist() == list(NAMES)
    np.testing.assert_allclose(found["value"], np.log([5.5, 95.0]))
    np.testing.assert_allclose(found["weight"], [20.0 / 2, 60.0 / 2])


def test_who_did_not_fast_teaches_hba1c_without_being_in_the_analysis() -> None:
    people, found = measured({"WTSAF2YR": 0.0, "LBXGLU": NAN})
    assert not people["analysis"].any()
    assert found["target"].tolist() == ["hba1c_percent"]


@pytest.mark.parametrize(
    "person",
    [{"DIQ010": 1.0}, {"DIQ010": 3.0}, {"RIDAGEYR": 19.0}, {"RIDEXPRG": 1.0}, {"RIDSTATR": 1.0},
     {"cycle": "2017-2018"}, {"LBXGH": NAN, "LBXGLU": NAN}],
)  # fmt: skip
def test_nobody_teaches_who_cannot_have_the_outcome_was_not_measured_or_is_held_out(person: dict[str, object]) -> None:
    _, found = measured({}, person)
    assert found["SEQN"].tolist() == [1, 1]


def test_without_targets_nothing_is_read_and_nobody_teaches() -> None:
    raw = pd.DataFrame([{"SEQN": 1, **ORDINARY}])
    people = pd.DataFrame({"SEQN": [1], "set": ["development"], "eligible": [True]})
    found = targets.measure_targets(raw, people, (), development=DEVELOPED)
    assert list(found) == list(targets.COLUMNS)
    assert found.empty


def test_variables_are_the_sources_of_the_targets_and_their_weights() -> None:
    needed = targets.required_variables(outcome("undiagnosed"), NAMES, DEVELOPED)
    assert set(needed) == {"LBXGH", "LBXGLU", "WTMEC2YR", "WTSAF2YR"}


def test_a_target_that_the_outcome_does_not_name_is_refused_with_those_that_it_does() -> None:
    with pytest.raises(MgRiskError) as caught:
        targets.required_variables(outcome("undiagnosed"), ["waist_cm"], DEVELOPED)
    assert caught.value.code == "targets.unknown"
    assert caught.value.status == ExitStatus.USAGE
    assert caught.value.expected == "hba1c_percent, glucose_mg_dl"


def test_a_design_has_everybody_and_those_measured_as_its_domain() -> None:
    people, found = measured({}, {"WTSAF2YR": 0.0, "LBXGLU": NAN, "SDMVPSU": 2.0}, {"LBXGLU": 105.0})
    rows = people[people["set"] == "development"].reset_index(drop=True)
    value, design = targets.design_of("glucose_mg_dl", found, rows)
    np.testing.assert_allclose(value, np.log([95.0, NAN, 105.0]) - np.log([95.0, 105.0]).mean())
    np.testing.assert_array_equal(design.domain, [True, False, True])
    np.testing.assert_array_equal(design.psu, [1, 2, 1])
    assert design.level == WeightLevel.FASTING


def test_every_outcomes_targets_are_markers_that_no_model_may_take_as_a_feature() -> None:
    named = {name for each in OUTCOMES.values() for name in each.targets}
    assert named == {"hba1c_percent", "glucose_mg_dl", "homa_ir", "insulin_uu_ml"}
    assert {FEATURES[name].group for name in named} == {"marker"}
