"""A small made-up population that the model, explanation and evaluation tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from mgrisk.features.compute import typed
from mgrisk.features.registry import Feature, features
from mgrisk.model.learners import Encoder
from mgrisk.model.training_data import TrainingData
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.survey.design import SurveyDesign, WeightLevel

if TYPE_CHECKING:
    from mgrisk.evidence.adjustment_set import AdjustmentSet
    from mgrisk.evidence.people import Panel
    from mgrisk.model.bundle import Bundle

# A machine that does something else at the same time is slow, not wrong: no property has a deadline.
settings.register_profile("mgrisk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mgrisk")

OTHER_CYCLES = frozenset(cycle.years for cycle in CYCLES) - {"2007-2008", "2021-2023"}
"""NHANES cycles whose tables the slow tests read; every test run reads the first and the last in use."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the other cycles of tests that read the tables of each cycle to the slow tests."""
    for item in items:
        if item.get_closest_marker("nhanes") and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            given = [getattr(value, "years", value) for value in item.callspec.params.values()]
            if any(isinstance(each, str) and each in OTHER_CYCLES for each in given):
                item.add_marker(pytest.mark.slow)


STRATA, PSUS, PEOPLE, FOLDS = 6, 2, 50, 4
SYNTHETIC = {
    "data": "SYNTHETIC",
    "synthetic": True,
    "mgrisk": "0.1.0",
    "outcome": {"name": "toy", "label": "Toy disease", "definition": "made up", "warning": "Made up."},
    "cycles": ["2007-2008"],
    "people": 540,
    "prevalence": 0.2,
    "interval": "90 % interval",
}
NAMES = ("age_years", "sex", "race_ethnicity", "smoking", "bmi_kg_m2", "magnesium_total_mg")


