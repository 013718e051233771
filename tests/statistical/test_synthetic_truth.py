"""Means, shares and an effect in SYNTHETIC cohorts recover the truth, with intervals that cover it.

The truth is the expectation of the superpopulation that a seed draws PSUs and people from. It is read off very large
cohorts with thousands of PSUs: a cohort of 30 PSUs has its own accidents, however many people are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, chi2

from mgrisk.features.usual_intake import fit_usual_intake
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import KEY, VARIABLES
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic import CYCLES, write_cohort
from mgrisk.nhanes.synthetic.health import GLUCOSE_LIMIT, HBA1C_LIMIT
from mgrisk.nhanes.synthetic.parameters import parameter_groups
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import Estimate, mean, proportion
from mgrisk.survey.linear_models import fit_logistic, maximise_likelihood

pytestmark = pytest.mark.slow

Floats = NDArray[np.float64]

SEEDS, PEOPLE = 200, 2000
ANALYSED = CYCLES[-2:]
# Of six cycles of 100,000 people each: an error of about a tenth of that of one small cohort.
LARGE_STRATA = 1500
LARGE_COHORTS, LARGE_PEOPLE = 12, 30_000
STATISTICS = ("BMI", "usual magnesium", "recalled magnesium", "diagnosed", "undiagnosed")
PREDICTORS = ("age", "age2", "female", "mexican", "hispanic", "black", "asian", "other", "pir", "bmi", "waist")
HABITS = ("family", "hypertension", "leisure")
NAMES = (
    *("RIDAGEYR", "RIAGENDR", "RIDRETH3", "INDFMPIR", "WTINT2YR", "WTMEC2YR", "SDMVPSU", "SDMVSTRA", "DIQ010"),
    *("BPQ020", "MCQ300C", "PAQ650", "PAQ665", "BMXBMI", "BMXWAIST", "LBXGH", "LBXGLU", "WTSAF2YR", "WTDRD1"),
    *("DR1TMAGN", "DR2TMAGN"),
)


def read_cohort(*, seed: int, people: int, cycles: Sequence[Cycle], names: Sequence[str] = NAMES) -> pd.DataFrame:
    """Write a cohort and read it back, one row for each person, with the truth beside it."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        truth = write_cohort(folder, people_per_cycle=people, seed=seed, cycles=cycles).frame()
        parts = []
        for cycle in cycles:
            frame = pd.DataFrame({KEY: truth.loc[truth["cycle"] == cycle.years, KEY]}).set_index(KEY)
            for table in dict.fromkeys(VARIABLES[name].table for name in names):
                columns = [name for name in names if VARIABLES[name].table == table]
                found = xpt.read(folder / cycle.path(table), columns=[KEY, *columns])
                frame = frame.join(found.set_index(KEY))
            parts.append(frame)
    return truth.set_index(KEY).join(pd.concat(parts))


def design_of(people: pd.DataFrame, weight: str, domain: pd.Series) -> SurveyDesign:
    level = VARIABLES[weight].level
    stratum, psu = (people[name].to_numpy() for name in ("SDMVSTRA", "SDMVPSU"))
    full = SurveyDesign(people[weight].fillna(0.0).to_numpy(), stratum, psu, WeightLevel(level))
    return full.where((domain & (people["RIDAGEYR"] >= 20)).to_numpy())


def estimates(people: pd.DataFrame, *, weighted: bool = True) -> dict[str, Estimate]:
    """Return each of `STATISTICS` as an analyst of the tables would get it."""
    if not weighted:
        weights = [name for name in NAMES if name.startswith("WT")]
        people = people.assign(**{name: (people[name] > 0).astype(float) for name in weights})
    known = people["DIQ010"].isin([1, 2, 3])
    laboratory = known & people["LBXGH"].notna() & people["LBXGLU"].notna()
    high = (people["LBXGH"] >= HBA1C_LIMIT) | (people["LBXGLU"] >= GLUCOSE_LIMIT)
    recalled = design_of(people, "WTDRD1", people["DR1TMAGN"].notna())
    return {
        "BMI": mean(people["BMXBMI"], design_of(people, "WTMEC2YR", people["BMXBMI"].notna())),
        "usual magnesium": mean(people["usual_magnesium_mg"], recalled),
        "recalled magnesium": mean(people["DR1TMAGN"], recalled),
        "diagnosed": proportion((people["DIQ010"] == 1).to_numpy(), design_of(people, "WTINT2YR", known)),
        "undiagnosed": proportion(
            (high & (people["DIQ010"] != 1)).to_numpy(), design_of(people, "WTSAF2YR", laboratory)
        ),
    }


