"""Creatinine on one scale, and the filtration rate of the CKD-EPI 2021 equation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.features.kidney import CALIBRATION, creatinine_mg_dl, derive_egfr

NAN = float("nan")


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
