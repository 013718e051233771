"""Body measures."""

from __future__ import annotations

import pandas as pd


def height_cm(raw: pd.DataFrame) -> pd.Series:
    """Return measured height in cm."""
    return raw["BMXHT"]


def weight_kg(raw: pd.DataFrame) -> pd.Series:
    """Return measured weight in kg."""
    return raw["BMXWT"]


def bmi_kg_m2(raw: pd.DataFrame) -> pd.Series:
    """Return body mass index as NHANES computed it, kg/m²."""
    return raw["BMXBMI"]


def waist_cm(raw: pd.DataFrame) -> pd.Series:
    """Return measured waist circumference in cm."""
    return raw["BMXWAIST"]


def derive_bmi_kg_m2(given: pd.DataFrame) -> pd.Series:
    """Return weight / height², kg/m²."""
    return given["weight_kg"] / (given["height_cm"] / 100) ** 2
