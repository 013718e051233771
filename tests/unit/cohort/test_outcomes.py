"""Outcomes: cases, controls, and people who are neither."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort import select
from mgrisk.cohort.outcomes import OUTCOMES, Condition, Outcome, outcome
from mgrisk.config.pipeline_file import load
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.eras import CONCEPTS, check_comparable
from mgrisk.nhanes.harmonise import apply_crosswalks, harmonise
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import WeightLevel

NAN = float("nan")
PIPELINES = Path(__file__).parents[3] / "pipelines"


def labels(name: str, hba1c: list[float], glucose: list[float]) -> list[float]:
    return outcome(name).label_people(pd.DataFrame({"LBXGH": hba1c, "LBXGLU": glucose})).tolist()


def test_either_value_in_the_diabetic_range_makes_a_case_and_the_bounds_belong_to_it() -> None:
    found = labels("undiagnosed", [6.5, 5.0, 7.0, 6.4, 6.4], [100.0, 126.0, 200.0, 125.0, 90.0])
    assert found == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_who_lacks_a_needed_value_is_neither_case_nor_control_even_with_the_other_one_high() -> None:
    np.testing.assert_array_equal(
        labels("undiagnosed", [NAN, 9.0, NAN, 5.0], [90.0, NAN, NAN, NAN]), [NAN, NAN, NAN, NAN]
    )


def test_hba1c_alone_does_not_ask_for_glucose() -> None:
    np.testing.assert_array_equal(labels("undiagnosed-hba1c", [6.5, 6.4, NAN], [NAN, 200.0, 200.0]), [1.0, 0.0, NAN])


@pytest.mark.parametrize("row", OUTCOMES.values(), ids=lambda row: row.name)
def test_an_outcome_reads_known_variables_and_markers_and_needs_what_a_case_is_told_by(row: Outcome) -> None:
    assert set(row.variables) <= VARIABLES.keys()
    assert all(name in VARIABLES or FEATURES[name].group == "marker" for name in row.names)
    assert {rule.variable for rule in row.case} - set(row.required) <= {"DIQ010"}
    assert all(rule.label for rule in (*row.eligible, *row.exclude))
    assert all((rule.at_least is None) != (rule.equals is None) for rule in row.conditions)
    assert 0.75 <= row.alone_limit < 1 < row.ratio_limit


def test_a_condition_is_a_bound_or_a_value_and_not_both_or_neither() -> None:
    for content in ({}, {"at_least": 1.0, "equals": 1.0}):
        with pytest.raises(ValueError, match="either at_least or equals"):
            Condition.model_validate({"variable": "LBXGH", **content})


def test_an_unknown_outcome_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MgRiskError) as caught:
        outcome("prediabetes")
    assert caught.value.code == "outcomes.unknown"
    assert caught.value.status == ExitStatus.USAGE
    assert caught.value.hint == ("one of: undiagnosed, undiagnosed-hba1c, diabetes, dysglycaemia, insulin-resistance")


def test_who_was_told_of_diabetes_has_it_whatever_was_measured_and_others_need_both_values() -> None:
    raw = pd.DataFrame(
        {
            "DIQ010": [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, NAN],
            "LBXGH": [NAN, 5.0, 6.5, NAN, 5.0, 6.5, 5.0],
            "LBXGLU": [NAN, 90.0, 90.0, 300.0, 90.0, 90.0, 126.0],
        }
    )
    found = outcome("diabetes").label_people(raw).tolist()
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0, NAN, 0.0, 1.0, 1.0])


def test_dysglycaemia_begins_at_either_bound_of_prediabetes() -> None:
    assert labels("dysglycaemia", [5.7, 5.6, 5.6, 9.0], [99.9, 100.0, 99.9, 99.0]) == [1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("undiagnosed", [True, True, False, True, False]), ("undiagnosed-hba1c", [True, False, False, True, False])],
)
def test_prediabetes_begins_at_either_bound_that_the_outcome_measures(name: str, expected: list[bool]) -> None:
    raw = pd.DataFrame({"LBXGH": [5.7, 5.6, 5.6, 9.0, NAN], "LBXGLU": [99.9, 100.0, 99.9, 99.0, NAN]})
    assert outcome(name).near_cases(raw).tolist() == expected


def test_what_prediabetes_is_reads_nothing_that_nobody_must_have_and_stands_in_no_bundle() -> None:
    for row in OUTCOMES.values():
        assert {each.variable for each in row.prediabetes} <= set(row.required)
        assert "prediabetes" not in row.model_dump(mode="json")


def test_insulin_resistance_is_told_by_a_marker_computed_from_the_tables() -> None:
    """90 mg/dL is 4.9959 mmol/L: HOMA-IR reaches 2.73 at 12.2951 uU/mL."""
    raw = pd.DataFrame({"cycle": "2013-2014", "LBXGLU": [90.0, 90.0, NAN, 90.0], "LBXIN": [12.296, 12.294, 50.0, NAN]})
    row = outcome("insulin-resistance")
    np.testing.assert_array_equal(row.label_people(raw), [1.0, 0.0, NAN, NAN])
    assert row.variables == ("LBXGLU", "LBXIN", "DIQ010")


def test_the_variables_of_an_outcome_hold_those_behind_its_markers() -> None:
    assert outcome("diabetes").names == ("LBXGH", "LBXGLU", "DIQ010", "likely_type_1")
    assert {"DID040", "DIQ050", "DID060", "DIQ060U", "RIDAGEYR"} < set(outcome("diabetes").variables)


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("undiagnosed", {"glucose-2015"}),
        ("diabetes", {"glucose-2015"}),
        ("dysglycaemia", {"glucose-2015"}),
        ("insulin-resistance", {"glucose-2015", "insulin-2011", "insulin-2013"}),
    ],
)
def test_an_outcome_across_a_break_of_its_assays_is_refused_unless_accepted(name: str, refused: set[str]) -> None:
    cycles = ["2007-2008", "2009-2010", "2011-2012", "2013-2014", "2015-2016", "2017-2018"]
    with pytest.raises(MgRiskError, match=r"insulin-2011|glucose-2015"):
        check_comparable(outcome(name).variables, cycles)
    crossed = check_comparable(outcome(name).variables, cycles, across_breaks=frozenset(refused))
    assert {each.name for each in crossed} == refused


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Store:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path_factory.mktemp("cache"), offline=True)


# Of 20 years and older, not pregnant, with the weight of the outcome: people, cases and the weighted share in %.
COUNTED = [
    ("undiagnosed", "2007-2008", 1981, 124, 3.84),
    ("undiagnosed", "2017-2018", 1807, 115, 4.06),
    ("undiagnosed-hba1c", "2017-2018", 4004, 150, 2.17),
    ("diabetes", "2007-2008", 2325, 439, 12.42),
    ("diabetes", "2017-2018", 2274, 526, 15.79),
    ("dysglycaemia", "2007-2008", 1981, 1205, 55.08),
    ("dysglycaemia", "2017-2018", 1807, 1189, 63.99),
    ("insulin-resistance", "2001-2002", 1857, 742, 36.10),
    ("insulin-resistance", "2017-2018", 1772, 728, 37.68),
]


@pytest.mark.nhanes
@pytest.mark.parametrize(("name", "years", "people", "cases", "share"), COUNTED)
def test_people_cases_and_shares_on_nhanes_stay_what_they_were(
    mirror: Store, name: str, years: str, people: int, cases: int, share: float
) -> None:
    row = outcome(name)
    raw = harmonise(mirror, cycles=[cycle(years)], names=select.required_variables(row, (), ([years], []))).frame
    found = select.select(raw, outcome=row, chosen=(), development=[years], held_out=[], minimum_age=20).frame
    inside = found[found["analysis"]]
    assert (len(inside), int(inside["outcome"].sum())) == (people, cases)
    assert 100 * np.average(inside["outcome"], weights=inside["weight"]) == pytest.approx(share, abs=0.005)


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("name", "cases", "share"), [("dysglycaemia", 5939, 55.20), ("insulin-resistance", 3626, 34.92)]
)
def test_cases_of_the_development_cycles_on_the_scale_of_the_latest_method_are_those_of_decision_27(
    mirror: Store, name: str, cases: int, share: float
) -> None:
    row, asked = outcome(name), load(PIPELINES / f"{name}.toml").cohort
    cycles = asked.development
    wanted = select.required_variables(row, (), (cycles, []))
    raw = harmonise(mirror, cycles=[cycle(years) for years in cycles], names=wanted).frame
    raw = apply_crosswalks(raw, asked.crosswalks)
    found = select.select(raw, outcome=row, chosen=(), development=cycles, held_out=[], minimum_age=20).frame
    inside = found[found["analysis"]]
    assert int(inside["outcome"].sum()) == cases
    assert 100 * np.average(inside["outcome"], weights=inside["weight"]) == pytest.approx(share, abs=0.005)


def fasting(mirror: Store, years: str, *, age: int, name: str) -> pd.DataFrame:
    """Return the fasting sample from an age on, as CDC counts it, with its weight."""
    each = cycle(years)
    weight = each.weights[WeightLevel.FASTING]
    raw = harmonise(mirror, cycles=[each], names=[*outcome("diabetes").variables, "RIDEXPRG", weight]).frame
    measured = raw[list(outcome(name).required)].notna().all(axis=1)
    keep = (raw["RIDAGEYR"] >= age) & measured & (raw[weight] > 0) & (raw["RIDEXPRG"] != 1)
    return raw[keep].assign(weight=raw.loc[keep, weight])


@pytest.mark.nhanes
def test_with_glucose_on_its_scale_of_before_2005_cdcs_report_of_2017_to_2020_is_met(mirror: Store) -> None:
    """National Diabetes Statistics Report: 18 and older, crude, 2017 to March 2020; fasting glucose or HbA1c.

    Diagnosed 11.3 %, undiagnosed 3.4 %, total 14.7 %, prediabetes 38.0 %. CDC puts glucose on the scale of the oldest
    cycles for its trends, here with the three equations of eras.toml; as measured, prediabetes is 50.4 %.
    """
    raw = fasting(mirror, "2017-2020", age=18, name="diabetes")
    breaks_of_glucose = next(each for each in CONCEPTS if each.name == "fasting glucose").breaks
    glucose = raw["LBXGLU"].to_numpy()
    for each in reversed(breaks_of_glucose):
        assert each.backward is not None
        glucose = each.backward.apply(glucose)
    scaled = raw.assign(LBXGLU=glucose)

    def shares(frame: pd.DataFrame) -> list[float]:
        diabetes = outcome("diabetes").label_people(frame) == 1
        dysglycaemia = outcome("dysglycaemia").label_people(frame) == 1
        told = frame["DIQ010"] == 1
        counted = (told, diabetes & ~told, diabetes, dysglycaemia & ~diabetes)
        return [round(100 * float(np.average(each, weights=frame["weight"])), 1) for each in counted]

    assert shares(scaled) == [11.3, 3.4, 14.7, 38.0]
    assert shares(raw) == [11.3, 4.4, 15.8, 50.4]


@pytest.mark.nhanes
def test_impaired_fasting_glucose_of_2005_2006_is_the_published_share(mirror: Store) -> None:
    """Cowie 2009, Diabetes Care 32:287: 25.7 % of 20 and older, on the scale of the laboratory before 2005."""
    each = cycle("2005-2006")
    raw = harmonise(mirror, cycles=[each], names=["RIDAGEYR", "LBXGLU", "DIQ010", "WTSAF2YR"]).frame
    raw = raw[(raw["RIDAGEYR"] >= 20) & raw["LBXGLU"].notna() & raw["DIQ010"].notna() & (raw["WTSAF2YR"] > 0)]
    glucose = 0.9835 * raw["LBXGLU"]
    impaired = (raw["DIQ010"] != 1) & (glucose >= 100) & (glucose < 126)
    assert round(100 * float(np.average(impaired, weights=raw["WTSAF2YR"])), 1) == 25.7
    assert round(100 * float(np.average(raw["DIQ010"] == 1, weights=raw["WTSAF2YR"])), 1) == 7.7
