"""Eligibility by rule, attrition that accounts for all people, and the weight required by the variables."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.cohort import select
from mgrisk.cohort.outcomes import outcome
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT, Cohort
from mgrisk.features.registry import features
from mgrisk.survey.design import WeightLevel

NAN = float("nan")
DEVELOPED, TESTED = ("2013-2014", "2015-2016"), ("2017-2018",)
ORDINARY = {
    "RIDSTATR": 2.0, "RIDAGEYR": 50.0, "RIDEXPRG": NAN, "SDMVSTRA": 100.0, "SDMVPSU": 1.0, "WTINT2YR": 10.0,
    "WTMEC2YR": 20.0, "WTDRD1": 30.0, "WTDR2D": 40.0, "WTSAF2YR": 60.0, "LBXGH": 5.5, "LBXGLU": 95.0, "DIQ010": 2.0,
}  # fmt: skip


def people(*different: dict[str, object], cycle: str = "2013-2014") -> pd.DataFrame:
    """Make people who are ordinary but for what is given."""
    rows = [{"SEQN": number, "cycle": cycle, **ORDINARY, **person} for number, person in enumerate(different, start=1)]
    return pd.DataFrame(rows)


def selected(
    raw: pd.DataFrame, *, name: str = "undiagnosed", chosen: tuple[str, ...] = ("age_years", "bmi_kg_m2")
) -> Cohort:
    return select.select(
        raw,
        outcome=outcome(name),
        chosen=features(chosen),
        development=DEVELOPED,
        held_out=TESTED,
        minimum_age=20,
    )


@pytest.mark.parametrize(
    ("person", "takes_part"),
    [
        ({}, True),
        ({"RIDAGEYR": 20.0}, True),
        ({"RIDAGEYR": 19.0}, False),
        ({"RIDSTATR": 1.0}, False),
        ({"RIDEXPRG": 1.0}, False),
        ({"RIDEXPRG": 2.0}, True),
        ({"RIDEXPRG": NAN}, True),
        ({"DIQ010": 1.0}, False),
        ({"DIQ010": 3.0}, False),
        ({"DIQ010": NAN}, False),
        ({"WTSAF2YR": 0.0}, False),
        ({"WTSAF2YR": NAN}, False),
        ({"LBXGH": NAN}, False),
        ({"LBXGLU": NAN, "LBXGH": 9.0}, False),
    ],
    ids=str,
)
def test_a_person_takes_part_exactly_where_every_rule_holds(person: dict[str, object], takes_part: bool) -> None:
    frame = selected(people({}, person)).frame
    assert frame["analysis"].tolist() == [True, takes_part]


def test_a_person_without_a_needed_value_is_neither_case_nor_control() -> None:
    frame = selected(people({"LBXGLU": NAN, "LBXGH": 9.0}, {"LBXGH": NAN}, {"LBXGH": 6.5}, {})).frame
    np.testing.assert_array_equal(frame["outcome"], [NAN, NAN, 1.0, 0.0])


def test_weights_are_divided_by_the_number_of_cycles_of_the_set() -> None:
    raw = pd.concat([people({}, cycle=cycle) for cycle in (*DEVELOPED, *TESTED)], ignore_index=True)
    frame = selected(raw.assign(SEQN=[1, 2, 3])).frame
    assert frame["weight"].tolist() == [30.0, 30.0, 60.0]
    assert frame["set"].tolist() == [DEVELOPMENT, DEVELOPMENT, HELD_OUT]


def test_cycles_of_unequal_length_weigh_by_their_years_and_the_rule_names_every_weight() -> None:
    raw = pd.concat(
        [people({}, cycle="2015-2016"), people({"WTSAF2YR": NAN, "WTSAFPRP": 60.0}, cycle="2017-2020")],
        ignore_index=True,
    )
    cohort = select.select(
        raw.assign(SEQN=[1, 2]),
        outcome=outcome("undiagnosed"),
        chosen=features(["age_years"]),
        development=("2015-2016", "2017-2020"),
        held_out=(),
        minimum_age=20,
    )
    assert cohort.frame["weight"].tolist() == pytest.approx([60 * 2 / 5.2, 60 * 3.2 / 5.2])
    assert cohort.frame["analysis"].all()
    assert "in the subsample of WTSAF2YR or WTSAFPRP" in [step.rule for step in cohort.attrition]


@pytest.mark.parametrize(
    ("name", "chosen", "level", "forced_by", "weight"),
    [
        ("undiagnosed", ("age_years", "magnesium_total_mg"), WeightLevel.FASTING, "LBXGLU", 30.0),
        (
            "undiagnosed-hba1c",
            ("age_years", "magnesium_food_mg", "energy_kcal"),
            WeightLevel.RECALL1,
            "magnesium_food_mg",
            15.0,
        ),
        ("undiagnosed-hba1c", ("age_years", "waist_cm"), WeightLevel.EXAM, "LBXGH", 10.0),
    ],
)
def test_the_weight_is_of_the_smallest_subsample_and_the_variable_that_forced_it_is_named(
    name: str, chosen: tuple[str, ...], level: WeightLevel, forced_by: str, weight: float
) -> None:
    cohort = selected(people({}), name=name, chosen=chosen)
    assert (cohort.level, cohort.forced_by) == (level, forced_by)
    assert cohort.frame["weight"].tolist() == [weight]


maybe = st.fixed_dictionaries(
    {
        "RIDSTATR": st.sampled_from([1.0, 2.0]),
        "RIDAGEYR": st.sampled_from([5.0, 20.0, 80.0]),
        "RIDEXPRG": st.sampled_from([NAN, 1.0, 2.0]),
        "DIQ010": st.sampled_from([NAN, 1.0, 2.0]),
        "WTSAF2YR": st.sampled_from([NAN, 0.0, 60.0]),
        "LBXGH": st.sampled_from([NAN, 5.0, 7.0]),
        "LBXGLU": st.sampled_from([NAN, 90.0, 130.0]),
        "cycle": st.sampled_from([*DEVELOPED, *TESTED]),
    }
)


@given(st.lists(maybe, min_size=1, max_size=25))
def test_nobody_is_dropped_and_attrition_adds_up_to_who_takes_part(persons: list[dict[str, object]]) -> None:
    raw = people(*persons)
    cohort = selected(raw)
    assert cohort.frame["SEQN"].tolist() == raw["SEQN"].tolist()
    assert np.isfinite(cohort.frame["weight"]).all()
    for name in (DEVELOPMENT, HELD_OUT):
        steps = [step for step in cohort.attrition if step.set == name]
        of_set = cohort.frame[cohort.frame["set"] == name]
        assert (steps[0].rule, steps[0].n, steps[0].excluded) == ("all participants", len(of_set), 0)
        for before, after in itertools.pairwise(steps):
            assert before.n - after.excluded == after.n >= 0
            assert before.events >= after.events
        assert steps[-1].n == of_set["analysis"].sum()
        assert steps[-1].events == (of_set.loc[of_set["analysis"], "outcome"] == 1).sum()
    inside = cohort.frame[cohort.frame["analysis"]]
    assert inside["outcome"].notna().all()
    assert (inside["weight"] > 0).all()


def test_a_rule_counts_only_whom_the_rules_before_it_left() -> None:
    steps = selected(people({}, {"RIDAGEYR": 9.0, "DIQ010": 1.0}, {"DIQ010": 1.0}, {"LBXGH": 7.0})).attrition
    of_development = [(step.rule, step.n, step.excluded, step.events) for step in steps if step.set == DEVELOPMENT]
    assert of_development == [
        ("all participants", 4, 0, 1),
        ("20 years and older", 3, 1, 1),
        ("examined", 3, 0, 1),
        ("not pregnant", 3, 0, 1),
        ("no self-reported diagnosis of diabetes or borderline diabetes", 2, 1, 1),
        ("in the subsample of WTSAF2YR", 2, 0, 1),
        ("LBXGH measured", 2, 0, 1),
        ("LBXGLU measured", 2, 0, 1),
    ]


TOLD = {"DIQ010": 1.0, "DID040": 45.0, "DIQ050": 2.0, "DID060": NAN, "DIQ060U": NAN}
TYPE_1 = {"DIQ010": 1.0, "DID040": 12.0, "DIQ050": 1.0, "DID060": 38.0, "DIQ060U": 2.0}
NEVER = {"DIQ010": 2.0, "DID040": NAN, "DIQ050": 2.0, "DID060": NAN, "DIQ060U": NAN}


@pytest.mark.parametrize(
    ("person", "takes_part", "label"),
    [
        (NEVER, True, 0.0),
        (NEVER | {"LBXGLU": 130.0}, True, 1.0),
        (TOLD, True, 1.0),
        (NEVER | {"DIQ010": 3.0}, True, 0.0),
        (TYPE_1, False, 1.0),
        # Told of diabetes is diabetes, but the fasting weight stands for people who were measured.
        (TOLD | {"LBXGH": NAN}, False, 1.0),
        (TOLD | {"LBXGLU": NAN, "WTSAF2YR": 0.0}, False, 1.0),
        (NEVER | {"LBXGH": NAN}, False, NAN),
    ],
    ids=str,
)
def test_diabetes_counts_who_was_told_and_leaves_out_type_1_and_who_was_not_measured(
    person: dict[str, object], takes_part: bool, label: float
) -> None:
    frame = selected(people(NEVER, person), name="diabetes").frame
    assert frame["analysis"].tolist() == [True, takes_part]
    np.testing.assert_array_equal(frame["outcome"], [0.0, label])


def test_an_exclusion_and_a_marker_have_their_own_rows_in_the_attrition() -> None:
    steps = selected(people(NEVER, TYPE_1), name="diabetes").attrition
    assert [(step.excluded, step.set) for step in steps if step.rule.startswith("type 1 not likely")] == [
        (1, DEVELOPMENT), (0, HELD_OUT)
    ]  # fmt: skip
    steps = selected(people({"LBXIN": 9.0}, {"LBXIN": NAN}), name="insulin-resistance").attrition
    assert [step.excluded for step in steps if step.rule == "homa_ir measured"] == [1, 0]


def test_people_of_a_cycle_in_no_set_are_in_no_analysis() -> None:
    raw = pd.concat([people({}), people({"SEQN": 2}, cycle="2011-2012")], ignore_index=True)
    assert selected(raw).frame["analysis"].tolist() == [True, False]


def test_the_design_of_a_set_holds_everybody_in_it_with_the_analysis_as_its_domain() -> None:
    raw = pd.concat(
        [
            people({}, {"RIDAGEYR": 9.0, "SDMVPSU": 2.0}, {"WTSAF2YR": NAN, "SDMVSTRA": 101.0}),
            people({"SEQN": 4, "SDMVSTRA": 140.0}, cycle="2017-2018"),
        ],
        ignore_index=True,
    )
    cohort = selected(raw)
    rows, design = select.design(cohort.frame, level=cohort.level, set_name=DEVELOPMENT)
    assert rows["SEQN"].tolist() == [1, 2, 3]
    assert design.level == WeightLevel.FASTING
    assert design.domain.tolist() == [True, False, False]
    assert design.weight.tolist() == [30.0, 30.0, 0.0]
    assert list(zip(design.stratum.tolist(), design.psu.tolist(), strict=True)) == [(100, 1), (100, 2), (101, 1)]


@pytest.mark.parametrize(
    ("name", "chosen", "weight"),
    [
        ("undiagnosed", ("age_years",), "WTSAF2YR"),
        ("undiagnosed-hba1c", ("age_years", "energy_kcal"), "WTDRD1"),
        ("undiagnosed-hba1c", ("age_years", "bmi_kg_m2"), "WTMEC2YR"),
    ],
)
def test_selecting_reads_the_weights_of_its_own_level_and_no_other(
    name: str, chosen: tuple[str, ...], weight: str
) -> None:
    names = select.required_variables(outcome(name), features(chosen), (DEVELOPED, TESTED))
    assert len(set(names)) == len(names)
    assert set(outcome(name).variables) <= set(names)
    assert [each for each in names if each.startswith("WT")] == [weight]
