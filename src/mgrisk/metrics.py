"""Metrics of predicted risks with design-based intervals, paired differences of models, and scikit-learn scorers.

These functions take the risks of any model as series or arrays and return data frames. The numbers are computed as in
the evaluation of a run (`evaluate.intervals`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mgrisk.errors import bad_input
from mgrisk.evaluate.intervals import paired_differences, with_intervals
from mgrisk.evaluate.metrics import find_measure, measure_people, metric_names
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.frames import numbers, refuse_other_index
from mgrisk.types import Floats

__all__ = ["compare", "evaluate", "metric_names", "scorer"]

COLUMNS: Final = ["metric", "estimate", "se", "low", "high", "n", "events", "problem"]


def evaluate(
    y: object, risk: object, design: SurveyDesign, *, metrics: Iterable[str] | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Evaluate predicted risks in the population that a survey design represents.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,), one for each row of the design: a pandas or polars series, or an array.
    risk
        Predicted probability, shape (n,), or what ``predict_proba`` returns, shape (n, 2).
    design
        The survey design. Only people in its domain are evaluated.
    metrics
        Names from `metric_names`, with a risk threshold after an @: ``auroc``, ``net_benefit@0.05``. By default all
        metrics, at thresholds of 0.05 and 0.10.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        One row per metric: metric, estimate, se, low, high, n (people), events (cases), problem (why a number is
        undefined, else empty). Standard errors are from the jackknife over PSUs, and intervals from the t distribution
        with the degrees of freedom of the design.

    Raises
    ------
    MgRiskError
        ``survey.index`` where two series have different indexes; ``metric.missing_risk``, ``metric.bad_outcome`` and
        the like, as in `evaluate.intervals.with_intervals`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> risk = [0.1, 0.3, 0.2, 0.4, 0.3, 0.2, 0.1, 0.5]
    >>> evaluate([0, 1, 0, 1, 0, 1, 0, 1], risk, design, metrics=["auroc", "brier"])["estimate"].round(3).tolist()
    [0.875, 0.236]
    """
    refuse_other_index(y, risk)
    records = with_intervals(numbers(y), {"risk": _risk(risk)}, design, metrics=metrics, level=level)
    return pd.DataFrame(records, columns=COLUMNS)


def compare(
    y: object,
    risks: Mapping[str, object],
    design: SurveyDesign,
    *,
    reference: str | None = None,
    metrics: Iterable[str] | None = None,
    ranking_only: Iterable[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare models on the same people: paired differences of metrics with confidence intervals.

    Parameters
    ----------
    y, design, metrics, level
        As for `evaluate`.
    risks
        Predicted probabilities by model name, as for `evaluate`.
    reference
        The model that the others are compared with; by default the last one.
    ranking_only
        Models whose values are not probabilities, such as questionnaire points; they get AUROC and AUPRC only.

    Returns
    -------
    pandas.DataFrame
        One row per other model and metric: model, reference, and the columns of `evaluate`; the estimate is the
        metric of the model minus that of the reference.

    Raises
    ------
    MgRiskError
        As for `evaluate`; ``metric.unknown_reference``; ``metric.one_model``.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> mine, points = [0.1, 0.3, 0.2, 0.4, 0.3, 0.2, 0.1, 0.5], [1, 1, 3, 4, 4, 5, 2, 6]
    >>> found = compare([0, 1] * 4, {"mine": mine, "points": points}, design, ranking_only=["points"])
    >>> found[["model", "reference", "metric", "estimate"]].values.tolist()[0]
    ['mine', 'points', 'auroc', 0.125]
    """
    if len(risks) < 2:
        raise bad_input(
            "metric.one_model",
            "a comparison needs two models or more",
            where="risks",
            hint='give the risks of another model: {"mine": …, "ada": …}',
            got=", ".join(risks) or "no model",
        )
    refuse_other_index(y, *risks.values())
    records = paired_differences(
        numbers(y),
        {name: _risk(risk) for name, risk in risks.items()},
        design,
        reference=list(risks)[-1] if reference is None else reference,
        metrics=metrics,
        ranking_only=frozenset(ranking_only),
        level=level,
    )
    return pd.DataFrame(records, columns=["model", "reference", *COLUMNS])


LARGER_IS_BETTER: Final = frozenset({"auroc", "auprc", "brier_scaled", "net_benefit"})
SMALLER_IS_BETTER: Final = frozenset({"brier", "log_loss", "ici", "e50", "e90"})


def scorer(metric: str) -> Any:
    """Return a scikit-learn scorer for a weighted metric, for example for a grid search.

    Parameters
    ----------
    metric
        ``auroc``, ``auprc``, ``brier_scaled`` or ``net_benefit@0.05`` (at any threshold); or ``log_loss``, ``brier``,
        ``ici``, ``e50`` or ``e90``, negated so that larger is better.

    Returns
    -------
    scikit-learn scorer
        It accepts ``sample_weight``, and requests it where metadata routing is enabled. With ``GridSearchCV.fit(X, y,
        sample_weight=design.weights)`` fits and scores are weighted; ``cross_val_score`` needs metadata routing.

    Raises
    ------
    MgRiskError
        ``metric.unknown``; ``metric.no_scorer`` for a metric that is not better when larger or smaller.

    Examples
    --------
    >>> import sklearn.linear_model, sklearn.model_selection
    >>> X, y = np.arange(20.0)[:, None], np.array([0, 0, 1, 0, 1] * 4)
    >>> model = sklearn.linear_model.LogisticRegression()
    >>> search = sklearn.model_selection.GridSearchCV(model, {"C": [0.1, 1.0]}, scoring=scorer("log_loss"), cv=2)
    >>> bool(search.fit(X, y, sample_weight=np.ones(20)).best_score_ < 0)
    True
    """
    import sklearn
    from sklearn.metrics import make_scorer

    base = metric.partition("@")[0]
    find_measure(metric)
    if base not in LARGER_IS_BETTER | SMALLER_IS_BETTER:
        raise bad_input(
            "metric.no_scorer",
            "this metric cannot rank models: neither larger nor smaller values are better",
            where=metric,
            hint=f"choose from {', '.join(sorted(LARGER_IS_BETTER | SMALLER_IS_BETTER))}",
        )
    made = make_scorer(
        _weighted_metric, response_method="predict_proba", greater_is_better=base in LARGER_IS_BETTER, metric=metric
    )
    return made.set_score_request(sample_weight=True) if sklearn.get_config()["enable_metadata_routing"] else made


def _weighted_metric(y: ArrayLike, risk: ArrayLike, *, metric: str, sample_weight: ArrayLike | None = None) -> float:
    outcome = np.asarray(y, dtype=np.float64)
    return measure_people(metric, outcome, risk, np.ones(outcome.shape) if sample_weight is None else sample_weight)


def _risk(given: object) -> Floats:
    array = np.asarray(given) if getattr(given, "ndim", 1) == 2 else None
    if array is None:
        return numbers(given)
    if array.shape[1] != 2:
        raise bad_input(
            "metric.bad_length",
            "risks must be one number per person, or two columns of class probabilities",
            where="risk",
            hint="give the probability of being a case, for example predict_proba(X)[:, 1]",
            expected="(n,) or (n, 2)",
            got=str(array.shape),
        )
    return numbers(array[:, 1])
