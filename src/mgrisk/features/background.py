"""Background features: demographics, education, income, family history, pregnancies, hypertension, smoking, sleep."""

from __future__ import annotations

import numpy as np
import pandas as pd

OLDEST = 80.0  # top code of NHANES from 2007 on; 85 before
YES_NO = {1.0: "yes", 2.0: "no"}
YES, NO = 1, 2
MALE = 1
CLOSE_RELATIVES = ("MCQ260AA", "MCQ260AB", "MCQ260AG", "MCQ260AH")
"""Mother, father, brother, sister."""
OTHER_RELATIVES = ("MCQ260AC", "MCQ260AD", "MCQ260AE", "MCQ260AF", "MCQ260AI")
FOOD_SECURITY = {1.0: "full", 2.0: "marginal", 3.0: "low", 4.0: "very_low"}
SCHOOL = {1.0: "below_9th_grade", 2.0: "9th_to_11th_grade", 3.0: "high_school", 4.0: "some_college", 5.0: "college"}


def age_years(raw: pd.DataFrame) -> pd.Series:
    """Return age at screening in years; 80 for people older than 80."""
    return raw["RIDAGEYR"].clip(upper=OLDEST)


def sex(raw: pd.DataFrame) -> pd.Series:
    """Return female or male."""
    return raw["RIAGENDR"].map({1.0: "male", 2.0: "female"})


def race_ethnicity(raw: pd.DataFrame) -> pd.Series:
    """Return race/ethnicity; missing for Asian and other people in cycles that do not distinguish them."""
    asian_or_other = raw["RIDRETH3"].map({6.0: "asian", 7.0: "other"})
    shared = raw["RIDRETH1"].map({1.0: "mexican_american", 2.0: "other_hispanic", 3.0: "white", 4.0: "black"})
    return shared.where(shared.notna(), asian_or_other)


def education(raw: pd.DataFrame) -> pd.Series:
    """Return the highest level of education completed."""
    return raw["DMDEDUC2"].map(SCHOOL)


def born_in_us(raw: pd.DataFrame) -> pd.Series:
    """Return whether the person was born in the 50 states or Washington, DC, "yes" or "no"."""
    return _yes_no(raw["DMDBORN4"] == YES, raw["DMDBORN4"].notna())


def food_security(raw: pd.DataFrame) -> pd.Series:
    """Return the food security of the household's adults."""
    return raw["FSDAD"].map(FOOD_SECURITY)


def family_history_diabetes(raw: pd.DataFrame) -> pd.Series:
    """Return whether a close biological relative had diabetes, "yes" or "no".

    Up to 2003-2004 people named the relatives: yes for a parent, brother or sister, no for others only.
    """
    close = raw[list(CLOSE_RELATIVES)].notna().any(axis=1)
    others = raw[list(OTHER_RELATIVES)].notna().any(axis=1)
    named = _yes_no(close, (raw["MCQ250A"] == NO) | close | others)
    return raw["MCQ300C"].map(YES_NO).where(raw["MCQ300C"].notna(), named)


def hypertension_told(raw: pd.DataFrame) -> pd.Series:
    """Return self-reported physician diagnosis of hypertension, "yes" or "no"."""
    return raw["BPQ020"].map(YES_NO)


def blood_pressure_medicine(raw: pd.DataFrame) -> pd.Series:
    """Return whether blood pressure medicine is taken; no without diagnosed hypertension or prescribed medicine."""
    takes = raw["BPQ050A"].where(raw["BPQ050A"].notna(), raw["BPQ150"])
    none = (raw["BPQ020"] == NO) | (raw["BPQ040A"] == NO)
    return takes.map(YES_NO).where(~none, "no")


def smoking(raw: pd.DataFrame) -> pd.Series:
    """Return smoking status: never, former or current."""
    now = raw["SMQ040"].map({1.0: "current", 2.0: "current", 3.0: "former"})
    # SMQ040 is asked only of people who ever smoked 100 cigarettes.
    return now.where(raw["SMQ020"] == 1, raw["SMQ020"].map({2.0: "never"}))


def gestational_diabetes(raw: pd.DataFrame) -> pd.Series:
    """Return self-reported diagnosis of gestational diabetes; no for men and for women who were never pregnant."""
    # 3 is "borderline", which is not a diagnosis of diabetes.
    return raw["RHQ162"].map({1.0: "yes", 2.0: "no", 3.0: "no"}).where(~_never(raw, "RHQ162"), "no")


def large_baby(raw: pd.DataFrame) -> pd.Series:
    """Return whether a baby weighed 9 pounds or more at birth; no for men and for women without a delivery."""
    # RHQ171 is asked of everyone asked RHQ172: women with neither, but with RHQ162, were pregnant without a delivery.
    no_delivery = raw["RHQ162"].notna() & raw["RHQ171"].isna() & raw["RHQ172"].isna()
    return raw["RHQ172"].map(YES_NO).where(~(_never(raw, "RHQ172") | no_delivery), "no")


def derive_gestational_diabetes(given: pd.DataFrame) -> pd.Series:
    """Return no for men, who are not asked; missing for women."""
    return _no_for_men(given)


def derive_large_baby(given: pd.DataFrame) -> pd.Series:
    """Return no for men, who are not asked; missing for women."""
    return _no_for_men(given)


def _no_for_men(given: pd.DataFrame) -> pd.Series:
    # By level codes, for speed: this is done for each block of a file that is scored.
    no = np.where(given["sex"].cat.codes == given["sex"].cat.categories.get_loc("male"), 0, -1)
    return pd.Series(pd.Categorical.from_codes(no, dtype=pd.CategoricalDtype(["no", "yes"])), index=given.index)


def _never(raw: pd.DataFrame, asked: str) -> pd.Series:
    return (raw["RIAGENDR"] == MALE) | ((raw["RHQ131"] == NO) & raw[asked].isna())


def _yes_no(yes: pd.Series, known: pd.Series) -> pd.Series:
    return yes.map({True: "yes", False: "no"}).where(known)
