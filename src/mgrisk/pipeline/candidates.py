"""Step `candidates`: fit classifiers passed in Python on the folds of the run, calibrate and explain them.

They are evaluated like the models of the pipeline file. A bundle cannot contain them, since it has no pickles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config import pipeline_file
from mgrisk.errors import usage
from mgrisk.explain.agnostic import drawn, permutation_values
from mgrisk.explain.attributions import Explainer, Explanation
from mgrisk.explain.stability import compare
from mgrisk.explain.summary import summarise
from mgrisk.features.compute import to_columns
from mgrisk.model.estimators import TrainedEstimator, identity, train_estimator
from mgrisk.model.learners import Encoder
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.trained import read_trained
from mgrisk.pipeline.workspace import OwnCandidate, SetOfPeople, Workspace
from mgrisk.riskscores.scores import KNOWN
from mgrisk.run_folder import names
from mgrisk.types import Floats, JsonRecord

EXPLAINED: Final = 100
BACKGROUND: Final = 50
SEED: Final = 1


def accepted(candidates: Mapping[str, Any], settings: pipeline_file.Model) -> dict[str, OwnCandidate]:
    """Check and return the candidates of a run.

    Parameters
    ----------
    candidates
        Classifiers by name.
    settings
        The `[model]` section.

    Raises
    ------
    MgRiskError
        `candidates.bad_name`, `candidates.no_classifier`.
    """
    taken = {*type(settings).model_fields, *settings.sums, *KNOWN}
    for name, estimator in candidates.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name in taken:
            raise usage(
                "candidates.bad_name",
                f"a candidate cannot have the name {name}",
                where="candidates",
                expected="at most 40 lower-case letters, digits and _, and not the name of a model or published score",
                hint="give another name, such as mine",
            )
        if isinstance(estimator, type) or not hasattr(estimator, "get_params") or not is_classifier(estimator):
            raise usage(
                "candidates.no_classifier",
                f"{name} is not a scikit-learn classifier",
                where=f"candidates, {name}",
                got=repr(type(estimator) if not isinstance(estimator, type) else estimator),
                hint="give an object with fit, predict_proba or decision_function, and get_params, such as "
                "LogisticRegression()",
            )
    return {name: OwnCandidate(estimator, identity(estimator)) for name, estimator in candidates.items()}


def compete(workspace: Workspace) -> str:
    """Fit, calibrate and explain each candidate; write their records, and the risks of all people."""
    people = {name: workspace.people(name) for name in (DEVELOPMENT, HELD_OUT)}
    development, held_out = people[DEVELOPMENT], people[HELD_OUT]
    data, encoder = workspace.training_data(development), Encoder(workspace.model_features)
    risks = [each.rows.iloc[each.inside][[KEY]].reset_index(drop=True) for each in people.values()]
    records = []
    for name, candidate in workspace.candidates.items():
        trained = train_estimator(name, candidate.estimator, data, encoder)
        risks[0][name] = trained.oof_risk[development.inside]
        risks[1][name] = trained.risk(encoder.matrix(held_out.frame.iloc[held_out.inside]))
        records.append(
            {
                "name": name,
                "estimator": " ".join(repr(candidate.estimator).split()),
                "identity": candidate.identity,
                "weighted": trained.weighted,
                "log_loss": trained.log_loss,
                "fold_log_loss": list(trained.fold_log_loss),
                "intercept": trained.calibrator.intercept,
                "slope": trained.calibrator.slope,
                **_explained(workspace, name, trained, development, held_out),
            }
        )
    workspace.run.write_records(names.CANDIDATES, records)
    workspace.run.write_frame(names.RISKS_OF_CANDIDATES, pd.concat(risks, ignore_index=True))
    tuning = workspace.run.tuning
    best = tuning.models[tuning.winner].log_loss
    losses = ", ".join(f"{record['name']} {record['log_loss']:.4f}" for record in records)
    return f"log loss {losses}; a bundle can hold none of these, and holds {tuning.winner} ({best:.4f})"


def _explained(
    workspace: Workspace, name: str, trained: TrainedEstimator, development: SetOfPeople, held_out: SetOfPeople
) -> JsonRecord:
    """Return importance, and agreement with the chosen model, in a random sample of held-out people."""
    features, encoder = trained.encoder.features, trained.encoder
    n = len(held_out.inside)
    sample = np.sort(np.random.default_rng(SEED).choice(n, min(n, EXPLAINED), replace=False))
    places = held_out.inside[sample]
    weight = development.design.analysis_weight[development.inside]
    background = development.inside[drawn(weight, BACKGROUND)]

    def matrix(of: SetOfPeople, rows: Any) -> Floats:
        columns = to_columns(of.frame.iloc[rows], features)
        return np.column_stack([columns[feature.name] for feature in features])

    def log_odds(F: Floats) -> Floats:
        columns = {feature.name: F[:, place] for place, feature in enumerate(features)}
        return trained.log_odds(encoder.encode(columns, n=len(F)))

    base, values = permutation_values(log_odds, matrix(held_out, places), matrix(development, background), seed=SEED)
    data = held_out.frame.iloc[places][[feature.name for feature in features]]
    explanation = Explanation(values, np.full(len(values), base), features, data)
    mask = np.zeros(len(held_out.design), dtype=np.bool_)
    mask[places] = True
    bundle = read_trained(workspace, workspace.run.winner)
    chosen = Explainer(bundle).explain(data).values
    found = compare(chosen, values, held_out.design.analysis_weight[places])
    by_feature = dict(zip([feature.name for feature in features], found["features"], strict=True))
    return {
        "explained": len(places),
        "background": len(background),
        "features": summarise(explanation, held_out.design.where(mask)),
        "agreement": {"learner": name, **found, "features": by_feature},
    }


STEP = Step(
    "candidates",
    "fit and calibrate the candidates given in Python",
    inputs=(*names.PEOPLE, names.TARGETS, names.FOLDS, names.TRAINED, names.TUNING),
    outputs=(names.CANDIDATES, names.RISKS_OF_CANDIDATES),
    settings=DESCRIBED,
    wanted=lambda workspace: bool(workspace.candidates),
    estimators=True,
    logged=(names.CANDIDATES,),
    action=compete,
)
