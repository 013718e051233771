"""XGBoost with default settings and survey weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
from xgboost import XGBClassifier


def enter(people: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
    """Return out-of-fold risks of development people, and those of held-out people."""
    X = X.rename(columns=lambda name: name.replace("<", "below "))
    risk = np.full(len(people), np.nan)
    fold = people["fold"].to_numpy()
    for unseen in np.unique(fold):
        train = (fold != unseen) & (fold >= 0)
        weight = people["weight"][train] / people["weight"][train].mean()
        fitted = XGBClassifier(n_jobs=1).fit(X[train], people["outcome"][train], sample_weight=weight)
        risk[fold == unseen] = fitted.predict_proba(X[fold == unseen])[:, 1]
    return pd.DataFrame({"SEQN": people["SEQN"], "risk": risk})
