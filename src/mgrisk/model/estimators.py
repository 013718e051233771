"""Scikit-learn classifiers as candidates of a run, fitted and calibrated with its folds and weights.

An estimator is identified by its settings and the source of its classes (`identity`); a rerun fits it again when these
change. A fitted one is not stored, since a bundle contains no pickle.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from scipy.special import expit
from sklearn.base import clone

from mgrisk.errors import usage
from mgrisk.model.calibrated_classifier import margin_of, weight_name
from mgrisk.model.calibration import Calibrator, cross_fitted_risk, fit_calibrator
from mgrisk.model.learners import Encoder, mean_one, weighted_log_loss
from mgrisk.model.train import log_odds_of
from mgrisk.model.training_data import TrainingData
from mgrisk.types import Floats, Singles


@dataclass(frozen=True, eq=False)
class TrainedEstimator:
    """A classifier fitted to the development people, with the calibration of a run.

    Attributes
    ----------
    fitted, calibrator
        The classifier fitted to all people, and the map from its scores to log-odds.
    encoder
        Encoder of the features into the columns that it reads.
    oof_risk
        Risks from a classifier and calibrator fitted without the person's fold, shape of the design; NaN outside the
        analysis.
    log_loss, fold_log_loss
        Weighted mean log loss of `oof_risk` in nats, over all people and by fold.
    weighted
        Whether the classifier takes weights; the calibration always has them.
    """

    fitted: Any
    calibrator: Calibrator
    encoder: Encoder
    oof_risk: Floats
    log_loss: float
    fold_log_loss: tuple[float, ...]
    weighted: bool

    def log_odds(self, X: Singles) -> Floats:
        """Return calibrated log-odds, shape (n,), of an encoded matrix (n, n_columns)."""
        return self.calibrator.log_odds(margin_of(self.fitted, named(X, self.encoder)))

    def risk(self, X: Singles) -> Floats:
        """Return calibrated risks, shape (n,), of an encoded matrix (n, n_columns)."""
        risk: Floats = expit(self.log_odds(X))
        return risk


def named(X: Singles, encoder: Encoder) -> pd.DataFrame:
    """Return an encoded matrix as the frame that a classifier reads: ``age_years``, ``sex=male`` and so on."""
    return pd.DataFrame(X.astype(np.float64), columns=[column.name for column in encoder.columns])


def train_estimator(name: str, estimator: Any, data: TrainingData, encoder: Encoder) -> TrainedEstimator:
    """Fit and calibrate a classifier on the folds of a run.

    Parameters
    ----------
    name, estimator
        As in the candidates of `mgrisk.run`; the estimator itself is not changed.
    data, encoder
        Data of the development people, and the encoder of their features.

    Raises
    ------
    MgRiskError
        `candidates.missing_values` where inputs are missing and the classifier does not accept missing values.
    """
    inside, fold, design = data.inside, data.fold, data.design
    X = data.matrix(encoder)
    rows = named(X[inside], encoder)
    weight, y, of_row = design.analysis_weight[inside], data.y[inside], fold[inside]
    margin = np.zeros(len(data.y))
    for k in np.unique(of_row):
        seen, unseen = np.flatnonzero(of_row != k), np.flatnonzero(of_row == k)
        fitted = _fit(name, estimator, rows.iloc[seen], y[seen], weight[seen])
        margin[inside[unseen]] = margin_of(fitted, rows.iloc[unseen])
    outcome = data.outcome
    oof_risk = np.full(len(data.y), np.nan)
    oof_risk[inside] = cross_fitted_risk(margin, outcome.value, design, fold)[inside]
    log_odds = log_odds_of(oof_risk[inside])
    of_fold = (of_row == k for k in np.unique(of_row))
    return TrainedEstimator(
        fitted=_fit(name, estimator, rows, y, weight),
        calibrator=fit_calibrator(margin, outcome.value, design),
        encoder=encoder,
        oof_risk=oof_risk,
        log_loss=weighted_log_loss(y, log_odds, weight),
        fold_log_loss=tuple(weighted_log_loss(y[here], log_odds[here], weight[here]) for here in of_fold),
        weighted=bool(weight_name(estimator)),
    )


def _fit(name: str, estimator: Any, rows: pd.DataFrame, y: Floats, weight: Floats) -> Any:
    given = weight_name(estimator)
    weights = {given: mean_one(weight)} if given else {}
    try:
        # Weights are passed as `fit` takes them, whatever metadata routing the caller has enabled.
        with sklearn.config_context(enable_metadata_routing=False):
            return clone(estimator).fit(rows, y.astype(np.int64), **weights)
    except ValueError as problem:
        lacking = float(rows.isna().any(axis=1).mean())
        if not lacking or "nan" not in str(problem).lower():
            raise
        raise usage(
            "candidates.missing_values",
            f"{100 * lacking:.0f} % of the people lack an input, and {name} does not accept missing values",
            where=f"candidates, {name}",
            hint="put an imputer before it: make_pipeline(SimpleImputer(add_indicator=True), …)",
        ) from problem


def identity(estimator: Any) -> str:
    """Return the sha256 of an estimator's settings and of the source and library version of its classes.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> identity(LogisticRegression()) == identity(LogisticRegression(C=1.0)) != identity(LogisticRegression(C=0.1))
    True
    """
    return hashlib.sha256(json.dumps(list(_facts(estimator)), sort_keys=True).encode()).hexdigest()


def _facts(estimator: Any) -> Iterator[tuple[str, ...]]:
    kind = type(estimator)
    library = __import__(kind.__module__.partition(".")[0])
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = ""  # interactive or compiled classes are identified by name and settings alone
    yield kind.__module__, kind.__qualname__, str(getattr(library, "__version__", "")), source
    for name, value in sorted(estimator.get_params(deep=True).items()):
        if hasattr(value, "get_params") and not isinstance(value, type):
            if "__" not in name:
                yield name, *(text for fact in _facts(value) for text in fact)
        else:
            with np.printoptions(threshold=2**31, floatmode="unique"):
                yield name, repr(value)
