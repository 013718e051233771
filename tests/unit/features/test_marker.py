"""Markers against values worked by hand, and against CDC's own conversion.

Creatinine on one scale, and the filtration rate of the CKD-EPI 2021 equation.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from mgrisk.features import marker
from mgrisk.features.compute import from_nhanes
from mgrisk.features.marker import CALIBRATION, creatinine_mg_dl, derive_egfr
from mgrisk.features.registry import FEATURES, computed_from, features
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.harmonise import harmonise
from mgrisk.nhanes.store import Store

NAN = float("nan")
MARKERS = [feature for feature in FEATURES.values() if feature.group == "marker"]


def test_no_marker_is_ever_a_column_of_the_scoring_file() -> None:
    assert MARKERS
    assert {(feature.group, feature.given, feature.required) for feature in MARKERS} == {("marker", False, False)}


@pytest.mark.parametrize(
    "pair",
    [
        "glucose_mg_dl:LBXGLU", "glucose_2h_mg_dl:LBXGLT", "hba1c_percent:LBXGH", "insulin_uu_ml:LBXIN",
        "triglycerides_mg_dl:LBXTR", "hdl_cholesterol_mg_dl:LBDHDD",
    ],
)  # fmt: skip
def test_a_measured_value_is_taken_as_it_is(pair: str) -> None:
    name, source = pair.split(":")
    raw = pd.DataFrame({source: [5.5, NAN], "cycle": "2015-2016"})
    values = from_nhanes(raw, features([name]))[name]
    np.testing.assert_array_equal(values, [5.5, NAN])


# 100 mg/dL is 5.551 mmol/L: HOMA-IR 5.551 x 10 / 22.5, HOMA-B 200 / 2.051, QUICKI 1 / (1 + 2), TyG ln 7500.
@pytest.mark.parametrize(
    ("name", "expected"),
    [("homa_ir", 2.467111), ("homa_b", 97.513408), ("quicki", 1 / 3), ("tyg", 8.922658)],
)
def test_an_index_is_the_value_worked_by_hand_and_missing_where_a_part_is(name: str, expected: float) -> None:
    parts = pd.DataFrame(
        {
            "glucose_mg_dl": [100.0, NAN, 100.0],
            "insulin_uu_ml": [10.0, 10.0, NAN],
            "triglycerides_mg_dl": [150.0, 150.0, NAN],
        }
    )
    found = getattr(marker, f"derive_{name}")(parts)
    np.testing.assert_allclose(found, [expected, NAN, NAN], rtol=1e-6)


def test_beta_cell_function_has_no_value_where_glucose_is_too_low_for_the_model() -> None:
    """3.5 mmol/L is 63.05 mg/dL."""
    parts = pd.DataFrame({"glucose_mg_dl": [40.0, 63.0, 63.1], "insulin_uu_ml": [10.0, 10.0, 10.0]})
    found = marker.derive_homa_b(parts)
    assert found.isna().tolist() == [True, True, False]
    assert found.iloc[2] > 0


def told(**different: float) -> str:
    """Whether type 1 is likely of a person of 40, told at 20, on insulin for 20 years, but for what is given."""
    person = {"DIQ010": 1.0, "DID040": 20.0, "DIQ050": 1.0, "DID060": 20.0, "DIQ060U": 2.0, "RIDAGEYR": 40.0}
    return str(marker.likely_type_1(pd.DataFrame([{**person, **different}])).iloc[0])


@pytest.mark.parametrize(
    ("person", "likely"),
    [
        ({}, "yes"),
        ({"DID040": 29.0, "DID060": 10.0}, "yes"),  # begun at 30, within a year of 29
        ({"DID040": 29.0, "DID060": 9.0}, "no"),
        ({"DID040": 30.0, "DID060": 10.0}, "no"),
        ({"DID060": 19.0}, "yes"),
        ({"DID060": 18.0}, "no"),
        ({"DID060": 18.0, "DIQ060U": 1.0}, "no"),  # 18 months
        ({"DID060": 18.0, "DIQ060U": 1.0, "RIDAGEYR": 22.0}, "yes"),
        ({"DID060": 666.0, "DIQ060U": NAN, "RIDAGEYR": 21.0}, "yes"),  # less than a month
        ({"DID060": 666.0, "DIQ060U": NAN}, "no"),
        ({"DID040": 666.0, "DID060": 39.0}, "yes"),  # told before the first birthday
        ({"DIQ050": 2.0, "DID060": NAN, "DIQ060U": NAN}, "no"),
        ({"DIQ010": 3.0}, "no"),
        ({"DIQ010": 2.0, "DID040": NAN, "DIQ050": NAN, "DID060": NAN, "DIQ060U": NAN}, "no"),
        ({"DID040": NAN}, "no"),
        ({"DID060": NAN}, "no"),
    ],
    ids=str,
)
def test_type_1_is_likely_where_young_people_have_been_on_insulin_since_they_were_told(
    person: dict[str, float], likely: str
) -> None:
    assert told(**person) == likely


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"DIQ010": 1}, "yes"),
        ({"DIQ010": 3}, "yes"),
        ({"DIQ010": 2, "DIQ160": 1}, "yes"),
        ({"DIQ010": 2, "DIQ160": 2}, "no"),
        ({"DIQ010": 2, "DIQ160": 2, "RIAGENDR": 2, "RHQ131": 1, "RHQ162": 1}, "yes"),
        ({"DIQ010": 2, "DIQ160": 2, "RIAGENDR": 2, "RHQ131": 1}, "no"),
        ({"DIQ010": 2}, None),
        ({}, None),
    ],
)
def test_high_glucose_is_told_of_as_diabetes_borderline_prediabetes_or_in_a_pregnancy(
    told: dict[str, float], expected: str | None
) -> None:
    raw = pd.DataFrame([{"RIAGENDR": 1.0} | told], columns=list(FEATURES["high_glucose_told"].sources), dtype=float)
    (found,) = marker.high_glucose_told(raw)
    assert found == expected or (expected is None and pd.isna(found))


def test_a_marker_is_missing_in_a_cycle_that_did_not_measure_it() -> None:
    raw = pd.DataFrame({"cycle": ["2021-2023", "2017-2018"], "LBXGLU": [100.0, 100.0], "LBXIN": [10.0, 10.0]})
    assert from_nhanes(raw, features(["homa_ir"]))["homa_ir"].isna().tolist() == [True, False]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Store:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path_factory.mktemp("cache"), offline=True)


@pytest.mark.nhanes
def test_every_value_of_the_survey_is_within_the_range_of_its_marker(mirror: Store) -> None:
    for each in CYCLES:
        held = [
            feature
            for feature in MARKERS
            if feature.kind == "number"
            and all(variable(name).name_in(each) for part in computed_from([feature]) for name in part.sources)
        ]
        names = [name for feature in computed_from(held) for name in feature.sources]
        found = from_nhanes(harmonise(mirror, cycles=[each], names=names).frame, held)
        for feature in held:
            values = found[feature.name].dropna()
            assert len(values) > 1000, (feature.name, each.years)
            assert feature.minimum is not None
            assert feature.maximum is not None
            assert values.between(feature.minimum, feature.maximum).all(), (feature.name, each.years)


@pytest.mark.nhanes
@pytest.mark.parametrize("years", ["2003-2004", "2009-2010", "2013-2014"])
def test_glucose_in_mmol_is_cdcs_own(mirror: Store, years: str) -> None:
    """LBDGLUSI has three digits up to 2013-2014; from 2015-2016 on it has two and is not rounded from LBXGLU."""
    each = next(each for each in CYCLES if each.years == years)
    table = xpt.read(mirror.path(each.path("GLU")), columns=["LBXGLU", "LBDGLUSI"]).dropna()
    assert len(table) > 3000
    assert (marker.MMOL_L_PER_MG_DL * table["LBXGLU"] - table["LBDGLUSI"]).abs().max() < 0.00051


@pytest.mark.nhanes
def test_means_of_markers_are_those_of_the_survey_by_hand(mirror: Store) -> None:
    """Fasting weights, adults who are not pregnant: sums of weight times value, worked out from the files alone."""
    each = next(each for each in CYCLES if each.years == "2013-2014")
    names = ["RIDAGEYR", "RIDEXPRG", "WTSAF2YR", "LBXGLU", "LBXIN"]
    frame = harmonise(mirror, cycles=[each], names=names).frame
    homa = from_nhanes(frame, features(["homa_ir"]))["homa_ir"]
    keep = (frame["RIDAGEYR"] >= 20) & (frame["RIDEXPRG"] != 1) & (frame["WTSAF2YR"] > 0) & homa.notna()
    by_hand = 0.05551 * frame["LBXGLU"] * frame["LBXIN"] / 22.5
    assert keep.sum() == 2309
    assert np.average(homa[keep], weights=frame.loc[keep, "WTSAF2YR"]) == pytest.approx(3.542, abs=5e-4)
    np.testing.assert_allclose(homa[keep], by_hand[keep], rtol=1e-12)


def rate(creatinine: float, age: float, sex: str | None) -> float:
    given = pd.DataFrame({"creatinine_mg_dl": [creatinine], "age_years": [age], "sex": pd.Categorical([sex])})
    return float(derive_egfr(given).iloc[0])


def test_only_the_cycles_that_cdc_corrects_are_calibrated() -> None:
    """Means of CDC's calibration samples (analytic notes of LAB18 and BIOPRO_D): as reported, and by the reference."""
    raw = pd.DataFrame(
        {"cycle": ["1999-2000", "2005-2006", "2003-2004", "2017-2020"], "LBXSCR": [0.838, 1.049, 1.0, 1.0]}
    )
    assert creatinine_mg_dl(raw).tolist() == pytest.approx([0.996, 1.010, 1.0, 1.0], abs=0.001)
    assert CALIBRATION.keys() == {"1999-2000", "2005-2006"}


