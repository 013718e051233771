"""95 % intervals of metrics, and of differences between models, cover the truth in 95 % of samples.

A made-up population, sampled as a cycle of NHANES is: 15 strata, two PSUs drawn from each with replacement, people at
two rates. Two models err together, as models of the same people do. The truth is that of the whole population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.evaluate.metrics import Weighted, measure, rank
from mgrisk.survey.design import SurveyDesign, WeightLevel

pytestmark = pytest.mark.slow

STRATA, PSUS, PEOPLE = 15, 40, 120
# The first third of each PSU is drawn twice as often, as NHANES does with some groups.
OFTEN, DRAWN = 40, 24
SAMPLES, FEW = 2000, 400
# A share of 0.95 has a standard error of 0.49 points over 2,000 samples, of 1.1 points over 400.
TOLERANCE, WIDE = 0.015, 0.03
SMOOTH = (
    "prevalence", "auroc", "brier", "log_loss", "calibration_intercept", "calibration_slope", "observed_expected",
    "net_benefit@0.1", "sensitivity@0.1", "specificity@0.1", "ppv@0.1", "number_to_test@0.1", "flagged@0.1",
)  # fmt: skip
DISTANCES = ("ici", "e50", "e90")
DIFFERENCES = ("auroc", "log_loss", "brier", "net_benefit@0.1")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Outcome and two risks of everybody, each of shape (strata, PSUs, people), and the truth by model and metric."""

    case: Floats
    risks: dict[str, Floats]
    truth: dict[tuple[str, str], float]

    def sample(self, random: np.random.Generator) -> tuple[Floats, dict[str, Floats], SurveyDesign]:
        """Draw a sample: outcome, risks and design."""
        stratum = np.repeat(np.arange(STRATA), 2)
        psu = random.integers(PSUS, size=stratum.size)
        order = random.random((stratum.size, PEOPLE))
        often = np.argsort(order[:, :OFTEN], axis=1)[:, :DRAWN]
        seldom = OFTEN + np.argsort(order[:, OFTEN:], axis=1)[:, :DRAWN]
        who = (stratum[:, None], psu[:, None], np.hstack((often, seldom)))
        weight = np.repeat([OFTEN / DRAWN, (PEOPLE - OFTEN) / DRAWN], DRAWN) * PSUS / 2
        design = SurveyDesign(
            weight=np.tile(weight, stratum.size),
            stratum=np.repeat(stratum, 2 * DRAWN),
            psu=np.repeat(np.tile([1, 2], STRATA), 2 * DRAWN),  # twice the same PSU is two draws
            level=WeightLevel.EXAM,
        )
        return self.case[who].ravel(), {name: risk[who].ravel() for name, risk in self.risks.items()}, design


@pytest.fixture(scope="module")
def population() -> Population:
    random = np.random.default_rng(20261126)
    shape = (STRATA, PSUS, PEOPLE)
    shift = random.normal(0, 0.3, (STRATA, 1, 1)) + random.normal(0, 0.2, (STRATA, PSUS, 1))
    x, z = random.normal(0, 1, shape), random.normal(0, 1, shape)
    x[..., :OFTEN] += 0.4
    case = (random.random(shape) < expit(-2.4 + 0.8 * x + 0.4 * z + shift)).astype(np.float64)
    # The one a little too extreme and too high, the other without z.
    risks = {"mine": expit(-2.2 + 1.0 * x + 0.5 * z), "other": expit(-2.3 + 0.8 * x + random.normal(0, 0.2, shape))}
    ones = np.ones(case.size)
    whole = {name: Weighted(rank(case.ravel(), risk.ravel()), ones) for name, risk in risks.items()}
    truth = {(name, metric): measure(metric, whole[name]) for name in risks for metric in (*SMOOTH, *DISTANCES)}
    return Population(case, risks, truth)


@pytest.fixture(scope="module")
def coverage(population: Population) -> dict[tuple[str, str], float]:
    random = np.random.default_rng(11)
    hits: dict[tuple[str, str], int] = {}
    for _ in range(SAMPLES):
        y, risks, design = population.sample(random)
        found = replicate_metrics(y, risks, design, metrics=SMOOTH)
        for record in found.records():
            key = (record["model"], record["metric"])
            hits[key] = hits.get(key, 0) + (record["low"] <= population.truth[key] <= record["high"])
        for record in found.differences("other"):
            key = ("difference", record["metric"])
            truth = population.truth["mine", record["metric"]] - population.truth["other", record["metric"]]
            hits[key] = hits.get(key, 0) + (record["low"] <= truth <= record["high"])
    return {key: count / SAMPLES for key, count in hits.items()}


@pytest.mark.parametrize("metric", SMOOTH)
def test_the_interval_of_a_metric_covers(metric: str, coverage: dict[tuple[str, str], float]) -> None:
    assert coverage["mine", metric] == pytest.approx(0.95, abs=TOLERANCE)


@pytest.mark.parametrize("metric", DIFFERENCES)
def test_the_interval_of_a_paired_difference_covers(metric: str, coverage: dict[tuple[str, str], float]) -> None:
    assert coverage["difference", metric] == pytest.approx(0.95, abs=TOLERANCE)


def test_the_intervals_of_distances_cover_for_a_model_that_is_off(population: Population) -> None:
    random = np.random.default_rng(12)
    hits = dict.fromkeys(DISTANCES, 0)
    for _ in range(FEW):
        y, risks, design = population.sample(random)
        for record in replicate_metrics(y, {"mine": risks["mine"]}, design, metrics=DISTANCES).records():
            hits[record["metric"]] += record["low"] <= population.truth["mine", record["metric"]] <= record["high"]
    for metric, count in hits.items():
        assert count / FEW == pytest.approx(0.95, abs=WIDE), metric