@pytest.fixture(scope="module")
def truth() -> pd.Series:
    """The superpopulation: shares are means of the true risk, not of what was drawn with it."""
    with mock.patch.dict(parameter_groups()["design"], strata=LARGE_STRATA):
        people = read_cohort(seed=1, people=100_000, cycles=CYCLES, names=["RIDAGEYR", "WTINT2YR"])
    adults = people[people["RIDAGEYR"] >= 20]
    risk = adults["risk_diagnosed"]
    columns = {
        "BMI": adults["bmi_kg_m2"],
        "usual magnesium": adults["usual_magnesium_mg"],
        "recalled magnesium": adults["usual_magnesium_mg"],
        "diagnosed": risk,
        "undiagnosed": (1 - risk) * adults["risk_undiagnosed"],
    }
    return pd.Series({name: np.average(each, weights=adults["WTINT2YR"]) for name, each in columns.items()})


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    """One row for each statistic of each seed: name, estimate, low, high, unweighted."""
    rows = []
    for seed in range(SEEDS):
        people = read_cohort(seed=1000 + seed, people=PEOPLE, cycles=ANALYSED)
        plain = estimates(people, weighted=False)
        for name, one in estimates(people).items():
            rows.append((name, one.estimate, one.se, one.low, one.high, plain[name].estimate))
    return pd.DataFrame(rows, columns=["name", "estimate", "se", "low", "high", "unweighted"])


def test_intervals_of_the_tables_cover_the_truth(found: pd.DataFrame, truth: pd.Series) -> None:
    value = found["name"].map(truth)
    hits = ((found["low"] <= value) & (value <= found["high"])).groupby(found["name"]).sum()
    # Of 200 intervals of 95 %, fewer than 180 cover once in 1000 times.
    assert (hits >= binom.ppf(0.001, SEEDS, 0.95)).all(), hits
    # Weights are adjusted to known totals, which the design does not know of: somewhat more than 95 % may cover.
    total = hits.sum() / len(found)
    assert binom.ppf(0.001, len(found), 0.95) / len(found) <= total <= 0.985, hits


@pytest.mark.parametrize("name", STATISTICS)
def test_estimates_are_unbiased_and_their_errors_honest(found: pd.DataFrame, truth: pd.Series, name: str) -> None:
    rows = found[found["name"] == name]
    spread = rows["estimate"].std()
    # The error of the mean over seeds, and of the truth itself.
    error = spread * np.sqrt(1 / SEEDS + 0.1**2)
    assert abs(rows["estimate"].mean() - truth[name]) < 3 * error
    # The spread over 200 seeds is known to 5 %.
    assert np.sqrt((rows["se"] ** 2).mean()) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("name", ["usual magnesium", "undiagnosed"])
def test_without_weights_the_truth_is_missed(found: pd.DataFrame, truth: pd.Series, name: str) -> None:
    rows = found[found["name"] == name]
    bias = abs(rows["unweighted"].mean() - truth[name])
    assert bias > 6 * rows["unweighted"].std() / np.sqrt(SEEDS)


