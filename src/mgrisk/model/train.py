"""Training: tune on folds, calibrate on out-of-fold margins, refit on the whole development set.

Only people of the development analysis come in here. The held-out cycle is not an argument of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk import config
from mgrisk.errors import MgRiskError
from mgrisk.features.registry import Feature
from mgrisk.model.boosted_trees import BoostedTreesLearner
from mgrisk.model.calibrate import Calibrator, cross_fitted_risk, fit_calibrator
from mgrisk.model.encode import Encoder
from mgrisk.model.learners import Fitted, Learner
from mgrisk.model.spline_logistic import SplineLogisticLearner
from mgrisk.model.tune import Tuned, tune
from mgrisk.survey.design import SurveyDesign


@dataclass(frozen=True)
class TrainedLearner:
    """The best candidate of one learner, ready to be bundled.

    Attributes
    ----------
    fitted, calibrator
        Refitted on the whole development analysis; fitted on its out-of-fold margins.
    oof_margin, oof_risk
        Out-of-fold margin, and risk whose calibrator did not see the person's fold either; NaN outside the
        analysis, shape of the design.
    """

    fitted: Fitted
    calibrator: Calibrator
    oof_margin: NDArray[np.float64]
    oof_risk: NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """Everything that training made.

    Attributes
    ----------
    encoder
        From features to columns.
    tuned
        All candidates and their scores.
    learners
        The best of each learner, by name.
    """

    encoder: Encoder
    tuned: Tuned
    learners: Mapping[str, TrainedLearner]


def make_learners(settings: config.Model, encoder: Encoder, *, threads: int) -> tuple[Learner, ...]:
    """Return the learners that a pipeline file asks for, in a fixed order."""
    learners: list[Learner] = []
    if settings.spline_logistic is not None:
        learners.append(
            SplineLogisticLearner(
                columns=encoder.columns, knots=settings.spline_logistic.knots, c=settings.spline_logistic.c
            )
        )
    if settings.xgboost is not None:
        grid = settings.xgboost
        learners.append(
            BoostedTreesLearner(
                columns=encoder.columns,
                depth=grid.depth,
                learning_rate=grid.learning_rate,
                min_child_weight=grid.min_child_weight,
                l2=grid.l2,
                trees=grid.trees,
                subsample=grid.subsample,
                columns_per_tree=grid.columns,
                seed=settings.seed,
                threads=threads,
            )
        )
    return tuple(learners)


def train(
    frame: pd.DataFrame,
    y: NDArray[np.float64],
    design: SurveyDesign,
    fold: NDArray[np.int64],
    *,
    features: Sequence[Feature],
    settings: config.Model,
    threads: int,
) -> Trained:
    """Tune, calibrate and refit.

    Parameters
    ----------
    frame
        Completed model features of everybody in the development set, row for row with the design.
    y
        Outcome 0 or 1, shape (n,); any value outside the domain.
    design
        Full design of the development set, with the analysis as its domain.
    fold
        Fold of each person, shape (n,).
    features, settings, threads
        Model features, the `[model]` section of the pipeline file, threads for xgboost.

    Raises
    ------
    MgRiskError
        `train.too_few_events` where a fold has fewer than five cases.
    """
    encoder = Encoder(tuple(features))
    inside = np.flatnonzero(design.analysis_weight > 0)
    X, case, weight = encoder.matrix(frame.iloc[inside]), y[inside], design.analysis_weight[inside]
    _refuse_thin_folds(case, fold[inside])
    learners = make_learners(settings, encoder, threads=threads)
    tuned = tune(learners, X, case, weight, fold[inside])
    trained = {}
    for learner in learners:
        margin = np.full(len(y), np.nan)
        margin[inside] = tuned.margins[learner.name]
        risk = np.full(len(y), np.nan)
        # Outside the domain a margin and an outcome stand as zeros: they have no weight, but must be numbers.
        filled, known = np.nan_to_num(margin), np.where(design.analysis_weight > 0, y, 0.0)
        risk[inside] = cross_fitted_risk(filled, known, design, fold)[inside]
        trained[learner.name] = TrainedLearner(
            fitted=learner.fit(X, case, weight, tuned.best[learner.name].params),
            calibrator=fit_calibrator(filled, known, design),
            oof_margin=margin,
            oof_risk=risk,
        )
    return Trained(encoder, tuned, MappingProxyType(trained))


def _refuse_thin_folds(case: NDArray[np.float64], fold: NDArray[np.int64]) -> None:
    for k in np.unique(fold):
        events = int(case[fold == k].sum())
        if events < 5:
            raise MgRiskError(
                "train.too_few_events",
                f"fold {k} has {events} cases",
                expected="at least 5 in each fold",
                where="cohort.folds",
                hint="use fewer folds, more cycles or a more frequent outcome",
            )
