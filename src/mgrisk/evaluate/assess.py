"""The evaluation of a run: all models on the same people of one set, as flat records and curves.

Discrimination, calibration and classification at risk thresholds are estimated in all people and in each subgroup (sex,
age, race/ethnicity …), as domains of one design: a model that is calibrated overall may be miscalibrated in women, in
people of low income or in one ethnic group. Estimates in small groups have a code that says whether NCHS standards
would allow their presentation. Published risk scores are compared with the models: discrimination, calibration, and
classification at their published cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.config.toml import rows
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.curves import Curve, calibration_curve, decision_curve, grouped_calibration, roc_curve
from mgrisk.evaluate.intervals import MetricReplicates, replicate_metrics
from mgrisk.evaluate.metrics import metric_names
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.thresholds import RISKS, Thresholds, classify, threshold_table
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Booleans, Floats

METRICS: Final = (
    "prevalence",
    "auroc",
    "observed_expected",
    "calibration_intercept",
    "calibration_slope",
    "sensitivity@0.05",
    "flagged@0.05",
)
MISSING: Final = "missing"
NAN: Final = float("nan")


@dataclass(frozen=True)
class Grouping:
    """A row of subgroups.toml: a division of people into groups.

    Attributes
    ----------
    name, feature, source
        Name in records; the feature that defines the groups; the reason for these groups.
    bounds
        For a number, lower bounds of all groups but the first.
    levels
        Names of the groups in order; the levels of the category where left out.
    """

    name: str
    feature: str
    source: str
    bounds: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()

    def members(self, values: pd.Series) -> Iterator[tuple[str, Booleans]]:
        """Yield the name of each group and its members, shape (n,); last people without a value, if any.

        Examples
        --------
        >>> bmi = Grouping("bmi", "bmi_kg_m2", "WHO", bounds=(25.0,), levels=("below 25", "25 and more"))
        >>> [(name, who.tolist()) for name, who in bmi.members(pd.Series([24.9, 25.0]))]
        [('below 25', [True, False]), ('25 and more', [False, True])]
        """
        known = values.notna().to_numpy(dtype=np.bool_)
        if self.bounds:
            place = np.searchsorted(self.bounds, values.to_numpy(dtype=np.float64), side="right")
            for number, name in enumerate(self.levels):
                yield name, known & (place == number)
        else:
            for name in values.astype("category").cat.categories:
                yield str(name), (values == name).fillna(False).to_numpy(dtype=np.bool_)
        if not known.all():
            yield MISSING, ~known


@cache
def groupings() -> tuple[Grouping, ...]:
    """Return the rows of subgroups.toml."""
    return tuple(
        Grouping(row["name"], row["feature"], row["source"], tuple(row.get("from", ())), tuple(row.get("levels", ())))
        for row in rows("mgrisk.evaluate", "subgroups.toml", "group")
    )


def subgroups(predictions: Predictions, frame: pd.DataFrame, *, outcome: str, set_name: str) -> list[dict[str, Any]]:
    """Evaluate models and published scores in each group.

    Parameters
    ----------
    predictions, outcome, set_name
        As for `assess.assess`.
    frame
        Features of all people in the set, in the rows of the design.

    Returns
    -------
    list of dict
        Records of `METRICS` as those of `assess.assess`, with the grouping as `group` and the name of the group as
        `level`. A grouping by a feature that the run does not have, and an empty group, have a record with the problem
        ``subgroup.absent`` or ``metric.empty``.
    """
    records: list[dict[str, Any]] = []
    y, models, ranking_only = predictions.y, predictions.scores, frozenset(predictions.points)
    for grouping in groupings():
        context = {"outcome": outcome, "set": set_name, "group": grouping.name}
        if grouping.feature not in frame:
            records += [_no_people(model, "subgroup.absent") | context | {"level": "all"} for model in models]
            continue
        for level, who in grouping.members(frame[grouping.feature]):
            domain = predictions.design.where(who)
            if domain.n == 0:
                found = [_no_people(model, "metric.empty") for model in models]
            else:
                found = replicate_metrics(y, models, domain, metrics=METRICS, ranking_only=ranking_only).records()
            records += [record | context | {"level": level} for record in found]
    return records


CONTROLS: Final = "controls"
NO_PREDIABETES: Final = "without prediabetes"


def _without_prediabetes(
    predictions: Predictions, prediabetes: Booleans, context: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the AUROC of all models and scores without controls who have prediabetes."""
    domain = predictions.design.where((predictions.y == 1.0) | ~prediabetes)
    points = frozenset(predictions.points)
    found = replicate_metrics(predictions.y, predictions.scores, domain, metrics=["auroc"], ranking_only=points)
    return [{**context, "group": CONTROLS, "level": NO_PREDIABETES, **record} for record in found.records()]


