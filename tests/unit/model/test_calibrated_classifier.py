"""A classifier with the calibration of a run and the interface of scikit-learn."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from mgrisk.model.calibrated_classifier import DesignCalibratedClassifier
from mgrisk.model.calibration import fit_calibrator
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.folds import DesignKFold

# Folds are of rows: a row of weight 2 is in one fold, two rows of weight 1 may be in two. scikit-learn's own
# CalibratedClassifierCV is excused from these two for the same reason.
FOLDS_OF_ROWS = {
    "check_sample_weight_equivalence_on_dense_data": "folds are of rows",
    "check_sample_weight_equivalence_on_sparse_data": "folds are of rows",
}
# Needs an environment variable that is read before scipy is imported.
NOT_SET_HERE = {"check_array_api_input"}


@pytest.mark.filterwarnings("ignore")  # the checks provoke some on purpose
@pytest.mark.parametrize("inner", [None, DecisionTreeClassifier(max_depth=3, random_state=1)])
def test_scikit_learns_own_checks_pass(inner: Any) -> None:
    checked = check_estimator(
        DesignCalibratedClassifier(inner), expected_failed_checks=FOLDS_OF_ROWS, on_fail=None, on_skip=None
    )
    assert len(checked) > 50
    not_passed = {each["check_name"]: each["status"] for each in checked if each["status"] != "passed"}
    assert {name for name, status in not_passed.items() if status == "failed"} == set()
    assert not_passed.keys() - NOT_SET_HERE == FOLDS_OF_ROWS.keys()


@pytest.fixture
def design(full: SurveyDesign) -> SurveyDesign:
    return full.keep(full.weights > 0)


@pytest.fixture
def rows(toy: pd.DataFrame, full: SurveyDesign) -> pd.DataFrame:
    return toy[full.weights > 0]


def test_the_calibration_is_that_of_a_run_on_the_same_out_of_fold_scores(
    rows: pd.DataFrame, design: SurveyDesign
) -> None:
    X, y, weight = rows[["x1", "x2"]], rows["y"], design.weights
    cv = DesignKFold(4, design=design)
    model = DesignCalibratedClassifier(LogisticRegression(C=1e-8), cv=cv).fit(X, y, sample_weight=weight)
    scores = cross_val_predict(
        LogisticRegression(C=1e-8), X, y, cv=cv, params={"sample_weight": weight}, method="decision_function"
    )
    ours = fit_calibrator(scores, y.to_numpy(dtype=float), design)
    assert (model.intercept_, model.slope_) == pytest.approx((ours.intercept, ours.slope), rel=1e-9)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(scores[:, None], y, sample_weight=weight)
    assert (model.intercept_, model.slope_) == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), rel=1e-3)
    whole = LogisticRegression(C=1e-8).fit(X, y, sample_weight=weight)
    risk = expit(ours.intercept + ours.slope * whole.decision_function(X))
    assert model.predict_proba(X)[:, 1] == pytest.approx(risk, rel=1e-9)
    assert model.score(X, y) > 0.5


def test_with_survey_weights_the_risks_are_those_of_scikit_learn_on_the_same_folds(
    rows: pd.DataFrame, design: SurveyDesign
) -> None:
    X, y, weight, cv = rows[["x1"]], rows["y"], design.weights, DesignKFold(4, design=design)
    inner = LogisticRegression(C=1e-6)
    ours, theirs = (
        model.fit(X, y, sample_weight=weight).predict_proba(X)[:, 1]
        for model in (DesignCalibratedClassifier(inner, cv=cv), CalibratedClassifierCV(inner, cv=cv, ensemble=False))
    )
    assert ours == pytest.approx(theirs, rel=1e-3)
    plain = CalibratedClassifierCV(inner, cv=cv, ensemble=False).fit(X, y).predict_proba(X)[:, 1]
    assert ours != pytest.approx(plain, rel=1e-2)


def test_probabilities_are_calibrated_on_their_log_odds(rows: pd.DataFrame, design: SurveyDesign) -> None:
    X, y, weight, cv = rows[["x1"]], rows["y"], design.weights, DesignKFold(4, design=design)
    forest = RandomForestClassifier(20, min_samples_leaf=20, random_state=1)
    model = DesignCalibratedClassifier(forest, cv=cv).fit(X, y, sample_weight=weight)
    risk = cross_val_predict(forest, X, y, cv=cv, params={"sample_weight": weight}, method="predict_proba")[:, 1]
    ours = fit_calibrator(logit(np.clip(risk, 1e-12, 1 - 1e-12)), y.to_numpy(dtype=float), design)
    assert (model.intercept_, model.slope_) == pytest.approx((ours.intercept, ours.slope), rel=1e-9)


class _Whole:
    """Everybody is learned from and tested: then the calibrated risks add up to the cases."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        yield np.arange(len(X)), np.arange(len(X))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return 1


