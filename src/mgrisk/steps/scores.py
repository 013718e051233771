"""The published scores of a run: which its outcome allows, raw and recalibrated on development, for both sets.

Names in records: ``findrisc`` is the score itself, points or probability; ``findrisc:published`` the risk that was
published for the points; ``findrisc:intercept`` and ``findrisc:logistic`` are recalibrated. People of development have
recalibrated risks of which the recalibration had not seen their fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import MgRiskError
from mgrisk.riskscores.recalibrate import Method, cross_fitted, recalibrate
from mgrisk.riskscores.scores import KNOWN, RiskScore, Scored, load_score
from mgrisk.steps.workspace import SetOfPeople, Workspace
from mgrisk.survey.estimates import mean

Floats = NDArray[np.float64]
PUBLISHED: Final = "published"


@dataclass(frozen=True)
class ScoresOfSet:
    """The scores of one set of people.

    Attributes
    ----------
    points
        By score that only ranks, shape of the design, NaN outside the analysis.
    risks
        Probabilities by name: formulas, published risks, recalibrated scores; shape of the design.
    cuts
        By score: the cuts that were published.
    """

    points: Mapping[str, Floats]
    risks: Mapping[str, Floats]
    cuts: Mapping[str, tuple[float, ...]]


def score_people(
    workspace: Workspace, sets: Mapping[str, SetOfPeople], fold: NDArray[np.int64]
) -> tuple[dict[str, ScoresOfSet], list[dict[str, Any]]]:
    """Score both sets and recalibrate on development.

    Parameters
    ----------
    workspace
        Of the run.
    sets
        People by name of the set, development among them.
    fold
        Fold of everybody in development.

    Returns
    -------
    dict of ScoresOfSet, and list of dict
        By name of the set; and what scores.json says of every score that mgrisk knows.
    """
    points: dict[str, dict[str, Floats]] = {name: {} for name in sets}
    risks: dict[str, dict[str, Floats]] = {name: {} for name in sets}
    about = []
    for name in KNOWN:
        score, why_not = load_score(name), workspace.why_no_score(name)
        told: dict[str, Any] = {**score.model_dump(mode="json", exclude={"item"}), "evaluated": not why_not}
        if why_not:
            about.append({**told, "problem": f"not evaluated, because {why_not}"})
            continue
        scored = {set_name: score.score(people.frame) for set_name, people in sets.items()}
        for set_name, found in scored.items():
            (points if score.kind == "points" else risks)[set_name][name] = found.value
            if score.kind == "points" and found.risk is not None:
                risks[set_name][f"{name}:{PUBLISHED}"] = found.risk
        told["recalibrated"] = []
        for method in Method:
            if method is Method.INTERCEPT and scored[DEVELOPMENT].risk is None:
                continue
            record, recalibrated = _recalibrated(method, score, scored, sets, fold)
            told["recalibrated"].append(record)
            for set_name, risk in recalibrated.items():
                risks[set_name][f"{name}:{method}"] = risk
        told["sets"] = {set_name: _answered(score, scored[set_name], people) for set_name, people in sets.items()}
        about.append(told)
    cuts = {score.name: score.cuts for score in workspace.scores}
    return {name: ScoresOfSet(points[name], risks[name], cuts) for name in sets}, about


def _recalibrated(
    method: Method,
    score: RiskScore,
    scored: Mapping[str, Scored],
    sets: Mapping[str, SetOfPeople],
    fold: NDArray[np.int64],
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return the record of a recalibration and the risks by set; none where it could not be fitted, with the reason."""
    margin = {name: _margin(method, score, found) for name, found in scored.items()}
    made_on = sets[DEVELOPMENT]
    try:
        found = recalibrate(method, margin[DEVELOPMENT], made_on.y, made_on.design)
        unseen = cross_fitted(method, margin[DEVELOPMENT], made_on.y, made_on.design, fold)
    except MgRiskError as problem:
        return {"method": str(method), "problem": f"failed, because {problem.what()}"}, {}
    return found.to_dict(), {name: unseen if name == DEVELOPMENT else found.risk(margin[name]) for name in sets}


def _margin(method: Method, score: RiskScore, scored: Scored) -> Floats:
    """Return the log-odds of the published risk; for slopes of a point score the points, which rank more finely."""
    if scored.risk is None or (method is Method.LOGISTIC and score.kind == "points"):
        return scored.value
    log_odds: Floats = logit(scored.risk)
    return log_odds


def _answered(score: RiskScore, scored: Scored, people: SetOfPeople) -> dict[str, Any]:
    """Return the weighted share of people with an unanswered item: any, and by what the item reads first."""
    missing: dict[str, NDArray[np.bool_]] = {}
    for item, of_item in zip(score.item, scored.unanswered, strict=True):
        asked = item.feature or " or ".join(item.features)
        missing[asked] = missing.get(asked, False) | of_item
    share = {asked: mean(of_item.astype(float), people.design).estimate for asked, of_item in missing.items()}
    return {
        "unanswered": mean(scored.unanswered.any(axis=0).astype(float), people.design).estimate,
        "unanswered_by_item": {asked: found for asked, found in share.items() if found > 0},
    }
