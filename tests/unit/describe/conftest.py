"""The small survey of the golden values in the form of NHANES tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def toy_nhanes(toy: pd.DataFrame) -> pd.DataFrame:
    """Return the toy survey of the golden values under names of NHANES."""
    return pd.DataFrame(
        {
            "SEQN": np.arange(len(toy)),
            "cycle": "2017-2018",
            "SDMVSTRA": toy["stratum"].astype(float),
            "SDMVPSU": toy["psu"].astype(float),
            "WTMEC2YR": toy["weight"],
            "RIDAGEYR": 40.0,
            "BMXWT": toy["amount"],
            "BMXBMI": toy["x1"],
            "BMXHT": toy["x2"].astype(float),
            "BMXWAIST": toy["y"].astype(float),
            "BMXHIP": toy["domain"].astype(float),
            "BMXARMC": toy["group"].map({"a": 10.0, "b": 20.0, "c": 30.0}),
            "RIAGENDR": np.where(toy["x2"] == 1, 2.0, 1.0),
        }
    )
