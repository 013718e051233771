"""Step `explain`: SHAP values of all people, and summaries of them.

Both sets are summarised. Comparisons (subgroups, other models, interactions) use the held-out people only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.errors import MgRiskError
from mgrisk.explain.attributions import Explainer, Explanation
from mgrisk.explain.groups import grouped_values, interaction_values, strongest_pairs, summarise_groups, tree_parts
from mgrisk.explain.stability import across, compare
from mgrisk.explain.summary import by_subgroup, rank_ranges, summarise
from mgrisk.features.usual_magnesium import USUAL
from mgrisk.model.bundle import Bundle
from mgrisk.model.recall_error import recall_se, recall_share
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.trained import read_all_trained
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.types import Floats, JsonRecord, Singles


@dataclass(frozen=True, eq=False)
class _Explained:
    """The analysed people of one set, encoded, weighted and explained."""

    name: str
    people: SetOfPeople
    X: Singles
    explanation: Explanation

    @property
    def weight(self) -> Floats:
        weight: Floats = self.people.design.analysis_weight[self.people.inside]
        return weight


def explain(workspace: Workspace) -> str:
    """Explain the chosen model for all analysed people of both sets, and compare it with the other models."""
    winner = workspace.run.winner
    bundles = read_all_trained(workspace)
    explainer = Explainer(bundles[winner])
    sets = {name: _explained(workspace, explainer, name) for name in (DEVELOPMENT, HELD_OUT)}
    development, held_out = sets[DEVELOPMENT], sets[HELD_OUT]
    tables = [_table(explainer.bundle, each) for each in sets.values()]
    workspace.run.write_frame(names.EXPLANATIONS, pd.concat(tables, ignore_index=True))
    worst = max(_additivity_error(explainer.bundle, each) for each in sets.values())
    features = [record for each in sets.values() for record in _features(each)]
    workspace.run.write_object(
        names.EXPLANATION_SUMMARY,
        {
            "learner": winner,
            "base_value": explainer.base_value,
            "largest_additivity_error": worst,
            "features": features,
            "groups": [record for each in sets.values() for record in _groups(explainer.bundle, development, each)],
            "subgroups": by_subgroup(
                held_out.explanation, held_out.people.frame.iloc[held_out.people.inside], held_out.people.design
            ),
            **_agreement(bundles, winner, held_out),
            "interactions": [
                record for name, bundle in bundles.items() for record in _pairs(name, bundle, development, held_out)
            ],
        },
    )
    most = features[0]["label"] if features[0]["importance"] else "nothing, since everybody has the same risk"
    return f"largest additivity error {worst:.1e}; most important: {most}"


def _explained(workspace: Workspace, explainer: Explainer, name: str) -> _Explained:
    people = workspace.people(name)
    frame, X = explainer.bundle.encode(people.frame.iloc[people.inside])
    return _Explained(name, people, X, explainer.explain_encoded(frame, X))


def _table(bundle: Bundle, of: _Explained) -> pd.DataFrame:
    """Return SHAP values, interval, training distribution, and the recall error not in the interval, of each person."""
    found = bundle.predict(of.X)
    low, high = bundle.interval(found)
    of_inputs = bundle.interval_of_inputs(found)
    # As if scored from a file: usual intake is estimated from the recalls, and not given.
    given = of.people.frame.iloc[of.people.inside].drop(columns=USUAL, errors="ignore")
    return of.explanation.frame().assign(
        risk_low=low,
        risk_high=high,
        risk_low_inputs=of_inputs[0],
        risk_high_inputs=of_inputs[1],
        in_domain=bundle.in_domain(of.explanation.data),
        recall_share=recall_share(recall_se(bundle, given), found.se),
        SEQN=of.people.rows[KEY].to_numpy()[of.people.inside],
        set=of.name,
    )


def _additivity_error(bundle: Bundle, of: _Explained) -> float:
    return float(np.abs(of.explanation.log_odds - bundle.predict(of.X).log_odds).max())


def _features(of: _Explained) -> list[JsonRecord]:
    ranks = {record["feature"]: record for record in rank_ranges(of.explanation, of.people.design)}
    return [
        {"set": of.name, **record, **ranks[record["feature"]]} for record in summarise(of.explanation, of.people.design)
    ]


def _groups(bundle: Bundle, background: _Explained, of: _Explained) -> list[JsonRecord]:
    found = grouped_values(bundle, background.X, background.weight, of.X)
    return [{"set": of.name, **record} for record in summarise_groups(found, of.people.design)]


def _agreement(bundles: dict[str, Bundle], winner: str, of: _Explained) -> JsonRecord:
    """Compare the reasons of the chosen model with those of each other model, and of all together."""
    values = of.explanation.values
    names = [feature.name for feature in of.explanation.features]
    others = {name: Explainer(bundle).values(of.X) for name, bundle in bundles.items() if name != winner}
    records = []
    for name, theirs in others.items():
        found = compare(values, theirs, of.weight)
        records.append({"learner": name, **found, "features": dict(zip(names, found["features"], strict=True))})
    if not others:
        return {"agreement": [], "across_learners": None}
    found = across(values, list(others.values()), of.weight)
    return {"agreement": records, "across_learners": {**found, "ranks": dict(zip(names, found["ranks"], strict=True))}}


def _pairs(name: str, bundle: Bundle, background: _Explained, of: _Explained) -> list[JsonRecord]:
    """Return the strongest interactions of a tree model, or one record with the problem if its trees are too deep."""
    owners, n = bundle.encoder.owners, len(bundle.features)
    total = np.zeros((len(of.X), n, n))
    try:
        for scale, booster in tree_parts(bundle.fitted):
            total += scale * interaction_values(
                booster, owners=owners, n_players=n, background=background.X, weight=background.weight, X=of.X
            )
    except MgRiskError as problem:
        return [{"learner": name, "problem": problem.what()}]
    pairs = strongest_pairs(bundle.calibrator.slope * total, bundle.features, of.people.design)
    return [{"learner": name, **pair, "problem": ""} for pair in pairs]


STEP = Step(
    "explain",
    "compute SHAP values",
    inputs=(*names.PEOPLE, names.TRAINED, names.TUNING),
    outputs=names.EXPLAINED,
    logged=(names.EXPLANATION_SUMMARY,),
    settings=MODEL,
    action=explain,
)
