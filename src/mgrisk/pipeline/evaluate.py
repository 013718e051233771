"""Step `evaluate`: evaluate all models and published scores, cross-validated and on the held-out cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import logit

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT, PREDIABETES
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.assess import CROSS_VALIDATED, assess, assess_scores
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.table_one import table_one
from mgrisk.evaluate.thresholds import Thresholds, choose_thresholds
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.trained import read_all_trained
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.riskscores.scores import KNOWN, Method, RiskScore, Scored, cross_fitted, load_score, recalibrate
from mgrisk.run_folder import names
from mgrisk.survey.estimates import mean
from mgrisk.types import Booleans, Floats, Integers

PUBLISHED: Final = "published"


@dataclass(frozen=True)
class ScoresOfSet:
    """The scores of one set of people.

    Attributes
    ----------
    points
        Points by score without probabilities, shape of the design, NaN outside the analysis.
    risks
        Probabilities by name: equations, published risks, recalibrated scores; shape of the design.
    cuts
        Published cut-points by score.
    """

    points: Mapping[str, Floats]
    risks: Mapping[str, Floats]
    cuts: Mapping[str, tuple[float, ...]]


def score_people(
    workspace: Workspace, sets: Mapping[str, SetOfPeople], fold: Integers
) -> tuple[dict[str, ScoresOfSet], list[dict[str, Any]]]:
    """Compute the published scores in both sets, and recalibrate them to the development people.

    Parameters
    ----------
    workspace
        Workspace of the run.
    sets
        People by set name, including development.
    fold
        Fold of all development people.

    Returns
    -------
    dict of ScoresOfSet, and list of dict
        Scores by set name; and the records of scores.json for every score.
    """
    points: dict[str, dict[str, Floats]] = {name: {} for name in sets}
    risks: dict[str, dict[str, Floats]] = {name: {} for name in sets}
    about = []
    for name in KNOWN:
        score, why_not = load_score(name), workspace.why_no_score(name)
        entry: dict[str, Any] = {**score.model_dump(mode="json", exclude={"item"}), "evaluated": not why_not}
        if why_not:
            about.append({**entry, "problem": f"not evaluated, because {why_not}"})
            continue
        scored = {set_name: score.score(people.frame) for set_name, people in sets.items()}
        for set_name, found in scored.items():
            (points if score.kind == "points" else risks)[set_name][name] = found.value
            if score.kind == "points" and found.risk is not None:
                risks[set_name][f"{name}:{PUBLISHED}"] = found.risk
        entry["recalibrated"] = []
        for method in Method:
            if method is Method.INTERCEPT and scored[DEVELOPMENT].risk is None:
                continue
            record, recalibrated = _recalibrated(method, score, scored, sets, fold)
            entry["recalibrated"].append(record)
            for set_name, risk in recalibrated.items():
                risks[set_name][f"{name}:{method}"] = risk
        entry["sets"] = {set_name: _answered(score, scored[set_name], people) for set_name, people in sets.items()}
        about.append(entry)
    cuts = {score.name: score.cuts for score in workspace.scores}
    return {name: ScoresOfSet(points[name], risks[name], cuts) for name in sets}, about


def _recalibrated(
    method: Method,
    score: RiskScore,
    scored: Mapping[str, Scored],
    sets: Mapping[str, SetOfPeople],
    fold: Integers,
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return the record of a recalibration and the risks by set; if the fit failed, the reason and no risks."""
    margin = {name: _margin(method, score, found) for name, found in scored.items()}
    made_on = sets[DEVELOPMENT]
    try:
        found = recalibrate(method, margin[DEVELOPMENT], made_on.y, made_on.design)
        unseen = cross_fitted(method, margin[DEVELOPMENT], made_on.y, made_on.design, fold)
    except MgRiskError as problem:
        return {"method": str(method), "problem": f"failed, because {problem.what()}"}, {}
    return found.to_dict(), {name: unseen if name == DEVELOPMENT else found.risk(margin[name]) for name in sets}


def _margin(method: Method, score: RiskScore, scored: Scored) -> Floats:
    """Return the log-odds of the published risk; for a slope on a point score, the points, which have finer ranks."""
    if scored.risk is None or (method is Method.LOGISTIC and score.kind == "points"):
        return scored.value
    log_odds: Floats = logit(scored.risk)
    return log_odds


def _answered(score: RiskScore, scored: Scored, people: SetOfPeople) -> dict[str, Any]:
    """Return the weighted share of people with an unanswered item, for any item and by the first feature of an item."""
    missing: dict[str, Booleans] = {}
    for item, of_item in zip(score.item, scored.unanswered, strict=True):
        asked = item.feature or " or ".join(item.features)
        missing[asked] = missing.get(asked, False) | of_item
    share = {asked: mean(of_item.astype(float), people.design).estimate for asked, of_item in missing.items()}
    return {
        "unanswered": mean(scored.unanswered.any(axis=0).astype(float), people.design).estimate,
        "unanswered_by_item": {asked: found for asked, found in share.items() if found > 0},
    }


