"""Logistic regression with survey weights, median imputation and z-scores: a simple baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def model() -> Pipeline:
    """Return the estimator."""
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression(max_iter=2000)
    )


def enter(people: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
    """Return out-of-fold risks of development people, and those of held-out people."""
    risk = np.full(len(people), np.nan)
    fold = people["fold"].to_numpy()
    for unseen in np.unique(fold):
        train = (fold != unseen) & (fold >= 0)
        weight = people["weight"][train] / people["weight"][train].mean()
        fitted = model().fit(X[train], people["outcome"][train], logisticregression__sample_weight=weight)
        risk[fold == unseen] = fitted.predict_proba(X[fold == unseen])[:, 1]
    return pd.DataFrame({"SEQN": people["SEQN"], "risk": risk})
