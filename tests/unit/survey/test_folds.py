"""The splitter of scikit-learn: whole PSUs, strata apart, the folds of a run."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, check_cv, cross_val_predict

from mgrisk.cohort.folds import assign_folds
from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.folds import DesignKFold


def test_each_row_is_tested_once_and_no_psu_is_on_both_sides(full: SurveyDesign) -> None:
    tested = []
    for train, test in DesignKFold(4, design=full).split(np.empty((len(full), 1))):
        assert sorted([*train, *test]) == list(range(len(full)))
        assert not set(full.cluster[train]) & set(full.cluster[test])
        # No stratum of the toy survey has more than three PSUs.
        assert max(np.bincount(full.cluster_stratum[np.unique(full.cluster[test])])) == 1
        tested.extend(test)
    assert sorted(tested) == list(range(len(full)))


@pytest.mark.parametrize("seed", [1, 7])
def test_the_folds_are_those_of_a_run(seed: int, toy: pd.DataFrame, full: SurveyDesign) -> None:
    people = toy.assign(set=DEVELOPMENT, SEQN=np.arange(len(toy)))[["SEQN", "set", "stratum", "psu"]]
    of_run = assign_folds(people, folds=5, seed=seed)["fold"].to_numpy()
    rows = toy["domain"].to_numpy() == 1
    for design, fold in ((full, of_run), (full.keep(rows), of_run[rows])):
        for number, (_, test) in enumerate(DesignKFold(5, design=design, seed=seed).split(fold)):
            assert (fold[test] == number).all()


def test_scikit_learn_takes_it(toy: pd.DataFrame, full: SurveyDesign) -> None:
    cv = DesignKFold(3, design=full)
    assert check_cv(cv) is cv
    assert cv.get_n_splits(toy) == 3
    X, y, weight = toy[["x1", "x2"]], toy["y"], {"sample_weight": full.weights}
    risk = cross_val_predict(LogisticRegression(), X, y, cv=cv, params=weight, method="predict_proba")[:, 1]
    train, test = next(cv.split(X))
    alone = LogisticRegression().fit(X.iloc[train], y.iloc[train], sample_weight=full.weights[train])
    assert risk[test] == pytest.approx(alone.predict_proba(X.iloc[test])[:, 1], abs=1e-12)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=cv).fit(X, y, **weight)
    assert search.n_splits_ == 3
    again = pickle.loads(pickle.dumps(cv))
    assert [test.tolist() for _, test in again.split(X)] == [test.tolist() for _, test in cv.split(X)]


@pytest.mark.parametrize("n_splits", [1, 15])
def test_too_few_and_too_many_folds_are_refused(n_splits: int, full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        DesignKFold(n_splits, design=full)
    assert caught.value.code == "split.folds"


def test_rows_of_another_design_are_refused(full: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        next(DesignKFold(2, design=full).split(np.zeros(len(full) - 1)))
    assert caught.value.code == "design.bad_length"