@dataclass(frozen=True)
class ToyPeople:
    """Everybody of a small survey; the analysis is a domain of it, and row order is not PSU order."""

    features: tuple[Feature, ...]
    frame: pd.DataFrame
    y: NDArray[np.float64]
    design: SurveyDesign
    fold: NDArray[np.int64]

    @property
    def inside(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def weight(self) -> NDArray[np.float64]:
        """Positive weights of the analysis."""
        return self.design.analysis_weight[self.inside]

    @property
    def data(self) -> TrainingData:
        return TrainingData(self.frame, self.y, self.design, self.fold)

    @property
    def encoder(self) -> Encoder:
        return Encoder(self.features)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """Encoded matrix of the analysis."""
        return self.encoder.matrix(self.frame.iloc[self.inside])

    @property
    def case(self) -> NDArray[np.float64]:
        """Outcome of the analysis."""
        return self.y[self.inside]


@pytest.fixture(scope="session")
def toy_people() -> ToyPeople:
    random = np.random.default_rng(20260101)
    n = STRATA * PSUS * PEOPLE
    place = random.permutation(n)
    stratum, psu = 100 + place // (PSUS * PEOPLE), 1 + place // PEOPLE % PSUS
    age = np.round(random.uniform(20, 80, n))
    bmi = np.round(random.normal(28, 5, n), 1)
    magnesium = np.round(random.gamma(8, 40, n), 0)
    male = random.random(n) < 0.5
    log_odds = -1.6 + 0.04 * (age - 50) + 0.12 * (bmi - 28) - 0.004 * (magnesium - 320) + 0.3 * male
    y = (random.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)
    chosen = features(NAMES)
    frame = typed(
        pd.DataFrame(
            {
                "age_years": age,
                "sex": np.where(male, "male", "female"),
                "race_ethnicity": random.choice(list(chosen[2].levels), n),
                "smoking": random.choice(["never", "former", "current"], n),
                "bmi_kg_m2": bmi,
                "magnesium_total_mg": magnesium,
            }
        ),
        chosen,
    )
    for name, share in (("race_ethnicity", 0.1), ("bmi_kg_m2", 0.05), ("magnesium_total_mg", 0.15)):
        frame.loc[random.random(n) < share, name] = np.nan
    design = SurveyDesign(
        weight=np.where(random.random(n) < 0.9, np.round(random.uniform(500, 9000, n)), 0.0),
        stratum=stratum,
        psu=psu,
        level=WeightLevel.RECALL1,
        domain=random.random(n) < 0.9,
    )
    fold = ((stratum - 100) * PSUS + psu - 1) % FOLDS
    return ToyPeople(chosen, frame, y, design, fold.astype(np.int64))


@pytest.fixture(scope="session")
def toy_bundles(toy_people: ToyPeople) -> dict[str, Bundle]:
    """Return a small bundle of each learner and of a sum of them, with attributions."""
    # Here and not above: the tests of lower packages do not wait for xgboost.
    from mgrisk.explain.attributions import build
    from mgrisk.model.additive import Additive
    from mgrisk.model.bundle import Bundle
    from mgrisk.model.calibration import fit_calibrator
    from mgrisk.model.candidates import Part
    from mgrisk.model.explainable_boosting import FittedShapes, Shape
    from mgrisk.model.fits import Fits
    from mgrisk.model.learners import OUTCOME, Fitted, Target
    from mgrisk.model.reference import describe
    from mgrisk.model.splines import SplineLearner, SplineSpace
    from mgrisk.model.stacking import Scales
    from mgrisk.model.trees.learners import BoostedTreesLearner
    from mgrisk.model.uncertainty import fit_sampling, fit_uncertainty

    X, case, weight = toy_people.matrix, toy_people.case, toy_people.weight
    columns = toy_people.encoder.columns
    space = SplineSpace.fit(columns, X, weight, knots=4)
    additive = SplineLearner(space=space, c=(0.1,))
    spline = additive.fit(additive.design(X), case, weight, {"c": 0.1})
    learner = BoostedTreesLearner(
        columns=columns,
        depth=(3,),
        learning_rate=(0.2,),
        min_child_weight=(2.0,),
        l2=(1.0,),
        trees=(25,),
        subsample=0.8,
        columns_per_tree=0.8,
        seed=1,
        threads=1,
    )
    trees = learner.fit(X, case, weight, learner.candidates()[0])
    # A part in another unit than log-odds: what a sum is for.
    pressed = replace(learner, kind="continuous").fit(X, X[:, 0] / 100, weight, learner.candidates()[0])
    target = Target(OUTCOME, "binary", toy_people.y, toy_people.design)
    fits = {
        "spline_logistic": Fits((Part(additive, target),), (spline,), None),
        "blend": Fits(
            (Part(additive, target), Part(learner, target), Part(learner, target)),
            (spline, trees, pressed),
            Scales(-0.2, (0.5, 0.4, 2.0)),
        ),
    }
    cuts = {0: np.array([35.0, 50.0]), 1: np.array([0.5]), 11: np.array([25.0, 30.0])}
    random = np.random.default_rng(3)
    tables = []
    for of in ((0,), (11,), (0, 11), (11, 1)):
        size = [len(cuts[column]) + 2 for column in of]
        tables.append(Shape(of, tuple(cuts[column] for column in of), random.normal(size=size)))
    shapes = FittedShapes(-1.0, tuple(tables))
    refits = space.expected(X) @ np.random.default_rng(1).normal(scale=0.05, size=(len(space.moments.mean), 20))
    bundles = {}
    for name in ("spline_logistic", "xgboost", "shapes", "blend"):
        margin = np.zeros(len(toy_people.y))
        of_rows = {"xgboost": trees, "shapes": shapes}
        inside = np.arange(len(X))
        margin[toy_people.inside] = of_rows[name].margin(X) if name in of_rows else fits[name].margin(X, inside)
        calibrator = fit_calibrator(margin, toy_people.y, toy_people.design)
        fitted: Fitted
        if name in fits:
            fitted, calibrator = fits[name].model(toy_people.encoder.owners, calibrator, X, weight)
        else:
            fitted = of_rows[name]
        if isinstance(fitted, Additive):
            fitted = replace(fitted, sampling=fit_sampling(refits, space.expected(X) * space.moments.scale, weight))
        bundles[name] = Bundle(
            about={"name": "toy", "title": "Toy people", "learner": name, **SYNTHETIC},
            features=toy_people.features,
            fitted=fitted,
            calibrator=calibrator,
            reference=describe(toy_people.frame.iloc[toy_people.inside], toy_people.features, weight),
            parts={**build(fitted, toy_people.encoder, X, weight), "card.md": b"# Toy\n"},
            uncertainty=fit_uncertainty(refits, X, weight, columns) if name == "xgboost" else None,
        )
    return bundles


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store of MLflow: made and migrated once, and copied by every test that tracks a run."""
    from mgrisk.track.store import opened

    path = tmp_path_factory.mktemp("registry") / "mlflow.db"
    with opened(f"sqlite:///{path.as_posix()}") as client:
        assert list(client.search_registered_models()) == []
    return path


@dataclass(frozen=True)
class Eaters:
    """A simulated survey of recalls and outcomes, with the truth about its people."""

    panel: Panel
    adjustment: AdjustmentSet
    usual: NDArray[np.float64]


EATERS = {"food": -0.3, "supplement": 0.0, "energy": 0.4, "age": 0.3}
"""True coefficients of both outcomes: per 100 mg from food and from supplements, 1000 kcal and 10 years."""


@pytest.fixture(scope="session")
def draw_eaters() -> Callable[..., Eaters]:
    """Return a function that draws a survey of 30 PSUs: recalls of magnesium and energy, whose errors go together."""
    from mgrisk.evidence.adjustment_set import AdjustmentSet
    from mgrisk.evidence.people import Panel

    adjustment = AdjustmentSet(
        name="toy", label="toy", reason="toy", main=True, all_nutrients=("magnesium", "energy"), all_terms=("age",)
    )
    between = np.array([[0.28**2, 0.7 * 0.28 * 0.25], [0.7 * 0.28 * 0.25, 0.25**2]])
    within = np.array([[0.36**2, 0.6 * 0.36 * 0.33], [0.6 * 0.36 * 0.33, 0.33**2]])

    def draw(random: np.random.Generator, *, n: int = 2000, strata: int = 15, curve: float = 0.0) -> Eaters:
        psu = random.integers(0, 2 * strata, n)
        age = random.uniform(-3.0, 3.0, n)
        male = random.random(n) < 0.4
        own = np.array([5.6, 7.6]) + np.outer(age, [0.02, -0.03]) + random.normal(0, 0.05, (2 * strata, 2))[psu]
        own += random.multivariate_normal(np.zeros(2), between, n)
        weekend = (random.random((n, 2)) < 0.45).astype(float)
        days = own[:, None] + weekend[..., None] * np.array([-0.03, 0.06]) + np.array([[0.0], [-0.05]])
        days += random.multivariate_normal(np.zeros(2), within, (n, 2))
        days[random.random(n) < 0.15, 1] = np.nan
        week = 4 / 7 + 3 / 7 * np.exp([-0.03, 0.06])
        usual = np.exp(own + np.diag(within) / 2.0) * week
        takes = np.where(random.random(n) < 0.3, random.gamma(2.0, 50.0, n), 0.0)
        food, energy = usual[:, 0] / 100.0 - 3.0, usual[:, 1] / 1000.0 - 2.1
        eta = EATERS["food"] * food + EATERS["energy"] * energy + EATERS["age"] * age + curve * food**2
        eta += random.normal(0, 0.1, 2 * strata)[psu]
        case = (random.random(n) < 1.0 / (1.0 + np.exp(1.5 - eta))).astype(float)
        design = SurveyDesign(np.where(male, 1.5, 1.0), psu // 2, psu % 2, WeightLevel.FASTING)
        panel = Panel(
            name="fasting",
            cycles=("2017-2018",),
            design=design,
            amounts={"magnesium": np.exp(days[..., 0]), "energy": np.exp(days[..., 1])},
            weekend=weekend,
            supplement=takes,
            columns={"age": age[:, None], "cycle": np.empty((n, 0))},
            outcomes={"undiagnosed": case, "homa_ir": eta + random.normal(0, 0.6, n)},
            frame=pd.DataFrame({"sex": np.where(male, "male", "female"), "age_years": 50 + 10 * age}),
        )
        return Eaters(panel, adjustment, usual)

    return draw