def evaluate(workspace: Workspace) -> str:
    """Evaluate all models and published scores, cross-validated and on the held-out cycle."""
    records, differences, acted, tables, curves, predictions = [], [], [], [], {}, []
    winner = workspace.run.winner
    sets = {name: workspace.people(name) for name in (DEVELOPMENT, HELD_OUT)}
    scores, about_scores = score_people(workspace, sets, workspace.fold(sets[DEVELOPMENT]))
    thresholds: Thresholds = {}
    for set_name, label in ((DEVELOPMENT, CROSS_VALIDATED), (HELD_OUT, workspace.held_out_name)):
        people, of_set = sets[set_name], scores[set_name]
        risks = _out_of_fold_risks(workspace, people) if set_name == DEVELOPMENT else _risks(workspace, people)
        risks |= _risks_of_candidates(workspace, people)
        reference = {name: of_set.points[name] for name in workspace.reference}
        cuts = {name: of_set.cuts[name][0] for name in workspace.reference}
        # Points have no risk threshold, so a score is compared there by the risk of its points.
        rivals = {f"{name}:{Method.LOGISTIC}" for name in reference}
        beside = {name: risk for name, risk in of_set.risks.items() if name in rivals}
        evaluated = Predictions(people.y, {**risks, **beside}, reference, people.design)
        # Chosen on the development people, and only evaluated on the held-out people.
        thresholds = thresholds or choose_thresholds(evaluated, cuts=cuts)
        found = assess(
            evaluated,
            people.frame,
            chosen=winner,
            thresholds=thresholds,
            outcome=workspace.outcome.name,
            set_name=label,
            prediabetes=people.rows[PREDIABETES].to_numpy(dtype=np.bool_) if PREDIABETES in people.rows else None,
        )
        other_risks = {name: risk for name, risk in of_set.risks.items() if name not in beside}
        of_scores, score_differences = assess_scores(
            Predictions(people.y, other_risks, of_set.points, people.design),
            cuts=of_set.cuts,
            reference=workspace.reference,
            model={winner: risks[winner]},
            context={"outcome": workspace.outcome.name, "set": label, "group": "all", "level": "all"},
        )
        records += [*found.records, *of_scores]
        differences += [*found.differences, *score_differences]
        acted += found.thresholds
        curves[label] = found.curves
        tables += table_one(people.frame, people.y, people.design, chosen=workspace.all_features, set_name=set_name)
        kept = people.rows.iloc[people.inside][[KEY, "cycle", "set", "weight", "outcome"]]
        columns = {**risks, **of_set.points, **of_set.risks}
        kept = kept.assign(**{name: values[people.inside] for name, values in columns.items()})
        predictions.append(kept)
    workspace.run.write_records(names.EVALUATION, records)
    workspace.run.write_records(names.DIFFERENCES, differences)
    workspace.run.write_records(names.THRESHOLDS, acted)
    workspace.run.write_records(names.TABLE_ONE, tables)
    workspace.run.write_records(names.SCORES, about_scores)
    workspace.run.write_object(names.CURVES, {"sets": curves})
    workspace.run.write_frame(names.PREDICTIONS, pd.concat(predictions, ignore_index=True))
    return "; ".join(
        f"{name} AUROC {_estimate(records, name, workspace.held_out_name)}" for name in (winner, *workspace.reference)
    )


def _out_of_fold_risks(workspace: Workspace, people: SetOfPeople) -> dict[str, Floats]:
    """Return out-of-fold risks by model, with cross-fitted calibration, shape of the design."""
    oof = workspace.run.frame(names.OUT_OF_FOLD)
    ordered = people.rows.iloc[people.inside][[KEY]].merge(oof, on=KEY, validate="one_to_one")
    models = sorted(workspace.run.tuning.models)
    return {name: people.expanded(ordered[f"{name}_risk"].to_numpy()) for name in models}


def _risks(workspace: Workspace, people: SetOfPeople) -> dict[str, Floats]:
    """Return the risks of the bundles by model, shape of the design."""
    return {name: people.risk(bundle) for name, bundle in read_all_trained(workspace).items()}


def _risks_of_candidates(workspace: Workspace, people: SetOfPeople) -> dict[str, Floats]:
    """Return the risks of the candidates passed in Python, out of fold or in held-out people."""
    if not workspace.candidates:
        return {}
    known = workspace.run.frame(names.RISKS_OF_CANDIDATES)
    ordered = people.rows.iloc[people.inside][[KEY]].merge(known, on=KEY, validate="one_to_one")
    return {name: people.expanded(ordered[name].to_numpy()) for name in workspace.candidates}


def _estimate(records: list[dict[str, Any]], model: str, set_name: str) -> str:
    row = next(r for r in records if r["model"] == model and r["set"] == set_name and r["metric"] == "auroc")
    if row["low"] is None:
        return f"{row['estimate']:.3f} (interval not estimable)"
    return f"{row['estimate']:.3f} (95 % interval {row['low']:.3f} to {row['high']:.3f})"


STEP = Step(
    "evaluate",
    "evaluate, cross-validated and held out",
    inputs=(*names.PEOPLE, names.FOLDS, names.TRAINED, names.OUT_OF_FOLD, names.TUNING),
    optional=(names.CANDIDATES, names.RISKS_OF_CANDIDATES),
    outputs=names.EVALUATED,
    logged=tuple(name for name in names.EVALUATED if name != names.PREDICTIONS),
    settings=MODEL,
    action=evaluate,
)
