"""Refits under bootstrap weights: each is the whole pipeline, and their spread is the design's standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.model.calibrate import fit_calibrator
from mgrisk.model.refits import OUT, refit_deviations
from mgrisk.model.spline_regression import SplineLearner
from mgrisk.survey.bootstrap import rao_wu

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.learners import Fitted


def everybody(toy_people: ToyPeople) -> np.ndarray:
    return toy_people.encoder.matrix(toy_people.frame)


class Fixed:
    """A learner that has nothing to learn: its margin is a column."""

    def margin(self, X: np.ndarray) -> np.ndarray:
        return 0.05 * X[:, 0].astype(np.float64)

    def to_files(self) -> dict[str, bytes]:
        return {}


def test_without_a_learner_the_spread_is_the_design_based_error_of_the_calibration(toy_people: ToyPeople) -> None:
    margin = np.zeros(len(toy_people.y))
    margin[toy_people.inside] = Fixed().margin(toy_people.matrix)
    calibrator = fit_calibrator(margin, toy_people.y, toy_people.design)
    inside = toy_people.inside
    moved = refit_deviations(
        lambda factor: Fixed(),
        everybody(toy_people),
        toy_people.y,
        toy_people.design,
        toy_people.fold,
        calibrator.log_odds(margin[inside]),
        replicates=600,
        seed=1,
    )
    # Taylor linearisation of the same regression; 600 replicates know a standard error to 3 %.
    ratio = np.sqrt((moved**2).mean(axis=1)) / calibrator.se(margin[inside])
    assert np.median(ratio) == pytest.approx(1, abs=0.12)
    assert ratio.min() > 0.8
    assert ratio.max() < 1.3


def test_a_refit_is_learner_out_of_fold_margins_and_calibration_under_the_replicate_weights(
    toy_people: ToyPeople,
) -> None:
    learner = SplineLearner(columns=toy_people.encoder.columns, knots=4, c=(0.1,))
    X, design, fold = everybody(toy_people), toy_people.design, toy_people.fold
    inside = toy_people.inside

    def refit(factor: np.ndarray) -> Fitted:
        weight = design.analysis_weight * factor
        rows = np.flatnonzero(weight > 0)
        return learner.fit(X[rows], toy_people.y[rows], weight[rows], {"c": 0.1})

    moved = refit_deviations(refit, X, toy_people.y, design, fold, np.zeros(len(inside)), replicates=2, seed=4)
    drawn = rao_wu(design, replicates=2, seed=4)
    factor = np.maximum(drawn.factors[1], OUT)[design.cluster]
    margin = np.zeros(len(design))
    for k in np.unique(fold):
        here = inside[fold[inside] == k]
        margin[here] = refit(np.where(fold == k, 0.0, factor)).margin(X[here])
    # Every PSU that was drawn has twice its weight, so that the regression is that of the drawn PSUs.
    doubled = fit_calibrator(margin, toy_people.y, design.where(drawn.replicate_weight(1) > 0))
    np.testing.assert_allclose(moved[:, 1], doubled.log_odds(refit(factor).margin(X[inside])), atol=1e-7)
    assert not np.allclose(moved[:, 0], moved[:, 1])
