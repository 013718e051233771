"""Recall error of the risk follows from the model of usual magnesium, and is missing without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mgrisk.features import usual_magnesium
from mgrisk.features.compute import typed
from mgrisk.features.registry import features, with_ancestors
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.calibration import Calibrator
from mgrisk.model.curves import FittedSplines
from mgrisk.model.recall_error import recall_se, recall_share
from mgrisk.model.splines import Term
from mgrisk.survey.design import SurveyDesign, WeightLevel

if TYPE_CHECKING:
    from mgrisk.model.bundle import Bundle

N, SLOPE, EFFECT = 800, 0.9, -0.004
CHOSEN = features(["age_years", "usual_magnesium_total_mg"])


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    random = np.random.default_rng(11)
    own = 5.6 + random.normal(0, 0.25, N)
    days = np.exp(own[:, None] + random.normal(0, 0.3, (N, 2)))
    days[random.random(N) < 0.3, 1] = np.nan
    frame = pd.DataFrame(
        {
            "age_years": random.uniform(20, 80, N).round(),
            "sex": random.choice(["female", "male"], N),
            "magnesium_food_day_1_mg": days[:, 0],
            "magnesium_food_day_2_mg": days[:, 1],
            "recall_day_1_weekend": random.choice(["no", "yes"], N),
            "recall_day_2_weekend": np.where(np.isnan(days[:, 1]), None, random.choice(["no", "yes"], N)),
            "magnesium_food_mg": np.nanmean(days, axis=1),
            "recall_days": np.isfinite(days).sum(axis=1).astype(float),
            "magnesium_supplement_mg": np.where(random.random(N) < 0.3, 100.0, 0.0),
        }
    )
    return typed(frame, with_ancestors(CHOSEN))


@pytest.fixture(scope="module")
def bundle(people: pd.DataFrame) -> Bundle:
    design = SurveyDesign(np.ones(N), np.arange(N) % 10, np.arange(N) // 10 % 2, WeightLevel.RECALL1)
    straight = FittedSplines((Term(50.0, ()), Term(300.0, ())), -2.0, np.array([0.03, EFFECT]), np.zeros(2))
    return Bundle(
        about={"name": "toy"},
        features=CHOSEN,
        fitted=straight,
        calibrator=Calibrator(0.1, SLOPE, np.eye(2) * 0.01, 20),
        reference={},
        parts={},
        models={"usual_magnesium": usual_magnesium.fit(people, design)},
    )


def test_of_a_straight_line_it_is_the_slope_times_the_error_of_usual_intake(
    bundle: Bundle, people: pd.DataFrame
) -> None:
    error = bundle.models["usual_magnesium"].predict(people)["usual_magnesium_se_mg"].to_numpy()
    found = recall_se(bundle, people)
    np.testing.assert_allclose(found, SLOPE * abs(EFFECT) * error, rtol=0.02)
    two = (people["recall_days"] == 2).to_numpy()
    assert found[two].mean() < found[~two].mean()


def test_it_is_not_told_where_it_is_not_known(bundle: Bundle, people: pd.DataFrame) -> None:
    few = people.iloc[:4].copy()
    recalls = ["magnesium_food_day_1_mg", "magnesium_food_day_2_mg", "magnesium_food_mg"]
    few.loc[few.index[0], recalls] = np.nan
    few["usual_magnesium_mg"] = [np.nan, 310.0, np.nan, np.nan]
    assert np.isnan(recall_se(bundle, few)).tolist() == [True, True, False, False]


def test_a_model_of_usual_magnesium_that_no_feature_needs_is_carried_and_moves_no_risk(
    bundle: Bundle, toy_bundles: dict[str, Bundle], people: pd.DataFrame, tmp_path: Path
) -> None:
    toy = toy_bundles["spline_logistic"]
    replace(toy, models=bundle.models).write(tmp_path / "carries")
    back = read_bundle(tmp_path / "carries")
    carried, fitted = (each.models["usual_magnesium"].predict(people) for each in (back, bundle))
    pd.testing.assert_frame_equal(carried, fitted)
    np.testing.assert_array_equal(back.risk(back.encode(people)[1]), toy.risk(toy.encode(people)[1]))
    assert np.isnan(recall_se(back, people)).all()


def test_a_bundle_without_usual_magnesium_has_none(toy_bundles: dict[str, Bundle], people: pd.DataFrame) -> None:
    assert np.isnan(recall_se(toy_bundles["spline_logistic"], people)).all()


def test_the_share_is_that_of_the_variances_and_missing_with_the_recall_error() -> None:
    share = recall_share(np.array([0.0, 0.3, np.nan]), np.array([0.2, 0.4, 0.4]))
    np.testing.assert_allclose(share, [0.0, 0.36, np.nan])
