"""The chapter on magnesium recovers the simulated effect from the raw tables of SYNTHETIC cohorts.

`test_association_recovers` simulates recalls and outcomes directly; here the whole analysis is run: tables written as
CDC writes them, harmonised, made into features, panels, a model of usual intake, a regression under the survey design.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.adjustment_set import AdjustmentSet
from mgrisk.evidence.people import build_panel, read_people
from mgrisk.evidence.regression import fit_corrected, fit_uncorrected, linear_coding, panel_scales
from mgrisk.nhanes.store import Store
from mgrisk.nhanes.synthetic import CYCLES, write_cohort
from mgrisk.survey.variance import t_quantile

pytestmark = pytest.mark.slow

COHORTS, PEOPLE = 80, 6000
ANALYSED = CYCLES[-3:]
# What the cohort makes undiagnosed diabetes of, beside magnesium; hypertension, no adjustment's, goes with none of it.
TERMS = ("age", "sex", "race", "education", "income", "activity", "family", "bmi", "waist")
SEQUENCE = [
    AdjustmentSet(name=name, label="toy", reason="toy", all_nutrients=nutrients, all_terms=TERMS)
    for name, nutrients in (("alone", ("magnesium",)), ("given energy", ("magnesium", "energy")))
]


@pytest.fixture(scope="module")
def cohorts() -> pd.DataFrame:
    """One row for each adjustment of each cohort: truth, uncorrected estimate, corrected estimate with interval."""
    rows = []
    for seed in range(COHORTS):
        with TemporaryDirectory() as made:
            folder = Path(made)
            truth = write_cohort(folder, people_per_cycle=PEOPLE, seed=1000 + seed, cycles=ANALYSED).magnesium_log_odds
            store = Store(source=made, cache=folder / "cache", offline=False)
            people = read_people(store, [cycle.years for cycle in ANALYSED])
        panel = build_panel(people, "fasting", outcomes=["undiagnosed"])
        for adjustment in SEQUENCE:
            (uncorrected,) = fit_uncorrected(panel, adjustment, [linear_coding()])
            scales = panel_scales(panel, adjustment.all_nutrients)
            (corrected,) = fit_corrected(panel, adjustment, [linear_coding()], scales=scales)
            estimate, se = float(corrected.coefficients[0]), float(corrected.se[0])
            covers = abs(estimate - truth) < t_quantile(0.95, corrected.df) * se
            rows.append((adjustment.name, truth, float(uncorrected.coefficients[0]), estimate, se, covers))
    return pd.DataFrame(rows, columns=["adjustment", "truth", "uncorrected", "corrected", "se", "covers"])


@pytest.mark.parametrize("adjustment", [adjustment.name for adjustment in SEQUENCE])
def test_the_corrected_estimate_is_that_of_the_truth_within_simulation_error(
    cohorts: pd.DataFrame, adjustment: str
) -> None:
    found = cohorts[cohorts["adjustment"] == adjustment]
    error = found["corrected"].std() / np.sqrt(COHORTS)
    assert abs(found["corrected"].mean() - found["truth"].iloc[0]) < 3 * error
    assert np.sqrt((found["se"] ** 2).mean()) == pytest.approx(found["corrected"].std(), rel=0.25)


def test_its_intervals_cover_as_often_as_they_say(cohorts: pd.DataFrame) -> None:
    for _, found in cohorts.groupby("adjustment"):
        # Of 80 intervals of 95 %, fewer than 69 cover once in 1000 times.
        assert 69 <= found["covers"].sum() <= COHORTS


def test_the_naive_estimate_is_diluted(cohorts: pd.DataFrame) -> None:
    alone = cohorts[cohorts["adjustment"] == "alone"]
    error = alone["uncorrected"].std() / np.sqrt(COHORTS)
    assert alone["uncorrected"].mean() - alone["truth"].iloc[0] > 3 * error
