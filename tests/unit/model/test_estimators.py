"""A classifier of scikit-learn uses the folds, weights and calibration of a run, and has a digest."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mgrisk.errors import MgRiskError
from mgrisk.model.estimators import identity, named, train_estimator
from mgrisk.survey.linear_models import fit_logistic

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


def logistic() -> object:
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=0.3))


class Seen(ClassifierMixin, BaseEstimator):
    """Remembers the rows and weights of each fit."""

    fits: list[tuple[pd.DataFrame, np.ndarray | None]] = []  # noqa: RUF012

    def fit(self, X: pd.DataFrame, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Seen:
        self.fits.append((X, sample_weight))
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: pd.DataFrame) -> np.ndarray:
        return X["age_years"].to_numpy() / 50 - 1


def test_out_of_fold_risks_are_those_of_scikit_learn_calibrated_by_weighted_logistic_regression(
    toy_people: ToyPeople,
) -> None:
    data, encoder = toy_people.data, toy_people.encoder
    found = train_estimator("mine", logistic(), data, encoder)
    inside, fold, y = toy_people.inside, toy_people.fold[toy_people.inside], toy_people.case
    X = pd.DataFrame(toy_people.matrix.astype(float), columns=[column.name for column in encoder.columns])
    weight = toy_people.weight
    margin = np.zeros(len(toy_people.y))
    for k in np.unique(fold):
        seen = fold != k
        model = logistic()
        scaled = weight[seen] / weight[seen].mean()
        model.fit(X[seen], y[seen], logisticregression__sample_weight=scaled)  # type: ignore[attr-defined]
        margin[inside[~seen]] = model.decision_function(X[~seen])  # type: ignore[attr-defined]
    for k in np.unique(fold):
        others = toy_people.design.where(toy_people.fold != k)
        line = fit_logistic(np.column_stack([np.ones(len(margin)), margin]), data.outcome.value, others).coefficients
        here = inside[fold == k]
        np.testing.assert_allclose(found.oof_risk[here], expit(line[0] + line[1] * margin[here]), atol=1e-6)
    loss = -np.average(
        y * np.log(found.oof_risk[inside]) + (1 - y) * np.log(1 - found.oof_risk[inside]), weights=weight
    )
    assert found.log_loss == pytest.approx(loss)
    assert len(found.fold_log_loss) == len(np.unique(fold))
    assert found.weighted


def test_it_is_given_the_people_of_the_analysis_in_named_columns_each_fold_left_out_once(toy_people: ToyPeople) -> None:
    Seen.fits.clear()
    data = toy_people.data
    train_estimator("seen", Seen(), data, toy_people.encoder)
    *folds, last = Seen.fits
    fold = toy_people.fold[toy_people.inside]
    assert [len(X) for X, _ in folds] == [(fold != k).sum() for k in np.unique(fold)]
    assert len(last[0]) == len(toy_people.inside)
    assert list(last[0]) == [column.name for column in toy_people.encoder.columns]
    assert last[1] is not None
    assert last[1].mean() == pytest.approx(1.0)
    np.testing.assert_allclose(last[1] / last[1][0], toy_people.weight / toy_people.weight[0])


def test_the_estimator_that_was_given_stays_unfitted(toy_people: ToyPeople) -> None:
    given = LogisticRegression()
    train_estimator(
        "mine", make_pipeline(SimpleImputer(), StandardScaler(), given), toy_people.data, toy_people.encoder
    )
    assert not hasattr(given, "coef_")


@pytest.mark.parametrize("routing", [True, False])
def test_weights_reach_the_last_step_whatever_routing_is_on(routing: bool, toy_people: ToyPeople) -> None:
    with sklearn.config_context(enable_metadata_routing=routing):
        found = train_estimator("mine", logistic(), toy_people.data, toy_people.encoder)
    wanted = train_estimator("mine", logistic(), toy_people.data, toy_people.encoder)
    np.testing.assert_array_equal(found.oof_risk, wanted.oof_risk)


def test_who_takes_no_weights_says_so_and_is_calibrated_with_them(toy_people: ToyPeople) -> None:
    neighbours = make_pipeline(SimpleImputer(), StandardScaler(), KNeighborsClassifier(50))
    found = train_estimator("near", neighbours, toy_people.data, toy_people.encoder)
    assert not found.weighted
    risk = found.risk(toy_people.matrix)
    observed = np.average(toy_people.case, weights=toy_people.weight)
    assert np.average(risk, weights=toy_people.weight) == pytest.approx(observed, rel=0.05)


def test_trees_take_missing_values_as_they_are(toy_people: ToyPeople) -> None:
    trees = HistGradientBoostingClassifier(max_iter=5)
    found = train_estimator("trees", trees, toy_people.data, toy_people.encoder)
    assert np.isnan(toy_people.matrix).any()
    assert np.isfinite(found.log_odds(toy_people.matrix)).all()


def test_who_takes_no_missing_values_is_told_what_to_do(toy_people: ToyPeople) -> None:
    with pytest.raises(MgRiskError, match="SimpleImputer") as caught:
        train_estimator("mine", LogisticRegression(), toy_people.data, toy_people.encoder)
    assert caught.value.code == "candidates.missing_values"
    with pytest.raises(ValueError, match="C"):
        train_estimator(
            "mine", make_pipeline(SimpleImputer(), LogisticRegression(C=-1)), toy_people.data, toy_people.encoder
        )


def test_numbers_of_a_frame_are_those_of_the_matrix(toy_people: ToyPeople) -> None:
    frame = named(toy_people.matrix, toy_people.encoder)
    np.testing.assert_array_equal(frame.to_numpy(), toy_people.matrix.astype(np.float64))


def test_an_estimator_is_known_by_its_settings_and_those_of_its_steps() -> None:
    def made(**settings: float) -> object:
        return make_pipeline(SimpleImputer(), LogisticRegression(**settings))

    assert identity(made()) == identity(made(C=1.0))
    assert identity(made()) != identity(made(C=2.0))
    assert identity(made()) != identity(make_pipeline(LogisticRegression()))
    assert identity(LogisticRegression()) != identity(KNeighborsClassifier())


def test_an_estimator_is_known_by_the_source_of_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from sklearn.base import BaseEstimator, ClassifierMixin
class Mine(ClassifierMixin, BaseEstimator):
    def decision_function(self, X):
        return {}
"""
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for what in ("1", "1", "22"):
        (tmp_path / "own_estimator.py").write_text(source.format(what), encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop("own_estimator", None)
        found.append(identity(importlib.import_module("own_estimator").Mine()))
    sys.modules.pop("own_estimator")
    assert found[0] == found[1] != found[2]
