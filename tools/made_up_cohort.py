"""Write data/examples/cohort.csv.gz: a made-up (SYNTHETIC) extract with outcomes and other column names.

    python tools/made_up_cohort.py data/examples/cohort.csv.gz

The outcome depends on age, waist, blood pressure and family history; magnesium has no effect given these, so that the
example cannot be taken for a finding. Units and codes differ from those of mgrisk: cohort.mapping.toml converts them.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

YEARS = (2014, 2015, 2016, 2017)
PEOPLE_PER_YEAR = 1500
CLINICS = 24


def made_up(seed: int = 20261128) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    n = len(YEARS) * PEOPLE_PER_YEAR
    clinic = random.integers(1, CLINICS + 1, n)
    age = np.clip(random.normal(52, 15, n), 20, 90).round()
    female = random.random(n) < 0.53
    height = random.normal(np.where(female, 163, 176), 6.5)
    bmi = np.clip(random.lognormal(np.log(27.5), 0.18, n), 16, 60)
    waist = 35 + 2.1 * bmi + 0.12 * age + np.where(female, -5, 3) + random.normal(0, 5, n)
    energy = random.lognormal(np.log(np.where(female, 1800, 2300)), 0.28)
    magnesium = energy * random.lognormal(np.log(0.15), 0.25, n)
    family = random.random(n) < 0.32
    pressure = random.random(n) < expit(-5.2 + 0.06 * age + 0.07 * (bmi - 27))
    of_clinic = random.normal(0, 0.25, CLINICS + 1)[clinic]
    log_odds = -5.0 + 0.035 * age + 0.045 * (waist - 95) + 0.7 * family + 0.6 * pressure + of_clinic
    case = random.random(n) < expit(log_odds)
    people = pd.DataFrame(
        {
            "PAT": [f"made-up-{number:05d}" for number in range(n)],
            "YEAR": np.repeat(YEARS, PEOPLE_PER_YEAR),
            "CLINIC": clinic,
            "AGE": age.astype(int),
            "GENDER": np.where(female, 2, 1),
            "HT_IN": (height / 2.54).round(1),
            "WT_LB": (bmi * (height / 100) ** 2 / 0.45359237).round(),
            "WAIST_IN": (waist / 2.54).round(1),
            "HTN": pressure.astype(int),
            "FAMHX": family.astype(int),
            "SMOKE": random.choice([1, 2, 3], n, p=[0.55, 0.27, 0.18]),
            "KJ": (energy * 4.184).round(),
            "MG_MMOL": (magnesium / 24.305).round(2),
            "DM_5Y": case.astype(int),
        }
    ).astype(object)
    for column, share, code in (
        ("FAMHX", 0.06, 9),
        ("MG_MMOL", 0.08, "NA"),
        ("WAIST_IN", 0.04, -9),
        ("DM_5Y", 0.02, ""),
    ):
        people.loc[random.random(n) < share, column] = code
    return people


if __name__ == "__main__":
    text = made_up().to_csv(index=False, lineterminator="\n")
    # No name and no time in the gzip header, so that the bytes are always the same.
    with Path(sys.argv[1]).open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode())
