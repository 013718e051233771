"""Markers: laboratory values for outcomes and evidence, indices computed from them, and kidney function.

Markers are never predictors. Kidney function is serum creatinine on the same scale in all cycles, and the glomerular
filtration rate estimated from it by CKD-EPI 2021.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.config.toml import rows
from mgrisk.features.background import gestational_diabetes

MMOL_L_PER_MG_DL = 0.05551
"""Conversion factor of glucose, as used by CDC/NCHS for LBDGLUSI."""
TYPE_1_DIAGNOSED_BEFORE = 30.0
"""Age at diagnosis in years."""
LESS_THAN_ONE = 666.0
YES, MONTHS = 1, 1
NO, BORDERLINE = 2, 3


def derive_homa_ir(given: pd.DataFrame) -> pd.Series:
    """Return the homeostasis model assessment of insulin resistance.

    Examples
    --------
    >>> derive_homa_ir(pd.DataFrame({"glucose_mg_dl": [90.0], "insulin_uu_ml": [10.0]})).round(4).tolist()
    [2.2204]
    """
    return MMOL_L_PER_MG_DL * given["glucose_mg_dl"] * given["insulin_uu_ml"] / 22.5


def derive_homa_b(given: pd.DataFrame) -> pd.Series:
    """Return the homeostasis model assessment of beta cell function, %; missing at 3.5 mmol/L and below."""
    above = MMOL_L_PER_MG_DL * given["glucose_mg_dl"] - 3.5
    return 20.0 * given["insulin_uu_ml"] / above.where(above > 0)


def derive_quicki(given: pd.DataFrame) -> pd.Series:
    """Return the quantitative insulin sensitivity check index."""
    index: pd.Series = 1.0 / (np.log10(given["insulin_uu_ml"]) + np.log10(given["glucose_mg_dl"]))
    return index


def derive_tyg(given: pd.DataFrame) -> pd.Series:
    """Return the triglyceride-glucose index."""
    index: pd.Series = np.log(given["triglycerides_mg_dl"] * given["glucose_mg_dl"] / 2.0)
    return index


def diabetes_told(raw: pd.DataFrame) -> pd.Series:
    """Return self-reported physician diagnosis of diabetes or borderline diabetes, "yes" or "no"."""
    return raw["DIQ010"].map({YES: "yes", NO: "no", BORDERLINE: "yes"})


def likely_type_1(raw: pd.DataFrame) -> pd.Series:
    """Return whether diabetes is likely type 1, "yes" or "no"; missing without an answer on diabetes.

    Yes for a diagnosis before age 30, current insulin use, and insulin started within a year of diagnosis; no if age at
    diagnosis or duration of insulin use is missing. NHANES asks for whole years, so that both may be off by one.
    """
    diagnosed = raw["DID040"].where(raw["DID040"] != LESS_THAN_ONE, 0.0)
    quantity = raw["DID060"].where(raw["DID060"] != LESS_THAN_ONE, 0.0)
    on_insulin = quantity.where(raw["DIQ060U"] != MONTHS, quantity / 12.0)
    begun = raw["RIDAGEYR"] - on_insulin
    likely = (
        (raw["DIQ010"] == YES)
        & (raw["DIQ050"] == YES)
        & (diagnosed < TYPE_1_DIAGNOSED_BEFORE)
        & (begun - diagnosed <= 1.0)
    )
    return pd.Series(np.where(likely, "yes", "no"), index=raw.index).where(raw["DIQ010"].notna())


def high_glucose_told(raw: pd.DataFrame) -> pd.Series:
    """Return any self-reported diagnosis of high blood glucose: diabetes (also gestational), borderline or prediabetes.

    No for people without diabetes and prediabetes, even if the answer on pregnancies is missing. DIQ160 is not asked of
    people with diagnosed diabetes.
    """
    diagnosed = raw["DIQ010"].isin([YES, BORDERLINE]) | (raw["DIQ160"] == YES) | (gestational_diabetes(raw) == "yes")
    return pd.Series(np.where(diagnosed, "yes", "no"), index=raw.index).where(diagnosed | (raw["DIQ160"] == NO))


CALIBRATION = {row["cycle"]: row for row in rows("mgrisk.features", "kidney.toml", "calibration")}
CKD_EPI = {row["sex"]: row for row in rows("mgrisk.features", "kidney.toml", "ckd_epi")}


def creatinine_mg_dl(raw: pd.DataFrame) -> pd.Series:
    """Return serum creatinine, mg/dL, on the scale of the reference method; `kidney.toml` has the corrected cycles.

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
    """Return the estimated glomerular filtration rate, mL/min/1.73 m2, by CKD-EPI 2021 without race.

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
