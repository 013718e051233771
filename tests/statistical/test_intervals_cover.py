"""95 % intervals cover the truth in 95 % of thousands of samples from a made-up finite population.

Strata of PSUs, two PSUs drawn from each with replacement, people drawn from each PSU at two different rates, so that
weights, strata and clusters all matter. The truth is computed from the whole population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.metrics import auroc
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import mean, proportion, quantile, weighted_quantile
from mgrisk.survey.linear_models import fit_linear, fit_logistic, maximise_likelihood
from mgrisk.survey.variance import rao_wu, replicated

pytestmark = pytest.mark.slow

STRATA, PSUS, PEOPLE = 30, 40, 60
# The first third of each PSU is drawn twice as often, as NHANES does with some groups.
OFTEN, DRAWN = 20, 12
SAMPLES = 4000
# A share of 0.95 over 4,000 samples has a standard error of 0.34 points.
TOLERANCE = 0.015
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Values of everybody, each of shape (strata, PSUs, people), and the truth."""

    x: Floats
    amount: Floats
    case: Floats
    risk: Floats
    truth: dict[str, float]

    def sample(self, random: np.random.Generator) -> tuple[SurveyDesign, dict[str, Floats]]:
        """Draw a sample and return its design and values."""
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
            # Twice the same PSU is two draws.
            psu=np.repeat(np.tile([1, 2], STRATA), 2 * DRAWN),
            level=WeightLevel.EXAM,
        )
        values = {"x": self.x, "amount": self.amount, "case": self.case, "risk": self.risk}
        return design, {name: every[who].ravel() for name, every in values.items()}


@pytest.fixture(scope="module")
def population() -> Population:
    random = np.random.default_rng(20261122)
    shape = (STRATA, PSUS, PEOPLE)
    shift = random.normal(0, 0.5, (STRATA, 1, 1)) + random.normal(0, 0.4, (STRATA, PSUS, 1))
    x = random.normal(0, 1, shape) + 0.3 * shift
    x[..., :OFTEN] += 0.4
    amount = np.exp(5.6 + 0.15 * x + 0.2 * shift + random.normal(0, 0.4, shape))
    log_odds = -1.6 + 0.7 * x + 0.6 * shift
    case = (random.random(shape) < expit(log_odds)).astype(np.float64)
    risk = expit(-1.6 + 0.7 * x + random.normal(0, 0.5, shape))
    flat, ones = x.ravel(), np.ones(x.size)
    X = np.column_stack((ones, flat))
    truth = {
        "mean": float(amount.mean()),
        "proportion": float(case.mean()),
        "median": float(weighted_quantile(amount.ravel(), ones, [0.5])[0]),
        "90 % quantile": float(weighted_quantile(amount.ravel(), ones, [0.9])[0]),
        "logistic coefficient": float(maximise_likelihood(X, case.ravel(), ones)[1]),
        "linear coefficient": float(np.linalg.lstsq(X, amount.ravel(), rcond=None)[0][1]),
        "AUROC, jackknife": auroc(case.ravel(), risk.ravel(), ones),
    }
    return Population(x, amount, case, risk, truth)


def intervals(design: SurveyDesign, values: dict[str, Floats]) -> dict[str, tuple[float, float]]:
    X = np.column_stack((np.ones(len(design)), values["x"]))
    found = {
        "mean": mean(values["amount"], design),
        "proportion": proportion(values["case"], design),
        "median": quantile(values["amount"], design, probability=0.5),
        "90 % quantile": quantile(values["amount"], design, probability=0.9),
    }
    bounds = {name: (one.low, one.high) for name, one in found.items()}
    for name, fit in (
        ("logistic coefficient", fit_logistic(X, values["case"], design)),
        ("linear coefficient", fit_linear(X, values["amount"], design)),
    ):
        low, high = fit.interval()
        bounds[name] = (float(low[1]), float(high[1]))
    (record,) = with_intervals(values["case"], {"score": values["risk"]}, design, metrics=["auroc"])
    return {**bounds, "AUROC, jackknife": (record["low"], record["high"])}


@pytest.fixture(scope="module")
def coverage(population: Population) -> dict[str, float]:
    random = np.random.default_rng(7)
    hits = dict.fromkeys(population.truth, 0)
    for _ in range(SAMPLES):
        for name, (low, high) in intervals(*population.sample(random)).items():
            hits[name] += low <= population.truth[name] <= high
    return {name: count / SAMPLES for name, count in hits.items()}


@pytest.mark.parametrize(
    "name",
    [
        "mean",
        "proportion",
        "median",
        "90 % quantile",
        "logistic coefficient",
        "linear coefficient",
        "AUROC, jackknife",
    ],
)
def test_intervals_cover_the_truth_95_times_in_100(name: str, coverage: dict[str, float]) -> None:
    assert coverage[name] == pytest.approx(0.95, abs=TOLERANCE)


def test_intervals_that_forget_the_design_do_not_cover(population: Population) -> None:
    # What the test above would have to find: people taken for independent, and weights for equal.
    random = np.random.default_rng(8)
    samples, independent, unweighted = 300, 0, 0
    for _ in range(samples):
        design, values = population.sample(random)
        people = SurveyDesign(design.weight, np.zeros(len(design)), np.arange(len(design)), design.level)
        found = mean(values["amount"], people)
        independent += found.low <= population.truth["mean"] <= found.high
        # Those who are drawn more often have a larger x.
        equal = SurveyDesign(np.ones(len(design)), design.stratum, design.psu, design.level)
        found = mean(values["x"], equal)
        unweighted += found.low <= population.x.mean() <= found.high
    assert independent / samples < 0.9
    assert unweighted / samples < 0.8


def test_the_bootstrap_covers_as_the_jackknife_does(population: Population) -> None:
    random = np.random.default_rng(9)
    samples, hits = 400, 0
    for place in range(samples):
        design, values = population.sample(random)
        amount = values["amount"]
        found = replicated(
            lambda weight, amount=amount: weight @ amount / weight.sum(), rao_wu(design, replicates=100, seed=place)
        )
        low, high = found.interval()
        hits += low[0] <= population.truth["mean"] <= high[0]
    # 400 samples: a standard error of 1.1 points.
    assert hits / samples == pytest.approx(0.95, abs=0.035)


def test_the_sample_stands_for_the_population(population: Population) -> None:
    design, _ = population.sample(np.random.default_rng(1))
    assert design.analysis_weight.sum() == pytest.approx(STRATA * PSUS * PEOPLE)
    assert (design.n, design.df) == (STRATA * 2 * 2 * DRAWN, STRATA)
    assert pd.Series(design.weight).nunique() == 2
