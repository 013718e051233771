"""Usual intake recovers the truth in simulated surveys and in the SYNTHETIC cohort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mgrisk.features.mixed_model import BoxCox
from mgrisk.features.usual_intake import RecalledDays, estimate_usual_intake, fit_usual_intake
from mgrisk.features.usual_intake_model import PersonalIntake, UsualIntakeModel, UsualScale
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.harmonise import harmonise
from mgrisk.nhanes.store import Store
from mgrisk.nhanes.synthetic import write_cohort
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.variance import jackknife

pytestmark = pytest.mark.slow

Floats = NDArray[np.float64]

SURVEYS, PEOPLE, STRATA = 60, 1500, 15
WEEKEND = (1, 6, 7)  # Sunday, Friday, Saturday in the codes of NHANES
CUT = 220.0  # mg a day; the further from the middle, the more one day misstates
# Close to what the men of NHANES 2011-2014 show.
SCALE = UsualScale(BoxCox(power=0.3, floor=1.0), within=3.8, weekend=-0.3)
BETWEEN, OF_PSU, SEQUENCE = 3.5, 0.15, -0.35
CENTRE = {"men": 15.4, "women": 13.9}
SAMPLED = {"men": 0.3, "women": 0.7}  # of a population that is half men
SLOPE = -0.002  # of the outcome on a mg of usual intake


@dataclass(frozen=True)
class Survey:
    """A simulated sample with the truth about its people."""

    amount: Floats
    weekend: Floats
    people: pd.DataFrame
    design: SurveyDesign
    usual: Floats
    outcome: Floats

    @classmethod
    def draw(cls, random: np.random.Generator) -> Survey:
        sex = random.choice(list(SAMPLED), PEOPLE, p=list(SAMPLED.values()))
        psu = random.integers(0, 2 * STRATA, PEOPLE)
        own = np.array([CENTRE[each] for each in sex]) + random.normal(0, np.sqrt(OF_PSU), 2 * STRATA)[psu]
        own = own + random.normal(0, np.sqrt(BETWEEN - OF_PSU), PEOPLE)
        # Interviews are spread unevenly over the week, as in NHANES.
        weekend = (random.random((PEOPLE, 2)) < np.array([0.55, 0.4])).astype(float)
        day = own[:, None] + SCALE.weekend * weekend + np.array([0.0, SEQUENCE])
        amount = SCALE.transform.inverse(day + random.normal(0, np.sqrt(SCALE.within), day.shape))
        amount[random.random(PEOPLE) < 0.15, 1] = np.nan
        usual = SCALE.usual(own)
        outcome = SLOPE * usual + 0.3 * (sex == "men") + random.normal(0, 0.5, PEOPLE)
        weight = np.array([0.5 / SAMPLED[each] for each in sex])
        design = SurveyDesign(weight, psu // 2, psu % 2, WeightLevel.RECALL1)
        return cls(amount, weekend, pd.DataFrame({"sex": sex}), design, usual, outcome)


def slope(exposure: Floats, survey: Survey) -> float:
    columns = np.column_stack([exposure, survey.people["sex"] == "men", np.ones(PEOPLE)])
    root = np.sqrt(survey.design.weight)
    return float(np.linalg.lstsq(columns * root[:, None], survey.outcome * root, rcond=None)[0][0])


@pytest.fixture(scope="module")
def truth() -> pd.Series:
    random = np.random.default_rng(99)
    centre = np.repeat(list(CENTRE.values()), 500_000)
    usual = SCALE.usual(centre + random.normal(0, np.sqrt(BETWEEN), centre.size))
    named = {f"q{100 * p:.0f}": np.quantile(usual, p) for p in (0.25, 0.5, 0.75)}
    share = {"below_cut_point": (usual < CUT).mean(), "attenuation_1_day": BETWEEN / (BETWEEN + SCALE.within)}
    return pd.Series({"mean": usual.mean(), "sd": usual.std(), **named, **share})


@pytest.fixture(scope="module")
def surveys() -> pd.DataFrame:
    """One row for each statistic of each simulated survey."""
    random = np.random.default_rng(20261122)
    rows = []
    for number in range(SURVEYS):
        survey = Survey.draw(random)
        found = estimate_usual_intake(
            RecalledDays(survey.amount, design=survey.design, people=survey.people, weekend=survey.weekend),
            cut_points=CUT,
            probabilities=[0.25, 0.5, 0.75],
            replicates=jackknife(survey.design),
        )
        predicted = found.model.predict(survey.amount, survey.people, weekend=survey.weekend)
        weight, first = survey.design.weight, survey.amount[:, 0]
        more = {
            "naive_share": np.average(first < CUT, weights=weight),
            "naive_slope": slope(first, survey),
            "calibrated_slope": slope(predicted.usual, survey),
            "prediction_bias": np.average(predicted.usual - survey.usual, weights=weight),
            "within_two_se": np.average(np.abs(predicted.usual - survey.usual) < 1.96 * predicted.se, weights=weight),
            "power": found.model.transform.power,
        }
        extra = pd.DataFrame({"statistic": list(more), "estimate": list(more.values())})
        rows.append(pd.concat([found.frame(), extra]).assign(survey=number))
    return pd.concat(rows, ignore_index=True)


def mean_and_error(surveys: pd.DataFrame, statistic: str) -> tuple[float, float]:
    values = surveys.loc[surveys["statistic"] == statistic, "estimate"]
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


@pytest.mark.parametrize("statistic", ["mean", "sd", "q25", "q50", "q75", "below_cut_point", "attenuation_1_day"])
def test_population_figures_are_unbiased(surveys: pd.DataFrame, truth: pd.Series, statistic: str) -> None:
    mean, error = mean_and_error(surveys, statistic)
    # Half a per cent is the bias that a choice of the exponent from the same data may leave.
    assert abs(mean - truth[statistic]) < 3 * error + 0.005 * truth[statistic]


def test_intervals_cover_as_often_as_they_say(surveys: pd.DataFrame, truth: pd.Series) -> None:
    known = surveys[surveys["statistic"].isin(truth.index)]
    value = known["statistic"].map(truth)
    covered = ((known["low"] <= value) & (value <= known["high"])).groupby(known["statistic"]).mean()
    # Four standard errors of a share of 95 % among 60 surveys are 11 points.
    assert (covered > 0.84).all(), covered
    assert 0.90 < covered.mean() <= 0.985, covered


def test_one_day_misstates_the_share_below_a_cut_point(surveys: pd.DataFrame, truth: pd.Series) -> None:
    assert mean_and_error(surveys, "naive_share")[0] - truth["below_cut_point"] > 0.05


def test_predictions_are_unbiased_and_their_errors_honest(surveys: pd.DataFrame) -> None:
    bias, error = mean_and_error(surveys, "prediction_bias")
    assert abs(bias) < 3 * error + 1.5
    assert mean_and_error(surveys, "within_two_se")[0] == pytest.approx(0.95, abs=0.01)


def test_predicted_intake_gives_the_slope_that_one_day_dilutes(surveys: pd.DataFrame) -> None:
    calibrated, error = mean_and_error(surveys, "calibrated_slope")
    assert abs(calibrated - SLOPE) < 3 * error + 0.03 * abs(SLOPE)
    naive = mean_and_error(surveys, "naive_slope")[0]
    assert 0.3 < naive / SLOPE < 0.6


@dataclass(frozen=True)
class Cohort:
    """Adults of the SYNTHETIC cohort: the model fitted to their recalls, its predictions, and the truth."""

    model: UsualIntakeModel
    predicted: PersonalIntake
    design: SurveyDesign
    people: pd.DataFrame
    usual: Floats
    recall_log_sd: float
    weekend_log: float

    @property
    def weight(self) -> Floats:
        return self.design.analysis_weight


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("synthetic")
    cycles = [cycle("2011-2012"), cycle("2013-2014")]
    truth = write_cohort(folder, people_per_cycle=6000, seed=7, cycles=cycles)
    names = ["RIDAGEYR", "RIAGENDR", "SDMVSTRA", "SDMVPSU", "WTDRD1", "DR1DRSTZ", "DR2DRSTZ", "DR1TMAGN", "DR2TMAGN"]
    names += ["DR1DAY", "DR2DAY"]
    raw = harmonise(Store(source=str(folder)), cycles=cycles, names=names).frame
    raw = raw.merge(truth.frame()[["SEQN", "usual_magnesium_mg"]], on="SEQN", validate="one_to_one")
    amount = np.column_stack([raw[f"DR{day}TMAGN"].where(raw[f"DR{day}DRSTZ"] == 1) for day in (1, 2)])
    weight = np.where(raw["DR1DRSTZ"] == 1, raw["WTDRD1"].fillna(0.0), 0.0)
    design = SurveyDesign(weight, raw["SDMVSTRA"], raw["SDMVPSU"], WeightLevel.RECALL1).where(raw["RIDAGEYR"] >= 20)
    age = np.array(["20", "31", "51", "71"])[np.digitize(raw["RIDAGEYR"], [31, 51, 71])]
    people = pd.DataFrame({"group": np.char.add(np.where(raw["RIAGENDR"] == 1, "men ", "women "), age)})
    days = raw[["DR1DAY", "DR2DAY"]].to_numpy()
    weekend = np.where(np.isnan(days), np.nan, np.isin(days, WEEKEND))
    model = fit_usual_intake(amount, design=design, people=people, weekend=weekend)
    predicted = model.predict(amount, people, weekend=weekend)
    usual = raw["usual_magnesium_mg"].to_numpy()
    return Cohort(model, predicted, design, people, usual, truth.recall_log_sd, truth.weekend_log)


def test_synthetic_log_normal_days_are_seen_as_such(cohort: Cohort) -> None:
    assert cohort.model.transform.power < 0.04
    # On a power this small the scale is the logarithm times amount^power.
    at_median = 300.0**cohort.model.transform.power
    assert np.sqrt(cohort.model.within) / at_median == pytest.approx(cohort.recall_log_sd, rel=0.03)


def test_synthetic_weekend_is_found_again(cohort: Cohort) -> None:
    at_median = 300.0**cohort.model.transform.power
    # Two thirds of some 13,000 first recalls, and a quarter of the second ones, are of a weekend: an error of 0.006.
    assert cohort.model.weekend / at_median == pytest.approx(cohort.weekend_log, abs=0.018)


def test_synthetic_share_below_a_cut_point_is_the_true_one(cohort: Cohort) -> None:
    found = cohort.model.population(cohort.people, cohort.weight)
    for cut in (220.0, 300.0):
        true = np.average(cohort.usual < cut, weights=cohort.weight)
        assert found.share_below(cut) == pytest.approx(true, abs=0.02)


def test_synthetic_usual_intake_has_its_true_distribution(cohort: Cohort) -> None:
    inside = cohort.weight > 0
    logs, weight = np.log(cohort.usual[inside]), cohort.weight[inside]
    log_sd = np.sqrt(np.cov(logs, aweights=weight))
    found = cohort.model.distribution(cohort.people, cohort.design, probabilities=[0.25, 0.5, 0.75])
    assert np.log(found.quantiles[2] / found.quantiles[0]) / 1.349 == pytest.approx(log_sd, rel=0.05)
    assert found.quantiles[1] == pytest.approx(np.exp(np.average(logs, weights=weight)), rel=0.03)
    assert found.mean == pytest.approx(np.average(cohort.usual[inside], weights=weight), rel=0.03)
    assert found.sd == pytest.approx(np.sqrt(np.cov(cohort.usual[inside], aweights=weight)), rel=0.05)


def test_synthetic_predictions_are_unbiased_and_better_than_any_day(cohort: Cohort) -> None:
    inside = cohort.weight > 0
    usual, predicted = cohort.usual[inside], cohort.predicted.usual[inside]
    assert np.average(predicted, weights=cohort.weight[inside]) == pytest.approx(
        np.average(usual, weights=cohort.weight[inside]), rel=0.02
    )
    line = np.polyfit(predicted, usual, 1, w=np.sqrt(cohort.weight[inside]))
    assert line[0] == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(np.log(predicted), np.log(usual))[0, 1] > 0.75
    covered = np.abs(usual - predicted) < 1.96 * cohort.predicted.se[inside]
    assert np.average(covered, weights=cohort.weight[inside]) == pytest.approx(0.95, abs=0.015)


def test_synthetic_people_without_a_recall_have_the_mean_of_people_alike(cohort: Cohort) -> None:
    nobody = np.full((len(cohort.people), 2), np.nan)
    guess = cohort.model.predict(nobody, cohort.people, weekend=nobody)
    inside = cohort.weight > 0
    assert np.average(guess.usual[inside] - cohort.usual[inside], weights=cohort.weight[inside]) == pytest.approx(
        0.0, abs=8.0
    )
    assert (guess.se[inside] > 1.2 * cohort.predicted.se[inside].mean()).all()
    assert (guess.recalls == 0).all()
