"""Coverage of person intervals on SYNTHETIC cohorts with known expected risks.

The cohorts are those of the released model of undiagnosed diabetes, with its features and its stack. The measured
coverage is in docs/decisions/0020-interval-from-refits.md; this test fails if it gets worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.config.pipeline_file import load
from mgrisk.model.additive import Additive
from mgrisk.model.learners import Encoder
from mgrisk.model.splines import LinearFit, SplineLearner, SplineSpace
from mgrisk.model.train import train
from mgrisk.nhanes.codebook import KEY
from mgrisk.nhanes.store import Store
from mgrisk.nhanes.synthetic import write_cohort
from mgrisk.pipeline.cohort import make_cohort
from mgrisk.pipeline.folds import make_folds
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.variance import t_quantile

pytestmark = pytest.mark.slow

Floats = NDArray[np.float64]
PIPELINE = Path(__file__).parents[2] / "pipelines" / "undiagnosed.toml"
COHORTS, PEOPLE, LARGE = 8, 4000, 40_000


@dataclass(frozen=True)
class Fit:
    """A pipeline fitted to one cohort, and what it and the truth say of that cohort's people."""

    X: NDArray[np.float32]
    share: Floats
    true_risk: Floats
    log_odds: Floats
    se: Floats
    critical: float
    fitted: Additive


def cohort(folder: Path, *, seed: int, people: int) -> tuple[Workspace, SetOfPeople, Floats]:
    settings = load(PIPELINE, overrides=[f"synthetic.people_per_cycle={people}"])
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"xgboost": None})})
    workspace = Workspace(settings, folder)
    folder.mkdir(parents=True)
    source = workspace.run.path("synthetic")
    made = write_cohort(source, people_per_cycle=people, seed=seed, cycles=workspace.cycles)
    make_cohort(workspace, Store(source=str(source), cache=folder / "cache", offline=True))
    make_folds(workspace)
    found = workspace.people(DEVELOPMENT)
    truth = found.rows[[KEY]].merge(made.frame()[[KEY, "risk_undiagnosed"]], on=KEY, how="left")
    return workspace, found, truth["risk_undiagnosed"].to_numpy()[found.inside]


def fit(folder: Path, seed: int) -> Fit:
    workspace, people, risk = cohort(folder, seed=seed, people=PEOPLE)
    trained = train(
        workspace.training_data(people), features=workspace.model_features, settings=workspace.pipeline.model, threads=1
    )
    model = trained.models[trained.winner]
    X = trained.encoder.matrix(people.frame.iloc[people.inside])
    weight = people.design.analysis_weight[people.inside]
    assert isinstance(model.fitted, Additive)
    answer = model.fitted.answer(X)
    return Fit(
        X=X,
        share=weight / weight.sum(),
        true_risk=risk,
        log_odds=answer.log_odds,
        se=np.sqrt(answer.variance),
        critical=t_quantile(0.90, people.design.df),
        fitted=model.fitted,
    )


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> list[Fit]:
    folder = tmp_path_factory.mktemp("cohorts")
    return [fit(folder / str(seed), seed=2 + seed) for seed in range(COHORTS)]


@pytest.fixture(scope="module")
def limit(tmp_path_factory: pytest.TempPathFactory) -> LinearFit:
    """The expected true risk given the features: a spline logistic of the risk itself in a large cohort."""
    workspace, people, risk = cohort(tmp_path_factory.mktemp("large") / "run", seed=99, people=LARGE)
    encoder = Encoder(workspace.model_features)
    X, weight = encoder.matrix(people.frame.iloc[people.inside]), people.design.analysis_weight[people.inside]
    space = SplineSpace.fit(encoder.columns, X, weight, knots=4)
    design = space.expected(X)
    # Each person once as a case and once as none, by the risk: the likelihood of a share.
    cases = np.repeat([1.0, 0.0], len(X))
    weights = np.concatenate([weight * risk, weight * (1 - risk)])
    return SplineLearner(space=space, c=(100.0,)).fit(np.vstack([design, design]), cases, weights, {"c": 100.0})


def covered(one: Fit, log_odds: Floats, *, widen: float = 1.0) -> float:
    hit = np.abs(one.log_odds - log_odds) <= widen * one.critical * one.se
    return float(np.average(hit, weights=one.share))


def by_fifth(one: Fit, log_odds: Floats) -> Floats:
    fifth = np.searchsorted(weighted_quantile(log_odds, one.share, (0.2, 0.4, 0.6, 0.8)), log_odds, side="right")
    hit = np.abs(one.log_odds - log_odds) <= one.critical * one.se
    return np.array([np.average(hit[fifth == place], weights=one.share[fifth == place]) for place in range(5)])


def test_the_interval_holds_what_other_samples_say_at_least_as_often_as_it_says(fits: list[Fit]) -> None:
    found = []
    for one in fits:
        others = np.mean([other.fitted.margin(one.X) for other in fits if other is not one], axis=0)
        # The mean of the other samples has an error of its own.
        found.append(covered(one, others, widen=float(np.sqrt(1 + 1 / (COHORTS - 1)))))
    print("other samples:", np.round(found, 3), round(float(np.mean(found)), 3))
    assert np.mean(found) >= 0.88


def test_the_expected_risk_is_covered_about_as_often_as_the_interval_says_in_each_fifth_of_risk(
    fits: list[Fit], limit: LinearFit
) -> None:
    truth = [limit.margin(limit.space.expected(one.X)) for one in fits]
    expected = [covered(one, risk) for one, risk in zip(fits, truth, strict=True)]
    fifths = np.mean([by_fifth(one, risk) for one, risk in zip(fits, truth, strict=True)], axis=0)
    true = [covered(one, np.log(one.true_risk / (1 - one.true_risk))) for one in fits]
    print("expected risk:", np.round(expected, 3), "by fifth:", np.round(fifths, 3), "true:", np.round(true, 3))
    error = [np.average(expit(one.log_odds) - one.true_risk, weights=one.share) for one in fits]
    assert abs(np.mean(error)) < 0.01
    assert 0.84 <= np.mean(expected) <= 0.96
    assert fifths.min() >= 0.75
    assert np.mean(true) > 0.72
