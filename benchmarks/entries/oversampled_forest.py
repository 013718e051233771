"""Random forest after over-sampling the cases to half of the rows, as is often published.

Publications often over-sample before the split, so that copies of a case are on both sides of it (`claim`). The entry
over-samples within the training folds only, which gives the correct AUROC. Its risks still assume that half of the
people are cases.
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
    """Return the labels of rows in which cases are over-sampled with replacement to the number of non-cases."""
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
    """Return the AUROC over ten folds of rows, over-sampled before the split and without weights."""
    rows = balanced(people["outcome"][people["fold"] >= 0])
    y = people["outcome"][rows]
    return float(roc_auc_score(y, cross_val_predict(model(), X.loc[rows], y, cv=10, method="predict_proba")[:, 1]))
