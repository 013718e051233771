"""Body features: measured values, values derived from them, blood pressure readings and self-reports."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features import body
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import features
from mgrisk.nhanes.cycles import CYCLES, cycle
from mgrisk.nhanes.harmonise import harmonise
from mgrisk.nhanes.store import Store

NAN = float("nan")


@pytest.mark.parametrize(
    ("feature", "variable"),
    [
        ("height_cm", "BMXHT"),
        ("weight_kg", "BMXWT"),
        ("bmi_kg_m2", "BMXBMI"),
        ("waist_cm", "BMXWAIST"),
        ("hip_cm", "BMXHIP"),
        ("upper_leg_length_cm", "BMXLEG"),
    ],
)
def test_a_measure_is_its_own_variable(feature: str, variable: str) -> None:
    raw = pd.DataFrame({"BMXHT": [1.0, NAN], "BMXWT": [2.0, NAN], "BMXBMI": [3.0, NAN], "BMXWAIST": [4.0, NAN]})
    raw[["BMXHIP", "BMXLEG"]] = [[5.0, 6.0], [NAN, NAN]]
    values = from_nhanes(raw.assign(cycle="2017-2018"), features([feature]))[feature]
    np.testing.assert_array_equal(values, raw[variable])


def test_body_mass_index_is_in_kilograms_over_square_metres() -> None:
    # WHO: 1.80 m and 81 kg are 25 kg/m2.
    given_frame = pd.DataFrame({"weight_kg": [81.0, NAN, 81.0], "height_cm": [180.0, 180.0, NAN]})
    np.testing.assert_allclose(body.derive_bmi_kg_m2(given_frame), [25.0, NAN, NAN], rtol=1e-15)


@given(height=st.floats(100, 250), weight=st.floats(20, 400), factor=st.floats(0.5, 2))
def test_body_mass_index_grows_with_weight_and_falls_with_the_square_of_height(
    height: float, weight: float, factor: float
) -> None:
    frame = pd.DataFrame(
        {"weight_kg": [weight, weight * factor, weight], "height_cm": [height, height, height * factor]}
    )
    plain, heavier, taller = body.derive_bmi_kg_m2(frame)
    np.testing.assert_allclose([heavier / plain, taller / plain], [factor, factor**-2], rtol=1e-12)


@pytest.mark.parametrize(
    ("race", "bmi", "expected"),
    [
        ("white", 18.49, "underweight"),
        ("white", 18.5, "normal"),
        ("white", 24.99, "normal"),
        ("white", 25.0, "overweight"),
        ("white", 30.0, "obese"),
        ("asian", 18.49, "underweight"),
        ("asian", 22.99, "normal"),
        ("asian", 23.0, "overweight"),
        ("asian", 27.5, "obese"),
        (None, 27.5, "overweight"),
        ("asian", NAN, None),
    ],
)
def test_the_class_of_body_mass_index_begins_at_its_cut_point_and_lower_for_asian_people(
    race: str | None, bmi: float, expected: str | None
) -> None:
    given_frame = pd.DataFrame({"bmi_kg_m2": [bmi], "race_ethnicity": pd.Categorical([race], ["white", "asian"])})
    assert body.derive_bmi_class(given_frame).tolist() == [expected]


def test_waist_to_height_is_a_pure_number() -> None:
    given_frame = pd.DataFrame({"waist_cm": [90.0, NAN], "height_cm": [180.0, 180.0]})
    np.testing.assert_array_equal(body.derive_waist_to_height(given_frame), [0.5, NAN])


@pytest.mark.parametrize(
    ("feature", "then"),
    [("weight_change_1y_kg", "WHD050"), ("weight_change_10y_kg", "WHD110"), ("weight_change_since_25_kg", "WHD120")],
)
def test_a_gain_is_positive_in_kilograms_and_pregnant_women_have_none(feature: str, then: str) -> None:
    raw = pd.DataFrame(
        {
            "WHD020": [200.0, 150.0, NAN, 180.0, 180.0],
            then: [100.0, 160.0, 150.0, NAN, 150.0],
            "RIDEXPRG": [NAN, 2.0, NAN, NAN, 1.0],
        }
    )
    # The international pound of 1959 is 0.45359237 kg exactly.
    np.testing.assert_allclose(getattr(body, feature)(raw), [45.359237, -4.5359237, NAN, NAN, NAN], rtol=1e-15)


def test_the_greatest_weight_is_taken_as_told() -> None:
    np.testing.assert_allclose(body.weight_greatest_kg(pd.DataFrame({"WHD140": [100.0, NAN]})), [45.359237, NAN])


def readings(years: str, **found: float) -> pd.DataFrame:
    names = [f"BPX{kind}{place}" for kind in ("SY", "DI") for place in range(1, 5)]
    names += [f"BPXO{kind}{place}" for kind in ("SY", "DI", "PLS") for place in range(1, 4)]
    return pd.DataFrame([dict.fromkeys([*names, "BPXPLS"], NAN) | found]).assign(cycle=years)


def test_blood_pressure_is_the_mean_of_the_readings_there_are_without_zeros() -> None:
    raw = readings("2007-2008", BPXSY2=120, BPXSY3=130, BPXSY4=122, BPXDI2=0, BPXDI3=70, BPXDI4=80)
    assert (body.systolic_mmhg(raw).iloc[0], body.diastolic_mmhg(raw).iloc[0]) == (124, 75)
    assert np.isnan(body.diastolic_mmhg(readings("2007-2008", BPXDI1=0, BPXDI2=0)).iloc[0])


def test_methods_do_not_mix_within_a_cycle() -> None:
    raw = pd.concat(
        [
            readings("2017-2018", BPXSY1=120, BPXOSY1=110),
            readings("2017-2018", BPXOSY1=111),
            readings("2021-2023", BPXOSY1=112),
        ]
    )
    np.testing.assert_array_equal(body.systolic_mmhg(raw.reset_index(drop=True)), [120, NAN, 112])


def test_the_pulse_is_the_count_or_the_mean_of_the_readings_there_are() -> None:
    raw = pd.concat(
        [
            readings("2017-2018", BPXPLS=72, BPXOPLS1=60, BPXOPLS2=60),
            readings("2017-2018", BPXOPLS1=60),
            readings("2017-2020", BPXOPLS1=64, BPXOPLS3=67),
            readings("2021-2023", BPXOPLS1=70, BPXOPLS2=71, BPXOPLS3=75),
        ]
    )
    np.testing.assert_array_equal(body.pulse_bpm(raw.reset_index(drop=True)), [72, NAN, 65.5, 72])


def test_a_pulse_of_zero_is_none() -> None:
    raw = pd.concat([readings("2011-2012", BPXPLS=0), readings("2011-2012", BPXPLS=60)])
    np.testing.assert_array_equal(body.pulse_bpm(raw.reset_index(drop=True)), [NAN, 60])


@pytest.fixture
def mirror(tmp_path: Path) -> Store:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)


@pytest.mark.nhanes
@pytest.mark.parametrize("years", [each.years for each in CYCLES])
def test_pulse_and_upper_leg_are_those_of_another_reader_of_the_tables(mirror: Store, years: str) -> None:
    chosen = features(["pulse_bpm", "upper_leg_length_cm"])
    names = [*(source for each in chosen for source in each.sources), "RIDAGEYR"]
    frame = harmonise(mirror, cycles=[cycle(years)], names=names).frame
    found = from_nhanes(frame, chosen).set_index(frame["SEQN"])

    def table(name: str) -> pd.DataFrame:
        path = Path(os.environ["MGRISK_NHANES"]) / cycle(years).path(name)
        return pd.read_sas(path, format="xport", encoding="latin-1").set_index("SEQN").reindex(found.index)

    # pandas reads the zeros of these tables as 5.4e-79.
    if "BPX" in cycle(years).absent:
        pulse = table("BPXO")[["BPXOPLS1", "BPXOPLS2", "BPXOPLS3"]].mean(axis=1)
    else:
        pulse = table("BPX")["BPXPLS"].where(lambda count: count > 1)
    np.testing.assert_allclose(found["pulse_bpm"], pulse, rtol=1e-12)
    np.testing.assert_array_equal(found["upper_leg_length_cm"], table("BMX")["BMXLEG"])
    # Both are measured from 8 years on, in 2001-2002 the pulse of one younger child.
    younger = (frame["RIDAGEYR"] < 8).to_numpy()
    assert found[younger].notna().sum().sum() == (1 if years == "2001-2002" else 0)
    assert (found[~younger].notna().mean() > 0.7).all()


@pytest.mark.nhanes
def test_mean_resting_pulse_is_as_published(mirror: Store) -> None:
    # National Health Statistics Reports 41 (2011): 74 and 71 beats/min (SE 0.2 and 0.3), women and men of 20 and older,
    # NHANES 1999-2008, without those whose illness or medicine changes the pulse.
    chosen = features(["pulse_bpm"])
    names = [*chosen[0].sources, "RIDAGEYR", "RIAGENDR", "WTMEC2YR"]
    cycles = [cycle(each) for each in ("1999-2000", "2001-2002", "2003-2004", "2005-2006", "2007-2008")]
    frame = harmonise(mirror, cycles=cycles, names=names).frame
    found = from_nhanes(frame, chosen)["pulse_bpm"]
    for sex, published in ((2, 74), (1, 71)):
        kept = (frame["RIDAGEYR"] >= 20) & (frame["RIAGENDR"] == sex) & found.notna()
        assert np.average(found[kept], weights=frame.loc[kept, "WTMEC2YR"]) == pytest.approx(published, abs=0.7)


@pytest.mark.nhanes
def test_mean_blood_pressure_is_as_published(mirror: Store) -> None:
    # National Health Statistics Reports 35 (2011): 122 and 71 mmHg, NHANES 2001-2008, 18 years and older.
    chosen = features(["systolic_mmhg", "diastolic_mmhg"])
    names = [*(source for each in chosen for source in each.sources), "RIDAGEYR", "WTMEC2YR"]
    years = ("2001-2002", "2003-2004", "2005-2006", "2007-2008")
    frame = harmonise(mirror, cycles=[cycle(each) for each in years], names=names).frame
    frame = frame[frame["RIDAGEYR"] >= 18]
    found = from_nhanes(frame, chosen)
    both = found.notna().all(axis=1)
    means = np.average(found[both], axis=0, weights=frame.loc[both, "WTMEC2YR"])
    np.testing.assert_array_equal(means.round(), [122, 71])


@pytest.mark.nhanes
def test_adults_with_a_body_mass_index_of_thirty_or_more_are_as_many_as_published(mirror: Store) -> None:
    # NCHS Data Brief 360 (2020): 42.4 %, NHANES 2017-2018, 20 years and older, not pregnant, age-adjusted.
    chosen = features(["bmi_kg_m2", "bmi_class", "race_ethnicity"])
    names = ["BMXBMI", "RIDRETH1", "RIDRETH3", "RIDAGEYR", "RIDEXPRG", "WTMEC2YR"]
    frame = harmonise(mirror, cycles=[cycle("2017-2018")], names=names).frame
    frame = frame[(frame["RIDAGEYR"] >= 20) & (frame["RIDEXPRG"] != 1) & frame["BMXBMI"].notna()]
    found = from_nhanes(frame, chosen)
    general = found["race_ethnicity"] != "asian"
    obese = found["bmi_class"] == "obese"
    assert obese[general].equals((found["bmi_kg_m2"] >= 30)[general])
    assert np.average(found["bmi_kg_m2"] >= 30, weights=frame["WTMEC2YR"]) == pytest.approx(0.424, abs=0.01)
    assert np.average(obese, weights=frame["WTMEC2YR"]) > np.average(
        found["bmi_kg_m2"] >= 30, weights=frame["WTMEC2YR"]
    )
