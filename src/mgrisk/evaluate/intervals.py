"""Metrics with design-based intervals, and differences between models in the same people and replicates.

Every metric is recomputed with each set of jackknife weights (JKn), and quantiles with those of the Rao-Wu bootstrap; a
bootstrap of rows would treat people of one PSU as independent. All models share the replicates, so that the interval of
a difference accounts for the correlation of their errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.evaluate.metrics import RANK_METRICS, Ranked, Weighted, measure, metric_names, rank_domain
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import Estimate, proportion
from mgrisk.survey.presentation import presentation, presentation_code
from mgrisk.survey.variance import jackknife, logit_interval, rao_wu, replicate_variance, t_quantile
from mgrisk.types import Floats, Integers

# Measures between 0 and 1 have intervals on the logit, ratios on the log, others on their own scale.
SHARES = frozenset({"prevalence", "sensitivity", "specificity", "ppv", "npv", "flagged"})
ON_LOGIT = frozenset({"auroc", "auprc", "brier"}) | SHARES
ON_LOG = frozenset({"observed_expected", "number_to_test"})
# Distances are at least 0; near 0 their own scale has better coverage than the logit (decision on intervals).
DISTANCES = frozenset({"ici", "e50", "e90"})
# A coefficient fitted together with an intercept has one degree of freedom less (`SurveyDesign.residual_df`).
SLOPES = frozenset({"calibration_slope"})
# The jackknife is inconsistent for sample quantiles (Efron 1982).
BOOTSTRAPPED = frozenset({"e50", "e90"})
BOOTSTRAP_REPLICATES = 200
BOOTSTRAP_SEED = 1
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class MetricReplicates:
    """Metrics of some models with the full weights and with each set of replicate weights.

    Parameters
    ----------
    full
        Metric with the full weights, by model and metric.
    replicates
        Metric of each replicate, by model and metric, each of shape (R,).
    problems
        Code of the problem, by model and metric; empty without one.
    scale
        Weight of each jackknife replicate in the variance, shape (R,).
    bootstrap_scale
        Weight of each bootstrap replicate, for the metrics of `BOOTSTRAPPED`.
    n, events, df
        People and cases in the domain with a positive weight; degrees of freedom of the design.
    presentation
        Code of `survey.presentation` for the share of cases in the domain.
    """

    full: dict[tuple[str, str], float]
    replicates: dict[tuple[str, str], Floats]
    problems: dict[tuple[str, str], str]
    scale: Floats
    bootstrap_scale: Floats
    n: int
    events: int
    df: int
    presentation: str

    @classmethod
    def of(
        cls, y: ArrayLike, columns: Mapping[tuple[str, str], Floats], design: SurveyDesign, *, scale: Floats
    ) -> MetricReplicates:
        """Return the replicates of metrics that were computed with all sets of jackknife weights.

        Parameters
        ----------
        y
            Outcome, 0 or 1, shape (n,); ignored outside the domain.
        columns
            Values by model and metric: with the full weights, then with each replicate's, shape (R + 1,).
        design
            The full design; its domain is the people evaluated.
        scale
            `Replicates.scale`, shape (R,).
        """
        found = {}
        for key, column in columns.items():
            known = np.isfinite(column)
            found[key] = "metric.undefined" if not known[0] else "" if known.all() else "replicate:metric.undefined"
        full = {key: float(column[0]) for key, column in columns.items()}
        replicates = {key: column[1:] for key, column in columns.items()}
        return cls(full, replicates, found, scale, scale, **_people(y, design))

    def records(self, *, level: float = 0.95) -> list[dict[str, Any]]:
        """Return one flat record for each model and metric; see `with_intervals`."""
        return [self._record(model, metric, level) for model, metric in self.full]

    def frame(self) -> pd.DataFrame:
        """Return the records with 95 % intervals as a table."""
        return pd.DataFrame(self.records())

    def to_dict(self) -> dict[str, Any]:
        """Return the records with 95 % intervals and the degrees of freedom."""
        return {"df": self.df, "replicates": int(self.scale.size), "records": self.records()}

    def differences(self, reference: str, *, level: float = 0.95) -> list[dict[str, Any]]:
        """Return one flat record for each other model and metric; see `paired_differences`."""
        if reference not in {model for model, _ in self.full}:
            raise bad_input(
                "metric.unknown_reference",
                "the reference model is not among the models",
                where=reference,
                hint=f"choose from {', '.join(sorted({model for model, _ in self.full}))}",
            )
        records: list[dict[str, Any]] = []
        for model, metric in self.full:
            if model == reference or (reference, metric) not in self.full:
                continue
            mine, theirs = (model, metric), (reference, metric)
            estimate = self.full[mine] - self.full[theirs]
            se = self._se(metric, estimate, self.replicates[mine] - self.replicates[theirs])
            # Intervals of differences between these quantiles had too low coverage (decision on intervals): none.
            half = NAN if metric in BOOTSTRAPPED else t_quantile(level, self._df(metric)) * se
            records.append(
                {
                    "model": model,
                    "reference": reference,
                    "metric": metric,
                    "estimate": estimate,
                    "low": estimate - half,
                    "high": estimate + half,
                    "se": se,
                    "n": self.n,
                    "events": self.events,
                    "problem": self.problems[mine] or self.problems[theirs],
                    "presentation": self.presentation,
                }
            )
        return records

    def _record(self, model: str, metric: str, level: float) -> dict[str, Any]:
        estimate = self.full[model, metric]
        se = self._se(metric, estimate, self.replicates[model, metric])
        low, high = _interval(metric, estimate, se, level=level, df=self._df(metric))
        return {
            "model": model,
            "metric": metric,
            "estimate": estimate,
            "low": low,
            "high": high,
            "se": se,
            "n": self.n,
            "events": self.events,
            "problem": self.problems[model, metric] or ("" if np.isfinite(low) else "interval.undefined"),
            "presentation": self._presentation(metric, Estimate(estimate, se, low, high, self.n, self.df)),
        }

    def _df(self, metric: str) -> int:
        return self.df - (metric in SLOPES)

    def _se(self, metric: str, estimate: float, replicates: Floats) -> float:
        if not (np.isfinite(estimate) and np.isfinite(replicates).all()):
            return NAN  # an infinite ratio, in the sample or in a replicate
        scale = self.bootstrap_scale if metric in BOOTSTRAPPED else self.scale
        return float(np.sqrt(replicate_variance(estimate, replicates, scale)))

    def _presentation(self, metric: str, found: Estimate) -> str:
        """Return the presentation code: of shares and the AUROC by themselves, of others by the share of cases."""
        base = metric.partition("@")[0]
        if base in SHARES:
            people = {"sensitivity": self.events, "specificity": self.n - self.events}.get(base, self.n)
            return presentation(replace(found, n=people))
        return presentation_code(found, found.low, found.high) if base == "auroc" else self.presentation


def replicate_metrics(
    y: ArrayLike,
    risk_by_model: Mapping[str, ArrayLike],
    design: SurveyDesign,
    *,
    metrics: Iterable[str] | None = None,
    ranking_only: frozenset[str] = frozenset(),
) -> MetricReplicates:
    """Compute metrics with the full weights and with each set of replicate weights.

    Parameters
    ----------
    y
        Outcome, 0 or 1, shape (n,); ignored outside the domain.
    risk_by_model
        Predicted probability of each person by model, each of shape (n,); ignored outside the domain.
    design
        The full design; its domain is the people evaluated.
    metrics
        Names as in `metrics.metric_names`; all of them, at thresholds 0.05 and 0.10, where left out.
    ranking_only
        Models without probabilities, such as points of a questionnaire: for these AUROC and AUPRC alone.

    Returns
    -------
    MetricReplicates

    Raises
    ------
    MgRiskError
        ``metric.bad_length``, ``metric.missing_risk``, ``metric.bad_risk``, ``metric.bad_outcome``,
        ``metric.empty``, ``metric.unknown``, ``metric.unknown_model``, ``design.single_psu``. A calibration
        fit without a maximum does not raise: its metric is NaN and its problem ``logistic.not_converged``.
    """
    names = tuple(metric_names() if metrics is None else metrics)
    unknown = ranking_only - risk_by_model.keys()
    if unknown:
        raise bad_input(
            "metric.unknown_model",
            "ranking_only names a model that is not among the models",
            where=", ".join(sorted(unknown)),
            hint=f"choose from {', '.join(risk_by_model)}",
        )
    ranked: dict[str, tuple[Ranked, Floats, Integers]] = {}
    wanted: dict[str, tuple[str, ...]] = {}
    for model, risk in risk_by_model.items():
        ranks_only = model in ranking_only
        wanted[model] = tuple(name for name in names if not ranks_only or name in RANK_METRICS)
        ranked[model] = rank_domain(y, risk, design, name=model, probability=not ranks_only)

    smooth = jackknife(design)
    families = [(smooth, [name for name in names if name not in BOOTSTRAPPED])]
    if BOOTSTRAPPED & set(names):
        drawn = rao_wu(design, replicates=BOOTSTRAP_REPLICATES, seed=BOOTSTRAP_SEED)
        families.append((drawn, [name for name in names if name in BOOTSTRAPPED]))
    full: dict[tuple[str, str], float] = {}
    values: dict[tuple[str, str], Floats] = {}
    problems: dict[tuple[str, str], str] = {}
    for model, (people, weight, cluster) in ranked.items():
        all_weights = Weighted(people, weight)
        for name in wanted[model]:
            full[model, name], problems[model, name] = _attempt(name, all_weights)
        for replicates, members in families:
            asked = [name for name in members if name in wanted[model]]
            values |= {(model, name): np.full(len(replicates), NAN) for name in asked}
            for r, factors in enumerate(replicates.factors if asked else ()):
                sample = Weighted(people, weight * factors[cluster], near=all_weights)
                for name in asked:
                    if problems[model, name]:
                        continue
                    values[model, name][r], problem = _attempt(name, sample)
                    problems[model, name] = f"replicate:{problem}" if problem else ""
    return MetricReplicates(full, values, problems, smooth.scale, families[-1][0].scale, **_people(y, design))


def with_intervals(
    y: ArrayLike,
    risk_by_model: Mapping[str, ArrayLike],
    design: SurveyDesign,
    *,
    metrics: Iterable[str] | None = None,
    ranking_only: frozenset[str] = frozenset(),
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Return metrics of each model with design-based intervals.

    Parameters and errors as for `replicate_metrics`; `level` is the confidence level.

    Returns
    -------
    list of dict
        Flat records {model, metric, estimate, low, high, se, n, events, problem, presentation}. `se` is on the scale of
        the metric. Intervals use t with the degrees of freedom of the design (one less for the calibration slope), on
        the logit for shares, AUROC, AUPRC and Brier score, on the log for observed over expected and the number to test
        (delta method). Undefined numbers are NaN and `problem` says why: ``metric.undefined``,
        ``logistic.not_converged``, ``logistic.rank``, or one of these after ``replicate:`` where the estimate exists
        but not its standard error. ``interval.undefined``: the estimate is exactly 0 or 1, or the design has no degrees
        of freedom.
        `presentation` is a code of `survey.presentation`: of a share by itself, of the AUROC by its interval, of other
        metrics by the share of cases. `ici`, `e50` and `e90` of a perfectly calibrated model are above 0, too, by the
        sampling error of the calibration curve: their intervals hold for a miscalibrated model (decision on intervals).

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> risk = {"model": [0.1, 0.3, 0.2, 0.4, 0.3, 0.2, 0.1, 0.5]}
    >>> record = with_intervals([0, 1, 0, 1, 0, 1, 0, 1], risk, design, metrics=["auroc"])[0]
    >>> record["metric"], record["estimate"], record["n"], record["events"]
    ('auroc', 0.875, 8, 4)
    """
    found = replicate_metrics(y, risk_by_model, design, metrics=metrics, ranking_only=ranking_only)
    return found.records(level=level)


