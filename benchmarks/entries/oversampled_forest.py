"""A recipe that is often published: cases drawn again until there are as many as others, then a random forest.

Its authors draw before they split, so that copies of a case stand on both sides of the split (`claim`). The entry draws
within the training folds alone: the honest figure of the same recipe. Its risks are still those of people of whom half
are cases.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline


def model() -> Pipeline:
    """Return the estimator."""
    return make_pipeline(SimpleImputer(strategy="median"), RandomForestClassifier(200, n_jobs=1, random_state=1))


def balanced(outcome: pd.Series) -> np.ndarray:
    """Return the labels of rows in which cases are drawn with replacement until they are as many as others."""
    cases, others = outcome.index[outcome == 1], outcome.index[outcome == 0]
    return np.concatenate([others, np.random.default_rng(1).choice(cases, len(others))])


def enter(people: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
    """Return out-of-fold risks of development people, and those of held-out people."""
    risk = np.full(len(people), np.nan)
    fold = people["fold"].to_numpy()
    for unseen in np.unique(fold):
        rows = balanced(people["outcome"][(fold != unseen) & (fold >= 0)])
        fitted = model().fit(X.loc[rows], people["outcome"][rows])
        risk[fold == unseen] = fitted.predict_proba(X[fold == unseen])[:, 1]
    return pd.DataFrame({"SEQN": people["SEQN"], "risk": risk})


def claim(people: pd.DataFrame, X: pd.DataFrame) -> float:
    """Return the AUROC of ten folds of rows, drawn before the split and without weights."""
    rows = balanced(people["outcome"][people["fold"] >= 0])
    y = people["outcome"][rows]
    return float(roc_auc_score(y, cross_val_predict(model(), X.loc[rows], y, cv=10, method="predict_proba")[:, 1]))
