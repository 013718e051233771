"""Kidney function: serum creatinine on one scale, and the filtration rate that CKD-EPI 2021 estimates from it."""

from __future__ import annotations

import pandas as pd

from mgrisk.facts import rows

CALIBRATION = {row["cycle"]: row for row in rows("mgrisk.features", "kidney.toml", "calibration")}
CKD_EPI = {row["sex"]: row for row in rows("mgrisk.features", "kidney.toml", "ckd_epi")}


def creatinine_mg_dl(raw: pd.DataFrame) -> pd.Series:
    """Return serum creatinine in mg/dL on the scale of the reference method; `kidney.toml` says of which cycles.

    Examples
    --------
    >>> raw = pd.DataFrame({"cycle": ["1999-2000", "2001-2002"], "LBXSCR": [1.0, 1.0]})
    >>> creatinine_mg_dl(raw).tolist()
    [1.16, 1.0]
    """
    slope = raw["cycle"].map({years: row["slope"] for years, row in CALIBRATION.items()}).fillna(1.0)
    intercept = raw["cycle"].map({years: row["intercept"] for years, row in CALIBRATION.items()}).fillna(0.0)
    return intercept.astype(float) + slope.astype(float) * raw["LBXSCR"]


def derive_egfr(given: pd.DataFrame) -> pd.Series:
    """Return the glomerular filtration rate in mL/min/1.73 m2, CKD-EPI 2021 without race.

    Examples
    --------
    >>> one = pd.DataFrame({"creatinine_mg_dl": [1.2], "age_years": [55.0], "sex": ["male"]})
    >>> derive_egfr(one).round().tolist()
    [71.0]
    """
    kappa, alpha, factor = (
        given["sex"].map({sex: row[name] for sex, row in CKD_EPI.items()}).astype(float)
        for name in ("kappa", "alpha", "factor")
    )
    relative = given["creatinine_mg_dl"] / kappa
    shape = relative.clip(upper=1.0) ** alpha * relative.clip(lower=1.0) ** -1.2
    rate: pd.Series = 142.0 * shape * 0.9938 ** given["age_years"] * factor
    return rate