def paired_differences(
    y: ArrayLike,
    risk_by_model: Mapping[str, ArrayLike],
    design: SurveyDesign,
    *,
    reference: str,
    metrics: Iterable[str] | None = None,
    ranking_only: frozenset[str] = frozenset(),
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Return differences between each model and a reference model, in the same people and replicates.

    Parameters and errors as for `replicate_metrics`, and ``metric.unknown_reference``; `reference` is a key
    of `risk_by_model`.

    Returns
    -------
    list of dict
        Flat records {model, reference, metric, estimate, low, high, se, n, events, problem, presentation}: metric
        of the model minus that of the reference, for the metrics that both have, with a t interval.
    """
    found = replicate_metrics(y, risk_by_model, design, metrics=metrics, ranking_only=ranking_only)
    return found.differences(reference, level=level)


def _people(y: ArrayLike, design: SurveyDesign) -> dict[str, Any]:
    inside = design.analysis_weight > 0
    case = np.where(inside, np.asarray(y, dtype=np.float64), 0.0)
    shown = presentation(proportion(case, design))
    return {"n": design.n, "events": int(case[inside].sum()), "df": design.df, "presentation": shown}


def _attempt(name: str, sample: Weighted) -> tuple[float, str]:
    try:
        value = measure(name, sample)
    except MgRiskError as error:
        if not error.code.startswith("logistic."):
            raise
        return NAN, error.code
    return value, "" if np.isfinite(value) else "metric.undefined"


def _interval(metric: str, estimate: float, se: float, *, level: float, df: int) -> tuple[float, float]:
    base = metric.partition("@")[0]
    if base in ON_LOGIT:
        return logit_interval(estimate, se, level=level, df=df)
    half = t_quantile(level, df) * se
    if base in DISTANCES:
        return max(estimate - half, 0.0), estimate + half
    if base not in ON_LOG:
        return estimate - half, estimate + half
    if not estimate > 0:
        return NAN, NAN
    return float(estimate * np.exp(-half / estimate)), float(estimate * np.exp(half / estimate))