def _no_people(model: str, problem: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("estimate", "low", "high", "se"), NAN)
    about = {"n": 0, "events": 0, "problem": problem, "presentation": "suppress:effective_size"}
    return {"model": model, "metric": "auroc", **numbers, **about}


AT_CUT: Final = ("sensitivity", "specificity", "ppv", "npv")


def assess_scores(
    predictions: Predictions,
    *,
    cuts: Mapping[str, Iterable[float]],
    reference: Sequence[str],
    model: Mapping[str, Floats],
    context: Mapping[str, str],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Evaluate published scores on the domain of a design.

    In a difference, `model` is the score and `reference` the other score or the chosen model.

    Parameters
    ----------
    predictions
        Predictions of the published scores alone.
    cuts
        Published cuts of each score, in its own unit.
    reference
        The score that the others are compared with, or none; its own AUROC is in the records of `assess`.
    model
        The risk of the chosen model by its name, with which each score is compared, too.
    context
        Written into each record.

    Returns
    -------
    list of dict, and list of dict
        Records and differences as in `assess`; metrics at a cut are named by it: ``sensitivity@5``.
    """
    y, scores, design = predictions.y, predictions.scores, predictions.design
    found = replicate_metrics(y, {**scores, **model}, design, ranking_only=frozenset((*predictions.points, *model)))
    of_scores = [record for record in found.records() if record["model"] not in {*reference, *model}]
    # Recalibration changes the ranking only by differences between folds.
    differences = [
        record for other in (*reference, *model) for record in found.differences(other) if record["model"] in cuts
    ]
    return (
        [{**context, **record} for record in (*of_scores, *at_cut(y, scores, design, cuts=cuts))],
        [{**context, **record} for record in differences],
    )


def at_cut(
    y: Floats, values: Mapping[str, Floats], design: SurveyDesign, *, cuts: Mapping[str, Iterable[float]]
) -> list[dict[str, Any]]:
    """Return sensitivity, specificity and predictive values of scores at their cuts; positive is a score ≥ the cut.

    Parameters and records as for `assess_scores`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> found = at_cut(np.array([0.0, 1, 0, 1]), {"ada": np.array([2.0, 5, 6, 7])}, design, cuts={"ada": [5]})
    >>> [(row["metric"], row["estimate"]) for row in found[:2]]
    [('sensitivity@5', 1.0), ('specificity@5', 0.5)]
    """
    positive = {
        f"{name}@{cut:g}": (values[name] >= cut).astype(np.float64)
        for name, of_score in cuts.items()
        for cut in of_score
    }
    records = []
    for record in replicate_metrics(y, positive, design, metrics=[f"{metric}@0.5" for metric in AT_CUT]).records():
        (name, _, cut), metric = record["model"].partition("@"), record["metric"].partition("@")[0]
        records.append({**record, "model": name, "metric": f"{metric}@{cut}"})
    return records


CROSS_VALIDATED: Final = "cross-validated"
EXTERNAL: Final = "external"
"""The set of people who come from a file."""
EVERYBODY: Final = "everybody"
DIFFERED: Final = frozenset(metric_names(thresholds=())) - {"prevalence"}
"""Metrics for which differences between models are reported; net benefit is compared at each of `RISKS`."""


@dataclass(frozen=True)
class Assessment:
    """Performance of the models on one set.

    Attributes
    ----------
    records
        Flat records: {model, outcome, set, group, level, metric, estimate, low, high, se, n, events,
        problem, presentation}; those of all people first, then those of the groups of subgroups.toml. The AUROC
        without prediabetes has the group `CONTROLS` and the level `NO_PREDIABETES`.
    differences
        The same with `reference`: model minus reference, in the same people and replicates, for each model against
        every other one and every published score. Net benefit is compared with models and scores that have risks, and
        with treat all (`EVERYBODY`).
    thresholds
        Records of `thresholds.threshold_table`: the same with `rule` and `threshold`.
    curves
        By model: `calibration`, `calibration_groups`, `roc` and `decision`, for point scores `roc` alone; each a table
        of columns, or {problem} where it could not be computed.
    """

    records: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    curves: dict[str, dict[str, Any]]


def assess(
    predictions: Predictions,
    frame: pd.DataFrame,
    *,
    chosen: str,
    thresholds: Thresholds,
    outcome: str,
    set_name: str,
    prediabetes: Booleans | None = None,
) -> Assessment:
    """Evaluate models and published scores on the domain of a design.

    Parameters
    ----------
    predictions
        Calibrated probabilities of models and of recalibrated scores, and points of published scores.
    frame
        Features of all people in the set, in the rows of the design, which define the groups.
    chosen
        The model that is bundled; it and the published scores are evaluated in each group.
    thresholds
        Result of `thresholds.choose_thresholds` in the development people.
    outcome, set_name
        Written into each record.
    prediabetes
        Who has prediabetes, shape (n,), with any value for cases; None where that is not known.

    Notes
    -----
    Controls with prediabetes are the hardest to discriminate from cases. Leaving them out, as some publications do,
    raises any AUROC (spectrum effect: Ransohoff and Feinstein 1978, N. Engl. J. Med. 299:926), so the AUROC without
    them is reported in addition to that of all people.
    """
    y, risks, points, design = predictions.y, predictions.risks, predictions.points, predictions.design
    of_set = {"outcome": outcome, "set": set_name}
    context = {**of_set, "group": "all", "level": "all"}
    found = replicate_metrics(y, predictions.scores, design, ranking_only=frozenset(points))
    classified = _net_benefits(predictions)
    differences = [
        record
        for replicates in (found, classified)
        for reference in dict.fromkeys(model for model, _ in replicates.full)
        for record in replicates.differences(reference)
        if record["model"] in risks and (replicates is classified or record["metric"] in DIFFERED)
    ]
    table = threshold_table(predictions, thresholds=thresholds)
    of_chosen = replace(predictions, risks={chosen: risks[chosen]})
    return Assessment(
        records=[
            *({**context, **record} for record in found.records()),
            *([] if prediabetes is None else _without_prediabetes(predictions, prediabetes, of_set)),
            *subgroups(of_chosen, frame, outcome=outcome, set_name=set_name),
        ],
        differences=[{**context, **record} for record in differences],
        thresholds=[{**context, **record} for record in table],
        curves=_curves(predictions),
    )


def _net_benefits(predictions: Predictions) -> MetricReplicates:
    """Return net benefits at the fixed risks: of models and scores with risks, and of treat all."""
    y, design = predictions.y, predictions.design
    at = np.array(RISKS)
    rules = {name: risk[:, None] >= at for name, risk in predictions.risks.items()}
    rules[EVERYBODY] = np.ones((len(design), at.size), dtype=np.bool_)
    columns: dict[tuple[str, str], Floats] = {}
    scale = np.empty(0)
    for name, flagged in rules.items():
        classified = classify(y, flagged, design)
        scale = classified.scale
        benefit = classified.net_benefit(at)
        columns |= {(name, f"net_benefit@{risk:g}"): benefit[:, place] for place, risk in enumerate(RISKS)}
    return MetricReplicates.of(y, columns, design, scale=scale)


def _curves(predictions: Predictions) -> dict[str, dict[str, Any]]:
    y, design = predictions.y, predictions.design
    curves: dict[str, dict[str, Any]] = {}
    for name, risk in predictions.risks.items():
        curves[name] = {
            "calibration": _curve(calibration_curve, y, risk, design),
            "calibration_groups": _curve(grouped_calibration, y, risk, design),
            "roc": _curve(roc_curve, y, risk, design),
            "decision": _curve(decision_curve, y, risk, design),
        }
    curves |= {name: {"roc": _curve(roc_curve, y, score, design)} for name, score in predictions.points.items()}
    return curves


def _curve(make: Callable[..., Curve], y: Floats, risk: Floats, design: SurveyDesign) -> dict[str, Any]:
    """Return a curve's columns, or the problem where its fit did not converge, as with few cases."""
    try:
        return make(y, risk, design).to_dict()
    except MgRiskError as problem:
        return {"problem": problem.what()}
