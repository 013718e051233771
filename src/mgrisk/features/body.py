"""Body measurements, blood pressure, pulse, and self-reported weight history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

KG_IN_POUND = 0.45359237
# Lower limits of normal, overweight and obese, kg/m². General: WHO. Asian people: action points of the WHO expert
# consultation 2004 (doi 10.1016/S0140-6736(03)15268-3); the ADA screens Asian Americans from 23 on.
BMI_CUTS = (18.5, 25.0, 30.0)
BMI_CUTS_ASIAN = (18.5, 23.0, 27.5)
BMI_CLASSES = ("underweight", "normal", "overweight", "obese")
PREGNANT = 1.0


def derive_bmi_kg_m2(given: pd.DataFrame) -> pd.Series:
    """Return weight / height², kg/m²."""
    return given["weight_kg"] / (given["height_cm"] / 100) ** 2


def derive_bmi_class(given: pd.DataFrame) -> pd.Series:
    """Return the WHO class of body mass index, with lower cut points for Asian people."""
    bmi = given["bmi_kg_m2"]
    asian = (given["race_ethnicity"] == "asian").to_numpy()
    place = np.where(asian, np.digitize(bmi, BMI_CUTS_ASIAN), np.digitize(bmi, BMI_CUTS))
    found = pd.Series(np.array(BMI_CLASSES)[place], index=given.index, dtype=object)
    return found.where(bmi.notna(), None)


def derive_waist_to_height(given: pd.DataFrame) -> pd.Series:
    """Return waist / height."""
    return given["waist_cm"] / given["height_cm"]


def weight_change_1y_kg(raw: pd.DataFrame) -> pd.Series:
    """Return self-reported current weight minus weight a year ago, kg."""
    return _weight_change(raw, "WHD050")


def weight_change_10y_kg(raw: pd.DataFrame) -> pd.Series:
    """Return self-reported current weight minus weight ten years ago, kg."""
    return _weight_change(raw, "WHD110")


def weight_change_since_25_kg(raw: pd.DataFrame) -> pd.Series:
    """Return self-reported current weight minus weight at age 25, kg."""
    return _weight_change(raw, "WHD120")


def weight_greatest_kg(raw: pd.DataFrame) -> pd.Series:
    """Return the self-reported greatest weight ever, kg."""
    return raw["WHD140"] * KG_IN_POUND


def systolic_mmhg(raw: pd.DataFrame) -> pd.Series:
    """Return the mean of systolic readings (mmHg), by auscultation if the cycle has it, else oscillometric."""
    return _by_one_method(raw, _numbered("BPXSY", 4), _numbered("BPXOSY", 3))


def diastolic_mmhg(raw: pd.DataFrame) -> pd.Series:
    """Return the mean of diastolic readings above 0 (mmHg), by auscultation if the cycle has it, else oscillometric."""
    return _by_one_method(raw, _numbered("BPXDI", 4), _numbered("BPXODI", 3))


def pulse_bpm(raw: pd.DataFrame) -> pd.Series:
    """Return the resting pulse, beats/min: counted at the wrist if the cycle has it, else the mean of readings."""
    return _by_one_method(raw, ["BPXPLS"], _numbered("BPXOPLS", 3))


def _weight_change(raw: pd.DataFrame, then: str) -> pd.Series:
    """Return self-reported current weight minus an earlier weight, kg.

    Both are reported in the same interview, so that misreporting cancels in part. Pregnant women are missing, because
    1999-2002 asked them for their current weight and later cycles for their weight before pregnancy.
    """
    change = (raw["WHD020"] - raw[then]) * KG_IN_POUND
    return change.mask(raw["RIDEXPRG"] == PREGNANT)


def _numbered(name: str, readings: int) -> list[str]:
    return [f"{name}{reading}" for reading in range(1, readings + 1)]


def _by_one_method(raw: pd.DataFrame, by_hand: Sequence[str], oscillometric: Sequence[str]) -> pd.Series:
    hand, device = _mean_above_zero(raw, by_hand), _mean_above_zero(raw, oscillometric)
    # 2017-2018 measured by both methods; only one is used within a cycle.
    has_hand = hand.notna().groupby(raw["cycle"]).transform("any")
    return hand.where(has_hand, device)


def _mean_above_zero(raw: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    # A diastolic reading of 0 means that sounds were heard down to zero; NCHS excludes it from means. One person of
    # 2011-2012 has a pulse of 0, which means that it was not counted.
    readings = raw[list(names)]
    return readings.where(readings > 0).mean(axis=1)
