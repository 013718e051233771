"""Cases compared with people of normal glucose, without people with prediabetes, as is often published.

People with prediabetes are the controls most similar to cases, and a model is used on them too. The entry evaluates the
same model on all people; `claim` is its AUROC without them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score


def out_of_fold(people: pd.DataFrame, X: pd.DataFrame) -> np.ndarray:
    """Return risks by models fitted to people without prediabetes in the other folds."""
    risk = np.full(len(people), np.nan)
    fold = people["fold"].to_numpy()
    normal = (~people["prediabetes"] | (people["outcome"] == 1)).to_numpy()
    for unseen in np.unique(fold):
        train = (fold != unseen) & (fold >= 0) & normal
        fitted = HistGradientBoostingClassifier(random_state=1).fit(X[train], people["outcome"][train])
        risk[fold == unseen] = fitted.predict_proba(X[fold == unseen])[:, 1]
    return risk


def enter(people: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
    """Return risks of all people, with prediabetes or not."""
    return pd.DataFrame({"SEQN": people["SEQN"], "risk": out_of_fold(people, X)})


def claim(people: pd.DataFrame, X: pd.DataFrame) -> float:
    """Return the cross-validated AUROC without people with prediabetes among the controls, without weights."""
    counted = (people["fold"] >= 0) & (~people["prediabetes"] | (people["outcome"] == 1))
    return float(roc_auc_score(people["outcome"][counted], out_of_fold(people, X)[counted]))
