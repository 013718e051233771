"""Step `audit`, a leakage audit: univariable AUROCs, the pipeline on a permuted outcome, and timing of inputs."""

from __future__ import annotations

from typing import Final

import numpy as np

from mgrisk.cohort.leaks import timing
from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.evaluate.leak_audit import audit_alone, audit_permuted
from mgrisk.model.candidates import make_learners
from mgrisk.model.learners import Encoder
from mgrisk.model.refit import space_of
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.trained import read_trained
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names
from mgrisk.types import Floats

REPEATS: Final = 5


def audit(workspace: Workspace) -> str:
    """Audit the development people for leaks that the lists missed; write leaks.json."""
    people = workspace.people(DEVELOPMENT)
    data = workspace.training_data(people)
    settings, chosen = workspace.pipeline.model, workspace.model_features
    tuned = workspace.run.tuning
    encoder = Encoder(chosen)
    # Markers cannot be permuted with the label: for an ensemble, its best algorithm fitted to the label is audited.
    winner = tuned.winner
    space = space_of(read_trained(workspace, winner).fitted)
    made = make_learners(settings, encoder, space, threads=workspace.pipeline.threads)
    learners = {each.name: each for each in made}
    name = winner if winner in learners else min(learners, key=lambda each: tuned.models[each].log_loss)
    learner, params = learners[name], tuned.models[name].parts[0].params
    inside, weight = people.inside, people.design.analysis_weight
    X = learner.design(encoder.matrix(people.frame.iloc[inside]))

    def out_of_fold(permuted: Floats) -> Floats:
        margin, of_fold = np.zeros(len(permuted)), data.fold[inside]
        for number in np.unique(of_fold):
            seen = of_fold != number
            fitted = learner.fit(X[seen], permuted[inside[seen]], weight[inside[seen]], params)
            margin[inside[~seen]] = fitted.margin(X[~seen])
        return margin

    outcome = workspace.outcome
    alone = audit_alone(data, features=chosen, limit=outcome.alone_limit, ratio_limit=outcome.ratio_limit)
    permuted = audit_permuted(out_of_fold, data, seed=settings.seed, repeats=REPEATS)
    times = timing(outcome, chosen)
    workspace.run.write_object(
        names.LEAKS,
        {
            "outcome": outcome.name,
            "learner": learner.name,
            "alone": [each.to_dict() for each in alone],
            "permuted": permuted.to_dict(),
            "timing": [each.to_dict() for each in times],
        },
    )
    best = max(alone, key=lambda each: each.auroc)
    found = sum(each.finding for each in (*alone, permuted))
    return (
        f"{found} findings; highest univariable AUROC {best.auroc:.3f} ({best.feature}; limit {best.limit:.2f}); "
        f"AUROC with a permuted outcome {permuted.auroc:.3f}"
    )


STEP = Step(
    "audit",
    "audit for leakage",
    inputs=(*names.PEOPLE, names.FOLDS, names.TRAINED, names.TUNING),
    outputs=(names.LEAKS,),
    logged=(names.LEAKS,),
    settings=MODEL,
    action=audit,
)
