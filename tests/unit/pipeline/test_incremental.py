"""Incremental value of magnesium for each outcome, in people of whom only insulin depends on magnesium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.config.pipeline_file import Pipeline, load
from mgrisk.evidence.records import Record
from mgrisk.features.compute import typed
from mgrisk.features.registry import features
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.incremental import LABELS, incremental_values, label_variables

PIPELINE = Path(__file__).parents[3] / "pipelines" / "undiagnosed.toml"
CHOSEN = features(("age_years", "magnesium_food_mg", "energy_kcal"))
YEARS = ("2013-2014", "2015-2016", "2017-2018")
EACH = 1500


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load(
        PIPELINE,
        overrides=[
            'cohort.development=["2013-2014", "2015-2016"]', "cohort.folds=2", "model.spline_logistic.c=[0.1]",
            'model.features=["age_years", "magnesium_food_mg", "energy_kcal"]',
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def people(pipeline: Pipeline) -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(1)
    n = EACH * len(YEARS)
    age, magnesium = random.uniform(20.0, 79.0, n), random.lognormal(5.6, 0.4, n)
    raw = pd.DataFrame(np.nan, index=range(n), columns=[*label_variables(CHOSEN, pipeline.cohort)])
    raw = raw.assign(
        RIDSTATR=2.0,
        RIDAGEYR=age,
        SDMVSTRA=np.arange(n) % 15 + 20 * (np.arange(n) // EACH),
        SDMVPSU=np.arange(n) // 15 % 2 + 1,
        DIQ010=np.where(random.random(n) < 0.1, 1.0, 2.0),
        LBXGH=5.2 + 0.012 * age + random.normal(0.0, 0.5, n),
        LBXGLU=90.0 + 0.3 * age + random.normal(0.0, 12.0, n),
        LBXIN=np.exp(2.6 - 0.8 * np.log(magnesium / 270.0) + random.normal(0.0, 0.5, n)),
        WTSAF2YR=1000.0,
    )
    raw.insert(0, KEY, np.arange(n))
    raw["cycle"] = np.repeat(YEARS, EACH)
    frame = pd.DataFrame(
        {"age_years": age, "magnesium_food_mg": magnesium, "energy_kcal": random.normal(2100.0, 600.0, n).clip(500)}
    )
    return raw, typed(frame, CHOSEN)


@pytest.fixture(scope="module")
def found(people: tuple[pd.DataFrame, pd.DataFrame], pipeline: Pipeline) -> dict[tuple[str, str], Record]:
    return {(each.outcome, each.contrast): each for each in incremental_values(*people, CHOSEN, pipeline)}


def test_each_outcome_is_there_cross_validated_and_held_out(found: dict[tuple[str, str], Record]) -> None:
    assert list(found) == [(label, name) for label in LABELS for name in ("cross-validated", "2017-2018")]
    assert {record.problem for record in found.values()} == {""}
    # Who was told of diabetes is among the people of one outcome alone.
    told = found["diabetes", "2017-2018"].n - found["dysglycaemia", "2017-2018"].n
    assert 100 < told < 200
    assert found["undiagnosed", "2017-2018"].cycles == "2017-2018"


def test_magnesium_adds_where_the_outcome_depends_on_it_and_nowhere_else(
    found: dict[tuple[str, str], Record],
) -> None:
    for (outcome, _), record in found.items():
        assert record.estimate is not None
        assert record.low is not None
        if outcome == "insulin-resistance":
            assert record.low > 0.05
        else:
            assert abs(record.estimate) < 0.01
            assert record.low < 0.003


def test_what_cannot_be_trained_is_a_record_with_its_problem(
    people: tuple[pd.DataFrame, pd.DataFrame], pipeline: Pipeline
) -> None:
    raw, frame = people
    nobody = raw.assign(LBXGH=5.0, LBXGLU=90.0, DIQ010=2.0)
    records = [each for each in incremental_values(nobody, frame, CHOSEN, pipeline) if each.outcome == "undiagnosed"]
    assert [(each.estimate, each.events) for each in records] == [(None, 0), (None, 0)]
    assert {each.problem for each in records} == {"train.too_few_events"}


@pytest.mark.parametrize("names", [("age_years", "energy_kcal"), ("magnesium_food_mg",)])
def test_without_magnesium_or_without_anything_else_there_is_no_question(
    people: tuple[pd.DataFrame, pd.DataFrame], pipeline: Pipeline, names: tuple[str, ...]
) -> None:
    assert list(incremental_values(*people, features(names), pipeline)) == []
