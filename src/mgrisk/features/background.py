"""Background features: age, sex, origin, income, family history, blood pressure told, smoking, sleep."""

from __future__ import annotations

import pandas as pd

OLDEST = 80.0  # top code of NHANES from 2007 on; 85 before
YES_NO = {1.0: "yes", 2.0: "no"}


def age_years(raw: pd.DataFrame) -> pd.Series:
    """Return age at screening in years, 80 for everyone older."""
    return raw["RIDAGEYR"].clip(upper=OLDEST)


def sex(raw: pd.DataFrame) -> pd.Series:
    """Return female or male."""
    return raw["RIAGENDR"].map({1.0: "male", 2.0: "female"})


def race_ethnicity(raw: pd.DataFrame) -> pd.Series:
    """Return race/Hispanic origin; missing where the cycle cannot tell Asian from other."""
    told_apart = raw["RIDRETH3"].map({6.0: "asian", 7.0: "other"})
    shared = raw["RIDRETH1"].map({1.0: "mexican_american", 2.0: "other_hispanic", 3.0: "white", 4.0: "black"})
    return shared.where(shared.notna(), told_apart)


def income_poverty_ratio(raw: pd.DataFrame) -> pd.Series:
    """Return family income divided by the poverty threshold."""
    return raw["INDFMPIR"]


def family_history_diabetes(raw: pd.DataFrame) -> pd.Series:
    """Return whether a close biological relative had diabetes."""
    return raw["MCQ300C"].map(YES_NO)


def hypertension_told(raw: pd.DataFrame) -> pd.Series:
    """Return whether a health professional ever told of high blood pressure."""
    return raw["BPQ020"].map(YES_NO)


def smoking(raw: pd.DataFrame) -> pd.Series:
    """Return never, former or current."""
    now = raw["SMQ040"].map({1.0: "current", 2.0: "current", 3.0: "former"})
    # SMQ040 is asked only of those who ever smoked 100 cigarettes.
    return now.where(raw["SMQ020"] == 1, raw["SMQ020"].map({2.0: "never"}))


def sleep_hours(raw: pd.DataFrame) -> pd.Series:
    """Return hours of sleep on weekdays or workdays."""
    return raw["SLD012"]


def gestational_diabetes(raw: pd.DataFrame) -> pd.Series:
    """Return whether diabetes was told of in a pregnancy; no for men and where the question does not apply."""
    # 3 is "borderline": not told of diabetes. The question is skipped for those who were never pregnant.
    answer = raw["RHQ162"].map({1.0: "yes", 2.0: "no", 3.0: "no"})
    return answer.where(answer.notna(), "no")