def test_groups_are_assigned_whole_and_in_their_order(rows: pd.DataFrame, design: SurveyDesign) -> None:
    X, y, tree = rows[["x1", "x2"]], rows["y"], DecisionTreeClassifier(max_depth=3, random_state=1)
    ours = DesignCalibratedClassifier(tree, cv=4).fit(X, y, sample_weight=design.weights, groups=design.cluster)
    by_hand = DesignCalibratedClassifier(tree, cv=PredefinedSplit(design.cluster % 4))
    by_hand.fit(X, y, sample_weight=design.weights)
    assert (ours.intercept_, ours.slope_) == (by_hand.intercept_, by_hand.slope_)
    people = DesignCalibratedClassifier(tree, cv=4).fit(X, y, sample_weight=design.weights)
    assert people.slope_ != ours.slope_


def test_folds_within_folds_keep_psus_whole(rows: pd.DataFrame, design: SurveyDesign) -> None:
    X, y, outer = rows[["x1", "x2"]], rows["y"], DesignKFold(3, design=design)
    model = DesignCalibratedClassifier(LogisticRegression(), cv=2)
    given = {"sample_weight": design.weights, "groups": design.cluster}
    risk = cross_val_predict(model, X, y, cv=outer, params=given, method="predict_proba")[:, 1]
    train, test = next(outer.split(X))
    alone = clone(model).fit(X.iloc[train], y.iloc[train], design.weights[train], design.cluster[train])
    assert risk[test] == pytest.approx(alone.predict_proba(X.iloc[test])[:, 1], abs=1e-12)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        asking = DesignCalibratedClassifier(inner, cv=2).set_fit_request(sample_weight=True, groups=True)
        routed = cross_val_predict(asking, X, y, cv=outer, params=given, method="predict_proba")[:, 1]
    assert routed == pytest.approx(risk, abs=1e-12)


def test_it_is_cloned_pickled_and_searched(rows: pd.DataFrame, design: SurveyDesign) -> None:
    X, y = rows[["x1", "x2"]], rows["y"]
    model = DesignCalibratedClassifier(LogisticRegression(), cv=DesignKFold(3, design=design))
    assert clone(model).cv.n_splits == 3
    fitted = clone(model).fit(X, y, sample_weight=design.weights)
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict_proba(X) == fitted.predict_proba(X)).all()
    search = GridSearchCV(DesignCalibratedClassifier(LogisticRegression(), cv=3), {"estimator__C": [0.01, 1.0]}, cv=2)
    assert set(search.fit(X, y).best_params_) == {"estimator__C"}


def test_pandas_polars_and_arrays_are_taken_and_names_kept(rows: pd.DataFrame) -> None:
    X, y = rows[["x1", "x2"]], rows["y"]
    model = DesignCalibratedClassifier(cv=3)
    risk = clone(model).fit(X, y).predict_proba(X)
    assert clone(model).fit(X, y).feature_names_in_.tolist() == ["x1", "x2"]
    frame = pl.from_pandas(rows)
    assert clone(model).fit(frame[["x1", "x2"]], frame["y"]).predict_proba(frame[["x1", "x2"]]) == pytest.approx(risk)
    assert clone(model).fit(X.to_numpy(), y.to_numpy()).predict_proba(X.to_numpy()) == pytest.approx(risk)
    words = np.where(y == 1, "yes", "no")
    assert clone(model).fit(X, words).classes_.tolist() == ["no", "yes"]


def test_weights_reach_the_last_step_of_a_pipeline_and_are_missed_where_none_takes_them(
    rows: pd.DataFrame, design: SurveyDesign
) -> None:
    X, y, weight, cv = rows[["x1", "x2"]], rows["y"], design.weights, DesignKFold(3, design=design)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    ours = DesignCalibratedClassifier(pipeline, cv=cv).fit(X, y, sample_weight=weight)
    whole = clone(pipeline).fit(X, y, logisticregression__sample_weight=weight)
    assert ours.estimator_[-1].coef_ == pytest.approx(whole[-1].coef_)
    with pytest.warns(UserWarning, match="only the calibration is weighted"):
        DesignCalibratedClassifier(KNeighborsClassifier(), cv=cv).fit(X, y, sample_weight=weight)


def test_scores_that_separate_the_classes_or_say_nothing_are_calibrated_too(
    rows: pd.DataFrame, design: SurveyDesign
) -> None:
    y, weight = rows["y"].to_numpy(), design.weights
    X = y[:, None] + 0.01 * np.arange(len(y))[:, None] / len(y)
    separated = DesignCalibratedClassifier(cv=3).fit(X, y, sample_weight=weight)
    assert np.isfinite([separated.intercept_, separated.slope_]).all()
    assert (separated.predict(X) == y).all()
    nothing = DesignCalibratedClassifier(DummyClassifier(), cv=_Whole()).fit(X, y, sample_weight=weight)
    assert nothing.predict_proba(X)[:, 1] == pytest.approx(np.full(len(y), np.average(y, weights=weight)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"y": [0, 1, 2] * 4}, "Only binary"),
        ({"y": [1] * 12}, "one class"),
        ({"cv": PredefinedSplit([0] * 6 + [-1] * 6)}, "each row once"),
        ({"groups": [1, 2] * 6, "cv": 3}, "fewer than the 3 folds"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(given: dict[str, Any], said: str) -> None:
    X, y = np.arange(12.0)[:, None], given.get("y", [0, 1] * 6)
    with pytest.raises(ValueError, match=said):
        DesignCalibratedClassifier(cv=given.get("cv", 2)).fit(X, y, groups=given.get("groups"))
