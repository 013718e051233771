"""Calibration of any scikit-learn classifier by a weighted logistic map of its out-of-fold scores, as in a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import sklearn
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, _safe_indexing, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from mgrisk.errors import MgRiskError
from mgrisk.model.calibration import fit_logistic_map
from mgrisk.survey.linear_models import maximise_likelihood
from mgrisk.types import Floats, Integers

SMALLEST_RISK = 1e-12


class DesignCalibratedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A binary classifier whose probabilities are calibrated in the population that the weights stand for.

    Each fold is scored by a copy of the classifier fitted to the other folds. A logistic regression of the outcome on
    these scores, with the weights, is the calibration; the classifier is then fitted to all rows. Scores are the values
    of ``decision_function``, or the log-odds of ``predict_proba``.

    Parameters
    ----------
    estimator
        Classifier; `sklearn.linear_model.LogisticRegression` where left out.
    cv
        Number of folds, or a splitter that tests each row once, such as `mgrisk.DesignKFold`. With a number and
        ``groups`` in `fit`, whole groups are assigned to folds in turn, in their order.

    Attributes
    ----------
    classes_
        The two classes.
    estimator_
        The classifier fitted to all rows.
    intercept_, slope_
        The calibration: log-odds = intercept + slope × score.

    Notes
    -----
    This is the calibration of a run (`model.calibration`). With survey weights and the same folds it is that of
    scikit-learn's ``CalibratedClassifierCV(method="sigmoid", ensemble=False)``, but for Platt's (1999) smoothing of the
    outcomes by one observation, which is used here only where the scores separate the classes, since there is no
    logistic fit then. Unlike scikit-learn's, it keeps PSUs whole in folds within folds (``groups``), and passes weights
    to the last step of a pipeline.

    Examples
    --------
    >>> from mgrisk.survey.design import SurveyDesign, WeightLevel
    >>> random = np.random.default_rng(1)
    >>> psu = np.repeat(np.arange(8), 50)
    >>> design = SurveyDesign(random.uniform(1, 9, 400), psu // 2, psu % 2, WeightLevel.EXAM)
    >>> X = random.normal(size=(400, 2))
    >>> y = random.random(400) < expit(X[:, 0])
    >>> model = DesignCalibratedClassifier(LogisticRegression(C=0.001), cv=4)
    >>> risk = model.fit(X, y, sample_weight=design.weights, groups=design.cluster).predict_proba(X)[:, 1]
    >>> round(float(np.average(y, weights=design.weights) / np.average(risk, weights=design.weights)), 2)
    1.0
    """

    def __init__(self, estimator: Any = None, *, cv: Any = 5) -> None:
        self.estimator = estimator
        self.cv = cv

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit calibration and classifier.

        Parameters
        ----------
        X
            Array, or pandas or polars frame, as the classifier takes it, shape (n, p).
        y
            Outcome of two classes, the second of which, in order, is the case, shape (n,).
        sample_weight
            Survey weights, shape (n,): `SurveyDesign.weights`. Ratios matter to the calibration; a penalised classifier
            may depend on their scale.
        groups
            PSU of each row, shape (n,): `SurveyDesign.cluster`, whose order keeps the PSUs of a stratum apart.

        Raises
        ------
        ValueError
            As in scikit-learn: an outcome without exactly two classes, folds that do not test each row once.
        """
        X, y = indexable(X, y)
        y = column_or_1d(y, warn=True)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.classes_, case = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("The outcome has one class, two are needed to calibrate.")
        weight = np.ones(len(y)) if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        model = self._model()
        routed = self._routed(model, sample_weight, groups)
        margin = np.full(len(y), np.nan)
        for train, test in self._folds(X, case, groups, routed.splitter.split):
            params = {name: np.asarray(values)[train] for name, values in routed.estimator.fit.items()}
            learned = clone(model).fit(_safe_indexing(X, train), y[train], **params)
            margin[test] = margin_of(learned, _safe_indexing(X, test))
        if np.isnan(margin).any():
            raise ValueError("The folds of cv do not test each row once.")
        self.intercept_, self.slope_ = _calibration(margin, case.astype(np.float64), weight)
        self.estimator_ = clone(model).fit(X, y, **routed.estimator.fit)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return calibrated log-odds, shape (n,)."""
        check_is_fitted(self)
        log_odds: Floats = self.intercept_ + self.slope_ * margin_of(self.estimator_, X)
        return log_odds

    def predict_proba(self, X: Any) -> Floats:
        """Return calibrated probabilities of both classes, shape (n, 2)."""
        risk = expit(self.decision_function(X))
        return np.column_stack((1.0 - risk, risk))

    def predict(self, X: Any) -> Any:
        """Return the more probable class, shape (n,)."""
        case = self.decision_function(X) > 0.0
        return self.classes_[case.astype(np.intp)]

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of the arguments of `fit` to the classifier and the splitter."""
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self._model(), method_mapping=MethodMapping().add(caller="fit", callee="fit"))
            .add(splitter=check_cv(self.cv), method_mapping=MethodMapping().add(caller="fit", callee="split"))
        )

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self._model())
        tags.classifier_tags.multi_class = False
        tags.input_tags.sparse, tags.input_tags.allow_nan = inner.input_tags.sparse, inner.input_tags.allow_nan
        return tags

    def _model(self) -> Any:
        return LogisticRegression() if self.estimator is None else self.estimator

    def _routed(self, model: Any, sample_weight: Any, groups: Any) -> Any:
        """Return the arguments of the classifier's `fit` and the splitter's `split`."""
        given = {"sample_weight": sample_weight, "groups": groups}
        given = {name: values for name, values in given.items() if values is not None}
        if sklearn.get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **given)
        fit = {}
        if sample_weight is not None:
            if name := weight_name(model):
                fit[name] = sample_weight
            else:
                warnings.warn(f"{model!r} takes no sample_weight: only the calibration is weighted.", stacklevel=3)
        return Bunch(estimator=Bunch(fit=fit), splitter=Bunch(split={} if groups is None else {"groups": groups}))

    def _folds(self, X: Any, case: Integers, groups: Any, given: dict[str, Any]) -> Iterator[tuple[Integers, Integers]]:
        if groups is None or not isinstance(self.cv, int):
            yield from check_cv(self.cv, case, classifier=True).split(X, case, **given)
            return
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        if group.max() + 1 < self.cv:
            raise ValueError(f"There are {group.max() + 1} groups, fewer than the {self.cv} folds of cv.")
        yield from PredefinedSplit(group % self.cv).split()


def weight_name(model: Any) -> str:
    """Return the name of the weight argument of a classifier's or pipeline's `fit`; "" where it takes no weights."""
    last = model.steps[-1] if isinstance(model, Pipeline) else ("", model)
    if not has_fit_parameter(last[1], "sample_weight"):
        return ""
    return f"{last[0]}__sample_weight" if last[0] else "sample_weight"


def margin_of(fitted: Any, X: Any) -> Floats:
    """Return the scores of a fitted binary classifier, shape (n,): its decision function, or log-odds of its risks."""
    if hasattr(fitted, "decision_function"):
        return np.asarray(fitted.decision_function(X), dtype=np.float64)
    risk = np.clip(fitted.predict_proba(X)[:, 1], SMALLEST_RISK, 1.0 - SMALLEST_RISK)
    return np.asarray(logit(risk), dtype=np.float64)


def _calibration(margin: Floats, case: Floats, weight: Floats) -> tuple[float, float]:
    """Return intercept and slope, also for scores that are constant or separate the classes."""
    try:
        found = fit_logistic_map(margin, case, weight)
    except MgRiskError as error:
        inside = weight > 0
        if error.code == "logistic.rank":
            share = np.average(case, weights=weight)
            return float(logit(share)), 0.0
        cases, others = case[inside].sum(), (1.0 - case[inside]).sum()
        nearer = np.where(case == 1.0, (cases + 1.0) / (cases + 2.0), 1.0 / (others + 2.0))
        X = np.column_stack((np.ones(int(inside.sum())), margin[inside]))
        intercept, slope = maximise_likelihood(X, nearer[inside], weight[inside])
        return float(intercept), float(slope)
    return found.intercept, found.slope