def predictors(people: pd.DataFrame) -> pd.DataFrame:
    """Return the terms of the true risk but magnesium, NaN where a table does not have them."""
    race = dict(zip(("mexican", "hispanic", "black", "asian", "other"), (1, 2, 4, 6, 7), strict=True))
    decades = (people["RIDAGEYR"] - 50) / 10
    answers = {"family": people["MCQ300C"], "hypertension": people["BPQ020"]}
    leisure = people[["PAQ650", "PAQ665"]].min(axis=1)
    columns = {
        "age": decades,
        "age2": decades**2,
        "female": people["RIAGENDR"] - 1,
        **{name: (people["RIDRETH3"] == code).astype(float) for name, code in race.items()},
        "pir": people["INDFMPIR"] - 2.8,
        "bmi": (people["BMXBMI"] - 28) / 5,
        "waist": (people["BMXWAIST"] - 99) / 10,
        **{name: (2 - answer).where(answer.isin([1, 2])) for name, answer in answers.items()},
        "leisure": (2 - leisure).where(leisure.isin([1, 2])),
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    """One row for each large cohort: log-odds ratios for each 100 mg of magnesium, and attenuation factors."""
    rows = []
    for seed in range(LARGE_COHORTS):
        people = read_cohort(seed=500 + seed, people=LARGE_PEOPLE, cycles=CYCLES[-1:])
        terms = predictors(people)
        at_risk = people["DIQ010"].isin([2, 3]) & (people["RIDAGEYR"] >= 20) & terms.notna().all(axis=1)
        recalled = at_risk & people["DR1TMAGN"].notna()
        design = design_of(people, "WTDRD1", recalled)
        row = {}
        inside = design.analysis_weight > 0
        weight, covariates = design.analysis_weight[inside], terms[inside]
        risk = people.loc[inside, "risk_undiagnosed"].to_numpy()
        days = people[["DR1TMAGN", "DR2TMAGN"]].to_numpy()
        model = fit_usual_intake(days, design=design, people=terms)
        in_mg = fit_usual_intake(days, design=design, people=terms, power=1.0)
        exposures = {
            "true": people["usual_magnesium_mg"].to_numpy(),
            "one day": days[:, 0],
            "calibrated": model.predict(days, terms.where(at_risk, 0.0)).usual,
        }
        for name, exposure in exposures.items():
            X = np.column_stack([exposure[inside] / 100, np.ones(len(covariates)), covariates])
            row[name] = maximise_likelihood(X, risk, weight)[0]
        row |= {"attenuation": in_mg.attenuation(), "attenuation on its scale": model.attenuation()}
        # The laboratory finds exactly these among those with both values.
        case = (people["state"] == "undiagnosed").to_numpy()
        X = np.column_stack([exposures["true"] / 100, np.ones(len(people)), terms])
        fit = fit_logistic(X, case, design)
        row |= {"drawn": fit.coefficients[0], "drawn se": fit.se[0]}
        rows.append(row)
    return pd.DataFrame(rows)


def mean_and_error(values: pd.Series) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


@pytest.fixture(scope="module")
def effect() -> float:
    return float(parameter_groups()["magnesium_effect"]["food_per_100_mg"])


def test_the_magnesium_effect_is_recovered_from_true_intake_and_the_true_risk(
    effects: pd.DataFrame, effect: float
) -> None:
    assert effect == -0.15
    recovered, error = mean_and_error(effects["true"])
    assert error < 0.003
    # What PSUs share beyond the predictors flattens a logistic curve by 1 %.
    assert abs(recovered - effect) < 3 * error + 0.01 * abs(effect)


def test_the_magnesium_effect_is_recovered_from_who_has_diabetes(effects: pd.DataFrame, effect: float) -> None:
    recovered, error = mean_and_error(effects["drawn"])
    assert abs(recovered - effect) < 3 * error
    assert recovered + 3 * error < 0
    # Twelve errors by design agree with the spread of twelve estimates as a chi-squared variable may.
    ratio = effects["drawn"].var() / (effects["drawn se"] ** 2).mean()
    low, high = (float(chi2.ppf(p, LARGE_COHORTS - 1)) / (LARGE_COHORTS - 1) for p in (0.001, 0.999))
    assert low < ratio < high


def test_one_day_weakens_the_effect_by_the_estimated_attenuation(effects: pd.DataFrame) -> None:
    remains = effects["one day"] / effects["true"]
    estimated = effects["attenuation"].mean()
    # Log-normal days fitted as normal ones in mg: right to 0.03.
    assert remains.mean() == pytest.approx(estimated, abs=0.03)
    # The factor for log-days is that of the parameters, and stands for mg to 0.05.
    on_its_scale = effects["attenuation on its scale"].mean()
    diet = parameter_groups()["diet"]
    between = diet["between_magnesium_sd"] ** 2 + parameter_groups()["design"]["psu_log_diet_sd"] ** 2
    assert on_its_scale == pytest.approx(between / (between + diet["within_magnesium_sd"] ** 2), abs=0.015)
    assert remains.mean() == pytest.approx(on_its_scale, abs=0.05)


def test_predicted_usual_intake_gives_the_effect_back(effects: pd.DataFrame, effect: float) -> None:
    calibrated, error = mean_and_error(effects["calibrated"])
    assert abs(calibrated - effect) < 3 * error + 0.03 * abs(effect)
