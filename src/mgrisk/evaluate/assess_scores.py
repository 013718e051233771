"""The evaluation of the published scores of a run, beside the model: ranking, calibration, published cuts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]
AT_CUT: Final = ("sensitivity", "specificity", "ppv", "npv")


def assess_scores(
    y: Floats,
    risks: Mapping[str, Floats],
    points: Mapping[str, Floats],
    design: SurveyDesign,
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
    y
        Outcome, shape (n,); any value outside the domain.
    risks, points
        Probabilities and points by name, shape (n,) each.
    design
        The full design of the set, with the analysis as its domain.
    cuts
        Published cuts of each score, in its own unit.
    reference
        The score that the others are compared with, or none; its own ranking is in the records of `assess`.
    model
        The risk of the chosen model by its name, which each score is compared with too.
    context
        Written into each record.

    Returns
    -------
    list of dict, and list of dict
        Records and differences as of `assess`; of a cut, the metric is named by it: ``sensitivity@5``.
    """
    scores = {**risks, **points}
    found = replicate_metrics(y, {**scores, **model}, design, ranking_only=frozenset((*points, *model)))
    of_scores = [record for record in found.records() if record["model"] not in {*reference, *model}]
    # Recalibration changes no ranking but for the difference between folds.
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
    """Return sensitivity, specificity and predictive values of scores at their cuts: who has it or more is positive.

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