@pytest.mark.parametrize(
    ("creatinine", "age", "sex", "expected"),
    [
        # National Kidney Foundation, eGFR calculator (kidney.org), as tests of other programs quote it; 88.4 umol/L are
        # 1 mg/dL.
        (1.2, 55, "male", 71),
        (200 / 88.4, 70, "male", 30),
        (200 / 88.4, 70, "female", 23),
        (100 / 88.4, 70, "male", 70),
        (100 / 88.4, 70, "female", 52),
        # By hand, from the four forms of the equation (female and male, creatinine below and above kappa).
        (0.6, 30, "female", 142 * (0.6 / 0.7) ** -0.241 * 0.9938**30 * 1.012),
        (1.4, 70, "female", 142 * 2.0**-1.2 * 0.9938**70 * 1.012),
        (0.45, 25, "male", 142 * 0.5**-0.302 * 0.9938**25),
        (0.9, 40, "male", 142 * 0.9938**40),
    ],
)
def test_the_rate_is_that_of_ckd_epi_2021(creatinine: float, age: float, sex: str, expected: float) -> None:
    assert rate(creatinine, age, sex) == pytest.approx(expected, abs=0.5 if isinstance(expected, int) else 1e-9)


def test_the_rate_falls_with_creatinine_and_age_and_has_no_step_at_kappa() -> None:
    assert rate(0.8, 50, "female") > rate(0.9, 50, "female") > rate(0.9, 51, "female")
    assert rate(0.7 - 1e-9, 50, "female") == pytest.approx(rate(0.7 + 1e-9, 50, "female"))


def test_without_creatinine_age_or_sex_there_is_no_rate() -> None:
    assert np.isnan([rate(NAN, 50, "male"), rate(1.0, NAN, "male"), rate(1.0, 50, None)]).all()
